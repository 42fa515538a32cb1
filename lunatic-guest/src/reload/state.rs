//! What a state is, and how it becomes that of another version.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::Serialize;

use super::encoding;

/// The state of a process that can move to another version of its module.
/// [`reload_entries!`](crate::reload_entries) implements it.
pub trait State: Serialize + DeserializeOwned + 'static {
    /// The kind of the process.
    const KIND: &'static str;

    /// The version in which the state is written. At least 0.
    const VERSION: i64;

    /// The version before, if the state can be written in that too.
    const PREVIOUS: Option<Previous<Self>>;
}

/// How the state of an older version becomes this one, and this one becomes that. The
/// newer code has both.
pub trait CodeChange<P> {
    /// Makes the state from the older one. This runs in the new instance, before it has
    /// taken over: it may do nothing that another process could notice. If it panics, the
    /// old instance goes on.
    fn code_change(previous: P) -> Self;

    /// Makes the older state. This runs in the old instance, which must stay as it is,
    /// since the older code may not take over. If it panics, the process does not move.
    ///
    /// A stream that the older state has too is cloned.
    fn code_change_back(&self) -> P;
}

/// The version before that of a state.
pub struct Previous<S> {
    version: i64,
    write: fn(&S, &mut Vec<u8>) -> Result<(), String>,
}

impl<S> Previous<S> {
    /// The state is written in this version as a `P`.
    pub const fn new<P>(version: i64) -> Previous<S>
    where
        S: CodeChange<P>,
        P: Serialize,
    {
        Previous {
            version,
            write: |state, to| encoding::write(&state.code_change_back(), to),
        }
    }

    /// The version.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// Appends the state in this version.
    pub(super) fn write(&self, state: &S, to: &mut Vec<u8>) -> Result<(), String> {
        (self.write)(state, to)
    }
}

impl<S> fmt::Debug for Previous<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Previous")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
