//! Logs what happens to a supervisor, with a limit on the number of lines.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::core::{Intensity, RestartCount, SupervisorEvent};

/// So many lines are written in a [`SPAN`]. The others are only counted.
const LINES: u32 = 5;

/// After so much time, a line with the number of the others is written.
const SPAN: Duration = Duration::from_secs(1);

/// The log of one supervisor.
#[derive(Debug)]
pub(crate) struct Log {
    path: Arc<str>,
    limit: RateLimit,
}

/// Decides, without a clock of its own, which lines are written.
#[derive(Debug, Default)]
struct RateLimit {
    since: Option<Instant>,
    lines: u32,
    left_out: u64,
}

impl Log {
    pub(crate) fn new(path: Arc<str>) -> Log {
        Log {
            path,
            limit: RateLimit::default(),
        }
    }

    pub(crate) fn tell(&mut self, event: &SupervisorEvent, now: Instant) {
        if is_end(event) {
            self.flush(now);
        } else if is_noisy(event) {
            self.flush_if_due(now);
            if !self.limit.admits(now) {
                return;
            }
        }
        write(&self.path, event);
    }

    /// When the number of lines that were left out has to be written.
    pub(crate) fn next_flush(&self) -> Option<Instant> {
        self.limit.next_flush()
    }

    /// Writes how many lines were left out, if it is time.
    pub(crate) fn flush_if_due(&mut self, now: Instant) {
        if self.next_flush().is_some_and(|due| due <= now) {
            self.flush(now);
        }
    }

    /// Writes how many lines were left out.
    pub(crate) fn flush(&mut self, now: Instant) {
        let supervisor = &*self.path;
        if let Some((left_out, time)) = self.limit.flush(now) {
            tracing::warn!(
                supervisor,
                "{left_out} more restarts, ends and failed starts of children in {time:.1?}"
            );
        }
    }
}

impl RateLimit {
    fn admits(&mut self, now: Instant) -> bool {
        let since = *self.since.get_or_insert(now);
        if self.left_out == 0 && now.saturating_duration_since(since) >= SPAN {
            self.since = Some(now);
            self.lines = 0;
        }
        if self.lines < LINES {
            self.lines += 1;
            return true;
        }
        self.left_out += 1;
        false
    }

    fn next_flush(&self) -> Option<Instant> {
        match self.left_out {
            0 => None,
            _ => self.since.and_then(|since| since.checked_add(SPAN)),
        }
    }

    /// Returns how many lines were left out, and in how much time, and starts anew.
    fn flush(&mut self, now: Instant) -> Option<(u64, Duration)> {
        let RateLimit {
            since, left_out, ..
        } = std::mem::take(self);
        let since = since.filter(|_| left_out > 0)?;
        Some((left_out, now.saturating_duration_since(since)))
    }
}

/// Returns whether an event is the last one of a supervisor that ends by itself.
fn is_end(event: &SupervisorEvent) -> bool {
    matches!(
        event,
        SupervisorEvent::GivingUp { .. } | SupervisorEvent::AutoShutdown { .. }
    )
}

/// Returns whether there may be many events of this kind.
fn is_noisy(event: &SupervisorEvent) -> bool {
    match event {
        SupervisorEvent::Restarting { .. }
        | SupervisorEvent::StartFailed { .. }
        | SupervisorEvent::Overdue { .. } => true,
        SupervisorEvent::Ended { reason, .. } => !reason.is_normal(),
        _ => false,
    }
}

fn write(supervisor: &str, event: &SupervisorEvent) {
    match event {
        SupervisorEvent::Ready => tracing::debug!(supervisor, "all children are started"),
        SupervisorEvent::Restarting {
            child,
            reason,
            restarts,
            count,
            delay,
        } => tracing::warn!(
            supervisor,
            child = %child,
            restarts,
            "restarting after: {reason} ({}{})",
            of_limit(count),
            after(*delay),
        ),
        SupervisorEvent::Ended { child, reason } if reason.is_normal() => {
            tracing::debug!(supervisor, child = %child, "ended, and stays ended");
        }
        SupervisorEvent::Ended { child, reason } => {
            tracing::warn!(supervisor, child = %child, "ended, and stays ended: {reason}");
        }
        SupervisorEvent::StartFailed { child, reason } => {
            tracing::warn!(supervisor, child = %child, "did not start: {reason}");
        }
        SupervisorEvent::Overdue { child, timeout } => {
            tracing::warn!(supervisor, child = %child, "did not end within {timeout:?}, is killed");
        }
        SupervisorEvent::GivingUp {
            child,
            reason,
            count,
        } => tracing::error!(
            supervisor,
            child = %child,
            "gives up after: {reason} ({})",
            of_limit(count),
        ),
        SupervisorEvent::AutoShutdown { child } => {
            tracing::info!(supervisor, child = %child, "shuts down, because a significant child ended");
        }
    }
}

/// `restart 2 of 3 in 5s, the count falls again in 4.1s`.
fn of_limit(count: &RestartCount) -> String {
    let RestartCount {
        count,
        limit,
        clears_in,
    } = count;
    let Intensity { restarts, period } = limit;
    format!("restart {count} of {restarts} in {period:?}, the count falls again in {clears_in:.1?}")
}

fn after(delay: Duration) -> String {
    match delay.is_zero() {
        true => String::new(),
        false => format!(", after a delay of {delay:.1?}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{LINES, RateLimit, SPAN};

    #[test]
    fn a_few_lines_are_written_and_the_others_counted_and_summed_up() {
        let start = Instant::now();
        let mut limit = RateLimit::default();
        let written = (0..1000).filter(|_| limit.admits(start)).count();
        assert_eq!(written as u32, LINES);
        assert_eq!(limit.next_flush(), Some(start + SPAN));
        assert_eq!(limit.flush(start + SPAN), Some((995, SPAN)));
        assert_eq!(limit.next_flush(), None);
    }

    #[test]
    fn slow_restarts_are_all_written() {
        let start = Instant::now();
        let mut limit = RateLimit::default();
        for second in 0..100 {
            assert!(limit.admits(start + Duration::from_secs(second)));
        }
        assert_eq!(limit.flush(start + Duration::from_secs(100)), None);
    }
}
