//! The mailbox of a wasm process, and its scratch area, which holds the one message
//! that the process reads or writes.

use std::task::{Context, Poll, ready};

use lunatic_abi::Misuse;
use lunatic_account::{Charge, Kind};

use crate::guest::Post;
use crate::mailbox::{Mailbox, SendError, Wait};
use crate::message::{DataMessage, Message, Tag};
use crate::pid::Pid;
use crate::resource::MessageResource;

/// Result codes of `receive`: the kind of message that is now in scratch.
const DATA: u32 = 0;
const LINK_DIED: u32 = 1;
const PROCESS_DIED: u32 = 2;

/// Messages in scratch of no more bytes are not charged.
const SMALL: usize = 4096;

/// The mailbox, the scratch area and the way out of one process.
#[derive(Debug)]
pub struct GuestMailbox<P> {
    inbox: Mailbox,
    scratch: Option<Message>,
    /// The charge for a message in scratch that is not small.
    charge: Option<Box<Charge>>,
    post: P,
}

impl<P: Post> GuestMailbox<P> {
    /// Returns the state of a new process, whose scratch area is empty.
    ///
    /// - `post`: what brings its messages to other processes.
    pub fn new(inbox: Mailbox, post: P) -> GuestMailbox<P> {
        GuestMailbox {
            inbox,
            scratch: None,
            charge: None,
            post,
        }
    }

    /// Returns the mailbox that its messages arrive in.
    #[inline]
    pub fn inbox(&mut self) -> &mut Mailbox {
        &mut self.inbox
    }

    /// Takes over the mailbox of an older instance of the process. The scratch area stays
    /// what it is.
    pub fn join(&mut self, older: GuestMailbox<P>) {
        self.inbox = older.inbox;
    }

    /// Returns what brings its messages to other processes.
    pub fn post(&self) -> &P {
        &self.post
    }

    /// Puts a message into the scratch area, and drops the previous one.
    #[inline]
    pub fn put(&mut self, message: Message) {
        self.charge_what_is_there(message.heap_bytes());
        self.scratch = Some(message);
    }

    /// Puts a new data message into the scratch area, and drops the previous one.
    ///
    /// - `capacity`: the bytes to allocate, as far as they can be charged.
    pub fn create(&mut self, tag: Option<Tag>, capacity: usize) {
        self.scratch = None;
        self.charge = None;
        let capacity = match self.charge(capacity) {
            Ok(()) => capacity,
            Err(_) => 0,
        };
        let message = DataMessage::new(tag, Vec::with_capacity(capacity));
        self.scratch = Some(message.into());
    }

    /// Charges a message in scratch of so many bytes in place of the one before. It is there
    /// already, so it is charged even if the account has no memory left.
    #[inline]
    fn charge_what_is_there(&mut self, size: usize) {
        self.charge = None;
        if size > SMALL {
            let account = self.post.account();
            let charge = Charge::beyond_limits(account, Kind::Memory, size as u64);
            self.charge = Some(Box::new(charge));
        }
    }

    /// Charges a message in scratch of so many bytes.
    #[inline]
    fn charge(&mut self, size: usize) -> Result<(), Misuse> {
        match size <= SMALL {
            true => Ok(()),
            false => self.charge_large(size),
        }
    }

    #[cold]
    fn charge_large(&mut self, size: usize) -> Result<(), Misuse> {
        // A buffer grows to the next power of two at most.
        let amount = size.next_power_of_two() as u64;
        match &mut self.charge {
            Some(charge) if charge.amount() >= amount => {}
            Some(charge) => {
                // While it moves, there is the old one, too.
                self.post.account().check(Kind::Memory, amount)?;
                charge.set(amount)?;
            }
            none => {
                let charge = Charge::new(self.post.account(), Kind::Memory, amount)?;
                *none = Some(Box::new(charge));
            }
        }
        Ok(())
    }

    /// Puts the message that a wait is for into the scratch area, and returns the result code
    /// of its kind. If there is none yet, the scratch area is not changed, and the task of `cx`
    /// is woken when there is; see [`Mailbox::poll`].
    ///
    /// # Panics
    ///
    /// Panics if this was ready already.
    #[inline]
    pub fn poll_receive(&mut self, wait: &mut Wait, cx: &mut Context<'_>) -> Poll<u32> {
        match &mut self.scratch {
            none @ None => ready!(self.inbox.poll(wait, none, cx)),
            some => {
                let mut received = None;
                ready!(self.inbox.poll(wait, &mut received, cx));
                *some = received;
            }
        }
        let (code, size) = match &self.scratch {
            Some(message @ Message::Data(_)) => (DATA, message.heap_bytes()),
            Some(Message::LinkDied { .. }) => (LINK_DIED, 0),
            Some(Message::ProcessDied { .. }) => (PROCESS_DIED, 0),
            None => return Poll::Pending,
        };
        self.charge_what_is_there(size);
        Poll::Ready(code)
    }

    /// Returns the message in the scratch area.
    ///
    /// # Errors
    ///
    /// [`Misuse::Refused`] if there is none.
    pub fn message(&self) -> Result<&Message, Misuse> {
        self.scratch.as_ref().ok_or_else(empty)
    }

