//! A queue that is shared between its owner and its senders.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use lunatic_account::{Account, Exceeded};
#[cfg(not(lunatic_loom))]
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::closed_queue::ClosedQueue;
#[cfg(lunatic_loom)]
use crate::loom_lock::Mutex;
use crate::message::{Message, Tag};
use crate::payers::{Refusal, Terms};
use crate::prefetched::{Count, Prefetched};
use crate::queue::{Payer, Progress, Search};
use crate::queued::{Queued, Unused};
use crate::resource::NotTransferable;
use crate::wanted::Wanted;

/// How much a [`Mailbox`] holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The highest number of queued messages.
    pub messages: usize,
    /// The highest sum of the sizes of all queued messages, in bytes; see
    /// [`Message::size`].
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

/// Why a message was not queued.
#[derive(Debug)]
#[non_exhaustive]
pub enum SendError {
    /// The mailbox was closed or dropped.
    Closed,
    /// The message would exceed the [`Limits`] of the mailbox.
    Full,
    /// A limit of the account of the sender is reached.
    Refused(Exceeded),
    /// The sender has no right to send to the process.
    Denied,
    /// The process is on another node, and the message has a resource that cannot leave this
    /// one.
    NotTransferable(NotTransferable),
    /// The process is on another node, and the message is longer than a message to another node may
    /// be.
    TooLong {
        /// The highest number of bytes.
        limit: usize,
    },
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::Closed => f.write_str("the mailbox is closed"),
            SendError::Full => f.write_str("the mailbox is full"),
            SendError::Refused(exceeded) => exceeded.fmt(f),
            SendError::Denied => f.write_str("the sender may not send to this process"),
            SendError::NotTransferable(error) => error.fmt(f),
            SendError::TooLong { limit } => {
                write!(f, "a message to another node has at most {limit} bytes")
            }
        }
    }
}

impl Error for SendError {}

/// The receiving end of a queue of messages.
///
/// There is one for each queue, and any number of [`Sender`]s. Dropping it closes the
/// queue and drops the messages in it.
///
/// # Examples
///
/// A request is sent, and its reply is received before the messages that came
/// earlier:
///
/// ```
/// use lunatic_mailbox::{DataMessage, Limits, Mailbox, Tag, Wanted};
///
/// # futures_lite::future::block_on(async {
/// let (sender, mut mailbox) = Mailbox::new(Limits::default());
/// let tag = Tag::new(1);
/// sender.send(DataMessage::new(None, *b"earlier").into())?;
///
/// let reply = mailbox.expect_reply(tag);
/// sender.send(DataMessage::new(tag, *b"reply").into())?;
/// assert_eq!(reply.await.tag(), tag);
///
/// assert_eq!(mailbox.receive(Wanted::Any).await.tag(), None);
/// assert!(mailbox.try_receive(&Wanted::Any).is_none());
/// # Ok::<(), lunatic_mailbox::SendError>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct Mailbox {
    shared: Arc<Shared>,
    /// The oldest messages, if the queue was long.
    front: Option<Box<Prefetched>>,
}

/// A sending end of a [`Mailbox`]. All clones send to the same one.
///
/// # Examples
///
/// ```
/// use lunatic_mailbox::{DataMessage, Limits, Mailbox, SendError};
///
/// let limits = Limits { messages: 1, ..Limits::default() };
/// let (sender, mailbox) = Mailbox::new(limits);
/// assert!(sender.send(DataMessage::default().into()).is_ok());
/// let full = sender.send(DataMessage::default().into());
/// assert!(matches!(full, Err(SendError::Full)));
///
/// drop(mailbox);
/// let closed = sender.send(DataMessage::default().into());
/// assert!(matches!(closed, Err(SendError::Closed)));
/// ```
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
    queued: Queued,
    /// How many messages the owner has taken out ahead.
    front: Option<Count>,
    waiting: Option<Waiting>,
    closed: bool,
}

