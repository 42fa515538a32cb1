//! The queue shared between its owner and its senders.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

#[cfg(not(lunatic_loom))]
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

#[cfg(lunatic_loom)]
use crate::loom_lock::Mutex;
use crate::message::{Message, Tag};
use crate::queue::{Queue, Wanted};

/// How much a mailbox holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The highest number of queued messages.
    pub messages: usize,
    /// The highest weight of all queued messages, in bytes.
    pub bytes: usize,
}

impl Default for Limits {
    /// 16 Mi messages, 1 GiB.
    fn default() -> Limits {
        Limits {
            messages: 1 << 24,
            bytes: 1 << 30,
        }
    }
}

/// Why a message was not queued; it is handed back.
#[derive(Debug)]
#[non_exhaustive]
pub enum SendError {
    /// The owner is gone.
    Closed(Message),
    /// The mailbox is at its [`Limits`].
    Full(Message),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SendError::Closed(_) => "the mailbox is closed",
            SendError::Full(_) => "the mailbox is full",
        })
    }
}

impl Error for SendError {}

/// The receiving end; one per mailbox.
///
/// Dropping it closes the mailbox and drops what is queued.
#[derive(Debug)]
pub struct Mailbox {
    shared: Arc<Shared>,
}

/// The sending end; clone it freely.
#[derive(Debug, Clone)]
pub struct Sender {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    queue: Queue,
    waiting: Option<Waiting>,
    closed: bool,
}

/// The owner's wait: what for, whom to wake, and which queued message ended it.
#[derive(Debug)]
struct Waiting {
    awaited: Awaited,
    waker: Option<Waker>,
    found: Option<u64>,
}

#[derive(Debug)]
enum Awaited {
    /// Whatever is wanted, queued already or arriving.
    Message(Wanted),
    /// A data message with this tag that arrives after the wait has begun.
    Reply(Option<Tag>),
}

impl Awaited {
    /// Whether an arriving message ends the wait.
    fn matches(&self, message: &Message) -> bool {
        match (self, message) {
            (Awaited::Message(wanted), message) => wanted.matches(message),
            (Awaited::Reply(tag), Message::Data(data)) => tag.is_some() && *tag == data.tag(),
            (Awaited::Reply(_), _) => false,
        }
    }
}

impl Sender {
    /// Queues a message, and wakes the owner if that is what it waits for.
    ///
    /// Messages of one sender arrive in the order in which they were sent.
    ///
    /// # Errors
    ///
    /// Hands the message back if the mailbox is closed or full.
    pub fn send(&self, message: Message) -> Result<(), SendError> {
        if let Some(waker) = self.queue(message)? {
            waker.wake();
        }
        Ok(())
    }

    /// [`send`](Sender::send), but leaves it to the caller to wake the owner, who
    /// may hold a lock that must not be held while a waker runs.
    ///
    /// # Errors
    ///
    /// Hands the message back if the mailbox is closed or full.
    #[must_use = "the owner sleeps on unless it is woken"]
    pub fn queue(&self, message: Message) -> Result<Option<Waker>, SendError> {
        let mut state = self.shared.state.lock();
        if state.closed {
            drop(state);
            return Err(SendError::Closed(message));
        }
        let Limits { messages, bytes } = self.shared.limits;
        if state.queue.len() >= messages || state.queue.bytes() + message.size() > bytes {
            drop(state);
            return Err(SendError::Full(message));
        }
        Ok(state.accept(message))
    }

    /// Closes the mailbox and drops what is queued; later messages come back as
    /// [`SendError::Closed`].
    pub fn close(&self) {
        let mut state = self.shared.state.lock();
        state.closed = true;
        let (queued, waiting) = (std::mem::take(&mut state.queue), state.waiting.take());
        drop(state);
        // Outside of the lock: a message may own anything.
        drop((queued, waiting));
    }

    /// How many messages are queued.
    pub fn len(&self) -> usize {
        self.shared.state.lock().queue.len()
    }

    /// Whether no message is queued.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl State {
    /// Queues a message; returns whom to wake.
    fn accept(&mut self, message: Message) -> Option<Waker> {
        let State { queue, waiting, .. } = self;
        let waiting = waiting
            .as_mut()
            .filter(|waiting| waiting.found.is_none() && waiting.awaited.matches(&message));
        let sequence = queue.push(message);
        let waiting = waiting?;
        waiting.found = Some(sequence);
        waiting.waker.take()
    }
}

impl Mailbox {
    /// A new mailbox and a sender to it.
    pub fn new(limits: Limits) -> (Sender, Mailbox) {
        let shared = Arc::new(Shared {
            limits,
            state: Mutex::default(),
        });
        let sender = Sender {
            shared: shared.clone(),
        };
        (sender, Mailbox { shared })
    }

    /// How much it holds.
    pub fn limits(&self) -> Limits {
        self.shared.limits
    }

    /// Another sender to this mailbox.
    pub fn sender(&self) -> Sender {
        Sender {
            shared: self.shared.clone(),
        }
    }

