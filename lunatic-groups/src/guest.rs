//! The namespace `lunatic::group` (ABI §24).

use std::iter::repeat_n;

use lunatic_abi::{Guest, Misuse, host_functions};
use lunatic_account::{Charge, Kind};
use lunatic_mailbox::{DataMessage, Message, Pid, Tag};
use lunatic_process::Process;
use lunatic_process::guest::{ProcessHost, check_right_to_signal};
use wasmtime::{Caller, Result};

use crate::event::{MEMBER_BYTES, member_bytes};
use crate::group_table::{GroupError, MAX_NAME_BYTES};
use crate::groups::Groups;
use crate::members::{Member, Members};
use crate::scope::{BATCH, NotDispatched, Scope};

/// The state of a process that can use `lunatic::group`.
pub trait GroupHost: ProcessHost {
    /// Returns the groups that this process sees.
    fn groups(&self) -> &Groups;
}

host_functions! {
    /// Registers `lunatic::group`.
    pub fn add_to_linker<T: GroupHost>(Linker<T>);
    /// The functions of `lunatic::group`.
    pub const HOST_FUNCTIONS;

    in "lunatic::group" {
        fn join(
            scope_ptr: u32, scope_len: u32, group_ptr: u32, group_len: u32,
            process_id: u64, id_ptr: u32
        ) -> u32;
        fn leave(
            scope_ptr: u32, scope_len: u32, group_ptr: u32, group_len: u32, process_id: u64
        ) -> u32;
        fn members(
            scope_ptr: u32, scope_len: u32, group_ptr: u32, group_len: u32, ptr: u32, max: u32
        ) -> u32;
        fn local_members(
            scope_ptr: u32, scope_len: u32, group_ptr: u32, group_len: u32, ptr: u32, max: u32
        ) -> u32;
        fn groups(scope_ptr: u32, scope_len: u32, ptr: u32, len: u32) -> u32;
        fn next(
            scope_ptr: u32, scope_len: u32, group_ptr: u32, group_len: u32,
            node_id_ptr: u32, process_id_ptr: u32
        ) -> u32;
        fn dispatch(
            scope_ptr: u32, scope_len: u32, group_ptr: u32, group_len: u32,
            node_id_ptr: u32, process_id_ptr: u32
        ) -> u32;
        async fn broadcast(
            scope_ptr: u32, scope_len: u32, group_ptr: u32, group_len: u32
        ) -> u32;
        async fn monitor(
            scope_ptr: u32, scope_len: u32, group_ptr: u32, group_len: u32,
            tag: i64, id_ptr: u32
        ) -> u32;
        async fn monitor_scope(scope_ptr: u32, scope_len: u32, tag: i64, id_ptr: u32) -> u32;
        fn stop_monitoring(scope_ptr: u32, scope_len: u32, monitor_id: u64) -> u32;
    }
}

const DONE: u32 = 0;
const NOBODY: u32 = 1;

/// `lunatic::group::join` (ABI §24): takes a process of this node into a
/// group, once more if it is there. Returns 0, or 1 with an error id at `id_ptr`.
///
/// Traps on a bad address and text that is not UTF-8.
fn join<T: GroupHost>(
    mut caller: Caller<'_, T>,
    scope_ptr: u32,
    scope_len: u32,
    group_ptr: u32,
    group_len: u32,
    process_id: u64,
    id_ptr: u32,
) -> Result<u32> {
    caller.check_id_ptr(id_ptr)?;
    let group = name(&mut caller, group_ptr, group_len)?;
    let member = Pid::from_bits(process_id);
    // The process pays for it.
    if let Err(denied) = check_right_to_signal(caller.data(), member) {
        return caller.report(id_ptr, &denied);
    }
    let process = own(&caller).environment().process(member);
    let joined = scope(&mut caller, scope_ptr, scope_len)?.and_then(|scope| {
        let process = process.ok_or(GroupError::NoProcess)?;
        scope.join(&group?, &process)
    });
    caller.answer(id_ptr, joined)
}

/// `lunatic::group::leave` (ABI §24): takes one membership of a process
/// away. Returns 0, or 1 if it is not in the group.
///
/// Traps on a bad address, text that is not UTF-8, and without the right to signal the process.
fn leave<T: GroupHost>(
    mut caller: Caller<'_, T>,
    scope_ptr: u32,
    scope_len: u32,
    group_ptr: u32,
    group_len: u32,
    process_id: u64,
) -> Result<u32> {
    const NOT_JOINED: u32 = 1;
    let scope = existing_scope(&mut caller, scope_ptr, scope_len)?;
    let group = name(&mut caller, group_ptr, group_len)?;
    let member = Pid::from_bits(process_id);
    check_right_to_signal(caller.data(), member)?;
    let process = own(&caller).environment().process(member);
    let left = match (scope, group, process) {
        (Some(scope), Ok(group), Some(process)) => scope.leave(&group, &process).is_ok(),
        _ => false,
    };
    Ok(if left { DONE } else { NOT_JOINED })
}

