//! Logs what happens to a supervisor, with a limit on the number of lines.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lunatic_error::{MAX_LOGGED_BYTES, OnOneLine, on_one_line};
use lunatic_process::{Process, RateLimit};

use crate::core::{Intensity, RestartCount, SupervisorEvent};

/// The number of lines that are written in a [`SPAN`]. Further ones are only counted.
const LINES: u32 = 5;

/// After so much time, a line with the number of the others is written.
const SPAN: Duration = Duration::from_secs(1);

/// The log of one supervisor.
#[derive(Debug)]
pub(crate) struct Log {
    path: Arc<str>,
    limit: RateLimit,
}

impl Log {
    pub(crate) fn new(path: Arc<str>) -> Log {
        Log {
            path,
            limit: RateLimit::new(LINES, SPAN),
        }
    }

    /// Writes a line about an event, unless there are too many of this supervisor, or of
    /// the processes of its environment.
    ///
    /// - `own`: the supervisor.
    pub(crate) fn tell(&mut self, event: &SupervisorEvent, now: Instant, own: &Process) {
        if is_end(event) {
            self.flush(now, own);
        } else if is_noisy(event) {
            self.flush_if_due(now, own);
            if !self.limit.admits(now) {
                return;
            }
        } else if is_quiet(event) {
            return write(&self.path, event);
        }
        if own.environment().admits_log_line(own.account()) {
            write(&self.path, event);
        }
    }

    /// Returns the time at which the number of lines that were left out must be written.
    pub(crate) fn next_flush(&self) -> Option<Instant> {
        self.limit.next_flush()
    }

    /// Writes how many lines were left out, if it is time.
    ///
    /// - `own`: the supervisor.
    pub(crate) fn flush_if_due(&mut self, now: Instant, own: &Process) {
        if self.next_flush().is_some_and(|due| due <= now) {
            self.flush(now, own);
        }
    }

    /// Writes how many lines were left out, unless there are too many of the processes of its
    /// environment.
    ///
    /// - `own`: the supervisor.
    pub(crate) fn flush(&mut self, now: Instant, own: &Process) {
        if let Some((left_out, time)) = self.limit.flush(now)
            && own.environment().admits_log_line(own.account())
        {
            let path = shown(&self.path).to_string();
            let supervisor = &*path;
            tracing::warn!(
                supervisor,
                "{left_out} more restarts, ends and failed starts of children in {time:.1?}"
            );
        }
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

/// Returns whether an event of this kind is logged only at the level `debug`.
fn is_quiet(event: &SupervisorEvent) -> bool {
    match event {
        SupervisorEvent::Ready => true,
        SupervisorEvent::Ended { reason, .. } => reason.is_normal(),
        _ => false,
    }
}

fn write(path: &str, event: &SupervisorEvent) {
    let path = shown(path).to_string();
    let supervisor = &*path;
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
            child = %shown(child),
            restarts,
            "restarting after: {} ({}{})",
            shown(reason),
            of_limit(count),
            after(*delay),
        ),
        SupervisorEvent::Ended { child, reason } if reason.is_normal() => {
            tracing::debug!(supervisor, child = %shown(child), "ended, and stays ended");
        }
        SupervisorEvent::Ended { child, reason } => {
            tracing::warn!(supervisor, child = %shown(child), "ended, and stays ended: {}", shown(reason));
        }
        SupervisorEvent::StartFailed { child, reason } => {
            tracing::warn!(supervisor, child = %shown(child), "did not start: {}", shown(reason));
        }
        SupervisorEvent::Overdue { child, timeout } => {
            tracing::warn!(supervisor, child = %shown(child), "did not end within {timeout:?}, is killed");
        }
        SupervisorEvent::GivingUp {
            child,
            reason,
            count,
        } => tracing::error!(
            supervisor,
            child = %shown(child),
            "gives up after: {} ({})",
            shown(reason),
            over_limit(count.limit),
        ),
        SupervisorEvent::AutoShutdown { child } => {
            tracing::info!(supervisor, child = %shown(child), "shuts down, because a significant child ended");
        }
    }
}

/// Returns what a guest says in the form in which it is logged.
fn shown<T: fmt::Display>(text: T) -> OnOneLine<T> {
    on_one_line(text, MAX_LOGGED_BYTES)
}

/// `more than 3 restarts in 5s`.
fn over_limit(limit: Intensity) -> String {
    let Intensity { restarts, period } = limit;
    let plural = if restarts == 1 { "" } else { "s" };
    format!("more than {restarts} restart{plural} in {period:?}")
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
