//! Names that are unique in a cluster, as OTP's `global` has them (ABI §29).
//!
//! ```no_run
//! use lunatic_guest::global::{self, OnLoss};
//! use lunatic_guest::process;
//!
//! global::register("leader", process::this(), OnLoss::Kill).unwrap();
//! assert_eq!(global::whereis("leader"), Some(process::this()));
//! ```

use std::fmt;

use crate::process::{Message, ProcessId};
use crate::sys::cluster as sys;

/// What becomes of a process that loses its name, since another node has given it to a process
/// of its own earlier, as the two did not reach each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLoss {
    /// It is killed.
    Kill,
    /// It is told, by a message with this tag that [`Lost::of`] reads.
    Tell(i64),
}

/// Why a process does not get a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotRegistered {
    /// Another process has it.
    TakenBy(ProcessId),
    /// There is no such process on this node.
    NoProcess,
    /// The node has as many names as it may, or somebody else gives the process this one now.
    NoRoom,
    /// The node is being stopped.
    Stopped,
}

/// A process has lost its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The name.
    pub name: String,
    /// Who has it now.
    pub winner: ProcessId,
}

/// Gives a process of this node a name, once every node agrees that can be reached.
///
/// # Errors
///
/// [`NotRegistered`].
///
/// # Panics
///
/// The process traps on a node that is alone, without the right to use such names, and if the name
/// has more than 1024 bytes.
pub fn register(name: &str, process: ProcessId, on_loss: OnLoss) -> Result<(), NotRegistered> {
    let (on_loss, tag) = match on_loss {
        OnLoss::Kill => (0, 0),
        OnLoss::Tell(tag) => (1, tag),
    };
    match sys::register(name, process.0, on_loss, tag) {
        (0, _) => Ok(()),
        (1, holder) => Err(NotRegistered::TakenBy(ProcessId(holder))),
        (2, _) => Err(NotRegistered::NoProcess),
        (3, _) => Err(NotRegistered::NoRoom),
        _ => Err(NotRegistered::Stopped),
    }
}

/// The process of this node that has a name gives it up. Whether one had it.
pub fn unregister(name: &str) -> bool {
    sys::unregister(name) == 0
}

/// Who has a name, as far as this node knows.
pub fn whereis(name: &str) -> Option<ProcessId> {
    match sys::whereis(name) {
        (0, process) => Some(ProcessId(process)),
        _ => None,
    }
}

impl Lost {
    /// Reads what a process is told that has lost its name; `None` for other messages.
    pub fn of(message: &Message, tag: i64) -> Option<Lost> {
        let bytes = message.data_with_tag(tag)?;
        let (winner, name) = bytes.split_first_chunk()?;
        Some(Lost {
            name: String::from_utf8(name.to_vec()).ok()?,
            winner: ProcessId(u64::from_le_bytes(*winner)),
        })
    }
}

impl fmt::Display for NotRegistered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotRegistered::TakenBy(process) => write!(f, "process {process} has the name"),
            NotRegistered::NoProcess => f.write_str("there is no such process on this node"),
            NotRegistered::NoRoom => f.write_str("the node has no room for the name"),
            NotRegistered::Stopped => f.write_str("the node is being stopped"),
        }
    }
}

impl std::error::Error for NotRegistered {}
