//! The namespace `lunatic::registry` (ABI §7), and `get_or_spawn` of
//! `lunatic::process` (ABI §3.3).

use lunatic_abi::{Guest, Misuse, host_functions};
use lunatic_process::ProcessId;
use lunatic_process::guest::{
    ProcessHost, SpawnArguments, Spawned, StartError, begin, check_right_to_spawn,
};
use wasmtime::{Caller, Result};

use crate::names::{Address, NameError};
use crate::registry::Registry;

/// What the state of a process offers to `lunatic::registry`.
pub trait RegistryHost: ProcessHost {
    /// The names that this process sees.
    fn registry(&self) -> &Registry;
}

host_functions! {
    /// Registers `lunatic::registry` and `lunatic::process::get_or_spawn`.
    pub fn add_to_linker<T: RegistryHost>(Linker<T>);
    /// The functions of `lunatic::registry`, and `lunatic::process::get_or_spawn`.
    pub const HOST_FUNCTIONS;

    in "lunatic::registry" {
        fn put(name_ptr: u32, name_len: u32, node_id: u64, process_id: u64);
        fn get(name_ptr: u32, name_len: u32, node_id_ptr: u32, process_id_ptr: u32) -> u32;
        fn remove(name_ptr: u32, name_len: u32);
    }
    in "lunatic::process" {
        async fn get_or_spawn(
            name_ptr: u32, name_len: u32, link: i64, config_id: i64, module_id: i64,
            export_ptr: u32, export_len: u32, params_ptr: u32, params_len: u32,
            node_id_ptr: u32, id_ptr: u32
        ) -> u32;
    }
}

/// `lunatic::registry::put` (ABI §7): gives a name to a process, taking it from
/// whoever had it. A process of this node that has ended gets none.
///
/// Traps on a bad address, text that is not UTF-8, and names without limit.
fn put<T: RegistryHost>(
    mut caller: Caller<'_, T>,
    name_ptr: u32,
    name_len: u32,
    node_id: u64,
    process_id: u64,
) -> Result<()> {
    let name = caller.text(name_ptr, name_len)?.to_owned();
    let process = ProcessId(process_id);
    let registry = caller.data().registry();
    let put = match (
        node_id == caller.data().registry().node(),
        find(&caller, process),
    ) {
        (true, Some(process)) => registry.put_local(&name, &process),
        (true, None) => {
            registry.remove(&name);
            Ok(())
        }
        (false, _) => {
            let node = node_id;
            registry.put_remote(&name, Address { node, process })
        }
    };
    Ok(put.map_err(refusal)?)
}

/// `lunatic::registry::get` (ABI §7): 0 with node and process written, or 1.
///
/// Traps on a bad address and text that is not UTF-8.
fn get<T: RegistryHost>(
    mut caller: Caller<'_, T>,
    name_ptr: u32,
    name_len: u32,
    node_id_ptr: u32,
    process_id_ptr: u32,
) -> Result<u32> {
    const FOUND: u32 = 0;
    const NOT_FOUND: u32 = 1;
    let name = caller.text(name_ptr, name_len)?.to_owned();
    let found = caller.data().registry().get(&name);
    let Some(address) = found.filter(|address| is_alive(&caller, *address)) else {
        return Ok(NOT_FOUND);
    };
    write_address(&mut caller, address, node_id_ptr, process_id_ptr)?;
    Ok(FOUND)
}

/// `lunatic::registry::remove` (ABI §7).
///
/// Traps on a bad address and text that is not UTF-8.
fn remove<T: RegistryHost>(mut caller: Caller<'_, T>, name_ptr: u32, name_len: u32) -> Result<()> {
    let name = caller.text(name_ptr, name_len)?.to_owned();
    caller.data().registry().remove(&name);
    Ok(())
}

