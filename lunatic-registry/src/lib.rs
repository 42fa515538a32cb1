//! Names for processes.
//!
//! A [`Registry`] maps names to processes, of this node or of others. The names of a local process
//! are removed when it ends, so a look-up never finds a process that has ended.
//!
//! # Layout
//!
//! - `names`: [`NameTable`], the names of processes, without locks or tasks.
//! - `registry`: [`Registry`], a table that is shared and follows the life of
//!   processes.
//! - `guest`: the namespace `lunatic::registry` and
//!   `lunatic::process::get_or_spawn` (feature `guest`, on by default).
//!
//! # Invariants
//!
//! - The names of a local process are removed before its links and monitors are notified of its
//!   end, so that a supervisor can use the names again.
//! - The lock is never held over an `await`.

#[cfg(feature = "guest")]
pub mod guest;
mod names;
mod registry;

pub use names::{MAX_NAME_BYTES, MAX_NAMES, NameError, NameTable, NamesOfOne};
pub use registry::Registry;

/// The examples in the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
