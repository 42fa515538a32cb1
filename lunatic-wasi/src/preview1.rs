//! The namespace `wasi_snapshot_preview1` (ABI §14), one file per group.

mod args;
mod clock;
mod directory;
mod fd;
mod file;
mod path;
mod poll;
pub(crate) mod process;
mod random;
mod socket;
mod transfer;

use wasmtime::{Linker, Result};

use crate::WasiHost;

const NAMESPACE: &str = "wasi_snapshot_preview1";

/// Registers host functions that return an [`Outcome`](crate::outcome::Outcome).
macro_rules! functions {
    ($linker:ident: $($name:ident($($argument:ident: $kind:ty),*);)*) => {$(
        $linker.func_wrap(
            crate::preview1::NAMESPACE,
            stringify!($name),
            |caller: wasmtime::Caller<'_, T>, $($argument: $kind),*| {
                crate::outcome::answer($name(caller, $($argument),*))
            },
        )?;
    )*};
}

/// Registers host functions that wait and then return an
/// [`Outcome`](crate::outcome::Outcome).
macro_rules! async_functions {
    ($linker:ident: $($name:ident($($argument:ident: $kind:ty),*);)*) => {$(
        $linker.func_wrap_async(
            crate::preview1::NAMESPACE,
            stringify!($name),
            |caller: wasmtime::Caller<'_, T>, ($($argument,)*): ($($kind,)*)| {
                Box::new(async move {
                    crate::outcome::answer($name(caller, $($argument),*).await)
                })
            },
        )?;
    )*};
}

use {async_functions, functions};

pub(crate) fn add_to_linker<T: WasiHost>(linker: &mut Linker<T>) -> Result<()> {
    args::add_to_linker(linker)?;
    clock::add_to_linker(linker)?;
    directory::add_to_linker(linker)?;
    fd::add_to_linker(linker)?;
    file::add_to_linker(linker)?;
    path::add_to_linker(linker)?;
    poll::add_to_linker(linker)?;
    process::add_to_linker(linker)?;
    random::add_to_linker(linker)?;
    socket::add_to_linker(linker)?;
    transfer::add_to_linker(linker)
}