    /// Takes the message out of the scratch area.
    ///
    /// # Errors
    ///
    /// [`Misuse::Refused`] if there is none.
    pub fn take(&mut self) -> Result<Message, Misuse> {
        self.charge = None;
        self.scratch.take().ok_or_else(empty)
    }

    /// Returns the data message in the scratch area.
    ///
    /// # Errors
    ///
    /// [`Misuse::Refused`] if there is none, or one of another kind.
    pub fn data(&mut self) -> Result<&mut DataMessage, Misuse> {
        match &mut self.scratch {
            Some(Message::Data(message)) => Ok(message),
            Some(_) => Err(Misuse::refused(
                "the message in scratch tells of a death and has no data",
            )),
            None => Err(empty()),
        }
    }

    /// Appends bytes to the data message in the scratch area.
    ///
    /// # Errors
    ///
    /// [`Misuse::Refused`] if there is none, or if it would exceed the limit of a
    /// mailbox and could not be sent. The message is not changed then.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Misuse> {
        let limit = self.inbox.limits().bytes;
        let message = self.data()?;
        check_growth(message, bytes.len(), limit)?;
        let size = message.size() + bytes.len();
        let size = size.max(message.heap_bytes());
        self.charge(size)?;
        self.data()?.write(bytes);
        Ok(())
    }

    /// Adds a resource to the data message in the scratch area, and returns its index.
    ///
    /// # Errors
    ///
    /// As [`write`](GuestMailbox::write), together with the resource.
    pub fn push<R: MessageResource>(&mut self, resource: R) -> Result<u64, (Misuse, R)> {
        let limit = self.inbox.limits().bytes;
        let size = self.data().and_then(|message| {
            check_growth(message, DataMessage::RESOURCE_BYTES, limit)?;
            check_resources(message)?;
            let size = message.size() + DataMessage::RESOURCE_BYTES;
            Ok(size.max(message.heap_bytes()))
        });
        let message = size.and_then(|size| self.charge(size));
        match message.and_then(|()| self.data()) {
            Ok(message) => Ok(message.push(resource) as u64),
            Err(misuse) => Err((misuse, resource)),
        }
    }

    /// Sends the message in the scratch area, which is empty then.
    ///
    /// # Errors
    ///
    /// [`Misuse::Refused`] if there is none, or the mailbox of the process is full;
    /// [`Misuse::Exceeded`]; [`Misuse::Denied`] without the right to send to that process.
    /// The scratch area is not changed then.
    #[inline]
    pub fn send(&mut self, to: Pid) -> Result<(), Misuse> {
        self.message()?;
        self.deliver(to)
    }

    /// Sends the message in the scratch area, and returns the wait for its reply,
    /// which begins before the message is sent.
    ///
    /// # Errors
    ///
    /// As [`send`](GuestMailbox::send).
    pub fn request(&mut self, to: Pid, reply_tag: Option<Tag>) -> Result<Wait, Misuse> {
        self.message()?;
        let reply = self.inbox.begin_reply(reply_tag);
        if let Err(refused) = self.deliver(to) {
            self.inbox.end(reply);
            return Err(refused);
        }
        Ok(reply)
    }

    /// Sends the message in scratch; a refused message stays there.
    #[inline]
    fn deliver(&mut self, to: Pid) -> Result<(), Misuse> {
        // From here on it is charged for as long as it is in the mailbox.
        self.charge = None;
        match self.post.deliver(to, &mut self.scratch) {
            Ok(()) | Err(SendError::Closed) => {
                self.scratch = None;
                Ok(())
            }
            Err(refused) => Err(self.keep_refused(to, refused)),
        }
    }

    /// Charges the message in scratch again, and returns the trap.
    #[cold]
    fn keep_refused(&mut self, to: Pid, refused: SendError) -> Misuse {
        let size = self.scratch.as_ref().map_or(0, Message::heap_bytes);
        self.charge_what_is_there(size);
        match refused {
            SendError::Closed | SendError::Full => {
                Misuse::refused(format!("the mailbox of process {to} is full"))
            }
            SendError::Refused(exceeded) => exceeded.into(),
            error @ (SendError::NotTransferable(_) | SendError::TooLong { .. }) => {
                Misuse::refused(error.to_string())
            }
            SendError::Denied => Misuse::Denied("send to processes outside of its branch"),
        }
    }
}

fn check_growth(message: &DataMessage, more: usize, limit: usize) -> Result<(), Misuse> {
    if message.size() + more > limit {
        return Err(Misuse::refused(format!(
            "a message may have at most {limit} bytes, the limit of a mailbox"
        )));
    }
    Ok(())
}

/// Refuses a further resource if the message has as many as it may have: a message is dropped in
/// one step, with all of its resources, which takes about a millisecond for this number.
fn check_resources(message: &DataMessage) -> Result<(), Misuse> {
    const MAX_RESOURCES: usize = 16_384;
    match message.resource_count() < MAX_RESOURCES {
        true => Ok(()),
        false => Err(Misuse::refused(format!(
            "a message may have at most {MAX_RESOURCES} resources"
        ))),
    }
}

fn empty() -> Misuse {
    Misuse::refused("there is no message in the scratch area")
}