/// A wait of the owner.
#[derive(Debug)]
struct Waiting {
    awaited: Awaited,
    /// The search among the messages that were queued when the wait began, until it is
    /// over.
    search: Option<Box<Search>>,
    waker: Option<Waker>,
    /// The sequence number of the message that ended the wait: the oldest matching one of the
    /// messages that arrived since the wait began.
    found: Option<u64>,
}

#[derive(Debug)]
enum Awaited {
    /// A message that is wanted, queued already or arriving.
    Message(Wanted),
    /// A data message with this tag that arrives after the wait has begun.
    Reply(Option<Tag>),
}

impl Awaited {
    /// Returns whether an arriving message ends the wait.
    fn matches(&self, message: &Message) -> bool {
        match (self, message) {
            (Awaited::Message(wanted), message) => wanted.matches(message),
            (Awaited::Reply(tag), Message::Data(data)) => tag.is_some() && *tag == data.tag(),
            (Awaited::Reply(_), _) => false,
        }
    }
}

impl Sender {
    /// Queues a message, and wakes the owner if it waits for such a message.
    ///
    /// Messages of one sender arrive in the order in which they were sent. The message is sent by
    /// the host, and is not charged.
    ///
    /// # Errors
    ///
    /// Fails if the mailbox is closed or full; then the message is dropped.
    /// [`queue`](Sender::queue) keeps it.
    pub fn send(&self, message: Message) -> Result<(), SendError> {
        if let Some(waker) = self.queue(None, &mut Some(message))? {
            waker.wake();
        }
        Ok(())
    }

    /// Queues a message, and returns the waker that the caller has to wake, if the
    /// owner waits for such a message.
    ///
    /// This is [`send`](Sender::send) for a caller that holds a lock which must not
    /// be held while a waker runs, or that wants to keep a message that is refused. The
    /// message is moved once, from where it is to its place in the queue.
    ///
    /// - `from`: the account of the sender, to which the message is charged until it is
    ///   received; `None` if it is sent by the host.
    /// - `message`: `None` once it is queued, and unchanged after an error. If it is `None`,
    ///   nothing is queued.
    ///
    /// # Errors
    ///
    /// Fails if the mailbox is closed or full, or the account has no memory left.
    #[must_use = "the owner sleeps on unless it is woken"]
    #[inline]
    pub fn queue(
        &self,
        from: Option<&Account>,
        message: &mut Option<Message>,
    ) -> Result<Option<Waker>, SendError> {
        let Some(queued) = message else {
            return Ok(None);
        };
        let size = queued.size();
        let mut state = self.shared.state.lock();
        if state.closed {
            return Err(SendError::Closed);
        }
        if !state.has_room(self.shared.limits, size) {
            return Err(SendError::Full);
        }
        match state.queued.charge(from, queued, Terms::WithinLimits) {
            Ok(payer) => Ok(state.accept(message, payer)),
            Err(Refusal::Exceeded(exceeded)) => Err(SendError::Refused(exceeded)),
            Err(Refusal::TooManyPayers) => Err(SendError::Full),
        }
    }

    /// Queues a message of the host's that must not be lost, even if the mailbox is
    /// full or the account has no memory left; otherwise like [`queue`](Sender::queue).
    ///
    /// - `payer`: the account of the owner, to which the message is charged until it is received.
    ///
    /// # Errors
    ///
    /// Fails if the mailbox is closed.
    #[must_use = "the owner sleeps on unless it is woken"]
    pub fn queue_notice(
        &self,
        payer: &Account,
        message: &mut Option<Message>,
    ) -> Result<Option<Waker>, SendError> {
        let Some(notice) = message else {
            return Ok(None);
        };
        let mut state = self.shared.state.lock();
        if state.closed {
            return Err(SendError::Closed);
        }
        let charged = state
            .queued
            .charge(Some(payer), notice, Terms::BeyondLimits);
        Ok(state.accept(message, charged.unwrap_or(Payer::NOBODY)))
    }

