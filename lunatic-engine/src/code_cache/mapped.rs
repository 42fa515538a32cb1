//! Compiled code that is mapped, and not read.
#![allow(unsafe_code, reason = "runs what a file holds")]

use wasmtime::{Engine, Module};

use crate::sealed_file::SealedFile;

/// Maps the code that a file begins with. What of it is never run is never read.
///
/// # Errors
///
/// Fails if it was compiled by another version of wasmtime or in another way, or cannot be
/// mapped.
pub(super) fn module(engine: &Engine, file: &SealedFile) -> wasmtime::Result<Module> {
    let file = file.as_file().try_clone()?;
    // SAFETY: a sealed file holds what this program, run by this user, has written to it, and
    // nothing changes it: what writes such files gives them their names when they are whole,
    // and replaces or removes them, but never writes to one that is there. The check and the
    // mapping are of the same open file.
    unsafe { Module::deserialize_open_file(engine, file) }
}
