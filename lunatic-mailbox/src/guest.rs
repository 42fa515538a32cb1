//! The namespace `lunatic::message` (ABI §4).
//!
//! The functions that put a module or a socket into a message are registered by
//! the crate that owns the kind of resource, through [`push`] and [`take`].

mod receiving;
mod scratch;

use std::sync::LazyLock;

use lunatic_abi::{AbiHost, Guest, Misuse, host_functions};
use lunatic_account::Account;
use wasmtime::{Caller, Error, Result};

use crate::guest::receiving::Receiving;
pub use crate::guest::scratch::GuestMailbox;
use crate::mailbox::SendError;
use crate::message::{Message, Tag};
use crate::pid::Pid;
use crate::resource::MessageResource;
use crate::wanted::Wanted;

/// The highest number of tags of one [`receive`]: they are searched for each message.
const MAX_TAGS: u32 = 1024;

/// What the state of a process offers to `lunatic::message`.
pub trait MailboxHost: AbiHost {
    /// What brings its messages to other processes.
    type Post: Post;

    /// The mailbox and the scratch area of this process.
    fn mailbox(&mut self) -> &mut GuestMailbox<Self::Post>;
}

/// Brings messages to other processes.
pub trait Post: Clone + Send + Sync + 'static {
    /// Queues a message for a process.
    ///
    /// - `message`: `None` once it is queued, and unchanged after an error. If there is no such
    ///   process, it may stay or not.
    ///
    /// # Errors
    ///
    /// Fails if the mailbox of the process is full, the account of the sender has no memory
    /// left, or the sender has no right to send to it. That there is no such process is no
    /// error.
    fn deliver(&mut self, to: Pid, message: &mut Option<Message>) -> Result<(), SendError>;

    /// Returns the account of the process, to which what is in its scratch area is
    /// charged. Unless a host has accounts, that is one without limits.
    fn account(&self) -> &Account {
        static UNLIMITED: LazyLock<Account> = LazyLock::new(Account::default);
        &UNLIMITED
    }
}

host_functions! {
    /// Registers `lunatic::message`, but for modules and sockets.
    pub fn add_to_linker<T: MailboxHost>(Linker<T>);
    /// The functions of `lunatic::message`, but for modules and sockets.
    pub const HOST_FUNCTIONS;

    in "lunatic::message" {
        quick fn create_data(tag: i64, capacity: u64);
        quick fn write_data(ptr: u32, len: u32) -> u32;
        quick fn read_data(ptr: u32, len: u32) -> u32;
        quick fn seek_data(index: u64);
        quick fn get_tag() -> i64;
        quick fn get_process_id() -> u64;
        quick fn data_size() -> u64;
        fn send(process_id: u64) -> u32;
        async fn send_receive_skip_search(process_id: u64, wait_on_tag: i64, timeout: u64) -> u32;
        async fn receive(tags_ptr: u32, tags_len: u32, timeout: u64) -> u32;
        quick fn unique_tag() -> i64;
    }
}

/// `lunatic::message::create_data` (ABI §4): puts a new empty data message into
/// scratch, dropping what was there.
///
/// - `tag`: 0 for none.
/// - `capacity`: bytes to make room for; a hint, so a huge one is not an error.
fn create_data<T: MailboxHost>(mut caller: Caller<'_, T>, tag: i64, capacity: u64) {
    const TRUSTED_CAPACITY: u64 = 1 << 16;
    let capacity = capacity.min(TRUSTED_CAPACITY) as usize;
    caller.data_mut().mailbox().create(Tag::new(tag), capacity);
}

/// `lunatic::message::write_data` (ABI §4): appends bytes, returns how many.
///
/// Traps without a data message, on a bad address, and if the message would
/// outgrow what a mailbox holds; the message stays in scratch.
fn write_data<T: MailboxHost>(mut caller: Caller<'_, T>, ptr: u32, len: u32) -> Result<u32> {
    caller.pay_for(u64::from(len));
    let (memory, state) = caller.memory_and_state()?;
    let bytes = lunatic_abi::slice(memory, ptr, u64::from(len))?;
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
    let target = lunatic_abi::slice_mut(memory, ptr, u64::from(len))?;
    let message = state.mailbox().data()?;
    let count = message.read(target).map_err(|behind| {
        Misuse::refused(format!(
            "the read cursor is at {}, behind the end of the message of {} bytes",
            behind.cursor, behind.length
        ))
    })?;
    caller.pay_for(count as u64);
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
        Message::ProcessDied { process } => Ok(process.to_bits()),
        Message::Data(_) | Message::LinkDied { .. } => Ok(0),
    }
}

