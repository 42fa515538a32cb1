//! Starts children, one after the other.

use std::time::Instant;

use lunatic_process::ExitReason;

use crate::core::action::Action;
use crate::core::child::{ChildKey, State};
use crate::core::end::End;
use crate::core::event::SupervisorEvent;
use crate::core::input::RequestError;
use crate::core::machine::{Machine, Pending, Task, Why};

impl<S> Machine<S> {
    /// Starts these children in this order.
    pub(super) fn start_all(&mut self, mut keys: Vec<ChildKey>, why: Why) {
        keys.reverse();
        self.start_next(keys, why);
    }

    /// Starts the last of `rest`, or ends the task if there is none.
    pub(super) fn start_next(&mut self, mut rest: Vec<ChildKey>, why: Why) {
        match rest.pop() {
            Some(current) => {
                self.set_state(current, State::Starting);
                self.actions.push_back(Action::Start(current));
                self.task = Task::Start { rest, why };
            }
            None => {
                self.task = Task::None;
                if let Why::Begin = why {
                    self.actions.push_back(Action::Ready);
                    self.tell(SupervisorEvent::Ready);
                }
            }
        }
    }

    pub(super) fn started(&mut self, key: ChildKey, now: Instant) {
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        let State::Starting = child.state else {
            return;
        };
        child.started = Some(now);
        self.set_state(key, State::Running);
        if let Task::Start { rest, why } = std::mem::replace(&mut self.task, Task::None) {
            if let Why::Added(id) | Why::Requested(id) = why {
                self.reply(id, Ok(key));
            }
            self.start_next(rest, why);
        }
    }

    pub(super) fn start_failed(&mut self, key: ChildKey, reason: ExitReason, now: Instant) {
        match self.children.get(&key).map(|child| &child.state) {
            Some(State::Starting) => {}
            // It was asked to end before it was started.
            Some(State::Stopping(_)) => return self.stopped(key, now),
            _ => return,
        }
        let Task::Start { why, .. } = std::mem::replace(&mut self.task, Task::None) else {
            unreachable!("a child is started by a task only");
        };
        let child = self.child_ref(key);
        match why {
            Why::Begin => {
                self.set_state(key, State::Stopped);
                self.tell(SupervisorEvent::StartFailed {
                    child: child.clone(),
                    reason: reason.clone(),
                });
                self.end(End::StartFailed(child, reason), now);
            }
            // As in OTP, it is tried again, which counts as another restart.
            Why::Restart => {
                self.set_state(key, State::Waiting(None));
                let event_reason = reason.clone();
                self.tell(SupervisorEvent::StartFailed {
                    child,
                    reason: event_reason,
                });
                self.pending.push_back(Pending::Retry(key, reason));
            }
            Why::Added(id) => {
                self.remove(key);
                self.reply(id, Err(RequestError::StartFailed(reason)));
            }
            Why::Requested(id) => {
                self.set_state(key, State::Stopped);
                self.reply(id, Err(RequestError::StartFailed(reason)));
            }
        }
    }
}
