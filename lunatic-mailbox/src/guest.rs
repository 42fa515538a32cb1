//! The namespace `lunatic::message` (ABI §4).
//!
//! The functions that put a module or a socket into a message are registered by
//! the crate that owns the kind of resource, through [`push`] and [`take`].

mod scratch;

use std::any::Any;

use lunatic_abi::{AbiHost, Guest, Misuse, TIMED_OUT, Timeout};
use wasmtime::{Caller, Linker, Result};

pub use crate::guest::scratch::GuestMailbox;
use crate::message::{DataMessage, Message, Tag};
use crate::queue::Wanted;

/// The namespace of all functions that work on messages.
pub const NAMESPACE: &str = "lunatic::message";

/// What the state of a process offers to `lunatic::message`.
pub trait MailboxHost: AbiHost {
    /// What brings its messages to other processes.
    type Post: Post;

    /// The mailbox and the scratch area of this process.
    fn mailbox(&mut self) -> &mut GuestMailbox<Self::Post>;
}

/// Brings messages to other processes.
pub trait Post: Clone + Send + Sync + 'static {
    /// Queues a message for a process; silently drops it if there is none.
    fn deliver(&self, process_id: u64, message: Message);
}

/// Registers `lunatic::message`, but for modules and sockets.
///
/// # Errors
///
/// Fails if the linker already has a function of one of these names.
pub fn add_to_linker<T: MailboxHost>(linker: &mut Linker<T>) -> Result<()> {
    linker.func_wrap(NAMESPACE, "create_data", create_data)?;
    linker.func_wrap(NAMESPACE, "write_data", write_data)?;
    linker.func_wrap(NAMESPACE, "read_data", read_data)?;
    linker.func_wrap(NAMESPACE, "seek_data", seek_data)?;
    linker.func_wrap(NAMESPACE, "get_tag", get_tag)?;
    linker.func_wrap(NAMESPACE, "get_process_id", get_process_id)?;
    linker.func_wrap(NAMESPACE, "data_size", data_size)?;
    linker.func_wrap(NAMESPACE, "send", send)?;
    linker.func_wrap_async(
        NAMESPACE,
        "send_receive_skip_search",
        |caller, (process, tag, timeout)| {
            Box::new(send_receive_skip_search(caller, process, tag, timeout))
        },
    )?;
    linker.func_wrap_async(NAMESPACE, "receive", |caller, (ptr, len, timeout)| {
        Box::new(receive(caller, ptr, len, timeout))
    })?;
    Ok(())
}

/// `lunatic::message::create_data` (ABI §4): puts a new empty data message into
/// scratch, dropping what was there.
///
/// - `tag`: 0 for none.
/// - `capacity`: bytes to make room for; a hint, so a huge one is not an error.
fn create_data<T: MailboxHost>(mut caller: Caller<'_, T>, tag: i64, capacity: u64) {
    const TRUSTED_CAPACITY: u64 = 1 << 16;
    let room = Vec::with_capacity(capacity.min(TRUSTED_CAPACITY) as usize);
    let message = DataMessage::new(Tag::new(tag), room);
    caller.data_mut().mailbox().put(message.into());
}

/// `lunatic::message::write_data` (ABI §4): appends bytes, returns how many.
///
/// Traps without a data message, on a bad address, and if the message would
/// outgrow what a mailbox holds; the message stays in scratch.
fn write_data<T: MailboxHost>(mut caller: Caller<'_, T>, ptr: u32, len: u32) -> Result<u32> {
    let (memory, state) = caller.memory_and_state()?;
    let bytes = lunatic_abi::memory::slice(memory, ptr, u64::from(len))?;
    state.mailbox().write(bytes)?;
    Ok(len)
}

/// `lunatic::message::read_data` (ABI §4): copies bytes from the cursor on,
/// returns how many, 0 at the end.
///
/// Traps without a data message, on a bad address, and if the cursor is behind
/// the end.
fn read_data<T: MailboxHost>(mut caller: Caller<'_, T>, ptr: u32, len: u32) -> Result<u32> {
    let (memory, state) = caller.memory_and_state()?;
    let target = lunatic_abi::memory::slice_mut(memory, ptr, u64::from(len))?;
    let message = state.mailbox().data()?;
    let count = message.read(target).map_err(|behind| {
        Misuse::refused(format!(
            "the read cursor is at {}, behind the end of the message of {} bytes",
            behind.cursor, behind.length
        ))
    })?;
    Ok(count as u32)
}

