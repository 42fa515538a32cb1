//! The log of the ends of processes.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::rate_limit::RateLimit;

/// So many lines are written in a [`SPAN`]. The others are only counted.
const LINES: u32 = 1000;

/// After so much time, a line with the number of the others is written.
const SPAN: Duration = Duration::from_secs(10);

/// Limits how many lines the processes of an environment cause in the log.
#[derive(Debug)]
pub(crate) struct DeathLog(Mutex<RateLimit>);

/// What becomes of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    /// It is written.
    Written,
    /// It is left out, as the first one in its span: [`DeathLog::flush`] is to be called
    /// after this time.
    FirstLeftOut(Duration),
    /// It is left out.
    LeftOut,
}

impl DeathLog {
    pub(crate) fn new() -> DeathLog {
        DeathLog(Mutex::new(RateLimit::new(LINES, SPAN)))
    }

    /// Decides whether a line is written. If others were left out and it is time, it is
    /// told how many.
    pub(crate) fn admit(&self, now: Instant) -> Line {
        let mut limit = self.0.lock();
        let left_out = limit.flush_if_due(now);
        let line = match limit.admits(now) {
            true => Line::Written,
            false if limit.left_out() == 1 => Line::FirstLeftOut(SPAN),
            false => Line::LeftOut,
        };
        drop(limit);
        tell(left_out);
        line
    }

    /// Tells how many lines were left out, if any were.
    pub(crate) fn flush(&self, now: Instant) {
        let left_out = self.0.lock().flush(now);
        tell(left_out);
    }
}

fn tell(left_out: Option<(u64, Duration)>) {
    if let Some((left_out, time)) = left_out {
        tracing::warn!(
            "{left_out} lines of the log were dropped: processes caused too many in {time:.1?}"
        );
    }
}
