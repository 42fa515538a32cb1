//! The events of a supervisor and its children, for logs and observers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lunatic_process::ExitReason;

use crate::core::child::ChildKey;
use crate::core::intensity::RestartCount;

/// The child that a [`SupervisorEvent`] is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildRef {
    /// The number of the child.
    pub key: ChildKey,
    /// The name of the child, or of the template that it was made from.
    pub name: Arc<str>,
    /// Whether it is one of many made from a template.
    pub from_template: bool,
}

/// Something that happened to a supervisor or to one of its children.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SupervisorEvent {
    /// All children were started for the first time.
    Ready,
    /// A child has ended, or did not start, and is started again.
    Restarting {
        /// The child.
        child: ChildRef,
        /// Why it ended.
        reason: ExitReason,
        /// How often it was started again, including this time.
        restarts: u64,
        /// How many restarts of all children there were lately.
        count: RestartCount,
        /// How long the supervisor waits before it starts the child.
        delay: Duration,
    },
    /// A child has ended and is not started again.
    Ended {
        /// The child.
        child: ChildRef,
        /// Why it ended.
        reason: ExitReason,
    },
    /// A child did not start.
    StartFailed {
        /// The child.
        child: ChildRef,
        /// Why it did not start.
        reason: ExitReason,
    },
    /// A child did not end in time when it was asked to, and is killed.
    Overdue {
        /// The child.
        child: ChildRef,
        /// How much time it had.
        timeout: Duration,
    },
    /// There were too many restarts, and the supervisor ends.
    GivingUp {
        /// The child whose restart would have been one too many.
        child: ChildRef,
        /// Why it ended.
        reason: ExitReason,
        /// How many restarts of all children there were lately.
        count: RestartCount,
    },
    /// A significant child has ended, and the supervisor ends with it.
    AutoShutdown {
        /// The child.
        child: ChildRef,
    },
}

/// The name, and for a child that was made from a template its number.
impl fmt::Display for ChildRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match self.from_template {
            true => write!(f, " #{}", self.key),
            false => Ok(()),
        }
    }
}
