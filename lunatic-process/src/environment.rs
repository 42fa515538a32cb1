//! Where processes live and are found.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::hint;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::thread;
use std::time::{Duration, Instant};

use async_io::Timer;
use event_listener::Event;
use lunatic_account::{Account, BranchError, Exceeded, Kind};
use lunatic_mailbox::{Limits, Mailbox, Message, NodeId, Pid, SendError, Tag};
use lunatic_scheduler::Scheduler;

use crate::counters::{EnvironmentMark, MailboxLengths, ProcessCounters};
use crate::death_log::{DeathLog, Line};
use crate::exit::ExitReason;
use crate::failure::Failure;
use crate::info::Role;
use crate::life::{self, Life};
use crate::peers::{NoConnection, NoPeers, Peers};
use crate::process::Process;
use crate::signal::Signal;
use crate::table::ProcessTable;
use crate::trace::{TraceEvent, Tracers};

/// The processes that can see each other, and their ids; clone it freely.
///
/// ```
/// use lunatic_mailbox::{DataMessage, Wanted};
/// use lunatic_process::{Environment, SpawnOptions};
/// use lunatic_scheduler::Scheduler;
///
/// let scheduler = Scheduler::builder().start().unwrap();
/// let environment = Environment::new(1, scheduler.clone());
/// let process = environment
///     .spawn(SpawnOptions::default(), |mut own| async move {
///         own.mailbox.receive(Wanted::Any).await;
///         Ok(())
///     })
///     .unwrap();
/// environment.send(None, process.id(), DataMessage::default().into()).unwrap();
/// let reason = futures_lite::future::block_on(process.wait());
/// assert!(reason.is_normal());
/// assert!(!environment.exists(process.id()));
/// scheduler.stop();
/// ```
#[derive(Clone)]
pub struct Environment {
    inner: Arc<Inner>,
}

/// An [`Environment`] that this reference does not keep alive.
#[derive(Clone)]
pub struct WeakEnvironment {
    inner: Weak<Inner>,
}

struct Inner {
    id: u64,
    config: EnvironmentConfig,
    scheduler: Scheduler,
    processes: ProcessTable,
    counters: Counters,
    /// A set of [`mode`] bits, at which each spawn looks.
    mode: AtomicU8,
    tracers: Tracers,
    emptied: Event,
    log: DeathLog,
}

/// The bits of [`Inner::mode`].
mod mode {
    /// It is being shut down.
    pub(super) const CLOSING: u8 = 1;
    /// There are tracers.
    pub(super) const TRACED: u8 = 2;
}

/// What every spawn changes; on a cache line of its own.
#[repr(align(64))]
struct Counters {
    /// How many processes live.
    count: AtomicUsize,
    /// How many were spawned.
    spawned: AtomicU64,
}

/// Counts up the ids of processes. Environments that share it, as clones do, have no two
/// processes with one id.
#[derive(Debug, Clone, Default)]
pub struct PidCounter {
    counts: Arc<PidCounts>,
}

/// On a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct PidCounts {
    /// How many ids were given.
    given: AtomicU64,
    /// How many of those were put into the table of their environment.
    born: AtomicU64,
}

impl PidCounter {
    /// Returns a counter that has given no id.
    pub fn new() -> PidCounter {
        PidCounter::default()
    }

    /// Returns the next id of a process of this node; `None` if there is none left.
    #[inline]
    fn next(&self, node: NodeId) -> Option<Pid> {
        let given = self.counts.given.fetch_add(1, Ordering::SeqCst);
        Pid::new(node.number(), given + 1)
    }

    /// Notes that the process with an id that was given is in the table.
    #[inline]
    fn count_born(&self) {
        self.counts.born.fetch_add(1, Ordering::SeqCst);
    }

    /// Returns whether the process with this id is in the table, or was. One that is just put
    /// there by another thread is waited for, for some microseconds; then it is not.
    fn was_born(&self, id: Pid) -> bool {
        const SPINS: u32 = 64;
        const YIELDS: u32 = 16;
        for round in 0..SPINS + YIELDS {
            // In this order: if they are equal, nothing was under way when the first was read.
            let born = self.counts.born.load(Ordering::SeqCst);
            let given = self.counts.given.load(Ordering::SeqCst);
            if id.counter() > given {
                return false;
            }
            match round {
                _ if born == given => return true,
                0..SPINS => hint::spin_loop(),
                _ => thread::yield_now(),
            }
        }
        false
    }
}