    /// Waits for the oldest message that is wanted.
    ///
    /// Dropping the future loses no message and changes no order.
    pub fn receive(&mut self, wanted: Wanted) -> Receive<'_> {
        let wait = self.begin_receive(wanted);
        Receive {
            mailbox: self,
            wait,
        }
    }

    /// Waits for a data message with this tag that arrives from now on; what is
    /// queued already is not looked at. `None` waits for ever.
    ///
    /// The wait begins with this call, not with the first poll: call it, send
    /// the request, then await, and no answer can be too fast. Dropping the
    /// future loses no message and changes no order.
    pub fn expect_reply(&mut self, tag: Option<Tag>) -> Receive<'_> {
        let wait = self.begin_reply(tag);
        Receive {
            mailbox: self,
            wait,
        }
    }

    /// As [`receive`](Mailbox::receive), for owners that cannot lend the mailbox
    /// for the time of the wait: they [`poll`](Mailbox::poll) it, and
    /// [`end`](Mailbox::end) it unless that gave a message.
    pub fn begin_receive(&mut self, wanted: Wanted) -> Wait {
        Wait {
            step: Step::Begin(wanted),
        }
    }

    /// As [`expect_reply`](Mailbox::expect_reply), for owners that cannot lend the
    /// mailbox for the time of the wait.
    pub fn begin_reply(&mut self, tag: Option<Tag>) -> Wait {
        self.shared.state.lock().waiting = Some(Waiting {
            awaited: Awaited::Reply(tag),
            waker: None,
            found: None,
        });
        Wait {
            step: Step::Waiting,
        }
    }

    /// Takes the message that a wait is for; if there is none yet, `cx` is woken
    /// when there is.
    ///
    /// # Panics
    ///
    /// Panics if the wait has given its message already.
    pub fn poll(&mut self, wait: &mut Wait, cx: &mut Context<'_>) -> Poll<Message> {
        let mut state = self.shared.state.lock();
        let message = match std::mem::replace(&mut wait.step, Step::Waiting) {
            Step::Begin(wanted) => state.begin(wanted),
            Step::Waiting => state.found(),
            Step::Done => panic!("a wait was polled after it was ready"),
        };
        match message {
            Some(message) => {
                state.waiting = None;
                wait.step = Step::Done;
                Poll::Ready(message)
            }
            None => {
                state.wake_later(cx.waker());
                Poll::Pending
            }
        }
    }

    /// Gives a wait up. No message is lost and no order changed.
    pub fn end(&mut self, wait: Wait) {
        if matches!(wait.step, Step::Waiting) {
            let ended = self.shared.state.lock().waiting.take();
            // Outside of the lock: it holds a waker.
            drop(ended);
        }
    }

    /// Takes the oldest queued message that is wanted, without waiting.
    pub fn try_receive(&mut self, wanted: &Wanted) -> Option<Message> {
        self.shared.state.lock().queue.take_wanted(wanted)
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.sender().close();
    }
}

/// A wait for a message, apart from the mailbox; see [`Mailbox::begin_receive`].
#[derive(Debug)]
#[must_use = "a wait that is not polled receives nothing"]
pub struct Wait {
    step: Step,
}

/// A wait for a message; see [`Mailbox::receive`] and [`Mailbox::expect_reply`].
#[derive(Debug)]
#[must_use = "a receive that is not awaited receives nothing"]
pub struct Receive<'a> {
    mailbox: &'a mut Mailbox,
    wait: Wait,
}

#[derive(Debug)]
enum Step {
    /// The queue has not been searched yet.
    Begin(Wanted),
    /// [`State::waiting`] is that of this wait.
    Waiting,
    /// The message was received.
    Done,
}

impl Future for Receive<'_> {
    type Output = Message;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Message> {
        let Receive { mailbox, wait } = &mut *self;
        mailbox.poll(wait, cx)
    }
}

impl Drop for Receive<'_> {
    fn drop(&mut self) {
        let wait = Wait {
            step: std::mem::replace(&mut self.wait.step, Step::Done),
        };
        self.mailbox.end(wait);
    }
}

impl State {
    /// Takes a wanted message, or begins to wait for one.
    fn begin(&mut self, wanted: Wanted) -> Option<Message> {
        let message = self.queue.take_wanted(&wanted);
        if message.is_none() {
            self.waiting = Some(Waiting {
                awaited: Awaited::Message(wanted),
                waker: None,
                found: None,
            });
        }
        message
    }

    /// Takes the message that ended the wait.
    fn found(&mut self) -> Option<Message> {
        let sequence = self.waiting.as_ref()?.found?;
        self.queue.take(sequence)
    }

    fn wake_later(&mut self, waker: &Waker) {
        if let Some(waiting) = &mut self.waiting {
            match &mut waiting.waker {
                Some(known) => known.clone_from(waker),
                none => *none = Some(waker.clone()),
            }
        }
    }
}
