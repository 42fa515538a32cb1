//! Reading clocks.

use lunatic_abi::{Guest, host_functions};
use wasmtime::Caller;

use crate::WasiHost;
use crate::clock::Clock;
use crate::outcome::{Outcome, answer};

host_functions! {
    pub(super) fn add_to_linker<T: WasiHost>(Linker<T>);
    pub(super) const HOST_FUNCTIONS;

    in "wasi_snapshot_preview1" via answer {
        fn clock_res_get(id: u32, resolution_ptr: u32) -> i32;
        fn clock_time_get(id: u32, precision: u64, time_ptr: u32) -> i32;
    }
}

/// `clock_res_get`: the resolution of a clock in nanoseconds.
///
/// `badf` for a clock of CPU time, `inval` for one that does not exist.
fn clock_res_get<T: WasiHost>(mut caller: Caller<'_, T>, id: u32, resolution_ptr: u32) -> Outcome {
    let resolution = Clock::from_id(id)?.resolution();
    Ok(caller.write_u64(resolution_ptr, resolution)?)
}

/// `clock_time_get`: the time of a clock in nanoseconds. It is always exact,
/// whatever `precision` would allow.
///
/// `badf` for a clock of CPU time, `inval` for one that does not exist.
fn clock_time_get<T: WasiHost>(
    mut caller: Caller<'_, T>,
    id: u32,
    _precision: u64,
    time_ptr: u32,
) -> Outcome {
    let time = Clock::from_id(id)?.now();
    Ok(caller.write_u64(time_ptr, time)?)
}