/// How an [`Environment`] is to be.
#[derive(Debug, Clone)]
pub struct EnvironmentConfig {
    /// The highest number of processes alive at once.
    pub max_processes: usize,
    /// The node whose processes are local; its number is part of their ids.
    pub node: NodeId,
    /// How the processes of other nodes are reached.
    pub peers: Arc<dyn Peers>,
    /// The account of processes that are spawned without one.
    pub account: Account,
    /// What counts its messages, and the ends of its processes.
    pub counters: ProcessCounters,
    /// What gives its processes their ids.
    pub pids: PidCounter,
}

impl Default for EnvironmentConfig {
    /// 4 Mi processes, on a node that is alone, with an account without limits.
    fn default() -> EnvironmentConfig {
        EnvironmentConfig {
            max_processes: 1 << 22,
            node: NodeId::ALONE,
            peers: Arc::new(NoPeers),
            account: Account::default(),
            counters: ProcessCounters::new(),
            pids: PidCounter::new(),
        }
    }
}

/// How a process is to start.
#[derive(Debug, Clone, Default)]
pub struct SpawnOptions {
    /// Links the new process to another before any of its code runs.
    pub link: Option<SpawnLink>,
    /// To whom the process and what it makes the host keep is charged; `None` is the
    /// account of the environment.
    pub account: Option<Account>,
    /// Messages to processes whose account is neither its own nor below it are refused,
    /// except to the process that spawns it.
    pub sends_within_branch: bool,
    /// Messages of processes outside of its branch are dropped, except of those above the
    /// branch, and of the process that spawns it.
    pub is_sent_to_within_branch: bool,
    /// What is done with it before any of its code runs, after it was linked.
    pub at_birth: Option<AtBirth>,
    /// Its body answers [requests](crate::Request), as wasm instances do.
    pub answers_requests: bool,
    /// How much its mailbox holds.
    pub mailbox: Limits,
    /// Whoever spawns it waits for it and tells of its failure: it is not logged
    /// as a warning too.
    pub awaited: bool,
    /// The process that spawns it, for information.
    pub parent: Option<Pid>,
    /// What it is for.
    pub role: Role,
    /// What happens to its links becomes messages from the start; see
    /// [`Process::trap_exits`].
    pub trap_exits: bool,
    /// The name for people, in logs.
    pub label: Option<Arc<str>>,
}

/// What is done with a new process before any of its code runs.
#[derive(Clone)]
pub struct AtBirth(Arc<dyn Fn(&Process) + Send + Sync>);

impl AtBirth {
    /// - `act`: must not block.
    pub fn new(act: impl Fn(&Process) + Send + Sync + 'static) -> AtBirth {
        AtBirth(Arc::new(act))
    }
}

impl fmt::Debug for AtBirth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AtBirth")
    }
}

/// A link between a process and the one it spawns.
#[derive(Debug, Clone)]
pub struct SpawnLink {
    /// Who spawns.
    pub parent: Process,
    /// What the parent is told when the child dies; the child is told no tag.
    pub tag: Option<Tag>,
}

/// What a body gets to know of itself.
#[derive(Debug)]
pub struct Context {
    /// The process it is.
    pub process: Process,
    /// Its mailbox.
    pub mailbox: Mailbox,
}

/// Why there is no new process.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpawnError {
    /// The environment holds as many processes as it may.
    TooManyProcesses {
        /// That many.
        limit: usize,
    },
    /// A limit of the account is reached.
    Exceeded(Exceeded),
    /// There is no account for the limits that the process was to have.
    Branch(BranchError),
    /// The environment is being shut down.
    ShuttingDown,
    /// All ids were used.
    OutOfIds,
    /// The account has a limit of fuel, and the process would have none.
    NoBudget,
    /// The module needs more than the limits of the process allow.
    ExceedsLimits(Failure),
    /// The process was spawned and has ended, because its instance could not be
    /// made: its start function failed, for example.
    StartFailed(Failure),
}

impl Environment {
    /// An empty environment with the default limits.
    pub fn new(id: u64, scheduler: Scheduler) -> Environment {
        Environment::with_config(id, scheduler, EnvironmentConfig::default())
    }

    /// An empty environment.
    pub fn with_config(id: u64, scheduler: Scheduler, config: EnvironmentConfig) -> Environment {
        Environment {
            inner: Arc::new(Inner {
                id,
                config,
                scheduler,
                processes: ProcessTable::new(),
                counters: Counters {
                    count: AtomicUsize::new(0),
                    spawned: AtomicU64::new(0),
                },
                mode: AtomicU8::new(0),
                tracers: Tracers::default(),
                emptied: Event::new(),
                log: DeathLog::default(),
            }),
        }
    }

