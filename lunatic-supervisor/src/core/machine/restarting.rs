//! Whether a child that has ended is restarted, and which others with it.

use std::time::{Duration, Instant};

use lunatic_process::ExitReason;

use crate::core::backoff::Backoff;
use crate::core::child::{ChildKey, State};
use crate::core::end::End;
use crate::core::event::SupervisorEvent;
use crate::core::intensity::RestartCount;
use crate::core::machine::{Machine, Then, Why};
use crate::core::spec::{AutoShutdown, Restart, Strategy};

/// Returns whether a transient child that ended for this reason is not restarted.
fn is_orderly(reason: &ExitReason) -> bool {
    matches!(reason, ExitReason::Normal | ExitReason::Shutdown)
}

impl<S> Machine<S> {
    /// Reacts to the end of a child that has ended on its own.
    pub(super) fn after_exit(&mut self, key: ChildKey, now: Instant) {
        let Some(child) = self.children.get(&key) else {
            return;
        };
        let State::Dead(reason) = &child.state else {
            return;
        };
        let reason = reason.clone();
        match child.spec().restart {
            Restart::Permanent => self.restart(key, reason, now),
            Restart::Transient if !is_orderly(&reason) => self.restart(key, reason, now),
            Restart::Transient | Restart::Temporary => self.give_up_child(key, reason, now),
        }
    }

    /// Tries a failed restart again, unless the child was stopped in the meantime.
    pub(super) fn retry(&mut self, key: ChildKey, reason: ExitReason, now: Instant) {
        let state = self.children.get(&key).map(|child| &child.state);
        if let Some(State::Waiting(None)) = state {
            self.restart(key, reason, now);
        }
    }

    /// Starts a child, and the children that were stopped with it, after the delay before a
    /// restart, unless the child was stopped in the meantime.
    pub(super) fn resume(&mut self, key: ChildKey) {
        let state = self.children.get(&key).map(|child| &child.state);
        if let Some(State::Waiting(None)) = state {
            self.start_group(key);
        }
    }

    /// Leaves a child stopped, which may end the supervisor.
    fn give_up_child(&mut self, key: ChildKey, reason: ExitReason, now: Instant) {
        let Some(child) = self.children.get(&key) else {
            return;
        };
        let is_significant = child.spec().significant;
        let is_forgotten = child.spec().restart == Restart::Temporary || self.template.is_some();
        let child = self.child_ref(key);
        self.set_state(key, State::Stopped);
        if is_forgotten {
            self.remove(key);
        }
        self.tell(SupervisorEvent::Ended {
            child: child.clone(),
            reason,
        });
        let shuts_down = match self.flags.auto_shutdown {
            AutoShutdown::Never => false,
            AutoShutdown::AnySignificant => is_significant,
            AutoShutdown::AllSignificant => is_significant && self.significant == 0,
        };
        if shuts_down {
            self.tell(SupervisorEvent::AutoShutdown {
                child: child.clone(),
            });
            self.end(End::AutoShutdown(child), now);
        }
    }

    /// Counts a restart and does it, or ends the supervisor if it is one too many.
    fn restart(&mut self, key: ChildKey, reason: ExitReason, now: Instant) {
        match self.window.add(now) {
            Ok(count) => self.restart_counted(key, reason, count, now),
            Err(count) => {
                let child = self.child_ref(key);
                self.set_state(key, State::Stopped);
                self.tell(SupervisorEvent::GivingUp {
                    child: child.clone(),
                    reason,
                    count,
                });
                self.end(End::GaveUp(child, count), now);
            }
        }
    }

    fn restart_counted(
        &mut self,
        key: ChildKey,
        reason: ExitReason,
        count: RestartCount,
        now: Instant,
    ) {
        let delay = self.next_delay(key, now);
        let child_ref = self.child_ref(key);
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        child.restarts += 1;
        let event = SupervisorEvent::Restarting {
            child: child_ref,
            reason,
            restarts: child.restarts,
            count,
            delay,
        };
        self.tell(event);
        let group = self.group_of(key);
        self.stop_all(group, Then::Restart(key, delay), now);
    }

    /// Starts a child and the children that were stopped with it, now or after a delay.
    pub(super) fn after_stop(&mut self, cause: ChildKey, delay: Duration, now: Instant) {
        self.forget_temporary(&self.group_of(cause));
        match delay.is_zero() {
            true => self.start_group(cause),
            // A delay beyond what the clock can represent never ends.
            false => drop(self.set_state(cause, State::Waiting(now.checked_add(delay)))),
        }
    }

    /// Removes the temporary children of a group, which are not started again with the
    /// others.
    fn forget_temporary(&mut self, group: &[ChildKey]) {
        for key in group {
            let restart = self.children.get(key).map(|child| child.spec().restart);
            if restart == Some(Restart::Temporary) {
                self.remove(*key);
            }
        }
    }

    /// Starts a child, and the children that are restarted with it.
    fn start_group(&mut self, cause: ChildKey) {
        let mut group = self.group_of(cause);
        group.retain(|key| {
            let child = self.children.get(key);
            child.is_some_and(|child| !child.state.has_process())
        });
        self.start_all(group, Why::Restart);
    }

    /// Returns a child and the children that are restarted with it.
    fn group_of(&self, key: ChildKey) -> Vec<ChildKey> {
        match self.flags.strategy {
            Strategy::OneForOne | Strategy::SimpleOneForOne => vec![key],
            Strategy::OneForAll => self.all_keys(),
            Strategy::RestForOne => self.children.range(key..).map(|(key, _)| *key).collect(),
        }
    }

    fn next_delay(&mut self, key: ChildKey, now: Instant) -> Duration {
        let Some(backoff) = self.flags.backoff else {
            return Duration::ZERO;
        };
        let chance = self.chance.next();
        let Some(child) = self.children.get_mut(&key) else {
            return Duration::ZERO;
        };
        if lived_long(child.started.take(), now, &backoff) {
            child.failures = 0;
        }
        let delay = backoff.delay(child.failures, chance);
        child.failures = child.failures.saturating_add(1);
        delay
    }
}

fn lived_long(started: Option<Instant>, now: Instant, backoff: &Backoff) -> bool {
    started.is_some_and(|started| now.saturating_duration_since(started) >= backoff.longest)
}
