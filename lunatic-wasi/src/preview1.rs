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

use lunatic_abi::host_functions;

use crate::WasiHost;

host_functions! {
    pub(crate) fn add_to_linker<T: WasiHost>(Linker<T>);
    pub(crate) const HOST_FUNCTIONS;

    use args, clock, directory, fd, file, path, poll, process, random, socket, transfer;
}
