//! `lunatic::trap` (ABI §11).

use futures_lite::future::yield_now;
use lunatic_abi::{Misuse, call_guest, host_functions};
use wasmtime::{Caller, Extern, Result};

use crate::guest::ProcessHost;
use crate::guest::exchange::Refused;
use crate::guest::run::cause_of;

/// The export that calls the function whose traps are caught.
const TRAMPOLINE: &str = "_lunatic_catch_trap";

host_functions! {
    pub(super) fn add_to_linker<T: ProcessHost>(Linker<T>);
    pub(super) const HOST_FUNCTIONS;

    in "lunatic::trap" {
        async fn catch(function: u32, pointer: u32) -> u32;
    }
}

/// `lunatic::trap::catch` (ABI §11): calls the caller's own `_lunatic_catch_trap`
/// with the same two values and returns its result; 0 if it traps, whatever the
/// trap, if an exception comes out of it, and, without a call, if the account of the process has
/// no memory left for another stack. A kill is not a trap, nor is a refusal to take over
/// (ABI §27).
///
/// Traps if there is no such export or it has another type, on too many catches inside each
/// other, and if no memory is left for exceptions on another stack.
async fn catch<T: ProcessHost>(
    mut caller: Caller<'_, T>,
    function: u32,
    pointer: u32,
) -> Result<u32> {
    let trampoline = caller
        .get_export(TRAMPOLINE)
        .and_then(Extern::into_func)
        .ok_or_else(|| Misuse::refused(format!("the module exports no function `{TRAMPOLINE}`")))?
        .typed::<(u32, u32), u32>(&caller)?;
    let stack = match caller.data_mut().process_mut().begin_call() {
        Err(Misuse::Exceeded(exceeded)) => {
            // What the account has left may be no doing of this process.
            let process = caller.data().process().handle().id();
            tracing::debug!(%process, "no catch: {exceeded}");
            yield_now().await;
            return Ok(0);
        }
        stack => stack?,
    };
    let outcome = call_guest(&mut caller, &trampoline, (function, pointer)).await;
    caller.data_mut().process_mut().end_call();
    drop(stack);
    match outcome {
        Err(error) if !error.is::<Refused>() => {
            let process = caller.data().process().handle().id();
            tracing::debug!(%process, "caught: {}", cause_of(&error));
            // A trap has a backtrace, and a loop of them no point of preemption for it.
            yield_now().await;
            Ok(0)
        }
        outcome => outcome,
    }
}
