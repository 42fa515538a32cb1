//! `lunatic::trap` (ABI §11).

use lunatic_abi::{Misuse, call_guest, host_functions};
use lunatic_account::{Charge, Kind};
use lunatic_engine::STACK_BYTES;
use wasmtime::{Caller, Extern, Result};

use crate::guest::ProcessHost;
use crate::guest::exchange::Refused;
use crate::guest::run::cause_of;

/// The export that calls the function whose traps are caught.
const TRAMPOLINE: &str = "_lunatic_catch_trap";

/// How many catches a process may have open inside each other. Each has a stack of its
/// own, which is charged to the process.
const MAX_DEPTH: u32 = 64;

/// The same for a module with exceptions. The heap that those are in is collected now and then,
/// and the stacks of all catches that are open are looked at in one step.
const MAX_DEPTH_WITH_EXCEPTIONS: u32 = 8;

host_functions! {
    pub(super) fn add_to_linker<T: ProcessHost>(Linker<T>);
    pub(super) const HOST_FUNCTIONS;

    in "lunatic::trap" {
        async fn catch(function: u32, pointer: u32) -> u32;
    }
}

/// `lunatic::trap::catch` (ABI §11): calls the caller's own `_lunatic_catch_trap`
/// with the same two values and returns its result; 0 if it traps, whatever the
/// trap, and if an exception comes out of it. A kill is not a trap, nor is a refusal to take
/// over (ABI §27).
///
/// Traps if there is no such export or it has another type, on too many
/// catches inside each other, and if the account of the process has no memory left for another
/// stack.
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
    let depth = caller.data().process().incarnation.catches + 1;
    let has_exceptions = caller.data().process().incarnation.module.info().tags > 0;
    let max_depth = match has_exceptions {
        true => MAX_DEPTH_WITH_EXCEPTIONS,
        false => MAX_DEPTH,
    };
    if depth > max_depth {
        return Err(Misuse::refused(format!("more than {max_depth} catches are open")).into());
    }
    let account = caller.data().process().handle().account();
    let stack = Charge::new(account, Kind::LinearMemory, STACK_BYTES as u64);
    let stack = stack.map_err(Misuse::Exceeded)?;
    let limits = &mut caller.data_mut().process_mut().incarnation.limits;
    // With that on which it was called first.
    if !limits.charge_stacks(depth + 1) {
        return Err(
            Misuse::refused("no memory is left for the exceptions on another stack").into(),
        );
    }
    caller.data_mut().process_mut().incarnation.catches = depth;
    let outcome = call_guest(&mut caller, &trampoline, (function, pointer)).await;
    caller.data_mut().process_mut().incarnation.catches = depth - 1;
    drop(stack);
    match outcome {
        Err(error) if !error.is::<Refused>() => {
            let process = caller.data().process().handle().id();
            tracing::debug!(%process, "caught: {}", cause_of(&error));
            Ok(0)
        }
        outcome => outcome,
    }
}
