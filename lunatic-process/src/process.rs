//! The handle to one process.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use event_listener::Event;
use lunatic_mailbox::{Message, SendError, Sender, Tag};
use parking_lot::Mutex;

use crate::environment::Environment;
use crate::exit::{ExitReason, Failure, MailboxFull};
use crate::relations::{ProcessId, Reaction, Relations, Signal};

/// A process, alive or dead; clone it freely.
///
/// What is done through a handle, [`link`](Process::link) for example, is done
/// in the name of that process.
#[derive(Clone)]
pub struct Process {
    inner: Arc<Inner>,
}

struct Inner {
    id: ProcessId,
    environment: Environment,
    mailbox: Sender,
    /// Set when [`Control::pending_exit`] is, so that the task need not lock to see
    /// that it may go on.
    exit_requested: AtomicBool,
    control: Mutex<Control>,
    /// Set when the death is over: everybody else has been told.
    over: AtomicBool,
    ended: Event,
}

struct Control {
    relations: Relations,
    /// Why the process has to die at its next suspension point.
    pending_exit: Option<ExitReason>,
    /// Why it has died.
    ended: Option<ExitReason>,
    /// Wakes the task to let it see that it has to exit.
    waker: Option<Waker>,
    label: Option<Arc<str>>,
    at_exit: Vec<ExitHook>,
}

/// What is to be done when a process has ended.
pub(crate) type ExitHook = Box<dyn FnOnce(&ExitReason) + Send>;

/// What a process leaves behind; see [`Process::end`].
pub(crate) struct Teardown {
    pub(crate) relations: Relations,
    pub(crate) at_exit: Vec<ExitHook>,
    pub(crate) label: Option<Arc<str>>,
}

impl Process {
    pub(crate) fn new(id: ProcessId, environment: Environment, mailbox: Sender) -> Process {
        Process {
            inner: Arc::new(Inner {
                id,
                environment,
                mailbox,
                exit_requested: AtomicBool::new(false),
                control: Mutex::new(Control {
                    relations: Relations::new(),
                    pending_exit: None,
                    ended: None,
                    waker: None,
                    label: None,
                    at_exit: Vec::new(),
                }),
                over: AtomicBool::new(false),
                ended: Event::new(),
            }),
        }
    }

    /// The id.
    pub fn id(&self) -> ProcessId {
        self.inner.id
    }

    /// Where the process lives.
    pub fn environment(&self) -> &Environment {
        &self.inner.environment
    }

    /// Queues a message for this process. A process whose mailbox is full fails.
    ///
    /// # Errors
    ///
    /// Hands the message back if the process has ended, or fails now.
    pub fn send(&self, message: Message) -> Result<(), SendError> {
        let sent = self.inner.mailbox.send(message);
        if let Err(SendError::Full(_)) = sent {
            self.overflow();
        }
        sent
    }

    /// Queues a message for this process, but leaves what follows to the caller:
    /// to wake the process, or to let it [`overflow`](Process::overflow).
    pub(crate) fn queue(&self, message: Message) -> Result<Option<Waker>, SendError> {
        self.inner.mailbox.queue(message)
    }

    /// The process fails, because its mailbox is full.
    pub(crate) fn overflow(&self) {
        let messages = self.inner.mailbox.len();
        self.request_exit(ExitReason::Failed(Failure::new(MailboxFull { messages })));
    }

    /// How many messages wait in the mailbox.
    pub fn queued_messages(&self) -> usize {
        self.inner.mailbox.len()
    }

    /// Ends the process at its next suspension point.
    pub fn kill(&self) {
        self.signal(Signal::Kill).ok();
    }

    /// From now on, link deaths kill this process (the initial state), or become
    /// messages.
    pub fn die_when_link_dies(&self, die: bool) {
        self.signal(Signal::DieWhenLinkDies(die)).ok();
    }

    /// From now on, what happens to links becomes messages with a
    /// [`LinkNotice`](crate::LinkNotice): for supervisors.
    pub fn trap_exits(&self) {
        self.signal(Signal::TrapExits).ok();
    }

    /// Whether the process lives and traps exits: a native process that knows
    /// what to do with resources in messages.
    pub fn traps_exits(&self) -> bool {
        let control = self.inner.control.lock();
        control.ended.is_none() && control.relations.traps_exits()
    }

    /// Asks another process to end, in the name of this one; OTP's `exit/2`. It
    /// ends with this reason, unless it traps link deaths: then it is told of
    /// one, and does what it likes. If there is no such process, nothing happens.
    pub fn exit(&self, process: ProcessId, reason: ExitReason) {
        let from = self.id();
        let tag = self.inner.control.lock().relations.link_to(process);
        let tag = tag.flatten();
        self.tell(process, Signal::Exit { from, tag, reason });
    }

    /// Whether this process is linked to another.
    pub fn is_linked(&self, peer: ProcessId) -> bool {
        let control = self.inner.control.lock();
        control.relations.link_to(peer).is_some()
    }

