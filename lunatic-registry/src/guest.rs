//! The namespace `lunatic::registry` (ABI §7), and `get_or_spawn` of
//! `lunatic::process` (ABI §3.3).

use lunatic_abi::{Guest, Misuse, host_functions};
use lunatic_mailbox::{NodeId, NodeNumber, Pid};
use lunatic_process::guest::{
    ProcessHost, SpawnArguments, Spawned, check_right_to_signal, check_right_to_spawn, prepare,
    spawn,
};
use lunatic_process::{Environment, SpawnError};
use wasmtime::{Caller, Result};

use crate::names::{MAX_NAME_BYTES, NameError};
use crate::registry::Registry;

/// The state of a process that can use `lunatic::registry`.
pub trait RegistryHost: ProcessHost {
    /// Returns the names that this process sees.
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

/// `lunatic::registry::put` (ABI §7): gives a name to a process, and takes it from
/// the process that had it. A process of this node that has ended gets no name.
///
/// - `node_id`: the node of the process. It is ignored if the process id has a node
///   number, as the ids of processes of other nodes have.
///
/// Traps on a bad address, text that is not UTF-8, names without limit, and without the right to
/// signal a process of this node: the name is charged to that process, and becomes its label.
fn put<T: RegistryHost>(
    mut caller: Caller<'_, T>,
    name_ptr: u32,
    name_len: u32,
    node_id: u64,
    process_id: u64,
) -> Result<()> {
    let name = name(&mut caller, name_ptr, name_len)?.map_err(refusal)?;
    let process = process_on(NodeId::from_bits(node_id), Pid::from_bits(process_id));
    let environment = environment(&caller);
    let registry = caller.data().registry();
    let put = match (environment.is_local(process), environment.process(process)) {
        (true, Some(process)) => {
            check_right_to_signal(caller.data(), process.id())?;
            registry.put_local(&name, &process)
        }
        (true, None) => {
            registry.remove(&name);
            Ok(())
        }
        (false, _) => registry.put_remote(&name, process, caller.data().process().handle()),
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
    let Ok(name) = name(&mut caller, name_ptr, name_len)? else {
        return Ok(NOT_FOUND);
    };
    let found = caller.data().registry().get(&name);
    let Some(process) = found.filter(|process| may_live(environment(&caller), *process)) else {
        return Ok(NOT_FOUND);
    };
    write_process(&mut caller, process, node_id_ptr, process_id_ptr)?;
    Ok(FOUND)
}

/// `lunatic::registry::remove` (ABI §7).
///
/// Traps on a bad address and text that is not UTF-8.
fn remove<T: RegistryHost>(mut caller: Caller<'_, T>, name_ptr: u32, name_len: u32) -> Result<()> {
    if let Ok(name) = name(&mut caller, name_ptr, name_len)? {
        caller.data().registry().remove(&name);
    }
    Ok(())
}

/// `lunatic::process::get_or_spawn` (ABI §3.3): 2 with node and process written if a
/// process has the name; 0 with the same if a process was spawned and has the name
/// now; 1 with an error id if spawning failed, and the name is free then.
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
    let name = name(&mut caller, name_ptr, name_len)?.map_err(refusal)?;
    caller.check_id_ptr(node_id_ptr)?;
    caller.check_id_ptr(id_ptr)?;
    let arguments = SpawnArguments::new(
        link, config_id, module_id, export_ptr, export_len, params_ptr, params_len,
    );
    let started = match find_or_begin(&mut caller, &name, arguments).await {
        Ok(Found::Taken(process)) => {
            write_process(&mut caller, process, node_id_ptr, id_ptr)?;
            return Ok(TAKEN);
        }
        // The name is held already while the start function runs; if that
        // fails, the name goes with the process.
        Ok(Found::Begun(spawned)) => caller.wait(spawned.started()).await,
        Err(Failed::Start(error)) => Err(error),
        Err(Failed::Trap(trap)) => return Err(trap),
    };
    let node = environment(&caller).node();
    caller.write_u64(node_id_ptr, node.to_bits())?;
    caller.answer_id(id_ptr, started.map(|process| process.id().to_bits()))
}

/// The name at an address, or the error that it is too long to be one; it is not looked
/// at then.
///
/// Traps on a bad address and text that is not UTF-8.
fn name<T: RegistryHost>(
    caller: &mut Caller<'_, T>,
    ptr: u32,
    len: u32,
) -> Result<Result<String, NameError>> {
    caller.bytes(ptr, len)?;
    let length = len as usize;
    if length > MAX_NAME_BYTES {
        return Ok(Err(NameError::TooLong { length }));
    }
    Ok(Ok(caller.text_within(ptr, len, MAX_NAME_BYTES)?.to_owned()))
}

enum Found {
    Taken(Pid),
    Begun(Spawned),
}

enum Failed {
    Start(SpawnError),
    Trap(wasmtime::Error),
}

impl From<SpawnError> for Failed {
    fn from(error: SpawnError) -> Failed {
        Failed::Start(error)
    }
}

impl From<wasmtime::Error> for Failed {
    fn from(trap: wasmtime::Error) -> Failed {
        Failed::Trap(trap)
    }
}

impl From<Misuse> for Failed {
    fn from(misuse: Misuse) -> Failed {
        Failed::Trap(misuse.into())
    }
}

impl From<NameError> for Failed {
    fn from(error: NameError) -> Failed {
        refusal(error).into()
    }
}

/// Looks the name up, waits for what a spawn needs, and looks it up again, with the
/// registry locked, to spawn if it is still free.
async fn find_or_begin<T: RegistryHost>(
    caller: &mut Caller<'_, T>,
    name: &str,
    arguments: SpawnArguments,
) -> Result<Found, Failed> {
    let registry = caller.data().registry().clone();
    let environment = environment(caller).clone();
    let may_live = |process: Pid| may_live(&environment, process);
    if let Some(process) = registry.get(name).filter(|process| may_live(*process)) {
        return Ok(Found::Taken(process));
    }
    check_right_to_spawn(caller.data())?;
    let prepared = prepare(caller, arguments).await?;
    let mut begun = None;
    let taken = registry.get_or_put(name, may_live, || {
        let spawned = spawn(&environment, prepared)?;
        let process = spawned.process().clone();
        begun = Some(spawned);
        Ok::<_, Failed>(process)
    })?;
    match (taken, begun) {
        (Some(process), _) => Ok(Found::Taken(process)),
        (None, Some(spawned)) => Ok(Found::Begun(spawned)),
        (None, None) => unreachable!("a name that was free is given to who was spawned"),
    }
}

fn write_process<T: RegistryHost>(
    caller: &mut Caller<'_, T>,
    process: Pid,
    node_id_ptr: u32,
    id_ptr: u32,
) -> Result<()> {
    let node = environment(caller).node_of(process);
    caller.write_u64(node_id_ptr, node.to_bits())?;
    caller.write_u64(id_ptr, process.to_bits())
}

/// Returns the id of the process that a guest means by a node and an id. The node is
/// used only if the id has no node number.
fn process_on(node: NodeId, process: Pid) -> Pid {
    match process.node() {
        NodeNumber::ALONE => Pid::new(node.number(), process.counter()).unwrap_or(process),
        _ => process,
    }
}

/// Returns whether the process lives or is on another node, where it may live.
fn may_live(environment: &Environment, process: Pid) -> bool {
    !environment.is_local(process) || environment.exists(process)
}

fn environment<'a, T: RegistryHost>(caller: &'a Caller<'_, T>) -> &'a Environment {
    caller.data().process().handle().environment()
}

fn refusal(error: NameError) -> Misuse {
    Misuse::refused(error.to_string())
}
