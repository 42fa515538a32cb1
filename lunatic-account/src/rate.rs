//! How much of something the processes of an account make in each second.

use std::time::{Duration, Instant};

/// A budget of bytes or lines that fills up as time passes, so many in each second.
///
/// Who [spends](RateBudget::spend) more than there is waits until that is made up for; who comes
/// later waits for longer. Who [tries](RateBudget::try_spend) to gets nothing instead.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use lunatic_account::RateBudget;
///
/// let mut budget = RateBudget::new(1000);
/// let now = Instant::now();
/// assert_eq!(budget.spend(now, 1000), Duration::ZERO);
/// assert_eq!(budget.spend(now, 500), Duration::from_millis(500));
/// assert_eq!(budget.spend(now, 500), Duration::from_millis(1000));
/// assert!(!budget.try_spend(now, 1));
/// assert!(budget.try_spend(now + Duration::from_secs(2), 1));
/// ```
#[derive(Debug, Clone)]
pub struct RateBudget {
    /// How many in each second, and how many at once after a second's pause.
    rate: u64,
    /// The time that it takes to make up for what was spent.
    debt: Duration,
    /// When `debt` was what it is.
    at: Option<Instant>,
}

/// For so long the full rate is given at once.
const BURST: Duration = Duration::from_secs(1);

/// Nobody owes more than that, so that the sum is finite; it is some years.
const MOST: Duration = Duration::from_secs(1 << 28);

impl RateBudget {
    /// A budget of so many in each second; none is taken for one.
    pub fn new(rate: u64) -> RateBudget {
        RateBudget {
            rate: rate.max(1),
            debt: Duration::ZERO,
            at: None,
        }
    }

    /// Counts so many, and returns how long to wait before they are made.
    pub fn spend(&mut self, now: Instant, amount: u64) -> Duration {
        self.pay(now);
        let debt = self.debt.saturating_add(self.time_for(amount));
        self.debt = debt.min(MOST);
        self.debt.saturating_sub(BURST)
    }

    /// Whether so many could be made now without a wait.
    pub fn has(&mut self, now: Instant, amount: u64) -> bool {
        self.pay(now);
        self.debt.saturating_add(self.time_for(amount)) <= BURST
    }

    /// Counts so many, if that leaves nothing to wait for; returns whether it does.
    pub fn try_spend(&mut self, now: Instant, amount: u64) -> bool {
        let has_enough = self.has(now, amount);
        if has_enough {
            self.debt = self.debt.saturating_add(self.time_for(amount));
        }
        has_enough
    }

    fn time_for(&self, amount: u64) -> Duration {
        let nanoseconds = u128::from(amount) * 1_000_000_000 / u128::from(self.rate);
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }

    fn pay(&mut self, now: Instant) {
        let passed = self
            .at
            .map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.at = Some(self.at.map_or(now, |at| at.max(now)));
        self.debt = self.debt.saturating_sub(passed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_a_long_time_no_more_is_printed_than_the_budget_gives() {
        let begin = Instant::now();
        let mut budget = RateBudget::new(10_000);
        let (mut now, mut printed) = (begin, 0);
        while now < begin + Duration::from_secs(100) {
            now += budget.spend(now, 700);
            printed += 700;
        }
        assert!((1_000_000..=1_011_000).contains(&printed), "{printed}");
    }

    #[test]
    fn many_who_print_at_once_wait_one_after_the_other() {
        let now = Instant::now();
        let mut budget = RateBudget::new(100);
        let waits: Vec<_> = (0..5).map(|_| budget.spend(now, 100).as_secs()).collect();
        assert_eq!(waits, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_pause_does_not_add_up_to_more_than_a_burst() {
        let begin = Instant::now();
        let mut budget = RateBudget::new(100);
        assert_eq!(budget.spend(begin, 1), Duration::ZERO);
        let later = begin + Duration::from_secs(3600);
        assert_eq!(budget.spend(later, 100), Duration::ZERO);
        assert_eq!(budget.spend(later, 100), Duration::from_secs(1));
    }

    #[test]
    fn nobody_waits_for_ever_for_a_small_budget_and_no_number_is_too_large() {
        let mut budget = RateBudget::new(0);
        let now = Instant::now();
        assert_eq!(budget.spend(now, 3), Duration::from_secs(2));
        assert!(budget.spend(now, u64::MAX) < Duration::MAX);
        assert!(budget.spend(now, u64::MAX) < Duration::MAX);
    }
    #[test]
    fn who_only_tries_gets_the_rate_over_a_long_time() {
        let begin = Instant::now();
        let mut budget = RateBudget::new(10);
        let tries = (0..100_000).map(|step| begin + step * Duration::from_millis(1));
        let got = tries.filter(|now| budget.try_spend(*now, 1)).count();
        assert!((1000..=1011).contains(&got), "{got}");
    }
}
