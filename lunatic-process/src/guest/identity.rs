//! Who a process is, links, monitors, kill (ABI §3.5).

use std::future;

use lunatic_abi::{Guest, Misuse, Timeout, host_functions};
use lunatic_mailbox::{Pid, Tag};
use wasmtime::{Caller, Result};

use crate::guest::{Config, ProcessHost};
use crate::process::Process;
use crate::signal::Signal;

host_functions! {
    pub(super) fn add_to_linker<T: ProcessHost>(Linker<T>);
    pub(super) const HOST_FUNCTIONS;

    in "lunatic::process" {
        fn process_id() -> u64;
        fn environment_id() -> u64;
        async fn sleep_ms(millis: u64);
        fn die_when_link_dies(die: u32);
        fn link(tag: i64, process_id: u64);
        fn unlink(process_id: u64);
        fn monitor(process_id: u64);
        fn stop_monitoring(process_id: u64);
        fn kill(process_id: u64);
        fn exists(process_id: u64) -> u32;
        fn set_label(label_ptr: u32, label_len: u32);
    }
}

fn own<'a, T: ProcessHost>(caller: &'a Caller<'_, T>) -> &'a Process {
    caller.data().process().handle()
}

/// `lunatic::process::process_id` (ABI §3.5): the caller's own id.
fn process_id<T: ProcessHost>(caller: Caller<'_, T>) -> u64 {
    own(&caller).id().to_bits()
}

/// `lunatic::process::environment_id` (ABI §3.5).
fn environment_id<T: ProcessHost>(caller: Caller<'_, T>) -> u64 {
    own(&caller).environment().id()
}

/// `lunatic::process::sleep_ms` (ABI §3.5): waits; the runtime may end the wait early.
///
/// - `millis`: milliseconds; -1 for ever.
async fn sleep_ms<T: ProcessHost>(mut caller: Caller<'_, T>, millis: u64) {
    let time = Timeout::from_millis(millis).limit(future::pending::<()>());
    caller.wait_interruptible(time).await;
}

/// `lunatic::process::die_when_link_dies` (ABI §3.5): 0 makes link deaths
/// messages, anything else lets them kill, as they do at first.
fn die_when_link_dies<T: ProcessHost>(caller: Caller<'_, T>, die: u32) {
    own(&caller).die_when_link_dies(die != 0);
}

/// `lunatic::process::link` (ABI §3.5): links the caller and another process.
///
/// - `tag`: what either is told when the other dies; 0 for none.
///
/// Traps without the right to signal that process, and if the account of one of the two has no
/// memory left.
fn link<T: ProcessHost>(caller: Caller<'_, T>, tag: i64, process_id: u64) -> Result<()> {
    let process = signalled(&caller, process_id)?;
    let linked = own(&caller).try_link(process, Tag::new(tag));
    Ok(linked.map_err(Misuse::Exceeded)?)
}

/// `lunatic::process::unlink` (ABI §3.5).
///
/// Traps without the right to signal that process, and if that is of another node and the
/// caller's account has no memory left.
fn unlink<T: ProcessHost>(caller: Caller<'_, T>, process_id: u64) -> Result<()> {
    let process = signalled_with_room(&caller, process_id)?;
    own(&caller).unlink(process);
    Ok(())
}

/// `lunatic::process::monitor` (ABI §3.5): asks to be told when a process ends.
///
/// Traps without the right to signal that process, and if its account has no memory left.
fn monitor<T: ProcessHost>(caller: Caller<'_, T>, process_id: u64) -> Result<()> {
    let process = signalled(&caller, process_id)?;
    let monitored = own(&caller).try_monitor(process);
    Ok(monitored.map_err(Misuse::Exceeded)?)
}

/// `lunatic::process::stop_monitoring` (ABI §3.5).
///
/// Traps as [`unlink`] does.
fn stop_monitoring<T: ProcessHost>(caller: Caller<'_, T>, process_id: u64) -> Result<()> {
    let process = signalled_with_room(&caller, process_id)?;
    own(&caller).stop_monitoring(process);
    Ok(())
}

/// `lunatic::process::kill` (ABI §3.5): ends a process, the caller too, at its
/// next suspension point.
///
/// Traps as [`unlink`] does.
fn kill<T: ProcessHost>(caller: Caller<'_, T>, process_id: u64) -> Result<()> {
    let process = signalled_with_room(&caller, process_id)?;
    let own = own(&caller);
    // A process that has ended, or cannot be reached, need not be killed.
    let environment = own.environment();
    environment.signal(own.id(), process, Signal::Kill).ok();
    Ok(())
}

/// A process that the caller may signal.
fn signalled<T: ProcessHost>(caller: &Caller<'_, T>, process_id: u64) -> Result<Pid, Misuse> {
    let process = Pid::from_bits(process_id);
    check_right_to_signal(caller.data(), process).map(|()| process)
}

/// A process that the caller may signal, and pays for a signal to if it is of another node.
fn signalled_with_room<T: ProcessHost>(
    caller: &Caller<'_, T>,
    process_id: u64,
) -> Result<Pid, Misuse> {
    let process = signalled(caller, process_id)?;
    let room = own(caller).check_room_to_signal(process);
    room.map_err(Misuse::Exceeded)?;
    Ok(process)
}

/// Checks that a process may link, monitor and end another: that it has the right to
/// do so outside of its branch or a permission for this one, or that the other is in its branch or
/// has ended.
///
/// # Errors
///
/// [`Misuse::Denied`].
pub fn check_right_to_signal<T: ProcessHost>(state: &T, process: Pid) -> Result<(), Misuse> {
    let own = state.process();
    if own.config().process().can_signal_outside {
        return Ok(());
    }
    let own = own.handle();
    match own.is_of_branch(process) || own.may_signal(process) {
        true => Ok(()),
        false => Err(Misuse::Denied("signal processes outside of its branch")),
    }
}

/// `lunatic::process::exists` (ABI §3.5): 1 if there is such a process on this node,
/// else 0.
fn exists<T: ProcessHost>(caller: Caller<'_, T>, process_id: u64) -> u32 {
    let exists = own(&caller)
        .environment()
        .exists(Pid::from_bits(process_id));
    u32::from(exists)
}

/// `lunatic::process::set_label` (ABI §25): gives the caller a name for people.
///
/// Traps on a bad address, text that is not UTF-8, and more than
/// [`MAX_LABEL_BYTES`].
fn set_label<T: ProcessHost>(
    mut caller: Caller<'_, T>,
    label_ptr: u32,
    label_len: u32,
) -> Result<()> {
    if label_len as usize > MAX_LABEL_BYTES {
        let reason = format!(
            "a label of {label_len} bytes is longer than the {MAX_LABEL_BYTES} that a label may have"
        );
        return Err(Misuse::refused(reason).into());
    }
    let label = caller.text_within(label_ptr, label_len, MAX_LABEL_BYTES)?;
    let label = label.to_owned();
    own(&caller).set_label(&label);
    Ok(())
}

/// The longest label that a guest gives itself, in bytes.
const MAX_LABEL_BYTES: usize = 255;
