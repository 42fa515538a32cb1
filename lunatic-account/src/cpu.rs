//! How much of a core the processes of an account use.

use std::time::{Duration, Instant};

/// A budget that fills up as time passes, so much in each second. It may be overdrawn
/// by whoever runs until they are interrupted; then all wait until it is not any more.
#[derive(Debug, Clone)]
pub struct CpuBudget {
    /// CPU time in each second.
    rate: Duration,
    /// CPU time that was used and has not been paid for by the passing of time.
    debt: Duration,
    /// When `debt` was what it is.
    at: Option<Instant>,
}

/// The time for which the full rate is given at once, after a pause.
const BURST: Duration = Duration::from_millis(100);

/// The least rate, so that nobody waits for ever.
const LEAST_MICROSECONDS: u64 = 100;

/// The highest rate, of a million cores: with higher ones, what comes together in years would be
/// more than a duration can be.
const MOST_MICROSECONDS: u64 = 1_000_000_000_000;

impl CpuBudget {
    /// A budget of so many microseconds in each second.
    pub fn new(microseconds: u64) -> CpuBudget {
        CpuBudget {
            rate: Duration::from_micros(microseconds.clamp(LEAST_MICROSECONDS, MOST_MICROSECONDS)),
            debt: Duration::ZERO,
            at: None,
        }
    }

    /// Counts time that was used until `now`.
    pub fn spend(&mut self, now: Instant, time: Duration) {
        self.pay(now);
        self.debt += time;
    }

    /// How long to wait until the budget is not overdrawn.
    pub fn delay(&mut self, now: Instant) -> Duration {
        self.pay(now);
        let burst = BURST.mul_f64(self.rate.as_secs_f64());
        let overdrawn = self.debt.saturating_sub(burst);
        overdrawn.div_f64(self.rate.as_secs_f64())
    }

    fn pay(&mut self, now: Instant) {
        let passed = self
            .at
            .map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.debt = self
            .debt
            .saturating_sub(passed.mul_f64(self.rate.as_secs_f64()));
        self.at = Some(self.at.map_or(now, |at| at.max(now)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_a_long_time_no_more_is_used_than_the_budget_gives() {
        let begin = Instant::now();
        let mut budget = CpuBudget::new(50_000);
        let (mut now, mut used) = (begin, Duration::ZERO);
        while now < begin + Duration::from_secs(100) {
            let delay = budget.delay(now);
            now += delay + Duration::from_millis(1);
            budget.spend(now, Duration::from_millis(1));
            used += Duration::from_millis(1);
        }
        assert!(used <= Duration::from_millis(5_000 + 10));
        assert!(used >= Duration::from_millis(4_900));
    }

    #[test]
    fn no_rate_and_no_time_is_too_much() {
        let begin = Instant::now();
        let mut budget = CpuBudget::new(u64::MAX - 1);
        budget.spend(begin, Duration::from_secs(1));
        let later = begin + Duration::from_secs(100 * 365 * 86400);
        budget.spend(later, Duration::from_secs(1));
        assert_eq!(budget.delay(later), Duration::ZERO);
    }

    #[test]
    fn a_pause_does_not_add_up_to_more_than_a_burst() {
        let begin = Instant::now();
        let mut budget = CpuBudget::new(100_000);
        budget.spend(begin, Duration::ZERO);
        let later = begin + Duration::from_secs(3600);
        budget.spend(later, Duration::from_millis(20));
        assert!(budget.delay(later) > Duration::ZERO);
    }
}
