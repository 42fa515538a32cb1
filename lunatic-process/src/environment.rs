//! Where processes live and are found.

mod delivery;

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use event_listener::Event;
use lunatic_account::{Account, Kind};
use lunatic_mailbox::{Mailbox, NodeId, Pid};
use lunatic_reactor::Timer;
use lunatic_scheduler::Scheduler;

use crate::counters::{EnvironmentMark, MailboxLengths, ProcessCounters};
use crate::death_log::{DeathLog, Line};
use crate::exit::ExitReason;
use crate::failure::Failure;
use crate::info::Role;
use crate::life::{self, Life};
use crate::peers::{NoPeers, Peers};
use crate::pid_counter::PidCounter;
use crate::process::Process;
use crate::signal::Signal;
use crate::spawning::{AtBirth, Context, SpawnError, SpawnLink, SpawnOptions};
use crate::table::ProcessTable;
use crate::trace::Tracers;

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