    /// Closes the mailbox, and returns the messages in it, except for a few that the owner
    /// may hold already. Sending fails with [`SendError::Closed`] from now on.
    pub fn close(&self) -> ClosedQueue {
        let mut state = self.shared.state.lock();
        state.closed = true;
        // Dropped outside of the lock: a message may own anything.
        let waker = state.waiting.take().and_then(|waiting| waiting.waker);
        ClosedQueue::new(std::mem::take(&mut state.queued), waker)
    }

    /// Returns the number of queued messages.
    pub fn len(&self) -> usize {
        let state = self.shared.state.lock();
        state.queued.queue.len() + state.ahead().0
    }

    /// Returns whether no message is queued.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns tag and size in bytes of the latest queued messages, the last one at the end.
    ///
    /// - `max`: the highest number of messages.
    pub fn last(&self, max: usize) -> Vec<(Option<Tag>, usize)> {
        self.shared.state.lock().queued.queue.last(max)
    }
}

impl State {
    /// Returns the number of messages that the owner has taken out ahead, and the sum of
    /// their sizes, in bytes.
    fn ahead(&self) -> (usize, usize) {
        self.front.as_ref().map_or((0, 0), Count::get)
    }

    /// Returns whether there is room for a message of so many bytes.
    #[inline]
    fn has_room(&self, limits: Limits, size: usize) -> bool {
        let queue = &self.queued.queue;
        let has_room = |(count, bytes): (usize, usize)| {
            queue.len() + count < limits.messages && queue.bytes() + bytes + size <= limits.bytes
        };
        // The exact number is in a counter that the owner writes all the time.
        (has_room(Count::MAX) || has_room(self.ahead())) && !queue.is_worn_out()
    }

    /// Queues a message, and returns the waker of the owner if this ends its wait.
    ///
    /// - `message`: is taken out; if there is none, nothing is queued.
    #[inline]
    fn accept(&mut self, message: &mut Option<Message>, payer: Payer) -> Option<Waker> {
        let State {
            queued, waiting, ..
        } = self;
        let arriving = message.as_ref()?;
        let waiting = waiting
            .as_mut()
            .filter(|waiting| waiting.found.is_none() && waiting.awaited.matches(arriving));
        let sequence = queued.queue.push_taken(message, payer);
        let waiting = waiting?;
        waiting.found = Some(sequence);
        waiting.waker.take()
    }
}

impl Mailbox {
    /// Returns a new mailbox and a sender to it.
    pub fn new(limits: Limits) -> (Sender, Mailbox) {
        let shared = Arc::new(Shared {
            limits,
            state: Mutex::default(),
        });
        let sender = Sender {
            shared: shared.clone(),
        };
        let mailbox = Mailbox {
            shared,
            front: None,
        };
        (sender, mailbox)
    }

    /// Returns how much it holds.
    pub fn limits(&self) -> Limits {
        self.shared.limits
    }

    /// Returns another sender to this mailbox.
    pub fn sender(&self) -> Sender {
        Sender {
            shared: self.shared.clone(),
        }
    }

