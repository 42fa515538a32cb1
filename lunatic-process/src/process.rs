//! The handle to one process.

mod cpu_time;
mod permissions;
mod requests;
mod signals;
mod tracing;

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU64, Ordering};
use std::task::Waker;
use std::time::Duration;

use event_listener::{Event, EventListener};
use lunatic_account::Account;
use lunatic_mailbox::{ClosedQueue, Message, Pid, SendError, Sender, Tag};
use parking_lot::Mutex;

use crate::environment::Environment;
use crate::exit::ExitReason;
use crate::failure::Failure;
use crate::info::{ProcessInfo, Role};
use crate::relations::Relations;
use crate::request::RequestQueue;
use crate::spawning::SpawnOptions;
use crate::trace::TraceEvent;

pub use self::signals::Effect;

/// A process, alive or dead; clone it freely.
///
/// What is done through a handle, [`link`](Process::link) for example, is done
/// in the name of that process.
///
/// ```
/// use lunatic_mailbox::Wanted;
/// use lunatic_process::{Environment, ExitReason, SpawnOptions};
/// use lunatic_scheduler::Scheduler;
///
/// let scheduler = Scheduler::builder().start().unwrap();
/// let environment = Environment::new(1, scheduler.clone());
/// let echo = environment
///     .spawn(SpawnOptions::default(), |mut own| async move {
///         own.mailbox.receive(Wanted::Any).await;
///         Ok(())
///     })
///     .unwrap();
/// assert!(echo.is_alive());
/// echo.kill();
/// assert_eq!(futures_lite::future::block_on(echo.wait()), ExitReason::Killed);
/// scheduler.stop();
/// ```
#[derive(Clone)]
pub struct Process {
    inner: Arc<Inner>,
}

struct Inner {
    id: Pid,
    parent: Option<Pid>,
    role: Role,
    environment: Environment,
    account: Account,
    sends_within_branch: bool,
    is_sent_to_within_branch: bool,
    answers_requests: bool,
    /// See [`Process::code_bits`].
    code_bits: AtomicU16,
    mailbox: Sender,
    /// What the task has to see to, as a set of [`attention`] bits: it looks
    /// here without a lock before and after it polls the body.
    attention: AtomicU8,
    /// CPU time in nanoseconds, sampled or measured.
    cpu_time: AtomicU64,
    control: Mutex<Control>,
    /// Set when the death is over: everybody else has been told.
    over: AtomicBool,
    ended: Event,
}

/// The bits of [`Inner::attention`].
mod attention {
    /// There is a [`Control::pending_exit`](super::Control::pending_exit).
    pub(super) const EXIT: u8 = 1;
    /// There are [`Control::requests`](super::Control::requests).
    pub(super) const REQUEST: u8 = 2;
    /// The CPU time is measured, and not sampled.
    pub(super) const MEASURE: u8 = 4;
    /// There is a [`Control::hold`](super::Control::hold).
    pub(super) const HOLD: u8 = 8;
    /// Somebody is told what the process does.
    pub(super) const TRACE: u8 = 16;
    /// Somebody is told what the process prints.
    pub(super) const OUTPUT: u8 = 32;
    /// The body is polled only to answer requests.
    pub(super) const ONLY_ANSWERS: u8 = 64;
}

/// What signals change. No value of foreign code is dropped, and no foreign code
/// runs, under its lock.
struct Control {
    relations: Relations,
    /// Why the process has to exit at its next suspension point.
    pending_exit: Option<ExitReason>,
    /// Why it has ended.
    ended: Option<ExitReason>,
    requests: RequestQueue,
    /// The body is not polled before this.
    hold: Option<EventListener>,
    /// Wakes the task to let it see to what needs its attention.
    waker: Option<Waker>,
    label: Option<Arc<str>>,
    at_exit: Vec<ExitHook>,
    /// Which processes outside of its branch it may signal.
    may_signal: Vec<Pid>,
}

/// What is to be done when a process has ended. It is called until it returns that nothing is
/// left to do.
pub(crate) type ExitHook = Box<dyn FnMut(&ExitReason) -> bool + Send>;

/// What is left to do for a process that has ended; see [`Process::end`].
pub(crate) struct Teardown {
    pub(crate) relations: Relations,
    pub(crate) at_exit: Vec<ExitHook>,
    pub(crate) label: Option<Arc<str>>,
    /// To be dropped outside of all locks.
    _leftovers: (RequestQueue, Option<Waker>, Option<EventListener>),
}

