//! The mailbox of a wasm process and its scratch area: the one message it reads
//! or writes.

use lunatic_abi::Misuse;

use crate::guest::Post;
use crate::mailbox::{Mailbox, Wait};
use crate::message::{DataMessage, Message, Tag};
use crate::pid::Pid;
use crate::resource::MessageResource;

/// Result codes of `receive`: the kind of message that is now in scratch.
const DATA: u32 = 0;
const LINK_DIED: u32 = 1;
const PROCESS_DIED: u32 = 2;

/// Where a process reads and writes messages.
#[derive(Debug)]
pub struct GuestMailbox<P> {
    inbox: Mailbox,
    scratch: Option<Message>,
    post: P,
}

impl<P: Post> GuestMailbox<P> {
    /// The messaging state of a new process.
    pub fn new(inbox: Mailbox, post: P) -> GuestMailbox<P> {
        GuestMailbox {
            inbox,
            scratch: None,
            post,
        }
    }

    /// The queue of messages that have arrived.
    pub fn inbox(&mut self) -> &mut Mailbox {
        &mut self.inbox
    }

    /// The way messages leave the process.
    pub fn post(&self) -> &P {
        &self.post
    }

    /// Puts a message into scratch, dropping what was there.
    pub fn put(&mut self, message: Message) {
        self.scratch = Some(message);
    }

    /// Puts a received message into scratch, and returns the code of its kind.
    pub fn accept(&mut self, message: Message) -> u32 {
        let code = match message {
            Message::Data(_) => DATA,
            Message::LinkDied { .. } => LINK_DIED,
            Message::ProcessDied { .. } => PROCESS_DIED,
        };
        self.put(message);
        code
    }

    /// The message in scratch.
    ///
    /// # Errors
    ///
    /// [`Misuse::Refused`] if there is none.
    pub fn message(&self) -> Result<&Message, Misuse> {
        self.scratch.as_ref().ok_or_else(empty)
    }

    /// Takes the message out of scratch.
    ///
    /// # Errors
    ///
    /// [`Misuse::Refused`] if there is none.
    pub fn take(&mut self) -> Result<Message, Misuse> {
        self.scratch.take().ok_or_else(empty)
    }

    /// The data message in scratch.
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

    /// Appends to the data message in scratch.
    ///
    /// # Errors
    ///
    /// [`Misuse::Refused`] if there is none, or it would outgrow the mailbox
    /// limit and could reach nobody. The message stays as it was.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Misuse> {
        let limit = self.inbox.limits().bytes;
        let message = self.data()?;
        check_growth(message, bytes.len(), limit)?;
        message.write(bytes);
        Ok(())
    }

    /// Adds a resource to the data message in scratch and returns its index.
    ///
    /// # Errors
    ///
    /// As [`write`](GuestMailbox::write); hands the resource back.
    pub fn push<R: MessageResource>(&mut self, resource: R) -> Result<u64, (Misuse, R)> {
        let limit = self.inbox.limits().bytes;
        let allowed = self.data().and_then(|message| {
            check_growth(message, DataMessage::RESOURCE_BYTES, limit)?;
            Ok(message)
        });
        match allowed {
            Ok(message) => Ok(message.push(resource) as u64),
            Err(misuse) => Err((misuse, resource)),
        }
    }

    /// Sends the message in scratch.
    ///
    /// # Errors
    ///
    /// [`Misuse::Refused`] if there is none.
    pub fn send(&mut self, to: Pid) -> Result<(), Misuse> {
        let message = self.take()?;
        self.post.deliver(to, message);
        Ok(())
    }

    /// Sends the message in scratch and begins to wait for the answer to it, before
    /// the message leaves.
    ///
    /// # Errors
    ///
    /// [`Misuse::Refused`] if scratch is empty.
    pub fn request(&mut self, to: Pid, reply_tag: Option<Tag>) -> Result<Wait, Misuse> {
        let message = self.take()?;
        let reply = self.inbox.begin_reply(reply_tag);
        self.post.deliver(to, message);
        Ok(reply)
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

fn empty() -> Misuse {
    Misuse::refused("there is no message in the scratch area")
}