    /// Waits for the oldest message that is wanted.
    ///
    /// Dropping the future loses no message and changes no order.
    #[inline]
    pub fn receive(&mut self, wanted: Wanted) -> Receive<'_> {
        let wait = self.begin_receive(wanted);
        Receive {
            mailbox: self,
            wait,
        }
    }

    /// Waits for a data message with this tag that arrives from now on. Messages that
    /// are queued already do not end the wait. `None` waits for ever.
    ///
    /// The wait begins with this call, not with the first poll: if you call this,
    /// then send the request, then await, the reply cannot be missed. Dropping the
    /// future loses no message and changes no order.
    pub fn expect_reply(&mut self, tag: Option<Tag>) -> Receive<'_> {
        let wait = self.begin_reply(tag);
        Receive {
            mailbox: self,
            wait,
        }
    }

    /// Like [`receive`](Mailbox::receive), but does not borrow the mailbox during the
    /// wait. The owner has to [`poll`](Mailbox::poll) the wait, and to
    /// [`end`](Mailbox::end) it if it gives up before there is a message.
    #[inline]
    pub fn begin_receive(&mut self, wanted: Wanted) -> Wait {
        Wait {
            step: Step::Begin(wanted),
        }
    }

    /// Like [`expect_reply`](Mailbox::expect_reply), but does not borrow the mailbox
    /// during the wait; see [`begin_receive`](Mailbox::begin_receive).
    pub fn begin_reply(&mut self, tag: Option<Tag>) -> Wait {
        self.shared.state.lock().waiting = Some(Waiting {
            awaited: Awaited::Reply(tag),
            search: None,
            waker: None,
            found: None,
        });
        Wait {
            step: Step::Waiting,
        }
    }

    /// Takes the message that a wait is for. If there is none yet, the task of `cx` is
    /// woken when there is.
    ///
    /// A long queue is searched in pieces: then the task is woken at once, to do the
    /// next piece; see [`Wait::is_searching`].
    ///
    /// - `received`: where the message is put, once this is ready. It has to be `None`: what
    ///   is in it would be dropped under the lock of the mailbox.
    ///
    /// # Panics
    ///
    /// Panics if this was ready already.
    #[inline]
    pub fn poll(
        &mut self,
        wait: &mut Wait,
        received: &mut Option<Message>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        if let (Step::Begin(wanted), Some(front)) = (&wait.step, &mut self.front)
            && let Some(message) = front.take(wanted)
        {
            wait.step = Step::Done;
            *received = Some(message);
            return Poll::Ready(());
        }
        let mut unused = None;
        let mut state = self.shared.state.lock();
        let outcome = match std::mem::replace(&mut wait.step, Step::Waiting) {
            Step::Begin(wanted) => {
                let takes_first = matches!(wanted, Wanted::Any);
                let outcome = state.begin(wanted, received, &mut unused);
                if takes_first && Prefetched::is_worthwhile(&state.queued) {
                    state.fill(&mut self.front, &mut unused);
                }
                outcome
            }
            Step::Searching | Step::Waiting => state.go_on(received, &mut unused),
            Step::Done => panic!("a wait was polled after it was ready"),
        };
        match outcome {
            Outcome::Received => {
                let waker = state.end_wait();
                drop(state);
                drop(waker);
                wait.step = Step::Done;
                Poll::Ready(())
            }
            Outcome::Searching => {
                drop(state);
                wait.step = Step::Searching;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Outcome::Waiting => {
                state.wake_later(cx.waker());
                Poll::Pending
            }
        }
    }

    /// Ends a wait for which there is no message yet. This loses no message and changes
    /// no order.
    pub fn end(&mut self, wait: Wait) {
        if matches!(wait.step, Step::Searching | Step::Waiting) {
            let waker = self.shared.state.lock().end_wait();
            // Outside of the lock: it may be the last reference to a task.
            drop(waker);
        }
    }

    /// Takes the oldest queued message that matches, without waiting. A long queue is searched to
    /// its end; senders can send during the search.
    pub fn try_receive(&mut self, wanted: &Wanted) -> Option<Message> {
        if let Some(message) = self.front.as_mut().and_then(|front| front.take(wanted)) {
            return Some(message);
        }
        let mut search = None;
        let mut message = None;
        loop {
            let mut unused = None;
            let mut state = self.shared.state.lock();
            let queued = &mut state.queued;
            match wanted {
                Wanted::Any => {
                    queued.take_first(&mut message, &mut unused);
                }
                Wanted::Tags(tags) => {
                    let search = search.get_or_insert_with(|| queued.queue.begin_search());
                    match queued.queue.search(tags, search) {
                        Progress::Found(sequence) => {
                            queued.take(sequence, &mut message, &mut unused);
                        }
                        Progress::Nothing => {}
                        Progress::Unfinished => continue,
                    }
                }
            }
            drop(state);
            return message;
        }
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        drop(self.sender().close());
    }
}

/// A wait for a message that does not borrow the mailbox; see
/// [`Mailbox::begin_receive`].
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
    /// [`State::waiting`] is that of this wait, and its search is not over.
    Searching,
    /// [`State::waiting`] is that of this wait.
    Waiting,
    /// The message was received.
    Done,
}

