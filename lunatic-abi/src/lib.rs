//! Reads and writes guest memory for host functions.
//!
//! Every host function of Lunatic does the same few things: it reads its
//! arguments out of the guest's memory, does its work, and writes results back.
//! This crate is the one place that knows how, so that no other crate computes
//! an address.
//!
//! # Layout
//!
//! - [`memory`]: [`Guest`], the bounds-checked view a host function has of its caller.
//! - [`table`]: [`Table`], the ids a guest holds for host resources.
//! - [`errors`]: the error table and the namespace `lunatic::error`.
//! - [`params`]: the 17-byte argument records of `spawn`.
//! - [`timeout`]: the timeout argument and what `9027` means.
//! - [`trap`]: [`Misuse`], why a host function refused its arguments.
//! - [`version`]: the namespace `lunatic::version`.
//!
//! # Invariants
//!
//! - An address computed from guest values is checked before anything is
//!   allocated, read or written for it.
//! - Nothing here knows what a resource means.

pub mod errors;
pub mod memory;
pub mod params;
pub mod table;
pub mod timeout;
pub mod trap;
pub mod version;

pub use errors::{ErrorTable, GuestError};
pub use memory::{AbiHost, Guest};
pub use table::{Resource, Table, TableFull};
pub use timeout::{TIMED_OUT, Timeout};
pub use trap::Misuse;

use wasmtime::Linker;

/// Registers `lunatic::error` and `lunatic::version`.
///
/// # Errors
///
/// Fails if the linker already has a function of one of these names.
pub fn add_to_linker<T: AbiHost>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    errors::add_to_linker(linker)?;
    version::add_to_linker(linker)
}
