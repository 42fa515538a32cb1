//! Stops children one after the other, the last one first; children from a template at the same
//! time.

use std::time::Instant;

use crate::core::action::Action;
use crate::core::child::{ChildKey, State};
use crate::core::end::End;
use crate::core::event::SupervisorEvent;
use crate::core::input::RequestError;
use crate::core::machine::{Machine, Pending, Task, Then, Why};
use crate::core::spec::{Restart, ShutdownPolicy, Strategy};

impl<S> Machine<S> {
    /// Stops these children, the last one first.
    pub(super) fn stop_all(&mut self, keys: Vec<ChildKey>, then: Then, now: Instant) {
        self.task = Task::Stop {
            waiting: 0,
            rest: keys,
            then,
        };
        self.stop_next(now);
    }

    /// Gives up the current task, stops all children and ends. If this was called
    /// before, nothing changes.
    pub(super) fn end(&mut self, end: End, now: Instant) {
        let then = Then::End(end);
        let waiting = match std::mem::replace(&mut self.task, Task::Ended) {
            task @ (Task::Ended
            | Task::Stop {
                then: Then::End(_), ..
            }) => {
                self.task = task;
                return;
            }
            Task::None => 0,
            Task::Start { why, .. } => {
                if let Why::Added(id) | Why::Requested(id) = why {
                    self.reply(id, Err(RequestError::ShuttingDown));
                }
                0
            }
            Task::Stop { waiting, then, .. } => {
                if let Then::Reply(id, key) = then {
                    self.reply(id, Ok(key));
                }
                waiting
            }
        };
        for pending in std::mem::take(&mut self.pending) {
            if let Pending::Request(id, _) = pending {
                self.reply(id, Err(RequestError::ShuttingDown));
            }
        }
        self.task = Task::Stop {
            waiting,
            rest: self.all_keys(),
            then,
        };
        self.stop_next(now);
    }

    /// Goes on after a child has ended that was asked to.
    pub(super) fn stopped(&mut self, key: ChildKey, now: Instant) {
        self.set_state(key, State::Stopped);
        if let Task::Stop { waiting, .. } = &mut self.task {
            *waiting -= 1;
        }
        self.stop_next(now);
    }

    /// Kills a child that was asked to end and has not in time.
    pub(super) fn overdue(&mut self, key: ChildKey) {
        self.set_state(key, State::Stopping(None));
        self.actions.push_back(Action::Kill(key));
        let policy = self.children.get(&key).map(|child| child.spec().shutdown);
        if let Some(ShutdownPolicy::Timeout(timeout)) = policy {
            let child = self.child_ref(key);
            self.tell(SupervisorEvent::Overdue { child, timeout });
        }
    }

    /// Stops as many of the rest as may be stopped at the same time.
    fn stop_next(&mut self, now: Instant) {
        let all_at_once = self.flags.strategy == Strategy::SimpleOneForOne;
        while let Task::Stop { waiting, rest, .. } = &mut self.task {
            if *waiting > 0 && !all_at_once {
                return;
            }
            let Some(key) = rest.pop() else { break };
            if self.tell_to_end(key, now)
                && let Task::Stop { waiting, .. } = &mut self.task
            {
                *waiting += 1;
            }
        }
        if let Task::Stop { waiting: 0, .. } = &self.task {
            self.all_stopped(now);
        }
    }

    /// Kills a child or asks it to end. Returns whether its end has to be waited for.
    fn tell_to_end(&mut self, key: ChildKey, now: Instant) -> bool {
        let Some(child) = self.children.get(&key) else {
            return false;
        };
        match (&child.state, child.spec().shutdown) {
            (State::Starting | State::Running, ShutdownPolicy::BrutalKill) => {
                self.set_state(key, State::Stopping(None));
                self.actions.push_back(Action::Kill(key));
                true
            }
            (State::Starting | State::Running, policy) => {
                let deadline = match policy {
                    // A time that the clock cannot represent is no deadline.
                    ShutdownPolicy::Timeout(timeout) => now.checked_add(timeout),
                    _ => None,
                };
                self.set_state(key, State::Stopping(deadline));
                self.actions.push_back(Action::AskToEnd(key));
                true
            }
            // It is counted as waiting already.
            (State::Stopping(_), _) => false,
            (State::Stopped | State::Dead(_) | State::Waiting(_), _) => {
                self.set_state(key, State::Stopped);
                false
            }
        }
    }

    fn all_stopped(&mut self, now: Instant) {
        let Task::Stop { then, .. } = std::mem::replace(&mut self.task, Task::None) else {
            return;
        };
        match then {
            Then::Restart(cause, delay) => self.after_stop(cause, delay, now),
            Then::Reply(id, key) => {
                let is_temporary = self
                    .children
                    .get(&key)
                    .is_some_and(|child| child.spec().restart == Restart::Temporary);
                if is_temporary || self.template.is_some() {
                    self.remove(key);
                }
                self.reply(id, Ok(key));
            }
            Then::End(end) => {
                self.task = Task::Ended;
                self.actions.push_back(Action::End(end));
            }
        }
    }
}