    /// Links this process and another, both ways; replaces the tag if they are
    /// linked. If there is no such process, this one is told of a link death
    /// with [`ExitReason::NoProcess`].
    ///
    /// - `tag`: what either end is told when the other dies.
    pub fn link(&self, peer: ProcessId, tag: Option<Tag>) {
        if peer == self.id() {
            return;
        }
        self.signal(Signal::Link { peer, tag }).ok();
        let own_id = self.id();
        let other_end = Signal::Link { peer: own_id, tag };
        let Some(other) = self.environment().process(peer) else {
            return self.link_died(peer, tag, ExitReason::NoProcess);
        };
        if other.signal(other_end).is_err() {
            return self.link_died(peer, tag, ExitReason::NoProcess);
        }
        // If this process has died since, it could not tell the other end.
        if let Some(reason) = self.exit_reason() {
            other.link_died(own_id, tag, reason);
        }
    }

    /// Removes a link, both ways.
    pub fn unlink(&self, peer: ProcessId) {
        self.signal(Signal::Unlink { peer }).ok();
        let own_id = self.id();
        self.tell(peer, Signal::Unlink { peer: own_id });
    }

    /// Asks to be told when another process ends. If there is none, nothing
    /// ever comes (ABI §3.5).
    pub fn monitor(&self, process: ProcessId) {
        let watcher = self.id();
        self.tell(process, Signal::Monitor { watcher });
    }

    /// Undoes [`monitor`](Process::monitor).
    pub fn stop_monitoring(&self, process: ProcessId) {
        let watcher = self.id();
        self.tell(process, Signal::StopMonitoring { watcher });
    }

    /// Why the process has ended; `None` while it lives.
    pub fn exit_reason(&self) -> Option<ExitReason> {
        self.inner.control.lock().ended.clone()
    }

    /// Whether the process has not ended.
    pub fn is_alive(&self) -> bool {
        self.exit_reason().is_none()
    }

    /// Waits until the process has ended, and its links and monitors are told.
    pub async fn wait(&self) -> ExitReason {
        loop {
            let listener = self.inner.ended.listen();
            let is_over = self.inner.over.load(Ordering::SeqCst);
            if let (true, Some(reason)) = (is_over, self.exit_reason()) {
                return reason;
            }
            listener.await;
        }
    }

    /// A name for people, in logs.
    pub fn label(&self) -> Option<Arc<str>> {
        self.inner.control.lock().label.clone()
    }

    /// Sets the name for people, as OTP's `proc_lib:set_label` does.
    pub fn set_label(&self, label: &str) {
        self.inner.control.lock().label = Some(label.into());
    }

    /// Calls `hook` when the process ends, before its links are told; at once if
    /// it has ended.
    pub fn at_exit(&self, hook: impl FnOnce(&ExitReason) + Send + 'static) {
        let mut control = self.inner.control.lock();
        match control.ended.clone() {
            None => control.at_exit.push(Box::new(hook)),
            Some(reason) => {
                drop(control);
                hook(&reason);
            }
        }
    }

    /// Applies a signal.
    ///
    /// # Errors
    ///
    /// The reason of its end, if the process has ended.
    pub fn signal(&self, signal: Signal) -> Result<(), ExitReason> {
        let mut control = self.inner.control.lock();
        if let Some(reason) = &control.ended {
            return Err(reason.clone());
        }
        let reaction = control.relations.apply(signal);
        drop(control);
        match reaction {
            Reaction::None => {}
            Reaction::Deliver(message) => drop(self.send(message)),
            Reaction::Die(reason) => self.request_exit(reason),
        }
        Ok(())
    }

    fn tell(&self, process: ProcessId, signal: Signal) {
        if let Some(process) = self.environment().process(process) {
            // Who has ended needs to know nothing more.
            process.signal(signal).ok();
        }
    }

    fn link_died(&self, peer: ProcessId, tag: Option<Tag>, reason: ExitReason) {
        self.signal(Signal::LinkDied { peer, tag, reason }).ok();
    }

    /// The process has to die; the first reason counts.
    fn request_exit(&self, reason: ExitReason) {
        let mut control = self.inner.control.lock();
        control.pending_exit.get_or_insert(reason);
        self.inner.exit_requested.store(true, Ordering::Release);
        let waker = control.waker.clone();
        drop(control);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Why the process has to die now, if it has to.
    pub(crate) fn pending_exit(&self) -> Option<ExitReason> {
        if !self.inner.exit_requested.load(Ordering::Acquire) {
            return None;
        }
        self.inner.control.lock().pending_exit.clone()
    }

    /// Whom to wake when it has to exit.
    pub(crate) fn wake_with(&self, waker: &Waker) {
        self.inner.control.lock().waker = Some(waker.clone());
    }

    /// Marks the process as ended and takes out what its death has to see to.
    /// From here on it accepts no signals and no messages.
    pub(crate) fn end(&self, reason: &ExitReason) -> Teardown {
        let mut control = self.inner.control.lock();
        control.ended = Some(reason.clone());
        control.waker = None;
        let teardown = Teardown {
            relations: std::mem::take(&mut control.relations),
            at_exit: std::mem::take(&mut control.at_exit),
            label: control.label.clone(),
        };
        drop(control);
        self.inner.mailbox.close();
        teardown
    }

    /// Tells whoever waits that the process has ended.
    pub(crate) fn announce_end(&self) {
        self.inner.over.store(true, Ordering::SeqCst);
        self.inner.ended.notify(usize::MAX);
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Process({})", self.id())
    }
}
