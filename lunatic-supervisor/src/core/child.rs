//! One child: its specification and its state.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use lunatic_process::ExitReason;

use crate::core::spec::{ChildKind, ChildSpec, Restart};

/// The number of a child. The children of a supervisor are numbered in the order in
/// which they are added, and no number is used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChildKey(pub u64);

impl fmt::Display for ChildKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The state of a child, as it is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChildStatus {
    /// The child runs, or is being started or stopped.
    Running,
    /// The child has ended and will be started again.
    Restarting,
    /// The child has ended and will not be started again, but its specification is kept.
    Stopped,
}

/// A child in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildInfo {
    /// The number of the child.
    pub key: ChildKey,
    /// The name of the child, or of the template that it was made from.
    pub name: Arc<str>,
    /// The state of the child.
    pub status: ChildStatus,
    /// Whether it supervises others.
    pub kind: ChildKind,
    /// Whether it is started again when it ends.
    pub restart: Restart,
    /// How often it was started again.
    pub restarts: u64,
}

/// The numbers of children of a supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChildCounts {
    /// Specifications. A template counts as one.
    pub specs: u64,
    /// Children that have a process.
    pub active: u64,
    /// Children that supervise others, running or not.
    pub supervisors: u64,
    /// The other children, running or not.
    pub workers: u64,
}

/// A specification, which all children that are made from a template share, and all copies of
/// the specification of a supervisor.
#[derive(Debug)]
pub(crate) struct Shared<S> {
    pub(super) name: Arc<str>,
    pub(crate) spec: ChildSpec<S>,
}

impl<S> Shared<S> {
    pub(crate) fn new(spec: ChildSpec<S>) -> Arc<Shared<S>> {
        let name = spec.name.as_str().into();
        Arc::new(Shared { name, spec })
    }
}

#[derive(Debug)]
pub(super) struct Child<S> {
    pub(super) shared: Arc<Shared<S>>,
    /// How it is started, if that is not as the specification says.
    pub(super) own_start: Option<S>,
    pub(super) state: State,
    /// How often it was started again.
    pub(super) restarts: u64,
    /// How often in a row it ended soon after it was started.
    pub(super) failures: u32,
    pub(super) started: Option<Instant>,
}

#[derive(Debug)]
pub(super) enum State {
    /// There is no process, and none will be started.
    Stopped,
    /// Its process is being started.
    Starting,
    Running,
    /// It was asked to end, and will be killed at this time.
    Stopping(Option<Instant>),
    /// It has ended on its own, and the machine has not reacted to that yet.
    Dead(ExitReason),
    /// It will be started again, at this time or as soon as the machine has time for it.
    Waiting(Option<Instant>),
}

impl State {
    /// Returns the time at which the child must be killed or started.
    pub(super) fn due(&self) -> Option<Instant> {
        match self {
            State::Stopping(due) | State::Waiting(due) => *due,
            _ => None,
        }
    }

    pub(super) fn has_process(&self) -> bool {
        matches!(self, State::Starting | State::Running | State::Stopping(_))
    }

    pub(super) fn status(&self) -> ChildStatus {
        match self {
            State::Stopped => ChildStatus::Stopped,
            State::Starting | State::Running | State::Stopping(_) => ChildStatus::Running,
            State::Dead(_) | State::Waiting(_) => ChildStatus::Restarting,
        }
    }
}

impl<S> Child<S> {
    pub(super) fn new(shared: Arc<Shared<S>>, own_start: Option<S>) -> Child<S> {
        Child {
            shared,
            own_start,
            state: State::Stopped,
            restarts: 0,
            failures: 0,
            started: None,
        }
    }

    pub(super) fn spec(&self) -> &ChildSpec<S> {
        &self.shared.spec
    }

    pub(super) fn start(&self) -> &S {
        self.own_start.as_ref().unwrap_or(&self.shared.spec.start)
    }
}
