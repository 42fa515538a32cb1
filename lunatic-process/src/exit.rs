//! How a process ended.

use std::fmt;

use lunatic_mailbox::Pid;
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, FailureKind};

/// Why a process ended. It is plain data: cheap to clone, and the same on every
/// node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ExitReason {
    /// Its body returned.
    Normal,
    /// Something went wrong, in it or in a process linked to it.
    Failed(Failure),
    /// It was killed.
    Killed,
    /// It was asked to end in good order, or its body failed with
    /// [`Shutdown`](crate::Shutdown); OTP's `shutdown`.
    Shutdown,
    /// There is no such process; what a process that links to it is told. OTP's
    /// `noproc`.
    NoProcess,
    /// There is no connection to the node of the process; OTP's `noconnection`.
    NoConnection,
}

impl ExitReason {
    /// Whether links are left alone.
    pub fn is_normal(&self) -> bool {
        matches!(self, ExitReason::Normal)
    }

    /// Why a process that is linked to `peer`, which ended for this reason, ends
    /// if it does not trap link deaths.
    pub(crate) fn passed_on_by(&self, peer: Pid) -> ExitReason {
        match self {
            ExitReason::Shutdown => ExitReason::Shutdown,
            ExitReason::NoConnection => ExitReason::NoConnection,
            _ => ExitReason::link_death(peer),
        }
    }

    /// The reason of a process that ends because one linked to it did.
    ///
    /// - `peer`: the process that ended first.
    pub fn link_death(peer: Pid) -> ExitReason {
        ExitReason::Failed(Failure::from_kind(FailureKind::LinkDied { peer }))
    }

    /// How long the texts of the failure are, in bytes.
    pub(crate) fn text_bytes(&self) -> usize {
        self.failure().map_or(0, Failure::text_bytes)
    }

    /// The same reason; of a failure only the kind.
    pub(crate) fn without_texts(self) -> ExitReason {
        match self {
            ExitReason::Failed(failure) => {
                ExitReason::Failed(Failure::from_kind(failure.kind().clone()))
            }
            other => other,
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
            ExitReason::NoConnection => f.write_str("no connection"),
        }
    }
}

/// How a body that returned with this failure has ended.
impl From<Failure> for ExitReason {
    fn from(failure: Failure) -> ExitReason {
        match failure.kind() {
            FailureKind::Shutdown => ExitReason::Shutdown,
            _ => ExitReason::Failed(failure),
        }
    }
}
