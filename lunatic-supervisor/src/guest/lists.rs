//! The children of a running supervisor, listed and counted
//! (ABI §23.4).

use futures_lite::future;
use lunatic_abi::{Guest, Misuse, host_functions};
use lunatic_account::{Account, Charge, Kind};
use wasmtime::{Caller, Result};

use crate::core::{ChildCounts, ChildKind, ChildStatus, RequestError, Restart};
use crate::guest::state::GuestList;
use crate::guest::{SupervisorHost, running};
use crate::supervisor::{ChildProcess, Supervisor};

/// Bytes of a listed child before its name.
const LISTED_BYTES: usize = 32;

/// Bytes of the counts.
const COUNT_BYTES: u32 = 32;

host_functions! {
    pub(super) fn add_to_linker<T: SupervisorHost>(Linker<T>);
    pub(super) const HOST_FUNCTIONS;

    in "lunatic::supervisor" {
        async fn which_children(supervisor: u64, id_ptr: u32) -> u32;
        async fn count_children(supervisor: u64, counts_ptr: u32, id_ptr: u32) -> u32;
        fn list_size(list_id: u64) -> u32;
        fn list_read(list_id: u64, ptr: u32);
        fn list_drop(list_id: u64);
    }
}

/// `lunatic::supervisor::which_children` (ABI §23.4): lists the children in
/// the order in which they were added. Returns 0 with a list id, or 1 with an
/// error id, at `id_ptr`.
///
/// Traps on a bad address, and if the caller holds too many lists.
async fn which_children<T: SupervisorHost>(
    mut caller: Caller<'_, T>,
    supervisor: u64,
    id_ptr: u32,
) -> Result<u32> {
    caller.check_id_ptr(id_ptr)?;
    let account = caller.data().account().clone();
    let payer = account.clone();
    let request = |supervisor: Supervisor| async move {
        let list = supervisor.list_children().await?;
        encode(&list.children, &payer).await
    };
    let list = match running::ask(&mut caller, supervisor, request).await {
        Ok((list, charge)) => {
            drop(charge);
            let list = GuestList(list);
            let tables = caller.data_mut().supervisors().tables();
            Ok(tables.lists.insert(list, &account).map_err(Misuse::from)?)
        }
        Err(error) => Err(error),
    };
    caller.answer_id(id_ptr, list)
}

/// `lunatic::supervisor::count_children` (ABI §23.4): writes how many
/// children there are to `counts_ptr`. Returns 0, or 1 with an error id at
/// `id_ptr`.
///
/// Traps on a bad address.
async fn count_children<T: SupervisorHost>(
    mut caller: Caller<'_, T>,
    supervisor: u64,
    counts_ptr: u32,
    id_ptr: u32,
) -> Result<u32> {
    caller.check_id_ptr(id_ptr)?;
    caller.bytes(counts_ptr, COUNT_BYTES)?;
    let request = |supervisor: Supervisor| async move { supervisor.count_children().await };
    match running::ask(&mut caller, supervisor, request).await {
        Ok(ChildCounts {
            specs,
            active,
            supervisors,
            workers,
        }) => {
            let counts = [specs, active, supervisors, workers].map(u64::to_le_bytes);
            caller.write(counts_ptr, counts.as_flattened())?;
            Ok(0)
        }
        Err(error) => caller.report(id_ptr, &error),
    }
}

/// `lunatic::supervisor::list_size` (ABI §23.4): the length of a list in
/// bytes.
///
/// Traps on an unknown id.
fn list_size<T: SupervisorHost>(mut caller: Caller<'_, T>, list_id: u64) -> Result<u32> {
    let tables = caller.data_mut().supervisors().tables();
    let size = tables.lists.get(list_id)?.0.len();
    u32::try_from(size).map_err(|_| Misuse::refused("the list is too long").into())
}

/// `lunatic::supervisor::list_read` (ABI §23.4): writes the list, of exactly the size that was
/// returned for it, to `ptr`.
///
/// Traps on an unknown id or a bad address.
fn list_read<T: SupervisorHost>(mut caller: Caller<'_, T>, list_id: u64, ptr: u32) -> Result<()> {
    let size = caller
        .data_mut()
        .supervisors()
        .tables()
        .lists
        .get(list_id)?;
    let size = size.0.len() as u64;
    caller.pay_for(size);
    let (memory, state) = caller.memory_and_state()?;
    let list = &state.supervisors().tables().lists.get(list_id)?.0;
    lunatic_abi::slice_mut(memory, ptr, list.len() as u64)?.copy_from_slice(list);
    Ok(())
}

/// `lunatic::supervisor::list_drop` (ABI §23.4).
///
/// Traps on an unknown id.
fn list_drop<T: SupervisorHost>(mut caller: Caller<'_, T>, list_id: u64) -> Result<()> {
    caller
        .data_mut()
        .supervisors()
        .tables()
        .lists
        .remove(list_id)?;
    Ok(())
}

/// Writes a list, with pauses.
///
/// - `payer`: to whom it is charged.
async fn encode(
    children: &[ChildProcess],
    payer: &Account,
) -> Result<(Vec<u8>, Charge), RequestError> {
    /// The number of children after which other tasks may run on this core.
    const CHILDREN_PER_STEP: usize = 256;
    let names: usize = children.iter().map(|child| child.info.name.len()).sum();
    let size = children.len() * LISTED_BYTES + names;
    let charge = Charge::new(payer, Kind::Memory, size as u64);
    let charge = charge.map_err(RequestError::Exceeded)?;
    let mut list = Vec::with_capacity(size);
    for (index, ChildProcess { info, process }) in children.iter().enumerate() {
        if index % CHILDREN_PER_STEP == CHILDREN_PER_STEP - 1 {
            future::yield_now().await;
        }
        let process = process.as_ref().map_or(0, |process| process.id().to_bits());
        let name = info.name.as_bytes();
        list.extend_from_slice(&info.key.0.to_le_bytes());
        list.extend_from_slice(&process.to_le_bytes());
        list.extend_from_slice(&info.restarts.to_le_bytes());
        list.extend_from_slice(&[
            status_code(info.status),
            kind_code(info.kind),
            restart_code(info.restart),
            0,
        ]);
        list.extend_from_slice(&(name.len() as u32).to_le_bytes());
        list.extend_from_slice(name);
    }
    Ok((list, charge))
}

fn status_code(status: ChildStatus) -> u8 {
    match status {
        ChildStatus::Stopped => 0,
        ChildStatus::Running => 1,
        ChildStatus::Restarting => 2,
    }
}

fn kind_code(kind: ChildKind) -> u8 {
    match kind {
        ChildKind::Worker => 0,
        ChildKind::Supervisor => 1,
    }
}

fn restart_code(restart: Restart) -> u8 {
    match restart {
        Restart::Permanent => 0,
        Restart::Transient => 1,
        Restart::Temporary => 2,
    }
}
