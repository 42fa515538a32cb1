//! Specifications of supervisors (ABI §23.2).

use lunatic_abi::{Guest, Misuse, host_functions};
use wasmtime::{Caller, Result};

use crate::core::{Backoff, ChildSpec, Flags, Intensity};
use crate::guest::state::GuestSpec;
use crate::guest::{SupervisorHost, reading};
use crate::spec::Spec;
use crate::start::{ChildStart, child_bytes};

host_functions! {
    pub(super) fn add_to_linker<T: SupervisorHost>(Linker<T>);
    pub(super) const HOST_FUNCTIONS;

    in "lunatic::supervisor" {
        fn create_spec(
            name_ptr: u32, name_len: u32, strategy: u32, restarts: u32, period: i64,
            auto_shutdown: u32
        ) -> u64;
        fn drop_spec(spec_id: u64);
        fn set_backoff(spec_id: u64, first: i64, longest: i64, jitter: u32);
        fn add_child(spec_id: u64, child_ptr: u32, id_ptr: u32) -> u32;
        fn add_supervisor(
            spec_id: u64, nested_id: u64, restart: u32, shutdown: i64, significant: u32,
            id_ptr: u32
        ) -> u32;
    }
}

/// `lunatic::supervisor::create_spec` (ABI §23.2): a supervisor without
/// children; its id.
///
/// Traps on a bad address, text that is not UTF-8, a long name, an unknown
/// strategy or kind of auto-shutdown, and a negative period.
fn create_spec<T: SupervisorHost>(
    mut caller: Caller<'_, T>,
    name_ptr: u32,
    name_len: u32,
    strategy: u32,
    restarts: u32,
    period: i64,
    auto_shutdown: u32,
) -> Result<u64> {
    let name = reading::name(&mut caller, name_ptr, name_len)?;
    let flags = Flags {
        strategy: reading::strategy(strategy)?,
        intensity: Intensity {
            restarts,
            period: reading::duration(period)?,
        },
        auto_shutdown: reading::auto_shutdown(auto_shutdown)?,
        backoff: None,
    };
    let spec = GuestSpec {
        spec: Spec::new(name).flags(flags),
        children_bytes: 0,
    };
    let account = caller.data().account().clone();
    let tables = caller.data_mut().supervisors().tables();
    Ok(tables.specs.insert(spec, &account).map_err(Misuse::from)?)
}

/// `lunatic::supervisor::drop_spec` (ABI §23.2): drops a specification. Supervisors that were
/// started from it continue.
///
/// Traps on an unknown id.
fn drop_spec<T: SupervisorHost>(mut caller: Caller<'_, T>, spec_id: u64) -> Result<()> {
    let tables = caller.data_mut().supervisors().tables();
    Ok(tables.specs.discard(spec_id)?)
}

/// `lunatic::supervisor::set_backoff` (ABI §23.2): delays before restarts,
/// in milliseconds, and the share of chance in them, in percent.
///
/// Traps on an unknown id, and negative times.
fn set_backoff<T: SupervisorHost>(
    mut caller: Caller<'_, T>,
    spec_id: u64,
    first: i64,
    longest: i64,
    jitter: u32,
) -> Result<()> {
    let backoff = Backoff {
        first: reading::duration(first)?,
        longest: reading::duration(longest)?,
        jitter: u8::try_from(jitter).unwrap_or(u8::MAX),
    };
    let spec = spec_mut(&mut caller, spec_id)?;
    spec.set_backoff(backoff);
    Ok(())
}

/// `lunatic::supervisor::add_child` (ABI §23.2): adds a wasm child. Returns
/// 0, or 1 with an error id at `id_ptr`.
///
/// - `child_ptr`: the address of a child record.
///
/// Traps on unknown ids, bad addresses, text that is not UTF-8, and numbers in
/// the record that stand for nothing.
fn add_child<T: SupervisorHost>(
    mut caller: Caller<'_, T>,
    spec_id: u64,
    child_ptr: u32,
    id_ptr: u32,
) -> Result<u32> {
    let child = reading::child(&mut caller, child_ptr)?;
    add(caller, spec_id, child, id_ptr)
}

/// `lunatic::supervisor::add_supervisor` (ABI §23.2): adds a supervisor, as
/// it is specified now, as a child under its own name. Returns 0, or 1 with an
/// error id at `id_ptr`.
///
/// Traps on unknown ids, bad addresses, and numbers that stand for nothing.
fn add_supervisor<T: SupervisorHost>(
    mut caller: Caller<'_, T>,
    spec_id: u64,
    nested_id: u64,
    restart: u32,
    shutdown: i64,
    significant: u32,
    id_ptr: u32,
) -> Result<u32> {
    let mut child = spec_mut(&mut caller, nested_id)?.clone().into_child();
    child.restart = reading::restart(restart)?;
    child.shutdown = reading::shutdown(shutdown)?;
    child.significant = significant != 0;
    add(caller, spec_id, child, id_ptr)
}

/// Adds a child, and charges it before.
fn add<T: SupervisorHost>(
    mut caller: Caller<'_, T>,
    spec_id: u64,
    child: ChildSpec<ChildStart>,
    id_ptr: u32,
) -> Result<u32> {
    caller.check_id_ptr(id_ptr)?;
    let bytes = child_bytes(child.name.len(), &child.start);
    let copied = spec_mut(&mut caller, spec_id)?.bytes_to_copy();
    caller.pay_for(copied as u64);
    let specs = &mut caller.data_mut().supervisors().tables().specs;
    let added = specs.resize(spec_id, bytes as usize, |spec| {
        let added = spec.spec.add(child);
        if added.is_ok() {
            spec.children_bytes += bytes;
        }
        added
    })?;
    caller.answer(id_ptr, added)
}

pub(super) fn spec_mut<'a, T: SupervisorHost>(
    caller: &'a mut Caller<'_, T>,
    spec_id: u64,
) -> Result<&'a mut Spec, Misuse> {
    let tables = caller.data_mut().supervisors().tables();
    Ok(&mut tables.specs.get_mut(spec_id)?.spec)
}
