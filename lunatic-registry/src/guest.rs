//! The namespace `lunatic::registry` (ABI §7), and `get_or_spawn` of
//! `lunatic::process` (ABI §3.3).

use lunatic_abi::{Guest, Misuse};
use lunatic_process::ProcessId;
use lunatic_process::guest::{
    NAMESPACE as PROCESS_NAMESPACE, ProcessHost, SpawnArguments, Spawned, StartError, begin,
    check_right_to_spawn,
};
use wasmtime::{Caller, Linker, Result};

use crate::names::{Address, NameError};
use crate::registry::Registry;

const NAMESPACE: &str = "lunatic::registry";

/// What the state of a process offers to `lunatic::registry`.
pub trait RegistryHost: ProcessHost {
    /// The names that this process sees.
    fn registry(&self) -> &Registry;
}

/// Registers `lunatic::registry` and `lunatic::process::get_or_spawn`.
///
/// # Errors
///
/// Fails if the linker already has a function of one of these names.
pub fn add_to_linker<T: RegistryHost>(linker: &mut Linker<T>) -> Result<()> {
    linker.func_wrap(NAMESPACE, "put", put)?;
    linker.func_wrap(NAMESPACE, "get", get)?;
    linker.func_wrap(NAMESPACE, "remove", remove)?;
    linker.func_wrap_async(
        PROCESS_NAMESPACE,
        "get_or_spawn",
        |caller,
         (
            name,
            name_len,
            link,
            config,
            module,
            export,
            export_len,
            params,
            params_len,
            node_id_ptr,
            id_ptr,
        )| {
            let spawn = SpawnArguments {
                link,
                config,
                module,
                name: (export, export_len),
                params: (params, params_len),
            };
            Box::new(get_or_spawn(
                caller,
                (name, name_len),
                spawn,
                node_id_ptr,
                id_ptr,
            ))
        },
    )?;
    Ok(())
}

/// `lunatic::registry::put` (ABI §7): gives a name to a process, and takes it from
/// the process that had it. A process of this node that has ended gets no name.
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

/// `lunatic::process::get_or_spawn` (ABI §3.3): 2 with node and process written if a
/// process has the name; 0 with the same if a process was spawned and has the name
/// now; 1 with an error id if spawning failed, and the name is free then.
///
/// Traps as `spawn` does, but needs the right to spawn only if it does.
async fn get_or_spawn<T: RegistryHost>(
    mut caller: Caller<'_, T>,
    (name_ptr, name_len): (u32, u32),
    spawn: SpawnArguments,
    node_id_ptr: u32,
    id_ptr: u32,
) -> Result<u32> {
    const SPAWNED: u32 = 0;
    const TAKEN: u32 = 2;
    let name = caller.text(name_ptr, name_len)?.to_owned();
    caller.check_id_ptr(node_id_ptr)?;
    caller.check_id_ptr(id_ptr)?;
    let node = caller.data().registry().node();
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
    match started {
        Ok(process) => {
            let process = process.id();
            write_address(&mut caller, Address { node, process }, node_id_ptr, id_ptr)?;
            Ok(SPAWNED)
        }
        Err(error) => {
            caller.write_u64(node_id_ptr, node)?;
            caller.report(id_ptr, &error)
        }
    }
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