/// `lunatic::message::data_size` (ABI §4): all bytes of the message.
///
/// Traps without a data message.
fn data_size<T: MailboxHost>(mut caller: Caller<'_, T>) -> Result<u64> {
    Ok(caller.data_mut().mailbox().data()?.bytes().len() as u64)
}

/// `lunatic::message::unique_tag` (ABI §32): a negative tag at random, which nobody can guess.
///
/// Traps if the system has no random numbers.
fn unique_tag<T: MailboxHost>(_: Caller<'_, T>) -> Result<i64> {
    let random = getrandom::u64().map_err(wasmtime::Error::new)?;
    Ok(random.cast_signed() | i64::MIN)
}

/// `lunatic::message::send` (ABI §4): queues the scratch message, returns 0.
///
/// Traps if scratch is empty, if the mailbox of the process is full, and if the account
/// of the caller has no memory left; scratch is not changed then.
fn send<T: MailboxHost>(mut caller: Caller<'_, T>, process_id: u64) -> Result<u32> {
    let to = Pid::from_bits(process_id);
    caller.data_mut().mailbox().send(to)?;
    Ok(0)
}

/// `lunatic::message::send_receive_skip_search` (ABI §4): sends the scratch
/// message and waits for a data message with tag `wait_on_tag` that arrives
/// after that. Returns 0, or 9027 with an empty scratch.
///
/// Traps as [`send`] does.
fn send_receive_skip_search<T: MailboxHost>(
    mut caller: Caller<'_, T>,
    process_id: u64,
    wait_on_tag: i64,
    timeout: u64,
) -> Receiving<'_, T> {
    let to = Pid::from_bits(process_id);
    let mailbox = caller.data_mut().mailbox();
    let reply = mailbox.request(to, Tag::new(wait_on_tag));
    Receiving::new(caller, reply.map_err(Error::from), timeout)
}

/// Sends the message in scratch, and waits for the reply as
/// `lunatic::message::send_receive_skip_search` does (ABI §4), for a function of another
/// namespace. The output is 0, or 9027.
///
/// - `timeout`: milliseconds; `u64::MAX` for ever.
///
/// # Errors
///
/// Traps as `lunatic::message::send` does.
pub fn send_receive<'a, T: MailboxHost>(
    mut caller: Caller<'a, T>,
    to: Pid,
    reply_tag: Option<Tag>,
    timeout: u64,
) -> impl Future<Output = Result<u32>> + Send + use<'a, T> {
    let reply = caller.data_mut().mailbox().request(to, reply_tag);
    Receiving::new(caller, reply.map_err(Error::from), timeout)
}

/// `lunatic::message::receive` (ABI §4): waits for the oldest message that has
/// one of `tags_len` tags at `tags_ptr`, or for any if `tags_len` is 0. Returns its
/// kind with the message in scratch, or 9027 with scratch unchanged.
///
/// Traps on a bad address, and on more than [`MAX_TAGS`] tags.
fn receive<T: MailboxHost>(
    mut caller: Caller<'_, T>,
    tags_ptr: u32,
    tags_len: u32,
    timeout: u64,
) -> Receiving<'_, T> {
    let wanted = match tags_len {
        0 => Ok(Wanted::Any),
        _ => wanted_tags(&mut caller, tags_ptr, tags_len),
    };
    let inbox = caller.data_mut().mailbox().inbox();
    let message = wanted.map(|wanted| inbox.begin_receive(wanted));
    Receiving::new(caller, message, timeout).interruptible()
}

/// A 0 in the list matches nothing (ABI §15.4).
fn wanted_tags<T: MailboxHost>(
    caller: &mut Caller<'_, T>,
    tags_ptr: u32,
    tags_len: u32,
) -> Result<Wanted> {
    let tags = caller.records::<{ size_of::<i64>() }>(tags_ptr, tags_len)?;
    if tags_len > MAX_TAGS {
        let reason = format!("one can wait for at most {MAX_TAGS} tags, not {tags_len}");
        return Err(Misuse::refused(reason).into());
    }
    let tags = tags.iter().copied().map(i64::from_le_bytes);
    Ok(Wanted::tags(tags.filter_map(Tag::new)))
}

/// Puts a resource of the caller's into the message in scratch; shared by
/// every `push_…` function. Returns its index.
///
/// # Errors
///
/// Hands the resource back beside the trap if there is no data message.
pub fn push<T: MailboxHost, R: MessageResource>(
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
pub fn take<T: MailboxHost, R: MessageResource>(
    caller: &mut Caller<'_, T>,
    index: u64,
    kind: &str,
) -> Result<R, Misuse> {
    let message = caller.data_mut().mailbox().data()?;
    message
        .take(index as usize)
        .ok_or_else(|| Misuse::refused(format!("the message has no {kind} at index {index}")))
}