/// `lunatic::group::members` (ABI §24): how many memberships a group
/// has. If that is not more than `max`, node and process of each are at `ptr`.
///
/// Traps on a bad address and text that is not UTF-8.
fn members<T: GroupHost>(
    caller: Caller<'_, T>,
    scope_ptr: u32,
    scope_len: u32,
    group_ptr: u32,
    group_len: u32,
    ptr: u32,
    max: u32,
) -> Result<u32> {
    let names = [scope_ptr, scope_len, group_ptr, group_len];
    list(caller, names, ptr, max, false)
}

/// `lunatic::group::local_members` (ABI §24): as `members`, but only of
/// this node.
///
/// Traps on a bad address and text that is not UTF-8.
fn local_members<T: GroupHost>(
    caller: Caller<'_, T>,
    scope_ptr: u32,
    scope_len: u32,
    group_ptr: u32,
    group_len: u32,
    ptr: u32,
    max: u32,
) -> Result<u32> {
    let names = [scope_ptr, scope_len, group_ptr, group_len];
    list(caller, names, ptr, max, true)
}

fn list<T: GroupHost>(
    mut caller: Caller<'_, T>,
    [scope_ptr, scope_len, group_ptr, group_len]: [u32; 4],
    ptr: u32,
    max: u32,
    only_local: bool,
) -> Result<u32> {
    caller.records::<MEMBER_BYTES>(ptr, max)?;
    let scope = existing_scope(&mut caller, scope_ptr, scope_len)?;
    let group = name(&mut caller, group_ptr, group_len)?;
    let (Some(scope), Ok(group)) = (scope, group) else {
        return Ok(0);
    };
    let environment = own(&caller).environment().clone();
    let max = max as usize;
    let times = |member: &Member| member.times as usize;
    let pieces = || {
        let pieces = scope.members_in_pieces(&group, BATCH);
        pieces.map(|mut piece| {
            piece.retain(|member| !only_local || environment.is_local(member.process));
            piece
        })
    };
    let all = match only_local {
        true => pieces().flatten().map(|member| times(&member)).sum(),
        false => scope.table().members(&group).map_or(0, Members::len),
    };
    if all > max {
        return Ok(u32::try_from(all).unwrap_or(u32::MAX));
    }
    let mut count = 0;
    for piece in pieces() {
        let more: usize = piece.iter().map(times).sum();
        // Written in place: a copy would have to be charged.
        let room = more.min(max.saturating_sub(count));
        let at = ptr.saturating_add((count.min(max) * MEMBER_BYTES) as u32);
        let room = caller.bytes_mut(at, (room * MEMBER_BYTES) as u32)?;
        let (records, _) = room.as_chunks_mut::<MEMBER_BYTES>();
        let listed = piece
            .iter()
            .flat_map(|member| repeat_n(member.process, times(member)));
        for (record, member) in records.iter_mut().zip(listed) {
            *record = member_bytes(member, environment.node_of(member));
        }
        count += more;
    }
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

/// `lunatic::group::groups` (ABI §24): how many bytes the list of all
/// groups of a scope has. If that is not more than `len`, the list is at `ptr`:
/// for each its length, a `u32`, and its name.
///
/// Traps on a bad address and text that is not UTF-8.
fn groups<T: GroupHost>(
    mut caller: Caller<'_, T>,
    scope_ptr: u32,
    scope_len: u32,
    ptr: u32,
    len: u32,
) -> Result<u32> {
    caller.bytes(ptr, len)?;
    let Some(scope) = existing_scope(&mut caller, scope_ptr, scope_len)? else {
        return Ok(0);
    };
    let size = {
        let table = scope.table();
        // Not more than the limits of names and groups allow.
        (table.len() * size_of::<u32>() + table.name_bytes()) as u32
    };
    if size > len {
        return Ok(size);
    }
    let mut written = 0;
    for piece in scope.groups_in_pieces() {
        let bytes: usize = piece.iter().map(|name| size_of::<u32>() + name.len()).sum();
        let end = written + bytes as u32;
        if end > len {
            // There are more members than when the size was read.
            return Ok(end);
        }
        let mut rest = caller.bytes_mut(ptr + written, bytes as u32)?;
        for name in &piece {
            let length = (name.len() as u32).to_le_bytes();
            for part in [&length[..], name.as_bytes()] {
                let (room, behind) = rest.split_at_mut(part.len());
                room.copy_from_slice(part);
                rest = behind;
            }
        }
        written = end;
    }
    Ok(written)
}

/// `lunatic::group::next` (ABI §24): one member of a group, another one
/// the next time. Returns 0 with node and process written, or 1 if there are
/// none.
///
/// Traps on a bad address and text that is not UTF-8.
fn next<T: GroupHost>(
    mut caller: Caller<'_, T>,
    scope_ptr: u32,
    scope_len: u32,
    group_ptr: u32,
    group_len: u32,
    node_id_ptr: u32,
    process_id_ptr: u32,
) -> Result<u32> {
    caller.check_id_ptr(node_id_ptr)?;
    caller.check_id_ptr(process_id_ptr)?;
    let scope = existing_scope(&mut caller, scope_ptr, scope_len)?;
    let group = name(&mut caller, group_ptr, group_len)?;
    let next = match (scope, group) {
        (Some(scope), Ok(group)) => scope.next_member(&group),
        _ => None,
    };
    let Some(member) = next else {
        return Ok(NOBODY);
    };
    write_member(&mut caller, member, node_id_ptr, process_id_ptr)?;
    Ok(DONE)
}

/// `lunatic::group::dispatch` (ABI §24): sends the scratch message to one
/// member of a group, to another one the next time. Returns 0 with node and
/// process written; or 1 if there are none, and the message stays.
///
/// Traps on a bad address, text that is not UTF-8, if scratch is empty, and if the account of
/// the caller has no memory left for the message.
fn dispatch<T: GroupHost>(
    mut caller: Caller<'_, T>,
    scope_ptr: u32,
    scope_len: u32,
    group_ptr: u32,
    group_len: u32,
    node_id_ptr: u32,
    process_id_ptr: u32,
) -> Result<u32> {
    caller.check_id_ptr(node_id_ptr)?;
    caller.check_id_ptr(process_id_ptr)?;
    let scope = existing_scope(&mut caller, scope_ptr, scope_len)?;
    let group = name(&mut caller, group_ptr, group_len)?;
    let message = caller.data_mut().mailbox().take()?;
    let sent = match (scope, group) {
        (Some(scope), Ok(group)) => {
            let own = own(&caller).clone();
            scope.dispatch(Some(&own), &group, message)
        }
        _ => Err(NotDispatched::Nobody(message)),
    };
    match sent {
        Ok(member) => {
            write_member(&mut caller, member, node_id_ptr, process_id_ptr)?;
            Ok(DONE)
        }
        Err(NotDispatched::Nobody(message)) => {
            caller.data_mut().mailbox().put(message);
            Ok(NOBODY)
        }
        Err(NotDispatched::Exceeded(exceeded)) => Err(Misuse::Exceeded(exceeded).into()),
    }
}

/// `lunatic::group::broadcast` (ABI §24): sends the scratch message to
/// each process of a group once. Returns the number of processes.
///
/// Traps on a bad address, text that is not UTF-8, without a data message, if a
/// resource was put into the message, as a resource can have one receiver only, and if the
/// account of the caller has no memory left for another copy.
async fn broadcast<T: GroupHost>(
    mut caller: Caller<'_, T>,
    scope_ptr: u32,
    scope_len: u32,
    group_ptr: u32,
    group_len: u32,
) -> Result<u32> {
    let scope = existing_scope(&mut caller, scope_ptr, scope_len)?;
    let group = name(&mut caller, group_ptr, group_len)?;
    let own = own(&caller).clone();
    let (message, _charge) = take_data(&mut caller, &own)?;
    let count = match (scope, group) {
        (Some(scope), Ok(group)) => {
            let sending = scope.broadcast(Some(&own), &group, message.tag(), message.bytes());
            caller.wait(sending).await.map_err(Misuse::Exceeded)?
        }
        _ => 0,
    };
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

/// `lunatic::group::monitor` (ABI §24): sends the caller the members of a group, and a message for
/// each process that joins or leaves it. Returns 0 with the id of the monitor, or 1 with an error
/// id, at `id_ptr`.
///
/// - `tag`: of the messages; 0 for none.
///
/// Traps on a bad address and text that is not UTF-8.
async fn monitor<T: GroupHost>(
    mut caller: Caller<'_, T>,
    scope_ptr: u32,
    scope_len: u32,
    group_ptr: u32,
    group_len: u32,
    tag: i64,
    id_ptr: u32,
) -> Result<u32> {
    caller.check_id_ptr(id_ptr)?;
    let group = name(&mut caller, group_ptr, group_len)?;
    let watcher = own(&caller).clone();
    let found = scope(&mut caller, scope_ptr, scope_len)?;
    let monitor = match found.and_then(|scope| Ok((scope, group?))) {
        Ok((scope, group)) => {
            let monitoring = scope.monitor(&group, &watcher, Tag::new(tag));
            caller.wait(monitoring).await
        }
        Err(error) => Err(error),
    };
    caller.answer_id(id_ptr, monitor)
}

/// `lunatic::group::monitor_scope` (ABI §24): as `monitor`, for all
/// groups of a scope.
///
/// Traps on a bad address and text that is not UTF-8.
async fn monitor_scope<T: GroupHost>(
    mut caller: Caller<'_, T>,
    scope_ptr: u32,
    scope_len: u32,
    tag: i64,
    id_ptr: u32,
) -> Result<u32> {
    caller.check_id_ptr(id_ptr)?;
    let watcher = own(&caller).clone();
    let monitor = match scope(&mut caller, scope_ptr, scope_len)? {
        Ok(scope) => {
            let monitoring = scope.monitor_scope(&watcher, Tag::new(tag));
            caller.wait(monitoring).await
        }
        Err(error) => Err(error),
    };
    caller.answer_id(id_ptr, monitor)
}

/// `lunatic::group::stop_monitoring` (ABI §24): removes a monitor of the caller; messages that were
/// sent before stay in the mailbox. Returns 0, or 1 if there is no such monitor.
///
/// Traps on a bad address and text that is not UTF-8.
fn stop_monitoring<T: GroupHost>(
    mut caller: Caller<'_, T>,
    scope_ptr: u32,
    scope_len: u32,
    monitor_id: u64,
) -> Result<u32> {
    const NO_MONITOR: u32 = 1;
    let scope = existing_scope(&mut caller, scope_ptr, scope_len)?;
    let watcher = own(&caller).clone();
    let was_there = scope.is_some_and(|scope| scope.stop_monitoring(&watcher, monitor_id));
    Ok(if was_there { DONE } else { NO_MONITOR })
}

/// Takes the data message out of scratch, which does not pay for it any more, and charges it to
/// the caller. Traps if a resource was put into it.
fn take_data<T: GroupHost>(
    caller: &mut Caller<'_, T>,
    own: &Process,
) -> Result<(DataMessage, Charge), Misuse> {
    let mailbox = caller.data_mut().mailbox();
    let message = mailbox.data()?;
    if message.had_resources() {
        return Err(Misuse::refused(
            "a message with resources can be sent to one process only",
        ));
    }
    let Message::Data(message) = mailbox.take()? else {
        unreachable!("it was a data message")
    };
    let charge = Charge::new(own.account(), Kind::Memory, message.heap_bytes() as u64);
    Ok((message, charge.map_err(Misuse::Exceeded)?))
}

fn write_member<T: GroupHost>(
    caller: &mut Caller<'_, T>,
    member: Pid,
    node_id_ptr: u32,
    process_id_ptr: u32,
) -> Result<()> {
    let node = own(caller).environment().node_of(member);
    caller.write_u64(node_id_ptr, node.to_bits())?;
    caller.write_u64(process_id_ptr, member.to_bits())
}

fn own<'a, T: GroupHost>(caller: &'a Caller<'_, T>) -> &'a Process {
    caller.data().process().handle()
}

/// Returns the scope of this name, and makes it if it does not exist; the caller pays for it.
fn scope<T: GroupHost>(
    caller: &mut Caller<'_, T>,
    ptr: u32,
    len: u32,
) -> Result<Result<Scope, GroupError>> {
    let name = name(caller, ptr, len)?;
    let state = caller.data();
    Ok(name.and_then(|name| state.groups().scope_paid_by(&name, state.account())))
}

/// Returns the scope of this name, if it exists.
fn existing_scope<T: GroupHost>(
    caller: &mut Caller<'_, T>,
    ptr: u32,
    len: u32,
) -> Result<Option<Scope>> {
    let name = name(caller, ptr, len)?;
    let groups = caller.data().groups();
    Ok(name.ok().and_then(|name| groups.existing_scope(&name)))
}

/// The name of a group or a scope at an address, or the error that it is too long to be
/// one; it is not looked at then.
///
/// Traps on a bad address and text that is not UTF-8.
fn name<T: GroupHost>(
    caller: &mut Caller<'_, T>,
    ptr: u32,
    len: u32,
) -> Result<Result<String, GroupError>> {
    caller.bytes(ptr, len)?;
    let length = len as usize;
    if length > MAX_NAME_BYTES {
        return Ok(Err(GroupError::NameTooLong { length }));
    }
    Ok(Ok(caller.text_within(ptr, len, MAX_NAME_BYTES)?.to_owned()))
}
