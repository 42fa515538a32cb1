//! The number of restarts that a supervisor may do in a period.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The highest number of restarts that a supervisor does within a period, before it gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intensity {
    /// The number of restarts.
    pub restarts: u32,
    /// The length of the period.
    pub period: Duration,
}

impl Default for Intensity {
    /// One restart in 5 seconds, as in OTP.
    fn default() -> Intensity {
        Intensity {
            restarts: 1,
            period: Duration::from_secs(5),
        }
    }
}

/// How many restarts a supervisor has done in the last period, after a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartCount {
    /// The number of restarts in the last period, including this one.
    pub count: u32,
    /// The highest number that is allowed.
    pub limit: Intensity,
    /// The time until the oldest of them does not count any more. If there are more than
    /// `limit.restarts - count` further restarts before, the supervisor gives up.
    pub clears_in: Duration,
}

/// The restarts of the last period.
#[derive(Debug)]
pub(super) struct Window {
    limit: Intensity,
    /// Above [`MAX_EXACT_RESTARTS`], restarts that are close to each other are one entry.
    restarts: VecDeque<Restarts>,
    /// The number of all of them.
    count: u32,
}

/// Restarts at about the same time.
#[derive(Debug, Clone, Copy)]
struct Restarts {
    /// The time of the first of them.
    first: Instant,
    count: u32,
}

/// The number of restarts that are remembered one by one. Of further ones, those within the same
/// `1 / MAX_EXACT_RESTARTS` of the period are remembered as if all were at the time of the first,
/// so that no window has more than twice as many entries, whatever number of restarts is allowed.
const MAX_EXACT_RESTARTS: u32 = 256;

impl Window {
    pub(super) fn new(limit: Intensity) -> Window {
        Window {
            limit,
            restarts: VecDeque::new(),
            count: 0,
        }
    }

    /// Counts a restart, and fails if it is one too many.
    pub(super) fn add(&mut self, now: Instant) -> Result<RestartCount, RestartCount> {
        let Intensity { restarts, period } = self.limit;
        let age = |entry: &Restarts| now.saturating_duration_since(entry.first);
        while let Some(oldest) = self.restarts.front().filter(|entry| age(entry) > period) {
            self.count -= oldest.count;
            self.restarts.pop_front();
        }
        let is_many = self.restarts.len() >= MAX_EXACT_RESTARTS as usize;
        match self.restarts.back_mut() {
            Some(entry) if is_many && age(entry) < period / MAX_EXACT_RESTARTS => {
                entry.count += 1;
            }
            _ => self.restarts.push_back(Restarts {
                first: now,
                count: 1,
            }),
        }
        self.count += 1;
        let oldest = self.restarts.front().map_or(now, |entry| entry.first);
        let count = RestartCount {
            count: self.count,
            limit: self.limit,
            clears_in: period.saturating_sub(now.saturating_duration_since(oldest)),
        };
        match count.count <= restarts {
            true => Ok(count),
            false => Err(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_restarts_are_allowed_few_entries_are_kept() {
        let period = Duration::from_secs(1000);
        let limit = Intensity {
            restarts: 1_000_000,
            period,
        };
        let mut window = Window::new(limit);
        let start = Instant::now();
        // 100 in a second, for three periods.
        for number in 0..300_000_u32 {
            let now = start + Duration::from_millis(u64::from(number) * 10);
            let count = window.add(now).map_or(0, |count| count.count);
            let exact = (number + 1).min(100_001);
            assert!(count <= exact && exact - count <= 500, "{number}: {count}");
            assert!(window.restarts.len() <= 2 * MAX_EXACT_RESTARTS as usize);
        }
    }

    #[test]
    fn one_restart_too_many_fails() {
        let period = Duration::from_secs(5);
        let limit = Intensity {
            restarts: 1000,
            period,
        };
        let mut window = Window::new(limit);
        let start = Instant::now();
        for number in 0..1000 {
            assert!(window.add(start).is_ok(), "{number}");
        }
        assert_eq!(window.add(start).map_err(|count| count.count), Err(1001));
        assert!(window.add(start + 2 * period).is_ok());
    }
}
