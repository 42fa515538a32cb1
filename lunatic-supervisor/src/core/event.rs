//! What happens to a supervisor and its children, for logs.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lunatic_process::ExitReason;

use crate::core::child::ChildKey;
use crate::core::intensity::RestartCount;

/// A child in an [`SupervisorEvent`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildRef {
    /// Which one.
    pub key: ChildKey,
    /// Its name; that of the template for those who are made from it.
    pub name: Arc<str>,
    /// Whether it is one of many made from a template.
    pub from_template: bool,
}

/// Something worth a line in a log.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SupervisorEvent {
    /// All children were started for the first time.
    Ready,
    /// A child has ended, or did not start, and is started again.
    Restarting {
        /// Which one.
        child: ChildRef,
        /// Why it ended.
        reason: ExitReason,
        /// How often it was started again, this time too.
        restarts: u64,
        /// Where the supervisor stands against its limit.
        count: RestartCount,
        /// How long it waits before.
        delay: Duration,
    },
    /// A child has ended and is not started again.
    Ended {
        /// Which one.
        child: ChildRef,
        /// Why.
        reason: ExitReason,
    },
    /// A child did not start.
    StartFailed {
        /// Which one.
        child: ChildRef,
        /// Why.
        reason: ExitReason,
    },
    /// A child did not end in time when it was asked to, and is killed.
    Overdue {
        /// Which one.
        child: ChildRef,
        /// How much time it had.
        timeout: Duration,
    },
    /// There were too many restarts; the supervisor ends.
    GivingUp {
        /// Which child was one too many.
        child: ChildRef,
        /// Why it ended.
        reason: ExitReason,
        /// Where the supervisor stands against its limit.
        count: RestartCount,
    },
    /// A significant child has ended, and the supervisor ends with it.
    AutoShutdown {
        /// Which one.
        child: ChildRef,
    },
}

/// The name, and the number of one of many.
impl fmt::Display for ChildRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match self.from_template {
            true => write!(f, " #{}", self.key),
            false => Ok(()),
        }
    }
}
