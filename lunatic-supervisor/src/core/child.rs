//! One child: what was said of it, and where it stands.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use lunatic_process::ExitReason;

use crate::core::spec::{ChildKind, ChildSpec, Restart};

/// A child among those of its supervisor: numbers that go up in the order in
/// which the children were added, and are never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChildKey(pub u64);

impl fmt::Display for ChildKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a child stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChildStatus {
    /// It runs, or is being started or stopped.
    Running,
    /// It has ended and will be started again.
    Restarting,
    /// It has ended, and only its specification is there.
    Stopped,
}

/// One child, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildInfo {
    /// Which one.
    pub key: ChildKey,
    /// Its name; that of the template for those who are made from it.
    pub name: Arc<str>,
    /// Where it stands.
    pub status: ChildStatus,
    /// Whether it supervises others.
    pub kind: ChildKind,
    /// Whether it is started again.
    pub restart: Restart,
    /// How often it was started again.
    pub restarts: u64,
}

/// How many children there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChildCounts {
    /// Specifications; a template is one.
    pub specs: u64,
    /// Children that have a process.
    pub active: u64,
    /// Children that supervise others, running or not.
    pub supervisors: u64,
    /// The other children, running or not.
    pub workers: u64,
}

/// A specification that children made from it share, without the name twice.
#[derive(Debug)]
pub(super) struct Shared<S> {
    pub(super) name: Arc<str>,
    pub(super) spec: ChildSpec<S>,
}

impl<S> Shared<S> {
    pub(super) fn new(spec: ChildSpec<S>) -> Arc<Shared<S>> {
        let name = spec.name.as_str().into();
        Arc::new(Shared { name, spec })
    }
}

#[derive(Debug)]
pub(super) struct Child<S> {
    pub(super) shared: Arc<Shared<S>>,
    /// Instead of the template's.
    pub(super) own_start: Option<S>,
    pub(super) state: State,
    /// How often it was started again, and how often in a row without living long.
    pub(super) restarts: u64,
    pub(super) failures: u32,
    pub(super) started: Option<Instant>,
}

#[derive(Debug)]
pub(super) enum State {
    /// There is no process, and none is to be.
    Stopped,
    /// There will be a process.
    Starting,
    Running,
    /// It was told to end, and is killed at this time.
    Stopping(Option<Instant>),
    /// It has ended on its own, and nothing was done about that yet.
    Dead(ExitReason),
    /// It is to be started again: at this time, or as soon as the children before it have started.
    Waiting(Option<Instant>),
}

impl State {
    /// When something is to happen with the child.
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
