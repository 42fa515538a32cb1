//! The number of restarts that a supervisor may do in a period.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The most restarts that a supervisor does within a period, before it gives up.
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
    /// When the oldest of them does not count any more. If there are more than
    /// `limit.restarts - count` further restarts before, the supervisor gives up.
    pub clears_in: Duration,
}

/// The restarts of the last period.
#[derive(Debug)]
pub(super) struct Window {
    limit: Intensity,
    restarts: VecDeque<Instant>,
}

impl Window {
    pub(super) fn new(limit: Intensity) -> Window {
        Window {
            limit,
            restarts: VecDeque::new(),
        }
    }

    /// Counts a restart, and fails if it is one too many.
    pub(super) fn add(&mut self, now: Instant) -> Result<RestartCount, RestartCount> {
        let Intensity { restarts, period } = self.limit;
        while self
            .restarts
            .front()
            .is_some_and(|restart| now.saturating_duration_since(*restart) > period)
        {
            self.restarts.pop_front();
        }
        self.restarts.push_back(now);
        let oldest = self.restarts.front().copied().unwrap_or(now);
        let count = RestartCount {
            count: u32::try_from(self.restarts.len()).unwrap_or(u32::MAX),
            limit: self.limit,
            clears_in: period.saturating_sub(now.saturating_duration_since(oldest)),
        };
        match count.count <= restarts {
            true => Ok(count),
            false => Err(count),
        }
    }
}
