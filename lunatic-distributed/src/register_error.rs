//! Why a name that is unique in the cluster is not given.

use std::error::Error;
use std::fmt;

use crate::global::{MAX_GLOBAL_NAME_BYTES, NameTaken};

/// Why a name was not registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegisterError {
    /// Another process has it.
    Taken(NameTaken),
    /// It is too long.
    TooLong {
        /// So many bytes it has.
        length: usize,
    },
    /// This node is being stopped.
    Stopped,
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RegisterError::Taken(NameTaken { by }) => {
                write!(f, "process {by} has the name")
            }
            RegisterError::TooLong { length } => write!(
                f,
                "a name of {length} bytes is longer than the {MAX_GLOBAL_NAME_BYTES} that it may have"
            ),
            RegisterError::Stopped => f.write_str("the node is being stopped"),
        }
    }
}

impl Error for RegisterError {}
