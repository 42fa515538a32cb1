//! The namespace `lunatic::metrics` (ABI §9).

use lunatic_abi::{AbiHost, Guest, host_functions};
use wasmtime::{Caller, Result};

use crate::metric::Update;
use crate::metrics::{Metrics, NotRecorded};
use crate::name::{InvalidName, MAX_NAME_BYTES};

/// The state of a process that can use `lunatic::metrics`.
pub trait MetricsHost: AbiHost {
    /// The metrics that this process records.
    fn metrics(&self) -> &Metrics;
}

host_functions! {
    /// Registers `lunatic::metrics`.
    pub fn add_to_linker<T: MetricsHost>(Linker<T>);
    /// The functions of `lunatic::metrics`.
    pub const HOST_FUNCTIONS;

    in "lunatic::metrics" {
        fn counter(name_str_ptr: u32, name_str_len: u32, value: u64);
        fn increment_counter(name_str_ptr: u32, name_str_len: u32);
        fn gauge(name_str_ptr: u32, name_str_len: u32, value: f64);
        fn increment_gauge(name_str_ptr: u32, name_str_len: u32, value: f64);
        fn decrement_gauge(name_str_ptr: u32, name_str_len: u32, value: f64);
        fn histogram(name_str_ptr: u32, name_str_len: u32, value: f64);
    }
}

/// `lunatic::metrics::counter` (ABI §9): adds to a counter. What cannot be recorded is
/// counted, and nothing else happens.
///
/// Traps on a bad address, and on text that is not UTF-8.
fn counter<T: MetricsHost>(
    caller: Caller<'_, T>,
    name_str_ptr: u32,
    name_str_len: u32,
    value: u64,
) -> Result<()> {
    record(caller, name_str_ptr, name_str_len, Update::Count(value))
}

/// `lunatic::metrics::increment_counter` (ABI §9): adds 1 to a counter.
///
/// Traps as `counter` does.
fn increment_counter<T: MetricsHost>(
    caller: Caller<'_, T>,
    name_str_ptr: u32,
    name_str_len: u32,
) -> Result<()> {
    record(caller, name_str_ptr, name_str_len, Update::Count(1))
}

/// `lunatic::metrics::gauge` (ABI §9): sets a gauge.
///
/// Traps as `counter` does.
fn gauge<T: MetricsHost>(
    caller: Caller<'_, T>,
    name_str_ptr: u32,
    name_str_len: u32,
    value: f64,
) -> Result<()> {
    record(caller, name_str_ptr, name_str_len, Update::Set(value))
}

/// `lunatic::metrics::increment_gauge` (ABI §9): adds to a gauge.
///
/// Traps as `counter` does.
fn increment_gauge<T: MetricsHost>(
    caller: Caller<'_, T>,
    name_str_ptr: u32,
    name_str_len: u32,
    value: f64,
) -> Result<()> {
    record(caller, name_str_ptr, name_str_len, Update::Add(value))
}

/// `lunatic::metrics::decrement_gauge` (ABI §9): subtracts from a gauge.
///
/// Traps as `counter` does.
fn decrement_gauge<T: MetricsHost>(
    caller: Caller<'_, T>,
    name_str_ptr: u32,
    name_str_len: u32,
    value: f64,
) -> Result<()> {
    record(caller, name_str_ptr, name_str_len, Update::Add(-value))
}

/// `lunatic::metrics::histogram` (ABI §9): records a sample.
///
/// Traps as `counter` does.
fn histogram<T: MetricsHost>(
    caller: Caller<'_, T>,
    name_str_ptr: u32,
    name_str_len: u32,
    value: f64,
) -> Result<()> {
    record(caller, name_str_ptr, name_str_len, Update::Sample(value))
}

fn record<T: MetricsHost>(
    mut caller: Caller<'_, T>,
    ptr: u32,
    len: u32,
    update: Update,
) -> Result<()> {
    caller.bytes(ptr, len)?;
    if len as usize > MAX_NAME_BYTES {
        // It is not read: it may be as long as the memory.
        let why = NotRecorded::Name(InvalidName::TooLong);
        caller.data().metrics().count_refused(why);
        return Ok(());
    }
    let name = caller.text_within(ptr, len, MAX_NAME_BYTES)?.to_owned();
    let state = caller.data();
    // A guest must not fail because it measures: `record` counts refused updates.
    state.metrics().record(&name, update, state.account()).ok();
    Ok(())
}