impl Process {
    pub(crate) fn new(
        id: Pid,
        environment: Environment,
        account: Account,
        mailbox: Sender,
        options: &SpawnOptions,
    ) -> Process {
        let attention = match account.limits_cpu() {
            true => attention::MEASURE,
            false => 0,
        };
        Process {
            inner: Arc::new(Inner {
                id,
                parent: options.parent,
                role: options.role,
                environment,
                account,
                sends_within_branch: options.sends_within_branch,
                is_sent_to_within_branch: options.is_sent_to_within_branch,
                answers_requests: options.answers_requests,
                code_bits: AtomicU16::new(0),
                mailbox,
                attention: AtomicU8::new(attention),
                cpu_time: AtomicU64::new(0),
                control: Mutex::new(Control {
                    relations: Relations::new(options.trap_exits),
                    pending_exit: None,
                    ended: None,
                    requests: RequestQueue::default(),
                    hold: None,
                    waker: None,
                    label: options.label.clone(),
                    at_exit: Vec::new(),
                    may_signal: Vec::new(),
                }),
                over: AtomicBool::new(false),
                ended: Event::new(),
            }),
        }
    }

    /// The id.
    #[inline]
    pub fn id(&self) -> Pid {
        self.inner.id
    }

    /// Where the process lives.
    #[inline]
    pub fn environment(&self) -> &Environment {
        &self.inner.environment
    }

    /// The account to which it and what it makes the host keep is charged.
    #[inline]
    pub fn account(&self) -> &Account {
        &self.inner.account
    }

    /// Some bits of what names the code that it runs, by which those that run other code are
    /// known without asking them; 0 if it has not begun, or runs none that has a name.
    pub fn code_bits(&self) -> u16 {
        self.inner.code_bits.load(Ordering::Relaxed)
    }

    /// It runs code with these [bits](Process::code_bits) from now on.
    #[cfg(feature = "guest")]
    pub(crate) fn set_code_bits(&self, bits: u16) {
        self.inner.code_bits.store(bits, Ordering::Relaxed);
    }

    /// What the process is for, as its spawner declared it.
    pub fn role(&self) -> Role {
        self.inner.role
    }

    /// Queues a message for this process. It is charged to nobody.
    ///
    /// # Errors
    ///
    /// Fails if the process has ended, or its mailbox is full; the message is dropped then.
    pub fn send(&self, message: Message) -> Result<(), SendError> {
        self.inner.mailbox.send(message)
    }

    /// Queues a message, and returns the waker that the caller has to wake
    /// outside of its locks.
    ///
    /// The message of a process that may not send to this one is dropped.
    ///
    /// - `from`: the sender, if it is a process.
    /// - `payer`: to whom the message is charged; of a process of this node, its account.
    #[inline]
    pub(crate) fn deliver(
        &self,
        from: Option<Pid>,
        payer: Option<&Account>,
        message: &mut Option<Message>,
    ) -> Result<Option<Waker>, SendError> {
        if self.inner.is_sent_to_within_branch && !self.is_sent_to_by(from, payer) {
            return Ok(None);
        }
        if self.is_traced()
            && let Some(message) = message
        {
            // Before the process can see the message; it may be refused yet.
            self.tell_tracers(&TraceEvent::received(from, message));
        }
        self.inner.mailbox.queue(payer, message)
    }

    /// Tag and size of the messages in its mailbox that arrived last, the last one behind;
    /// no more than so many.
    pub fn last_messages(&self, max: usize) -> Vec<(Option<Tag>, usize)> {
        self.inner.mailbox.last(max)
    }

    /// The process that spawned it, if one did.
    pub fn parent(&self) -> Option<Pid> {
        self.inner.parent
    }

    /// How many messages wait in the mailbox.
    pub fn queued_messages(&self) -> usize {
        self.inner.mailbox.len()
    }

    /// Why the process has ended; `None` while it lives.
    pub fn exit_reason(&self) -> Option<ExitReason> {
        self.inner.control.lock().ended.clone()
    }

