//! The end of a process, and yielding.

use std::error::Error;
use std::fmt;

use futures_lite::future;
use lunatic_abi::{Guest, Misuse, host_functions};
use wasmtime::{Caller, Result};

use crate::WasiHost;
use crate::outcome::{Outcome, answer};

host_functions! {
    pub(super) fn add_to_linker<T: WasiHost>(Linker<T>);
    pub(super) const HOST_FUNCTIONS;

    in "wasi_snapshot_preview1" {
        fn proc_exit(code: u32);
    }
    in "wasi_snapshot_preview1" via answer {
        fn proc_raise(signal: u32) -> i32;
        async fn sched_yield() -> i32;
    }
}

/// The error that ends a process which called `proc_exit`, with the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcExit(pub u32);

impl fmt::Display for ProcExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the process ended itself with exit code {}", self.0)
    }
}

impl Error for ProcExit {}

/// `proc_exit`: ends the process with [`ProcExit`] (ABI §14.1).
fn proc_exit<T: WasiHost>(_: Caller<'_, T>, code: u32) -> Result<()> {
    Err(ProcExit(code).into())
}

/// `proc_raise`: traps, as there are no signals (ABI §14.1).
fn proc_raise<T: WasiHost>(_: Caller<'_, T>, signal: u32) -> Outcome {
    Err(Misuse::refused(format!("the process raised signal {signal}")).into())
}

/// `sched_yield`: yields to the processes that are ready to run.
async fn sched_yield<T: WasiHost>(mut caller: Caller<'_, T>) -> Outcome {
    caller.wait(future::yield_now()).await;
    Ok(())
}
