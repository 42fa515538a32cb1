//! The namespace `lunatic::version` (ABI §12).
//!
//! Its functions return the version of the host interface, not that of these crates.

use wasmtime::Caller;

use crate::host_functions;
use crate::memory::AbiHost;

host_functions! {
    pub(crate) fn add_to_linker<T: AbiHost>(Linker<T>);
    pub(crate) const HOST_FUNCTIONS;

    in "lunatic::version" {
        fn major() -> u32;
        fn minor() -> u32;
        fn patch() -> u32;
    }
}

const MAJOR: u32 = 0;
const MINOR: u32 = 13;
const PATCH: u32 = 2;

/// `lunatic::version::major` (ABI §12): returns the first number of the version.
fn major<T: AbiHost>(_: Caller<'_, T>) -> u32 {
    MAJOR
}

/// `lunatic::version::minor` (ABI §12): returns the second number of the version.
fn minor<T: AbiHost>(_: Caller<'_, T>) -> u32 {
    MINOR
}

/// `lunatic::version::patch` (ABI §12): returns the third number of the version.
fn patch<T: AbiHost>(_: Caller<'_, T>) -> u32 {
    PATCH
}