    /// Whether the process has not ended.
    pub fn is_alive(&self) -> bool {
        self.inner.control.lock().ended.is_none()
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

    /// What there is to say of the process now. Nothing is asked of the process
    /// itself; see [`inspect`](Process::inspect) for what only it knows.
    pub fn info(&self) -> ProcessInfo {
        let queued_messages = self.queued_messages();
        let control = self.inner.control.lock();
        ProcessInfo {
            id: self.id(),
            parent: self.inner.parent,
            role: self.inner.role,
            label: control.label.clone(),
            exit_reason: control.ended.clone(),
            is_exiting: control.pending_exit.is_some(),
            queued_messages,
            links: control.relations.link_count(),
            watchers: control.relations.watcher_count(),
            cpu_time: Duration::from_nanos(self.inner.cpu_time.load(Ordering::Relaxed)),
        }
    }

    /// Calls `hook` when the process ends, before its links are told; at once if
    /// it has ended.
    pub fn at_exit(&self, hook: impl FnOnce(&ExitReason) + Send + 'static) {
        let mut hook = Some(hook);
        self.at_exit_in_pieces(move |reason| {
            if let Some(hook) = hook.take() {
                hook(reason);
            }
            false
        });
    }

    /// Like [`at_exit`](Process::at_exit), for a hook that may have much to do.
    ///
    /// - `hook`: does a part of it, and returns whether there is more: then it is called again,
    ///   after other tasks could run. If the process has ended already, it is called until
    ///   there is no more.
    pub fn at_exit_in_pieces(&self, mut hook: impl FnMut(&ExitReason) -> bool + Send + 'static) {
        let mut control = self.inner.control.lock();
        match control.ended.clone() {
            None => control.at_exit.push(Box::new(hook)),
            Some(reason) => {
                drop(control);
                while hook(&reason) {}
            }
        }
    }

    /// Queues a message that the process itself has asked for, and pays for. It ends if there
    /// is no room: nobody else could be told that it was not.
    pub fn deliver_or_end(&self, message: Message) {
        match self.deliver(None, Some(self.account()), &mut Some(message)) {
            Ok(waker) => {
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            Err(SendError::Closed) => {}
            Err(error) => self.end_for_lost_message(&error),
        }
    }

    /// Has the process end, as there is no room for a message that it has asked for: nobody
    /// else could be told that it is lost.
    ///
    /// - `why`: there is none.
    pub fn end_for_lost_message(&self, why: &dyn Error) {
        let missed = format!("a message that it has asked for is lost: {why}");
        self.request_exit(Failure::new(missed).into());
    }

    /// Has the body polled, so that it looks what has changed.
    pub fn wake(&self) {
        let waker = self.inner.control.lock().waker.clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The process has to exit; the first reason counts.
    fn request_exit(&self, reason: ExitReason) {
        let mut control = self.inner.control.lock();
        control.pending_exit.get_or_insert(reason);
        let waker = self.call_attention(&control, attention::EXIT);
        drop(control);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Lets the task see to something; returns whom to wake outside of the lock.
    fn call_attention(&self, control: &Control, bit: u8) -> Option<Waker> {
        self.inner.attention.fetch_or(bit, Ordering::Release);
        control.waker.clone()
    }

    /// Why the process has to exit now, if it has to.
    pub(crate) fn pending_exit(&self) -> Option<ExitReason> {
        if self.inner.attention.load(Ordering::Acquire) & attention::EXIT == 0 {
            return None;
        }
        self.inner.control.lock().pending_exit.clone()
    }

    /// Whom to wake when something needs the attention of the task.
    pub(crate) fn wake_with(&self, waker: &Waker) {
        let replaced = self.inner.control.lock().waker.replace(waker.clone());
        // Outside of the lock: it may be the last reference to a task.
        drop(replaced);
    }

    /// Lets the body run only after an event, from its next suspension point on: what it
    /// sends has to leave the node first, for example. A kill ends it all the same. If the process
    /// is a guest that this thread runs, its time slice ends, so that the suspension point comes
    /// soon: it calls one or two more host functions before.
    ///
    /// - `event`: replaces one that it is held by already, and is dropped if it has ended.
    pub fn hold_until(&self, event: EventListener) {
        let mut control = self.inner.control.lock();
        if control.ended.is_some() {
            return;
        }
        let replaced = control.hold.replace(event);
        self.call_attention(&control, attention::HOLD);
        drop(control);
        drop(replaced);
        #[cfg(feature = "guest")]
        lunatic_engine::end_time_slice();
    }

    /// Whether something holds the process from its next suspension point on; see
    /// [`hold_until`](Process::hold_until).
    pub fn is_held(&self) -> bool {
        self.inner.attention.load(Ordering::Acquire) & attention::HOLD != 0
    }

    /// Takes out what the process is held by, if anything is.
    #[inline]
    pub(crate) fn take_hold(&self) -> Option<EventListener> {
        if self.inner.attention.load(Ordering::Acquire) & attention::HOLD == 0 {
            return None;
        }
        let mut control = self.inner.control.lock();
        self.inner
            .attention
            .fetch_and(!attention::HOLD, Ordering::Relaxed);
        control.hold.take()
    }

    /// Closes the mailbox and returns what was in it. From here on the process accepts
    /// no messages.
    pub(crate) fn close_mailbox(&self) -> ClosedQueue {
        self.inner.mailbox.close()
    }

    /// Marks the process as ended and takes out what its death has to see to.
    /// From here on it accepts no signals and no requests.
    pub(crate) fn end(&self, reason: &ExitReason) -> Teardown {
        let mut control = self.inner.control.lock();
        control.ended = Some(reason.clone());
        let teardown = Teardown {
            relations: std::mem::take(&mut control.relations),
            at_exit: std::mem::take(&mut control.at_exit),
            label: control.label.clone(),
            _leftovers: (
                std::mem::take(&mut control.requests),
                control.waker.take(),
                control.hold.take(),
            ),
        };
        drop(control);
        let attention = self.inner.attention.load(Ordering::Relaxed);
        if attention & (attention::TRACE | attention::OUTPUT) != 0 {
            self.environment().tracers().ended(self.id(), reason);
        }
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
