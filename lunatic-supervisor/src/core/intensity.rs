//! How many restarts there may be in how much time, over a sliding window.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The most restarts that a supervisor does within a period, before it gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intensity {
    /// How many.
    pub restarts: u32,
    /// In how much time.
    pub period: Duration,
}

impl Default for Intensity {
    /// 1 in 5 seconds, as OTP.
    fn default() -> Intensity {
        Intensity {
            restarts: 1,
            period: Duration::from_secs(5),
        }
    }
}

/// Where a supervisor stands against its [`Intensity`] after a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartCount {
    /// How many restarts there were in the last period, this one too.
    pub count: u32,
    /// How many there may be, and in how much time.
    pub limit: Intensity,
    /// How long until the oldest of them is forgotten: with more than
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

    /// Counts a restart; `Err` if it is one too many.
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
