//! The handle to one process.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU64, Ordering};
use std::task::Waker;
use std::time::{Duration, Instant};

use event_listener::{Event, EventListener};
use lunatic_account::{Account, Exceeded, Kind};
use lunatic_mailbox::{Leftover, Message, Pid, SendError, Sender, Tag};
use parking_lot::Mutex;

use crate::counters::Running;
use crate::environment::{Environment, SpawnOptions};
use crate::exit::ExitReason;
use crate::failure::Failure;
use crate::info::{Inspection, ProcessInfo, Role};
use crate::relations::{Reaction, Relations};
use crate::request::{Request, RequestQueue};
use crate::signal::Signal;
use crate::trace::{Interest, TraceEvent, Tracers};

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

/// At least what a message takes that tells a process of another one, in bytes.
const NOTICE_BYTES: u64 = 512;

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

    /// Whether it may send messages to all processes, and not only within its branch.
    #[inline]
    pub fn sends_anywhere(&self) -> bool {
        !self.inner.sends_within_branch
    }

    /// Whether it may send messages to a process.
    #[inline]
    pub fn may_send_to(&self, receiver: Pid) -> bool {
        self.sends_anywhere() || self.is_within_reach(receiver)
    }

    fn is_within_reach(&self, receiver: Pid) -> bool {
        self.inner.parent == Some(receiver) || self.is_of_branch(receiver)
    }

    /// Whether a process of this node is in the branch of this one, or has ended. An id that no
    /// process had yet may become that of a stranger.
    pub fn is_of_branch(&self, process: Pid) -> bool {
        let environment = self.environment();
        environment.is_local(process)
            && match environment.process(process) {
                Some(other) => other.account().is_within(self.account().branch_root()),
                None => environment.has_ended(process),
            }
    }

    /// Permits it to signal a process outside of its branch, although it has no right to signal
    /// others there. Returns whether it may: it may have 64 such permissions for processes that
    /// have not ended.
    pub fn permit_signals(&self, target: Pid) -> bool {
        const MOST: usize = 64;
        let permitted = self.inner.control.lock().may_signal.clone();
        let environment = self.environment();
        let is_over = |pid: &Pid| environment.is_local(*pid) && !environment.exists(*pid);
        let over: Vec<_> = match permitted.len() {
            MOST => permitted.into_iter().filter(is_over).collect(),
            _ => Vec::new(),
        };
        let mut control = self.inner.control.lock();
        let permitted = &mut control.may_signal;
        permitted.retain(|pid| !over.contains(pid));
        if permitted.contains(&target) {
            return true;
        }
        let has_room = permitted.len() < MOST;
        if has_room {
            permitted.push(target);
        }
        has_room
    }

    /// Whether it is [permitted](Process::permit_signals) to signal a process.
    pub fn may_signal(&self, target: Pid) -> bool {
        self.inner.control.lock().may_signal.contains(&target)
    }

    /// Whether its body answers requests, as [`inspect`](Process::inspect) makes one. Who
    /// asks another waits until it ends.
    pub fn answers_requests(&self) -> bool {
        self.inner.answers_requests
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

    /// Whether a sender is of its branch, above it, or has spawned it. The host may always send.
    /// Which branch a process of another node is in is not known.
    #[cold]
    fn is_sent_to_by(&self, from: Option<Pid>, payer: Option<&Account>) -> bool {
        let Some(from) = from else { return true };
        let own = self.account();
        let is_of_branch_or_above = |sender: &Account| {
            sender.is_within(own.branch_root()) || own.is_within(sender.branch_root())
        };
        let is_local = self.environment().is_local(from);
        self.inner.parent == Some(from) || is_local && payer.is_some_and(is_of_branch_or_above)
    }

    /// Whether somebody is told what it does.
    #[inline]
    pub(crate) fn is_traced(&self) -> bool {
        self.inner.attention.load(Ordering::Relaxed) & attention::TRACE != 0
    }

    /// Whether somebody is told what it prints; see [`has_printed`](Process::has_printed).
    #[inline]
    pub fn is_output_traced(&self) -> bool {
        self.inner.attention.load(Ordering::Relaxed) & attention::OUTPUT != 0
    }

    /// Tells those who [trace](crate::Environment::trace) its output what it prints.
    ///
    /// - `is_error`: to standard error.
    pub fn has_printed(&self, is_error: bool, printed: &[u8]) {
        let tracers = self.environment().tracers();
        tracers.tell_printed(self.id(), is_error, printed);
    }

    #[cold]
    pub(crate) fn tell_tracers(&self, event: &TraceEvent) {
        self.environment().tracers().tell(self.id(), event);
    }

    /// Sets whether it is traced to what the tracers want.
    pub(crate) fn set_traced(&self, tracers: &Tracers) {
        self.set_interest(tracers.interest(self.id()));
    }

    pub(crate) fn set_interest(&self, interest: Interest) {
        let bits = [
            (attention::TRACE, interest.events),
            (attention::OUTPUT, interest.output),
        ];
        for (bit, is_set) in bits {
            match is_set {
                true => self.inner.attention.fetch_or(bit, Ordering::Relaxed),
                false => self.inner.attention.fetch_and(!bit, Ordering::Relaxed),
            };
        }
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

    /// Queues a message about another process, for which there is always room. It is charged to
    /// this process; whatever leads to one has asked before whether it [can
    /// pay](Process::make_room_for_relation).
    fn tell(&self, notice: Message) {
        let mailbox = &self.inner.mailbox;
        if let Ok(Some(waker)) = mailbox.queue_notice(self.account(), &mut Some(notice)) {
            waker.wake();
        }
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
    /// [`LinkNotice`](crate::LinkNotice), as OTP's `trap_exit` does. See also
    /// [`SpawnOptions::trap_exits`].
    pub fn trap_exits(&self) {
        self.signal(Signal::TrapExits).ok();
    }

    /// Asks another process to end, in the name of this one; OTP's `exit/2`. It
    /// ends with this reason, unless it traps link deaths: then it is told of
    /// one, and does what it likes. If there is no such process, nothing happens.
    /// What the other one is told is charged to this process.
    pub fn exit(&self, process: Pid, reason: ExitReason) {
        let from = self.id();
        let tag = self.inner.control.lock().relations.link_to(process);
        let tag = tag.flatten();
        self.signal_to(process, Signal::Exit { from, tag, reason });
    }

    /// Like [`exit`](Process::exit), if this process can pay for what the other one is told.
    ///
    /// # Errors
    ///
    /// [`Exceeded`] if its account has no memory left. Nobody is asked to end then.
    pub fn try_exit(&self, process: Pid, reason: ExitReason) -> Result<(), Exceeded> {
        let bytes = NOTICE_BYTES + reason.text_bytes() as u64;
        self.account().check(Kind::Memory, bytes)?;
        self.exit(process, reason);
        Ok(())
    }

    /// Whether this process is linked to another.
    pub fn is_linked(&self, peer: Pid) -> bool {
        let control = self.inner.control.lock();
        control.relations.link_to(peer).is_some()
    }

    /// Links this process and another, both ways; replaces the tag if they are
    /// linked. If there is no such process, this one is told of a link death with
    /// [`ExitReason::NoProcess`]; if its node cannot be reached, with
    /// [`ExitReason::NoConnection`].
    ///
    /// - `tag`: what either end is told when the other dies.
    pub fn link(&self, peer: Pid, tag: Option<Tag>) {
        if peer == self.id() {
            return;
        }
        self.signal(Signal::Link { peer, tag }).ok();
        let own_id = self.id();
        let other_end = Signal::Link { peer: own_id, tag };
        if let Err(reason) = self.environment().signal_by(self, peer, other_end) {
            self.link_died(peer, tag, reason);
        } else if let Some(reason) = self.exit_reason() {
            // It has ended since, and could not tell the other end.
            let peer_of_peer = own_id;
            let died = Signal::LinkDied {
                peer: peer_of_peer,
                tag,
                reason,
            };
            self.signal_to(peer, died);
        }
    }

    /// Like [`link`](Process::link), if both processes can pay for it.
    ///
    /// # Errors
    ///
    /// [`Exceeded`] if the account of one of them has no memory left. Nothing is linked then.
    pub fn try_link(&self, peer: Pid, tag: Option<Tag>) -> Result<(), Exceeded> {
        self.make_room_here_and_there(peer)?;
        self.link(peer, tag);
        Ok(())
    }

    /// Like [`monitor`](Process::monitor), if the other process can pay for it, and this one for
    /// what it is told.
    ///
    /// # Errors
    ///
    /// [`Exceeded`] if the account of one of them has no memory left. Nothing is monitored then.
    pub fn try_monitor(&self, process: Pid) -> Result<(), Exceeded> {
        self.account().check(Kind::Memory, NOTICE_BYTES)?;
        self.make_room_there(process)?;
        self.monitor(process);
        Ok(())
    }

    /// Like [`monitor_with_reason`](Process::monitor_with_reason), if both processes can pay for
    /// it.
    ///
    /// # Errors
    ///
    /// [`Exceeded`] if the account of one of them has no memory left. Nothing is monitored then.
    pub fn try_monitor_with_reason(&self, process: Pid, tag: Option<Tag>) -> Result<(), Exceeded> {
        self.make_room_here_and_there(process)?;
        self.monitor_with_reason(process, tag);
        Ok(())
    }

    fn make_room_here_and_there(&self, other: Pid) -> Result<(), Exceeded> {
        self.make_room_for_relation()?;
        self.make_room_there(other)
    }

    /// Checks that this process can pay for another signal to a process of another node, which is
    /// charged to it until the signal has left. Within a node, a signal takes nothing that is
    /// not charged otherwise.
    ///
    /// # Errors
    ///
    /// [`Exceeded`] if its account has no memory left.
    pub fn check_room_to_signal(&self, process: Pid) -> Result<(), Exceeded> {
        match self.environment().is_local(process) {
            true => Ok(()),
            false => self.account().check(Kind::Memory, NOTICE_BYTES),
        }
    }

    /// What another node keeps of its own processes is charged there.
    fn make_room_there(&self, other: Pid) -> Result<(), Exceeded> {
        let environment = self.environment();
        match environment.is_local(other) {
            true => environment
                .process(other)
                .map_or(Ok(()), |other| other.make_room_for_relation()),
            false => Ok(()),
        }
    }

    /// Charges one link or monitor more to the account of this process, which has to be able to
    /// pay for what it will be told, too.
    pub(crate) fn make_room_for_relation(&self) -> Result<(), Exceeded> {
        self.account().check(Kind::Memory, NOTICE_BYTES)?;
        let mut control = self.inner.control.lock();
        match control.ended {
            Some(_) => Ok(()),
            None => control.relations.make_room(self.account()),
        }
    }

    /// Removes a link, both ways.
    pub fn unlink(&self, peer: Pid) {
        self.signal(Signal::Unlink { peer }).ok();
        let own_id = self.id();
        self.signal_to(peer, Signal::Unlink { peer: own_id });
    }

    /// Asks to be told when another process ends. If there is no such process on
    /// this node, nothing ever comes (ABI §3.5). If its node cannot be reached, the
    /// caller is told at once, as if the process had ended.
    pub fn monitor(&self, process: Pid) {
        self.inner.control.lock().relations.do_not_tell_why(process);
        self.begin_monitoring(process).ok();
    }

    /// Asks to be told why another process ends: by a data message with this tag, which has its
    /// id and the [reason](ExitReason), as ABI §31 has it. It takes the
    /// place of an earlier monitor of the same process. If there is no such process, or its
    /// node cannot be reached, that is told at once. The message is charged to this process;
    /// it ends if it has no room for it.
    pub fn monitor_with_reason(&self, process: Pid, tag: Option<Tag>) {
        self.inner.control.lock().relations.tell_why(process, tag);
        if let Err(reason) = self.begin_monitoring(process)
            && reason != ExitReason::NoConnection
        {
            self.signal(Signal::ProcessDied { process, reason }).ok();
        }
    }

    fn begin_monitoring(&self, process: Pid) -> Result<(), ExitReason> {
        let watcher = self.id();
        let monitor = Signal::Monitor { watcher };
        let monitored = self.environment().signal_by(self, process, monitor);
        if monitored == Err(ExitReason::NoConnection) {
            let reason = ExitReason::NoConnection;
            self.signal(Signal::ProcessDied { process, reason }).ok();
        }
        monitored
    }

    /// Undoes [`monitor`](Process::monitor) and
    /// [`monitor_with_reason`](Process::monitor_with_reason).
    pub fn stop_monitoring(&self, process: Pid) {
        self.inner.control.lock().relations.do_not_tell_why(process);
        let watcher = self.id();
        self.signal_to(process, Signal::StopMonitoring { watcher });
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

    /// The processes that this one is linked to, in no order.
    pub fn links(&self) -> Vec<Pid> {
        let control = self.inner.control.lock();
        control.relations.links().map(|(peer, _)| peer).collect()
    }

    /// The processes that monitor this one, in no order.
    pub fn watchers(&self) -> Vec<Pid> {
        self.inner.control.lock().relations.watchers().collect()
    }

    /// Has the CPU time of the process, which [`info`](Process::info) tells, measured exactly from
    /// now on, or sampled again; see
    /// [`Environment::sample_cpu_time`](crate::Environment::sample_cpu_time). Nothing is measured
    /// unless this is asked for or the account of the process has a limit of CPU time, since
    /// reading the clock costs as much as a short message does.
    pub fn measure_cpu_time(&self, measure: bool) {
        let attention = &self.inner.attention;
        match measure {
            true => attention.fetch_or(attention::MEASURE, Ordering::Relaxed),
            // It is needed for the limit of the account.
            false if self.account().limits_cpu() => return,
            false => attention.fetch_and(!attention::MEASURE, Ordering::Relaxed),
        };
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
        // Of these another process can send any number, of the others only as many as
        // this one has relations.
        let asked_by = match signal {
            Signal::Exit { from, .. } => Some(from),
            _ => None,
        };
        let traced = self.is_traced().then(|| signal.clone());
        if matches!(signal, Signal::Link { .. } | Signal::Monitor { .. }) {
            // Whoever may be refused has asked before; others are charged as far as it goes.
            control.relations.make_room(self.account()).ok();
        }
        let reaction = control.relations.apply(signal);
        drop(control);
        if let Some(signal) = traced {
            self.tell_tracers(&TraceEvent::Signal(signal));
        }
        match reaction {
            Reaction::None => {}
            Reaction::Deliver(message) => match asked_by {
                Some(from) => self.tell_in_the_name_of(from, message),
                None => self.tell(message),
            },
            Reaction::MustDeliver(message) => self.deliver_or_end(message),
            Reaction::Die(reason) => self.request_exit(reason),
        }
        Ok(())
    }

    /// Queues a message that another process has caused, and pays for, even if it has no memory
    /// left: whoever may not do that has [asked before](Process::try_exit), and a supervisor has
    /// to be heard. The message is dropped if the mailbox is full.
    fn tell_in_the_name_of(&self, from: Pid, message: Message) {
        let environment = self.environment();
        let sender = match environment.is_local(from) {
            true => environment.process(from),
            false => None,
        };
        let payer = sender.as_ref().map(Process::account);
        let (mailbox, mut notice) = (&self.inner.mailbox, Some(message));
        let queued = match (mailbox.queue(payer, &mut notice), payer) {
            (Err(SendError::Refused(_)), Some(payer)) => mailbox.queue_notice(payer, &mut notice),
            (queued, _) => queued,
        };
        if let Ok(Some(waker)) = queued {
            waker.wake();
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

    /// Asks the body of the process for something, to be seen to at its next
    /// suspension point; the process is woken for it.
    ///
    /// # Errors
    ///
    /// Hands the request back if the process has ended, or has many requests
    /// waiting already.
    pub fn request(&self, request: Request) -> Result<(), Request> {
        let mut control = self.inner.control.lock();
        if control.ended.is_some() {
            return Err(request);
        }
        control.requests.push(request)?;
        let waker = self.call_attention(&control, attention::REQUEST);
        drop(control);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    /// Has the body polled, so that it looks what has changed.
    pub fn wake(&self) {
        let waker = self.inner.control.lock().waker.clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Asks the process what only its body knows: its module, its memory, what it
    /// waits in. The answer comes from its next suspension point; a wasm process is
    /// at one at least once in a millisecond of running. `None` if the process
    /// ends before, does not answer requests (native ones do not), or has too
    /// many of them waiting.
    pub async fn inspect(&self) -> Option<Inspection> {
        let (sender, receiver) = async_channel::bounded(1);
        self.request(Request::Inspect(sender)).ok()?;
        receiver.recv().await.ok()
    }

    /// Like [`inspect`](Process::inspect), but without backtrace and details: cheap enough to ask many
    /// processes.
    pub async fn describe(&self) -> Option<Inspection> {
        let (sender, receiver) = async_channel::bounded(1);
        self.request(Request::Describe(sender)).ok()?;
        receiver.recv().await.ok()
    }

    /// Whether there are requests for the body; for bodies that see to them.
    #[inline]
    pub fn has_requests(&self) -> bool {
        self.inner.attention.load(Ordering::Relaxed) & attention::REQUEST != 0
    }

    /// Notes whether the body is polled only to answer requests.
    pub(crate) fn set_only_answers(&self, only_answers: bool) {
        let attention = &self.inner.attention;
        match only_answers {
            true => attention.fetch_or(attention::ONLY_ANSWERS, Ordering::Relaxed),
            false => attention.fetch_and(!attention::ONLY_ANSWERS, Ordering::Relaxed),
        };
    }

    /// Whether the body is polled only to answer requests: no code of the guest is to run.
    #[cfg(feature = "guest")]
    pub(crate) fn only_answers(&self) -> bool {
        self.inner.attention.load(Ordering::Relaxed) & attention::ONLY_ANSWERS != 0
    }

    /// Takes the requests for the body out, the oldest first; for bodies that see
    /// to them.
    pub fn take_requests(&self) -> impl Iterator<Item = Request> + use<> {
        self.take_requests_before(u64::MAX).into_iter()
    }

    /// Takes out the requests whose numbers are lower than this.
    pub(crate) fn take_requests_before(&self, number: u64) -> Vec<Request> {
        let mut control = self.inner.control.lock();
        let taken = control.requests.take_before(number);
        if control.requests.is_empty() {
            let attention = &self.inner.attention;
            attention.fetch_and(!attention::REQUEST, Ordering::Relaxed);
        }
        taken
    }

    /// The number that the next request will have.
    #[cfg(feature = "guest")]
    pub(crate) fn next_request(&self) -> u64 {
        self.inner.control.lock().requests.next()
    }

    /// Sends a signal to another process. What cannot be delivered is of no
    /// further concern.
    fn signal_to(&self, process: Pid, signal: Signal) {
        self.environment().signal_by(self, process, signal).ok();
    }

    fn link_died(&self, peer: Pid, tag: Option<Tag>, reason: ExitReason) {
        self.signal(Signal::LinkDied { peer, tag, reason }).ok();
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

    /// Notes that this thread polls the body, until the result is dropped.
    #[inline]
    pub(crate) fn run(&self) -> Running<'_> {
        let environment = self.environment();
        environment.counters().run(self.id(), environment.mark())
    }

    /// The body was seen to run for so long. If its time is measured, that is known already.
    pub(crate) fn add_sampled_time(&self, time: Duration) {
        if !self.is_measured() {
            let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            self.inner.cpu_time.fetch_add(nanos, Ordering::Relaxed);
        }
    }

    /// Whether the CPU time is measured.
    pub(crate) fn is_measured(&self) -> bool {
        self.inner.attention.load(Ordering::Relaxed) & attention::MEASURE != 0
    }

    /// The body has run since `started`.
    pub(crate) fn add_cpu_time(&self, started: Instant) {
        let now = Instant::now();
        let time = now.saturating_duration_since(started);
        self.account().use_cpu(now, time);
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.inner.cpu_time.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Whom to wake when something needs the attention of the task.
    pub(crate) fn wake_with(&self, waker: &Waker) {
        let replaced = self.inner.control.lock().waker.replace(waker.clone());
        // Outside of the lock: it may be the last reference to a task.
        drop(replaced);
    }

    /// Lets the body run only after an event, from its next suspension point on: what it
    /// sends has to leave the node first, for example. A kill ends it all the same.
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
    pub(crate) fn close_mailbox(&self) -> Leftover {
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
