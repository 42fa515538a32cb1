//! How a process ended.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use lunatic_error::with_causes;

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
    /// It was asked to end in good order, or its body failed with [`Shutdown`];
    /// OTP's `shutdown`.
    Shutdown,
    /// There is no such process; what a link to nobody is told.
    NoProcess,
}

impl ExitReason {
    /// Whether links are left alone.
    pub fn is_normal(&self) -> bool {
        matches!(self, ExitReason::Normal)
    }

    /// Why a process linked to one that ended for this reason ends, if it does
    /// not trap that.
    pub(crate) fn passed_on_by(&self, peer: ProcessId) -> ExitReason {
        match self {
            ExitReason::Shutdown => ExitReason::Shutdown,
            _ => ExitReason::Failed(Failure::new(LinkDeath { peer })),
        }
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
            ExitReason::Shutdown => f.write_str("shutdown"),
            ExitReason::NoProcess => f.write_str("no such process"),
        }
    }
}

/// How a body that returned with this failure has ended.
impl From<Failure> for ExitReason {
    fn from(failure: Failure) -> ExitReason {
        match failure.downcast_ref::<Shutdown>() {
            Some(Shutdown) => ExitReason::Shutdown,
            None => ExitReason::Failed(failure),
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
        with_causes(&*self.cause).fmt(f)
    }
}

impl<E: Into<Box<dyn Error + Send + Sync + 'static>>> From<E> for Failure {
    fn from(cause: E) -> Failure {
        Failure::new(cause)
    }
}

/// A body that fails with this ends in good order: [`ExitReason::Shutdown`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shutdown;

impl fmt::Display for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("shutdown")
    }
}

impl Error for Shutdown {}

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
