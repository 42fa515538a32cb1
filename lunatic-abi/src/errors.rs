//! The errors reported to a process, and the namespace `lunatic::error` (ABI §2).

use wasmtime::{Caller, Result};

use crate::host_functions;
use crate::memory::{AbiHost, Guest};
use crate::table::{Resource, Table};

/// The text of an error and, behind it, of all its causes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestError(pub String);

impl Resource for GuestError {
    const KIND: &'static str = "error";
    const LIMIT: usize = 1 << 14;

    fn size(&self) -> usize {
        self.0.capacity()
    }
}

/// The errors that were reported to a process and that it has not dropped.
pub type ErrorTable = Table<GuestError>;

host_functions! {
    pub(crate) fn add_to_linker<T: AbiHost>(Linker<T>);
    pub(crate) const HOST_FUNCTIONS;

    in "lunatic::error" {
        fn string_size(error_id: u64) -> u32;
        fn to_string(error_id: u64, error_str_ptr: u32);
        fn drop(error_id: u64);
    }
}

/// `lunatic::error::string_size` (ABI §2): returns the length of the text of an error,
/// in bytes.
///
/// Traps on an unknown id.
fn string_size<T: AbiHost>(mut caller: Caller<'_, T>, error_id: u64) -> Result<u32> {
    let error = caller.data_mut().errors().get(error_id)?;
    Ok(error.0.len() as u32)
}

/// `lunatic::error::to_string` (ABI §2): writes the text of an error to
/// `error_str_ptr`; `string_size` returns how long it is.
///
/// Traps on an unknown id or a bad address.
fn to_string<T: AbiHost>(
    mut caller: Caller<'_, T>,
    error_id: u64,
    error_str_ptr: u32,
) -> Result<()> {
    let text = caller.data_mut().errors().get(error_id)?.0.clone();
    caller.write(error_str_ptr, text.as_bytes())
}

/// `lunatic::error::drop` (ABI §2): drops an error.
///
/// Traps on an unknown id.
fn drop<T: AbiHost>(mut caller: Caller<'_, T>, error_id: u64) -> Result<()> {
    caller.data_mut().errors().remove(error_id)?;
    Ok(())
}
