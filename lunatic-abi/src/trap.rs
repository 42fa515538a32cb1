//! Why a host function refused what a guest gave it.

use std::error::Error;
use std::fmt;

use lunatic_account::Exceeded;

/// The error of a guest that broke the rules of the host interface. The call traps
/// with it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misuse {
    /// The module exports no memory called `memory`.
    NoMemory,
    /// A range is not fully inside the guest's memory.
    OutOfBounds {
        /// First address of the range.
        address: u64,
        /// Length of the range in bytes.
        length: u64,
        /// Size of the memory in bytes.
        memory: u64,
    },
    /// Bytes that must be text are not UTF-8.
    NotUtf8 {
        /// Address of the text.
        address: u32,
        /// Length of the text in bytes.
        length: u32,
    },
    /// A text is longer than one for its purpose may be.
    TooLong {
        /// Length of the text in bytes.
        length: u32,
        /// The longest that it may be.
        max: usize,
    },
    /// An id is not in the caller's table.
    UnknownId {
        /// The kind of resource, for example `module`.
        kind: &'static str,
        /// The id that was asked for.
        id: u64,
    },
    /// A table holds as many resources as it may.
    TableFull(TableLimit),
    /// A limit of the account of the process is reached.
    Exceeded(Exceeded),
    /// An argument record has a length or a type that `spawn` does not take.
    BadParameters(String),
    /// The process lacks the right that a call needs.
    Denied(&'static str),
    /// The call is not possible now, or with these arguments.
    Refused(String),
}

/// How many resources of one kind a process may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableLimit {
    /// The kind of resource, for example `module`.
    pub kind: &'static str,
    /// The highest number of entries.
    pub limit: usize,
}

impl Misuse {
    /// Returns a [`Refused`](Misuse::Refused) with this reason.
    pub fn refused(reason: impl Into<String>) -> Misuse {
        Misuse::Refused(reason.into())
    }
}

impl From<Exceeded> for Misuse {
    fn from(exceeded: Exceeded) -> Misuse {
        Misuse::Exceeded(exceeded)
    }
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Misuse::NoMemory => {
                write!(f, "the module exports no memory named `memory`")
            }
            Misuse::OutOfBounds {
                address,
                length,
                memory,
            } => write!(
                f,
                "{length} bytes at address {address:#x} are outside of the memory of {memory} bytes"
            ),
            Misuse::NotUtf8 { address, length } => {
                write!(
                    f,
                    "the {length} bytes at address {address:#x} are not UTF-8"
                )
            }
            Misuse::TooLong { length, max } => write!(
                f,
                "a text of {length} bytes is longer than the {max} that it may have"
            ),
            Misuse::UnknownId { kind, id } => write!(f, "there is no {kind} with id {id}"),
            Misuse::TableFull(TableLimit { kind, limit }) => {
                write!(f, "a process may hold at most {limit} {kind}s at once")
            }
            Misuse::Exceeded(exceeded) => exceeded.fmt(f),
            Misuse::BadParameters(reason) => write!(f, "bad argument records: {reason}"),
            Misuse::Denied(right) => write!(f, "permission denied: this process may not {right}"),
            Misuse::Refused(reason) => f.write_str(reason),
        }
    }
}

impl Error for Misuse {}