impl Wait {
    /// Returns whether messages that were queued when the wait began are still to be searched: if
    /// the wait is cancelled now, a matching message may stay in the queue.
    #[inline]
    pub fn is_searching(&self) -> bool {
        matches!(self.step, Step::Searching)
    }

    /// Takes the wait out, and leaves a finished one.
    pub(crate) fn take(&mut self) -> Wait {
        Wait {
            step: std::mem::replace(&mut self.step, Step::Done),
        }
    }
}

impl Future for Receive<'_> {
    type Output = Message;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Message> {
        let Receive { mailbox, wait } = &mut *self;
        let mut received = None;
        match (mailbox.poll(wait, &mut received, cx), received) {
            (Poll::Ready(()), Some(message)) => Poll::Ready(message),
            _ => Poll::Pending,
        }
    }
}

impl Drop for Receive<'_> {
    fn drop(&mut self) {
        let wait = self.wait.take();
        self.mailbox.end(wait);
    }
}

/// The result of a poll of a wait.
enum Outcome {
    /// The wait is over, and the message was taken.
    Received,
    /// A piece of the queue was searched, in vain.
    Searching,
    /// No queued message matches.
    Waiting,
}

impl State {
    /// Takes a queued message that is wanted, or begins to wait for one.
    ///
    /// - `received`: where the message is put.
    #[inline]
    fn begin(
        &mut self,
        wanted: Wanted,
        received: &mut Option<Message>,
        unused: &mut Unused,
    ) -> Outcome {
        let (outcome, search) = match &wanted {
            Wanted::Any => match self.queued.take_first(received, unused) {
                true => return Outcome::Received,
                false => (Outcome::Waiting, None),
            },
            Wanted::Tags(tags) => {
                let mut search = self.queued.queue.begin_search();
                match self.queued.queue.search(tags, &mut search) {
                    Progress::Found(sequence) => return self.take(sequence, received, unused),
                    Progress::Nothing => (Outcome::Waiting, None),
                    Progress::Unfinished => (Outcome::Searching, Some(Box::new(search))),
                }
            }
        };
        self.waiting = Some(Waiting {
            awaited: Awaited::Message(wanted),
            search,
            waker: None,
            found: None,
        });
        outcome
    }

    /// Takes messages out ahead for the owner.
    #[inline(never)]
    fn fill(&mut self, front: &mut Option<Box<Prefetched>>, unused: &mut Unused) {
        let count = self.front.get_or_insert_default();
        let front = front.get_or_insert_with(|| Box::new(Prefetched::new(count.clone())));
        front.fill(&mut self.queued, unused);
    }

    /// Does the next piece of the search; after that, takes the message that ended the
    /// wait. What has arrived since the wait began is younger than all that is searched.
    ///
    /// - `received`: where the message is put.
    #[inline]
    fn go_on(&mut self, received: &mut Option<Message>, unused: &mut Unused) -> Outcome {
        let Some(waiting) = &mut self.waiting else {
            return Outcome::Waiting;
        };
        if let (Some(search), Awaited::Message(Wanted::Tags(tags))) =
            (&mut waiting.search, &waiting.awaited)
        {
            match self.queued.queue.search(tags, search) {
                Progress::Found(sequence) => return self.take(sequence, received, unused),
                Progress::Unfinished => return Outcome::Searching,
                Progress::Nothing => waiting.search = None,
            }
        }
        match waiting.found {
            Some(sequence) => self.take(sequence, received, unused),
            None => Outcome::Waiting,
        }
    }

    #[inline]
    fn take(
        &mut self,
        sequence: u64,
        received: &mut Option<Message>,
        unused: &mut Unused,
    ) -> Outcome {
        match self.queued.take(sequence, received, unused) {
            true => Outcome::Received,
            false => Outcome::Waiting,
        }
    }

    /// Ends the wait of the owner, and returns whom it would have woken.
    #[inline]
    fn end_wait(&mut self) -> Option<Waker> {
        let waker = self.waiting.as_mut()?.waker.take();
        self.waiting = None;
        waker
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
