//! How a process ended.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::relations::ProcessId;

/// Why a process ended.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ExitReason {
    /// Its body returned.
    Normal,
    /// Something went wrong, in it or in a process linked to it.
    Failed(Failure),
    /// Somebody killed it.
    Killed,
    /// There is no such process; what a link to nobody is told.
    NoProcess,
}

impl ExitReason {
    /// Whether links are left alone.
    pub fn is_normal(&self) -> bool {
        matches!(self, ExitReason::Normal)
    }

    /// The failure, if it was one.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            ExitReason::Failed(failure) => Some(failure),
            _ => None,
        }
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExitReason::Normal => f.write_str("normal"),
            ExitReason::Failed(failure) => failure.fmt(f),
            ExitReason::Killed => f.write_str("killed"),
            ExitReason::NoProcess => f.write_str("no such process"),
        }
    }
}

/// What went wrong; cheap to clone.
#[derive(Debug, Clone)]
pub struct Failure {
    cause: Arc<dyn Error + Send + Sync + 'static>,
}

impl Failure {
    /// A failure with this cause.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync + 'static>>) -> Failure {
        Failure {
            cause: Arc::from(cause.into()),
        }
    }

    /// The cause.
    pub fn cause(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.cause
    }

    /// The cause, if it is of this type.
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        self.cause.downcast_ref()
    }
}

/// The cause and its causes, on one line.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cause)?;
        let mut cause = self.cause.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl<E: Into<Box<dyn Error + Send + Sync + 'static>>> From<E> for Failure {
    fn from(cause: E) -> Failure {
        Failure::new(cause)
    }
}

/// The process died because a process linked to it did, and it did not trap that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkDeath {
    /// The process that died first.
    pub peer: ProcessId,
}

impl fmt::Display for LinkDeath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the linked process {} died", self.peer)
    }
}

impl Error for LinkDeath {}

/// The body of the process panicked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panicked {
    /// What the panic said.
    pub message: String,
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the host panicked: {}", self.message)
    }
}

impl Error for Panicked {}

/// The process did not receive, and its mailbox reached its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailboxFull {
    /// How many messages were queued.
    pub messages: usize,
}

impl fmt::Display for MailboxFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the mailbox is full with {} messages waiting",
            self.messages
        )
    }
}

impl Error for MailboxFull {}