/// `lunatic::process::get_or_spawn` (ABI §3.3): 2 if the name is taken, with who
/// has it, 0 if a process was spawned and has it now, 1 with an error id if that
/// failed; then the name is free.
///
/// Traps as `spawn` does, but needs the right to spawn only if it does.
async fn get_or_spawn<T: RegistryHost>(
    mut caller: Caller<'_, T>,
    name_ptr: u32,
    name_len: u32,
    link: i64,
    config_id: i64,
    module_id: i64,
    export_ptr: u32,
    export_len: u32,
    params_ptr: u32,
    params_len: u32,
    node_id_ptr: u32,
    id_ptr: u32,
) -> Result<u32> {
    const TAKEN: u32 = 2;
    let name = caller.text(name_ptr, name_len)?.to_owned();
    caller.check_id_ptr(node_id_ptr)?;
    caller.check_id_ptr(id_ptr)?;
    let node = caller.data().registry().node();
    let spawn = SpawnArguments {
        link,
        config: config_id,
        module: module_id,
        name: (export_ptr, export_len),
        params: (params_ptr, params_len),
    };
    let started = match find_or_begin(&mut caller, &name, spawn) {
        Ok(Found::Taken(address)) => {
            write_address(&mut caller, address, node_id_ptr, id_ptr)?;
            return Ok(TAKEN);
        }
        // The name is held already while the start function runs; if that
        // fails, the name goes with the process.
        Ok(Found::Begun(spawned)) => spawned.started().await.map_err(StartError::Instance),
        Err(Failed::Start(error)) => Err(error),
        Err(Failed::Trap(trap)) => return Err(trap),
    };
    caller.write_u64(node_id_ptr, node)?;
    caller.answer_id(id_ptr, started.map(|process| process.id().0))
}

enum Found {
    Taken(Address),
    Begun(Spawned),
}

enum Failed {
    Start(StartError),
    Trap(wasmtime::Error),
}

impl From<NameError> for Failed {
    fn from(error: NameError) -> Failed {
        Failed::Trap(refusal(error).into())
    }
}

fn find_or_begin<T: RegistryHost>(
    caller: &mut Caller<'_, T>,
    name: &str,
    arguments: SpawnArguments,
) -> Result<Found, Failed> {
    let registry = caller.data().registry().clone();
    let node = caller.data().registry().node();
    let environment = caller.data().process().handle().environment().clone();
    let is_alive = |address: Address| address.node != node || environment.exists(address.process);
    let mut begun = None;
    let taken = registry.get_or_put(name, is_alive, || {
        check_right_to_spawn(caller.data()).map_err(|misuse| Failed::Trap(misuse.into()))?;
        let spawned = begin(caller, arguments)
            .map_err(Failed::Trap)?
            .map_err(Failed::Start)?;
        let process = spawned.process().clone();
        begun = Some(spawned);
        Ok::<_, Failed>(process)
    })?;
    match (taken, begun) {
        (Some(address), _) => Ok(Found::Taken(address)),
        (None, Some(spawned)) => Ok(Found::Begun(spawned)),
        (None, None) => unreachable!("a name that was free is given to who was spawned"),
    }
}

fn write_address<T: RegistryHost>(
    caller: &mut Caller<'_, T>,
    address: Address,
    node_id_ptr: u32,
    id_ptr: u32,
) -> Result<()> {
    caller.write_u64(node_id_ptr, address.node)?;
    caller.write_u64(id_ptr, address.process.0)
}

fn is_alive<T: RegistryHost>(caller: &Caller<'_, T>, address: Address) -> bool {
    address.node != caller.data().registry().node() || find(caller, address.process).is_some()
}

fn find<T: RegistryHost>(
    caller: &Caller<'_, T>,
    process: ProcessId,
) -> Option<lunatic_process::Process> {
    let own = caller.data().process().handle();
    own.environment().process(process)
}

fn refusal(error: NameError) -> Misuse {
    Misuse::refused(error.to_string())
}
