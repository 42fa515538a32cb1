//! Names that are unique in the cluster (ABI §29).

use lunatic_abi::{Guest, Misuse, TIMED_OUT, host_functions};
use lunatic_mailbox::{Pid, Tag};
use lunatic_process::guest::{Config, check_right_to_signal};
use wasmtime::{Caller, Result};

use crate::global::MAX_GLOBAL_NAME_BYTES;
use crate::guest::{DistributedHost, clustered};
use crate::held_names::OnLoss;
use crate::register_error::RegisterError;

host_functions! {
    pub(super) fn add_to_linker<T: DistributedHost>(Linker<T>);
    pub(super) const HOST_FUNCTIONS;

    in "lunatic::global" {
        async fn register(
            name_ptr: u32, name_len: u32, process_id: u64, on_loss: u32, tag: i64, holder_ptr: u32
        ) -> u32;
        fn unregister(name_ptr: u32, name_len: u32) -> u32;
        fn whereis(name_ptr: u32, name_len: u32, id_ptr: u32) -> u32;
    }
}

const DONE: u32 = 0;

/// Another process has the name, or no process has it.
const OTHER: u32 = 1;

/// There is no such process on this node.
const NO_PROCESS: u32 = 2;

/// The node has as many names as it may have, or the process is being given this one.
const NO_ROOM: u32 = 3;

/// `lunatic::global::register` (ABI §29): gives a process of this node a name, once all nodes
/// that can be reached agree. Returns 0; 1 with the process that has it at `holder_ptr`; 2 if
/// there is no such process on this node; 3 if there is no room; 9027 if the node is being
/// stopped.
///
/// - `on_loss`: what becomes of it if an older claim turns up: 0 it is killed, 1 it is told.
///
/// Traps on a node that is alone, without the right to use names outside of its branch or to
/// signal the process, on bad addresses, text that is not UTF-8, a name of more than
/// [`MAX_GLOBAL_NAME_BYTES`], an unknown `on_loss`, and without a name left in the account.
async fn register<T: DistributedHost>(
    mut caller: Caller<'_, T>,
    name_ptr: u32,
    name_len: u32,
    process_id: u64,
    on_loss: u32,
    tag: i64,
    holder_ptr: u32,
) -> Result<u32> {
    let node = clustered(caller.data())?;
    check_right_to_names(caller.data())?;
    caller.check_id_ptr(holder_ptr)?;
    let name = name(&mut caller, name_ptr, name_len)?;
    let on_loss = match on_loss {
        0 => OnLoss::Kill,
        1 => OnLoss::Tell(Tag::new(tag)),
        other => {
            let reason = format!("{other} is nothing that becomes of who loses a name");
            return Err(Misuse::refused(reason).into());
        }
    };
    let id = Pid::from_bits(process_id);
    check_right_to_signal(caller.data(), id)?;
    let own = caller.data().process().handle();
    let Some(process) = own.environment().process(id) else {
        return Ok(NO_PROCESS);
    };
    let registered = node.register_for(&process, &name, on_loss, own.account());
    let registered = registered.map_err(Misuse::Exceeded)?;
    match caller.wait(registered).await {
        Ok(()) => Ok(DONE),
        Err(RegisterError::Taken(taken)) if taken.by == id => Ok(NO_ROOM),
        Err(RegisterError::Taken(taken)) => {
            caller.write_u64(holder_ptr, taken.by.to_bits())?;
            Ok(OTHER)
        }
        Err(_) => Ok(TIMED_OUT),
    }
}

/// `lunatic::global::unregister` (ABI §29): the process of this node that has a name gives it
/// up. Returns 0, or 1 if no process of this node has it.
///
/// Traps as [`register`] does.
fn unregister<T: DistributedHost>(
    mut caller: Caller<'_, T>,
    name_ptr: u32,
    name_len: u32,
) -> Result<u32> {
    let node = clustered(caller.data())?;
    check_right_to_names(caller.data())?;
    let name = name(&mut caller, name_ptr, name_len)?;
    let holder = node.find_global(&name);
    match holder.filter(|holder| holder.node() == node.info().id.number()) {
        None => Ok(OTHER),
        Some(holder) => {
            check_right_to_signal(caller.data(), holder)?;
            node.unregister_global(&name, holder);
            Ok(DONE)
        }
    }
}

/// `lunatic::global::whereis` (ABI §29): the process that has a name, as far as this node knows.
/// Returns 0 with its id, a `u64`, or 1 if there is none.
///
/// Traps on a node that is alone, without the right to use names outside of its branch, on bad
/// addresses, text that is not UTF-8, and a name that is too long.
fn whereis<T: DistributedHost>(
    mut caller: Caller<'_, T>,
    name_ptr: u32,
    name_len: u32,
    id_ptr: u32,
) -> Result<u32> {
    let node = clustered(caller.data())?;
    check_right_to_names(caller.data())?;
    caller.check_id_ptr(id_ptr)?;
    let name = name(&mut caller, name_ptr, name_len)?;
    match node.find_global(&name) {
        None => Ok(OTHER),
        Some(process) => {
            caller.write_u64(id_ptr, process.to_bits())?;
            Ok(DONE)
        }
    }
}

fn name<T: DistributedHost>(caller: &mut Caller<'_, T>, ptr: u32, len: u32) -> Result<String> {
    let name = caller.text_within(ptr, len, MAX_GLOBAL_NAME_BYTES)?;
    Ok(name.to_owned())
}

/// Checks that the caller may use names that are not those of its branch.
fn check_right_to_names<T: DistributedHost>(state: &T) -> Result<(), Misuse> {
    let own = state.process();
    let is_branch = own.handle().account().is_branch();
    match is_branch && !own.config().process().can_use_outside_names {
        true => Err(Misuse::Denied("use the names of the cluster")),
        false => Ok(()),
    }
}
