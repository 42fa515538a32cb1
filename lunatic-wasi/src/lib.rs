//! Answers the functions of WASI preview 1.
//!
//! A program compiled for `wasm32-wasip1` by any toolchain finds here its
//! arguments, environment, clocks, random numbers, standard streams and files.
//! Each process has a [`WasiCtx`]; the host functions reach it through
//! [`WasiHost`] and are registered by [`add_to_linker`].
//!
//! # Layout
//!
//! - `config`, `preopen`, `strings`: what a process is given.
//! - `opened_config`: [`OpenedConfig`], the same with its directories open.
//! - `context`: [`WasiCtx`], the state of one process.
//! - `stdio`, `input`, `capture`, `console`: where it reads and prints.
//! - `descriptors`, `rights`: its file descriptors.
//! - `preview1`: the host functions, one file per group of them.
//! - `grants`: the namespace `lunatic::wasi`.
//! - `clock`, `fdflags`, `filestat`, `filetype`, `iovec`, `opening`,
//!   `subscription`: values of the interface.
//! - `outcome`, `errno`: how a host function ends.
//!
//! # Invariants
//!
//! - No host function blocks a worker thread, and neither does making a
//!   process: a [`WasiCtx`] is made of a configuration whose directories are
//!   open. What may block runs on threads of `lunatic-blocking`; dropping the
//!   future of a host function is safe at any point.
//! - An address or a length from a guest is checked before anything is
//!   allocated or done for it.
//! - Nothing here opens a path by itself: `lunatic-fs` does.
//!
//! # What guests can rely on
//!
//! - An address outside of the memory is a trap, as the specification and the
//!   reference runtime have it, and never `errno::fault`. Nothing needs to be
//!   aligned (ABI §0).
//! - `fd_write` to standard output or standard error has printed when it
//!   returns, and never mixes with another process's output.
//! - A call reads or writes at most 1 MiB; it then reports how much that was,
//!   as POSIX allows.
//! - A process may have 1024 file descriptors open at once.

mod capture;
mod clock;
mod config;
mod config_error;
mod console;
mod context;
mod descriptors;
mod errno;
mod fdflags;
mod filestat;
mod filetype;
mod grants;
mod input;
mod iovec;
mod opened_config;
mod opening;
mod outcome;
mod path_limit;
mod preopen;
mod preview1;
mod rights;
mod stdio;
mod strings;
mod subscription;
mod wire_config;

pub use capture::Capture;
pub use config::WasiConfig;
pub use config_error::ConfigError;
pub use context::WasiCtx;
pub use errno::Errno;
pub use input::Input;
pub use lunatic_fs::Access;
pub use opened_config::OpenedConfig;
pub use preopen::{OpenError, Preopen};
pub use preview1::process::ProcExit;
pub use stdio::{Output, Stdio};
pub use wire_config::{WireConfig, WireConfigError, WireDir};

use lunatic_abi::{AbiHost, Misuse, host_functions};

/// What the state of a process must offer to these host functions. The README of this
/// crate has an example of such a state.
pub trait WasiHost: AbiHost {
    /// Returns the WASI state of this process.
    fn wasi(&mut self) -> &mut WasiCtx;

    /// Changes the WASI part of a configuration that this process has the id of.
    ///
    /// - `more`: by how many bytes its [size](WasiConfig::size) may grow. Where a host has
    ///   accounts, they are charged to that of the process before.
    ///
    /// # Errors
    ///
    /// [`Misuse::UnknownId`], [`Misuse::Exceeded`]. It is not changed then.
    fn change_wasi_config<R>(
        &mut self,
        config_id: u64,
        more: usize,
        change: impl FnOnce(&mut WasiConfig) -> R,
    ) -> Result<R, Misuse>;

    /// Returns how many bytes a change of this configuration copies, as others have it too; none if
    /// nobody else has it.
    fn shared_config_bytes(&self, config_id: u64) -> usize {
        let _ = config_id;
        0
    }

    /// Called with what the process prints to a standard stream, before it is printed.
    ///
    /// - `is_error`: to standard error.
    fn prints(&self, is_error: bool, bytes: &[u8]) {
        let _ = (is_error, bytes);
    }
}

host_functions! {
    /// Registers `wasi_snapshot_preview1` and `lunatic::wasi`.
    pub fn add_to_linker<T: WasiHost>(Linker<T>);
    /// The functions of `wasi_snapshot_preview1` and `lunatic::wasi`.
    pub const HOST_FUNCTIONS;

    use preview1, grants;
}

/// Runs the example of the README as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