/// `lunatic::message::seek_data` (ABI §4): sets the read cursor.
///
/// Traps without a data message.
fn seek_data<T: MailboxHost>(mut caller: Caller<'_, T>, index: u64) -> Result<()> {
    caller.data_mut().mailbox().data()?.seek(index as usize);
    Ok(())
}

/// `lunatic::message::get_tag` (ABI §4): the tag of the message, 0 for none.
///
/// Traps if scratch is empty.
fn get_tag<T: MailboxHost>(mut caller: Caller<'_, T>) -> Result<i64> {
    let message = caller.data_mut().mailbox().message()?;
    Ok(message.tag().map_or(0, Tag::get))
}

/// `lunatic::message::get_process_id` (ABI §4): the process that died, or 0 if the
/// message is not about a death.
///
/// Traps if scratch is empty.
fn get_process_id<T: MailboxHost>(mut caller: Caller<'_, T>) -> Result<u64> {
    match caller.data_mut().mailbox().message()? {
        Message::ProcessDied { process } => Ok(*process),
        Message::Data(_) | Message::LinkDied { .. } => Ok(0),
    }
}

/// `lunatic::message::data_size` (ABI §4): all bytes of the message.
///
/// Traps without a data message.
fn data_size<T: MailboxHost>(mut caller: Caller<'_, T>) -> Result<u64> {
    Ok(caller.data_mut().mailbox().data()?.bytes().len() as u64)
}

/// `lunatic::message::send` (ABI §4): queues the scratch message, returns 0.
///
/// Traps if scratch is empty.
fn send<T: MailboxHost>(mut caller: Caller<'_, T>, process_id: u64) -> Result<u32> {
    caller.data_mut().mailbox().send(process_id)?;
    Ok(0)
}

/// `lunatic::message::send_receive_skip_search` (ABI §4): sends the scratch
/// message and waits for a data message with tag `wait_on_tag` that arrives
/// after that. Returns 0, or 9027 with an empty scratch.
///
/// Traps if scratch is empty.
async fn send_receive_skip_search<T: MailboxHost>(
    mut caller: Caller<'_, T>,
    process_id: u64,
    wait_on_tag: i64,
    timeout: u64,
) -> Result<u32> {
    let mailbox = caller.data_mut().mailbox();
    let reply = mailbox.request(process_id, Tag::new(wait_on_tag))?;
    match Timeout::from_millis(timeout).limit(reply).await {
        Some(message) => Ok(mailbox.accept(message)),
        None => Ok(TIMED_OUT),
    }
}

/// `lunatic::message::receive` (ABI §4): waits for the oldest message that has
/// one of `len` tags at `ptr`, or for any if `len` is 0. Returns its kind with
/// the message in scratch, or 9027 with scratch unchanged.
///
/// Traps on a bad address.
async fn receive<T: MailboxHost>(
    mut caller: Caller<'_, T>,
    ptr: u32,
    len: u32,
    timeout: u64,
) -> Result<u32> {
    let wanted = match len {
        0 => Wanted::Any,
        _ => wanted_tags(caller.records(ptr, len)?),
    };
    let mailbox = caller.data_mut().mailbox();
    let message = mailbox.inbox().receive(wanted);
    match Timeout::from_millis(timeout).limit(message).await {
        Some(message) => Ok(mailbox.accept(message)),
        None => Ok(TIMED_OUT),
    }
}

/// A 0 in the list matches nothing (ABI §15.4).
fn wanted_tags(tags: &[[u8; size_of::<i64>()]]) -> Wanted {
    Wanted::tags(
        tags.iter()
            .filter_map(|tag| Tag::new(i64::from_le_bytes(*tag))),
    )
}

/// Puts a resource of the caller's into the message in scratch; shared by
/// every `push_…` function. Returns its index.
///
/// # Errors
///
/// Hands the resource back beside the trap if there is no data message.
pub fn push<T: MailboxHost, R: Any + Send>(
    caller: &mut Caller<'_, T>,
    resource: R,
) -> Result<u64, (Misuse, R)> {
    caller.data_mut().mailbox().push(resource)
}

/// Takes a resource out of the message in scratch; shared by every `take_…`
/// function.
///
/// # Errors
///
/// [`Misuse::Refused`] if there is no data message, or no such resource in it.
pub fn take<T: MailboxHost, R: Any + Send>(
    caller: &mut Caller<'_, T>,
    index: u64,
    kind: &str,
) -> Result<R, Misuse> {
    let message = caller.data_mut().mailbox().data()?;
    message
        .take(index as usize)
        .ok_or_else(|| Misuse::refused(format!("the message has no {kind} at index {index}")))
}