    /// A reference that does not keep the environment alive. Its processes do.
    pub fn downgrade(&self) -> WeakEnvironment {
        WeakEnvironment {
            inner: Arc::downgrade(&self.inner),
        }
    }

    /// The id of the environment.
    pub fn id(&self) -> u64 {
        self.inner.id
    }

    /// The node whose processes are local.
    #[inline]
    pub fn node(&self) -> NodeId {
        self.inner.config.node
    }

    /// The node of a process, as the host interface writes it: the id of the node
    /// where that is known, otherwise its number.
    pub fn node_of(&self, process: Pid) -> NodeId {
        let number = process.node();
        match self.is_local(process) {
            true => self.node(),
            false => {
                let known = self.inner.config.peers.node_id(number);
                known.unwrap_or(NodeId::from_bits(number.get().into()))
            }
        }
    }

    /// Whether a process of this id would live on this node.
    #[inline]
    pub fn is_local(&self, process: Pid) -> bool {
        process.node() == self.node().number()
    }

    /// The account of processes that are spawned without one.
    pub fn account(&self) -> &Account {
        &self.inner.config.account
    }

    /// What its processes run on.
    pub fn scheduler(&self) -> &Scheduler {
        &self.inner.scheduler
    }

    /// Starts a process and returns at once; `body` runs as a task of its own.
    ///
    /// # Errors
    ///
    /// [`SpawnError`].
    pub fn spawn<B, F>(&self, mut options: SpawnOptions, body: B) -> Result<Process, SpawnError>
    where
        B: FnOnce(Context) -> F,
        F: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let account = options.account.take();
        let account = account.unwrap_or_else(|| self.account().clone());
        if let Some(link) = &options.link {
            let room = link.parent.make_room_for_relation();
            room.map_err(SpawnError::Exceeded)?;
        }
        let (id, mode) = self.reserve(&account)?;
        let (sender, mailbox) = Mailbox::new(options.mailbox);
        let process = Process::new(id, self.clone(), account, sender, &options);
        self.inner.processes.insert(process.clone());
        self.inner.config.pids.count_born();
        if mode & mode::TRACED != 0 {
            self.trace_newborn(&process);
        }
        if let Some(link) = &options.link {
            link_at_birth(link, &process);
        }
        if let Some(AtBirth(act)) = &options.at_birth {
            act(&process);
        }
        let context = Context {
            process: process.clone(),
            mailbox,
        };
        if let Some(body) = life::begin(&process, options.awaited, || body(context)) {
            let life = Life::new(process.clone(), body, options.awaited);
            let share = process.account().share().cloned();
            self.inner.scheduler.spawn_in(share, life);
        }
        if self.mode() & mode::CLOSING != 0 {
            process.kill();
        }
        Ok(process)
    }

    fn mode(&self) -> u8 {
        self.inner.mode.load(Ordering::SeqCst)
    }

    /// Sets what of a new process is traced.
    #[cold]
    fn trace_newborn(&self, process: &Process) {
        let (parent, label) = (process.parent(), process.label());
        let interest = self.tracers().born(parent, process.id(), label);
        process.set_interest(interest);
    }

    pub(crate) fn tracers(&self) -> &Tracers {
        &self.inner.tracers
    }

    /// Whether somebody is told what its processes do or print.
    pub fn is_traced(&self) -> bool {
        self.mode() & mode::TRACED != 0
    }

    pub(crate) fn set_traced(&self, is_traced: bool) {
        self.set_mode(mode::TRACED, is_traced);
    }

    fn set_mode(&self, bit: u8, is_set: bool) {
        match is_set {
            true => self.inner.mode.fetch_or(bit, Ordering::SeqCst),
            false => self.inner.mode.fetch_and(!bit, Ordering::SeqCst),
        };
    }

    /// The processes that threads run at this moment.
    pub fn running(&self) -> Vec<Pid> {
        self.counters().running(self.mark()).collect()
    }

    pub(crate) fn mark(&self) -> EnvironmentMark {
        EnvironmentMark(Arc::as_ptr(&self.inner).addr())
    }

    /// Adds to the CPU time of the processes that run at this moment, apart from those
    /// whose time is [measured](Process::measure_cpu_time). If it is called at regular intervals,
    /// [`ProcessInfo::cpu_time`](crate::ProcessInfo::cpu_time) tells how long a process has run, as
    /// exactly as samples can, and that costs the processes nothing.
    ///
    /// - `passed`: the time since it was called before.
    pub fn sample_cpu_time(&self, passed: Duration) {
        for id in self.counters().running(self.mark()) {
            if let Some(process) = self.process(id) {
                process.add_sampled_time(passed);
            }
        }
    }

    /// The process of this node with this id, while it lives.
    pub fn process(&self, id: Pid) -> Option<Process> {
        self.inner.processes.get(id)
    }

    /// Whether a process of this node had this id, and has ended. Of an id that no process had yet,
    /// that is not true.
    pub fn has_ended(&self, id: Pid) -> bool {
        self.is_local(id) && self.inner.config.pids.was_born(id) && !self.exists(id)
    }

    /// Whether a process of this node with this id lives.
    pub fn exists(&self, id: Pid) -> bool {
        self.inner.processes.contains(id)
    }

    /// All living processes, in no order.
    pub fn processes(&self) -> Vec<Process> {
        self.inner.processes.all()
    }

    /// Living processes of a role, but no more than `max`, in no order.
    pub fn processes_with_role(&self, role: Role, max: usize) -> Vec<Process> {
        let mut found = Vec::new();
        self.inner.processes.look(usize::MAX, |process| {
            if process.role() == role && found.len() < max {
                found.push(process.clone());
            }
        });
        found
    }

    /// How long mailboxes are.
    ///
    /// - `max`: about so many are looked at, if there are more.
    pub fn mailbox_lengths(&self, max: usize) -> MailboxLengths {
        let mut lengths = MailboxLengths::default();
        self.inner.processes.look(max, |process| {
            let length = process.queued_messages() as u64;
            lengths.mailboxes += 1;
            lengths.messages += length;
            lengths.longest = lengths.longest.max(length);
        });
        lengths
    }

    /// How many processes live.
    pub fn process_count(&self) -> usize {
        self.inner.counters.count.load(Ordering::Relaxed)
    }

    /// How many processes were spawned, those that have ended among them.
    pub fn spawned_count(&self) -> u64 {
        self.inner.counters.spawned.load(Ordering::Relaxed)
    }

    /// What gives its processes their ids.
    pub fn pids(&self) -> &PidCounter {
        &self.inner.config.pids
    }

    /// What counts its messages, and the ends of its processes.
    pub fn counters(&self) -> &ProcessCounters {
        &self.inner.config.counters
    }

    /// Queues a message for a process, of this node or another; drops it if there
    /// is no such process. This is the one way by which messages leave a process.
    ///
    /// - `from`: the sender, to whose account the message is charged until it is received;
    ///   `None` if it is sent by the host.
    ///
    /// # Errors
    ///
    /// Fails if the mailbox of the process is full, the account has no memory left, or the
    /// message cannot leave this node and would have to. The message is dropped then.
    pub fn send(&self, from: Option<&Process>, to: Pid, message: Message) -> Result<(), SendError> {
        self.send_taking(from, to, &mut Some(message))
    }

    /// Like [`send`](Environment::send), for who wants to keep a message that is refused.
    ///
    /// - `message`: unchanged after an error; `None` once it is queued. If there is no such
    ///   process, it may stay or not.
    ///
    /// # Errors
    ///
    /// As [`send`](Environment::send).
    #[inline]
    pub fn send_taking(
        &self,
        from: Option<&Process>,
        to: Pid,
        message: &mut Option<Message>,
    ) -> Result<(), SendError> {
        if let (Some(from), Some(message)) = (from, &*message)
            && from.is_traced()
        {
            from.tell_tracers(&TraceEvent::sent(to, message));
        }
        self.inner.config.counters.count_message();
        if !self.is_local(to) {
            return match self.inner.config.peers.send(from, to, message) {
                // A receiver that cannot be reached is like one that has ended.
                Err(SendError::Closed) => Ok(()),
                sent => sent,
            };
        }
        self.deliver_from(
            from.map(Process::id),
            from.map(Process::account),
            to,
            message,
        )
    }

    /// Queues a message for a process of this node, as [`send_taking`](Environment::send_taking)
    /// does, for who knows the process: spares finding it by its id.
    ///
    /// # Errors
    ///
    /// As [`send`](Environment::send). That the process has ended is no error.
    #[inline]
    pub fn send_to(
        &self,
        from: &Process,
        to: &Process,
        message: &mut Option<Message>,
    ) -> Result<(), SendError> {
        if let Some(message) = message
            && from.is_traced()
        {
            from.tell_tracers(&TraceEvent::sent(to.id(), message));
        }
        self.inner.config.counters.count_message();
        end_delivery(to.deliver(Some(from.id()), Some(from.account()), message))
    }

    /// Sends a message that no process sends, and that an account pays for until it is received;
    /// drops it if there is no such process.
    ///
    /// - `payer`: nobody pays for a message to another node.
    /// - `message`: as for [`send_taking`](Environment::send_taking).
    ///
    /// # Errors
    ///
    /// Fails if the mailbox of the process is full, or the account has no memory left.
    pub fn send_charged(
        &self,
        payer: &Account,
        to: Pid,
        message: &mut Option<Message>,
    ) -> Result<(), SendError> {
        if !self.is_local(to) {
            return self.send_taking(None, to, message);
        }
        self.inner.config.counters.count_message();
        self.deliver_from(None, Some(payer), to, message)
    }

    /// Queues a message that has come from elsewhere, and was counted there, for a process of this node; drops it if
    /// there is no such process.
    ///
    /// - `from`: who has sent it.
    /// - `payer`: to whom it is charged until it is received.
    ///
    /// # Errors
    ///
    /// Fails if the mailbox of the process is full, or the account has no memory left. The
    /// message is dropped then.
    pub fn deliver(
        &self,
        from: Pid,
        payer: Option<&Account>,
        to: Pid,
        message: Message,
    ) -> Result<(), SendError> {
        self.deliver_from(Some(from), payer, to, &mut Some(message))
    }

    #[inline]
    fn deliver_from(
        &self,
        from: Option<Pid>,
        payer: Option<&Account>,
        to: Pid,
        message: &mut Option<Message>,
    ) -> Result<(), SendError> {
        // Nothing is woken or dropped under the table's lock: it may be a process
        // that ends by that, and leaves the table.
        let processes = &self.inner.processes;
        match processes.with(to, |process| process.deliver(from, payer, message)) {
            None => Ok(()),
            Some(delivered) => end_delivery(delivered),
        }
    }

    /// Applies a signal to a process, of this node or another. This is the one way
    /// by which signals leave a process. One for another node is charged to the process in
    /// whose name it is, while that lives, until it has left; see [`Peers::signal`].
    ///
    /// - `from`: in whose name.
    ///
    /// # Errors
    ///
    /// [`ExitReason::NoProcess`] if there is no such process, or it has ended;
    /// [`ExitReason::NoConnection`] if its node cannot be reached.
    pub fn signal(&self, from: Pid, to: Pid, signal: Signal) -> Result<(), ExitReason> {
        if self.is_local(to) {
            return self.signal_here(to, signal);
        }
        let payer = self.process(from);
        self.signal_beyond(payer.as_ref(), from, to, signal)
    }

    /// Like [`signal`](Environment::signal), in the name of a process that may have ended.
    pub(crate) fn signal_by(
        &self,
        from: &Process,
        to: Pid,
        signal: Signal,
    ) -> Result<(), ExitReason> {
        match self.is_local(to) {
            true => self.signal_here(to, signal),
            false => self.signal_beyond(Some(from), from.id(), to, signal),
        }
    }

    fn signal_here(&self, to: Pid, signal: Signal) -> Result<(), ExitReason> {
        let process = self.process(to).ok_or(ExitReason::NoProcess)?;
        process.signal(signal).map_err(|_| ExitReason::NoProcess)
    }

    fn signal_beyond(
        &self,
        payer: Option<&Process>,
        from: Pid,
        to: Pid,
        signal: Signal,
    ) -> Result<(), ExitReason> {
        let sent = self.inner.config.peers.signal(payer, from, to, signal);
        sent.map_err(|NoConnection| ExitReason::NoConnection)
    }

    /// Kills all processes and waits until the last is gone. From now on, no
    /// process is spawned.
    pub async fn shut_down(&self) {
        self.set_mode(mode::CLOSING, true);
        // Who is not in the table yet will see `closing` and be killed then.
        for process in self.processes() {
            process.kill();
        }
        loop {
            let emptied = self.inner.emptied.listen();
            if self.inner.counters.count.load(Ordering::SeqCst) == 0 {
                return;
            }
            emptied.await;
        }
    }

    /// Returns whether a line may be logged that one of its processes causes. There may be
    /// 1000 of them in ten seconds, and 50 of each branch directly below the root whatever others
    /// have caused; what is beyond is counted, and the numbers are logged then.
    ///
    /// - `account`: that of the process.
    pub fn admits_log_line(&self, account: &Account) -> bool {
        match self.inner.log.admit(account, Instant::now()) {
            Line::Written => true,
            Line::FirstLeftOut(span) => {
                self.inner
                    .scheduler
                    .spawn(self.downgrade().flush_log_after(span));
                false
            }
            Line::LeftOut => false,
        }
    }

    /// Logs how many lines were left out, if any were; for the end of a program.
    pub fn flush_log(&self) {
        self.inner.log.flush(Instant::now());
    }

    /// Counts that a process has ended.
    pub(crate) fn count_end(&self, reason: &ExitReason) {
        self.inner.config.counters.count_end(reason);
    }

    pub(crate) fn remove(&self, id: Pid) {
        self.inner.processes.remove(id);
    }

    /// The death of a process is over.
    pub(crate) fn release(&self, account: &Account) {
        account.release(Kind::Processes, 1);
        self.count_down();
    }

    fn count_down(&self) {
        if self.inner.counters.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.inner.emptied.notify(usize::MAX);
        }
    }

    /// Counts a process that is to be, and draws its id. Returns the mode too.
    fn reserve(&self, account: &Account) -> Result<(Pid, u8), SpawnError> {
        let mode = self.mode();
        if mode & mode::CLOSING != 0 {
            return Err(SpawnError::ShuttingDown);
        }
        let limit = self.inner.config.max_processes;
        let before = self.inner.counters.count.fetch_add(1, Ordering::AcqRel);
        if before >= limit {
            self.count_down();
            return Err(SpawnError::TooManyProcesses { limit });
        }
        if let Err(exceeded) = account.charge(Kind::Processes, 1) {
            self.count_down();
            return Err(SpawnError::Exceeded(exceeded));
        }
        let id = self.inner.config.pids.next(self.node()).ok_or_else(|| {
            self.release(account);
            SpawnError::OutOfIds
        })?;
        self.inner.counters.spawned.fetch_add(1, Ordering::Relaxed);
        Ok((id, mode))
    }
}

