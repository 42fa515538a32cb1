//! NameTable for processes.
//!
//! A [`Registry`] maps names to processes, of this node or another. A name ends
//! with its process: nobody is handed the id of the dead.
//!
//! # Layout
//!
//! - [`names`]: [`NameTable`], the map and its way back, pure data.
//! - [`registry`]: [`Registry`], shared, and tied to the life of processes.
//! - `guest`: the namespace `lunatic::registry` and
//!   `lunatic::process::get_or_spawn` (feature `guest`, on by default).
//!
//! # Invariants
//!
//! - The names of a local process are gone before its links hear of its death, so
//!   that who restarts it can use the name again.
//! - The lock is never held over a wait.

#[cfg(feature = "guest")]
pub mod guest;
pub mod names;
pub mod registry;

pub use names::{MAX_NAME_BYTES, MAX_NAMES, NameError, NameTable};
pub use registry::Registry;

/// The examples in the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
