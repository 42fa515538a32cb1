//! Where processes live and are found.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use event_listener::Event;
use lunatic_mailbox::{Limits, Mailbox, Message, SendError, Tag};
use lunatic_scheduler::Scheduler;

use crate::exit::{ExitReason, Failure};
use crate::life::{self, Life};
use crate::process::Process;
use crate::relations::{ProcessId, Signal};
use crate::table::ProcessTable;

/// The processes that can see each other, and their ids; clone it freely.
#[derive(Clone)]
pub struct Environment {
    inner: Arc<Inner>,
}

struct Inner {
    id: u64,
    config: EnvironmentConfig,
    scheduler: Scheduler,
    processes: ProcessTable,
    next_id: AtomicU64,
    count: AtomicUsize,
    closing: AtomicBool,
    emptied: Event,
}

/// Limits of an [`Environment`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnvironmentConfig {
    /// The highest number of processes alive at once.
    pub max_processes: usize,
}

impl Default for EnvironmentConfig {
    /// 4 Mi processes.
    fn default() -> EnvironmentConfig {
        EnvironmentConfig {
            max_processes: 1 << 22,
        }
    }
}

/// How a process is to start.
#[derive(Debug, Clone, Default)]
pub struct SpawnOptions {
    /// Links the new process to another before any of its code runs.
    pub link: Option<SpawnLink>,
    /// How much its mailbox holds.
    pub mailbox: Limits,
    /// Whoever spawns it waits for it and tells of its failure: it is not logged
    /// as a warning too.
    pub awaited: bool,
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
    /// The environment is being shut down.
    ShuttingDown,
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
                next_id: AtomicU64::new(1),
                count: AtomicUsize::new(0),
                closing: AtomicBool::new(false),
                emptied: Event::new(),
            }),
        }
    }

    /// The id of the environment.
    pub fn id(&self) -> u64 {
        self.inner.id
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
    pub fn spawn<B, F>(&self, options: SpawnOptions, body: B) -> Result<Process, SpawnError>
    where
        B: FnOnce(Context) -> F,
        F: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        self.reserve()?;
        let id = ProcessId(self.inner.next_id.fetch_add(1, Ordering::Relaxed));
        let (sender, mailbox) = Mailbox::new(options.mailbox);
        let process = Process::new(id, self.clone(), sender);
        self.inner.processes.insert(process.clone());
        if let Some(link) = &options.link {
            link_at_birth(link, &process);
        }
        let context = Context {
            process: process.clone(),
            mailbox,
        };
        if let Some(body) = life::begin(&process, options.awaited, || body(context)) {
            let life = Life::new(process.clone(), body, options.awaited);
            self.inner.scheduler.spawn(life);
        }
        if self.inner.closing.load(Ordering::SeqCst) {
            process.kill();
        }
        Ok(process)
    }

    /// The process with this id, while it lives.
    pub fn process(&self, id: ProcessId) -> Option<Process> {
        self.inner.processes.get(id)
    }

    /// Whether a process with this id lives.
    pub fn exists(&self, id: ProcessId) -> bool {
        self.inner.processes.contains(id)
    }

    /// All living processes, in no order.
    pub fn processes(&self) -> Vec<Process> {
        self.inner.processes.all()
    }

    /// How many processes live.
    pub fn process_count(&self) -> usize {
        self.inner.count.load(Ordering::Relaxed)
    }

    /// Queues a message for a process; drops it if there is none.
    pub fn send(&self, id: ProcessId, message: Message) {
        // A receiver that is gone, or dies of this, is not the sender's concern.
        // Nothing is woken or dropped under the table's lock: it may be a process
        // that ends by that, and leaves the table.
        let queued = self
            .inner
            .processes
            .with(id, |process| process.queue(message));
        match queued {
            Some(Ok(Some(waker))) => waker.wake(),
            Some(Err(SendError::Full(_))) => {
                if let Some(process) = self.process(id) {
                    process.overflow();
                }
            }
            _ => {}
        }
    }

    /// Kills all processes and waits until the last is gone. From now on, no
    /// process is spawned.
    pub async fn shut_down(&self) {
        self.inner.closing.store(true, Ordering::SeqCst);
        // Who is not in the table yet will see `closing` and be killed then.
        for process in self.processes() {
            process.kill();
        }
        loop {
            let emptied = self.inner.emptied.listen();
            if self.inner.count.load(Ordering::SeqCst) == 0 {
                return;
            }
            emptied.await;
        }
    }

    pub(crate) fn remove(&self, id: ProcessId) {
        self.inner.processes.remove(id);
    }

    /// The death of a process is over.
    pub(crate) fn release(&self) {
        if self.inner.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.inner.emptied.notify(usize::MAX);
        }
    }

    /// Counts a process that is to be.
    fn reserve(&self) -> Result<(), SpawnError> {
        if self.inner.closing.load(Ordering::SeqCst) {
            return Err(SpawnError::ShuttingDown);
        }
        let limit = self.inner.config.max_processes;
        let before = self.inner.count.fetch_add(1, Ordering::AcqRel);
        if before >= limit {
            self.release();
            return Err(SpawnError::TooManyProcesses { limit });
        }
        Ok(())
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

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SpawnError::TooManyProcesses { limit } => {
                write!(f, "there are {limit} processes already, as many as may be")
            }
            SpawnError::ShuttingDown => f.write_str("the environment is being shut down"),
        }
    }
}

impl Error for SpawnError {}