impl WeakEnvironment {
    /// The environment, if it is still there.
    pub fn upgrade(&self) -> Option<Environment> {
        let inner = self.inner.upgrade()?;
        Some(Environment { inner })
    }

    /// Tells after some time how many lines were left out of the log.
    async fn flush_log_after(self, time: Duration) {
        Timer::after(time).await;
        if let Some(environment) = self.upgrade() {
            environment.inner.log.flush(Instant::now());
        }
    }
}

/// Wakes who has got a message. A receiver that has ended is like one that there is not.
#[inline]
fn end_delivery(delivered: Result<Option<Waker>, SendError>) -> Result<(), SendError> {
    match delivered {
        Ok(Some(waker)) => waker.wake(),
        Ok(None) | Err(SendError::Closed) => {}
        Err(refused) => return Err(refused),
    }
    Ok(())
}

/// Links parent and child before the child runs (ABI §3.3).
fn link_at_birth(link: &SpawnLink, child: &Process) {
    let SpawnLink { parent, tag } = link;
    let to_parent = Signal::Link {
        peer: parent.id(),
        tag: *tag,
    };
    let to_child = Signal::Link {
        peer: child.id(),
        tag: None,
    };
    child.signal(to_parent).ok();
    if parent.signal(to_child).is_err() {
        let orphaned = Signal::LinkDied {
            peer: parent.id(),
            tag: None,
            reason: ExitReason::NoProcess,
        };
        child.signal(orphaned).ok();
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("id", &self.id())
            .field("processes", &self.process_count())
            .finish()
    }
}

impl fmt::Debug for WeakEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakEnvironment")
    }
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SpawnError::TooManyProcesses { limit } => {
                write!(f, "there are {limit} processes already, as many as may be")
            }
            SpawnError::Exceeded(exceeded) => exceeded.fmt(f),
            SpawnError::Branch(error) => error.fmt(f),
            SpawnError::ShuttingDown => f.write_str("the environment is being shut down"),
            SpawnError::ExceedsLimits(failure) | SpawnError::StartFailed(failure) => failure.fmt(f),
            SpawnError::NoBudget => {
                f.write_str("the account has a limit of fuel, so a process has to have one, too")
            }
            SpawnError::OutOfIds => f.write_str("all process ids of this node were used"),
        }
    }
}

impl Error for SpawnError {}
