//! Root processes that can be replaced as a whole.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{AcqRel, Release};
use std::time::Duration;

use async_io::Timer;
use event_listener::Event;
use futures_lite::future;
use lunatic_engine::Module;
use lunatic_mailbox::Pid;
use lunatic_net::Listeners;
use lunatic_process::{Environment, ExitReason, Process};
use parking_lot::Mutex;

use crate::runtime::{Root, RootError, Runtime};
use crate::state::State;

/// A root process with all its descendants, in an environment of its own: the first one that
/// is started in the environment of the runtime, each further one in another. Another version
/// of its module can replace it as a whole: it offers nothing for that.
///
/// A new root process runs beside the old one. Where it binds an address at which the old
/// processes listen, it gets the same socket, and from its first `accept` on theirs wait. The
/// old processes are killed when their connections have ended, or after a while. If the new
/// root process ends before its first `accept`, the old ones go on. Where the old processes
/// listen nowhere, they go on if the new root process fails within 200 ms.
///
/// A program is not replaced on a node of a cluster: its environment is that of the node, in
/// which processes of other nodes live too.
///
/// All clones are the same program.
#[derive(Clone)]
pub struct Program {
    shared: Arc<Shared>,
}

struct Shared {
    module_name: Option<Arc<str>>,
    root: Root,
    state: Mutex<Progress>,
    changed: Event,
}

struct Progress {
    running: Running,
    /// While a new root process runs that has not accepted yet.
    is_replacing: bool,
    /// How often it was replaced.
    replaced: u64,
}

#[derive(Clone)]
struct Running {
    process: Process,
    environment: Environment,
    listeners: Listeners,
}

/// The programs of a runtime.
#[derive(Debug, Clone, Default)]
pub(crate) struct Programs(Arc<Started>);

#[derive(Debug, Default)]
struct Started {
    /// In the order in which they were started.
    programs: Mutex<Vec<Program>>,
    /// Whether one has the environment of the runtime, or is being started there.
    is_main_taken: AtomicBool,
}

/// How long a replacement may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplaceLimits {
    /// How long the new root process has until its first `accept`.
    pub start: Duration,
    /// How long the connections of the old processes may go on.
    pub drain: Duration,
}

impl Default for ReplaceLimits {
    /// 30 s each.
    fn default() -> ReplaceLimits {
        ReplaceLimits {
            start: Duration::from_secs(30),
            drain: Duration::from_secs(30),
        }
    }
}

/// Why a program was not replaced. The old processes go on.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReplaceError {
    /// Another replacement goes on.
    InProgress,
    /// Its module has no name, and so no versions.
    NoVersions,
    /// It is on a node of a cluster, beside processes of other nodes.
    OnNode,
    /// The new version does not export the function that the root process runs.
    NoExport(String),
    /// The new root process did not start.
    NotStarted(RootError),
    /// It ended before its first `accept`.
    Ended(ExitReason),
    /// It failed as soon as it had started. The old processes listen nowhere.
    Failed(ExitReason),
    /// It has not accepted within this time.
    TookTooLong(Duration),
    /// The runtime ended meanwhile.
    ShutDown,
}

/// How often it is looked whether the new root process has accepted.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// How long a new root process is watched that has no socket to take over.
const GRACE: Duration = Duration::from_millis(200);

impl Runtime {
    /// Starts a root process as [`spawn`](Runtime::spawn) does, which can be replaced later.
    ///
    /// - `root`: if it names no environment, the first program lives in the
    ///   [environment](Runtime::environment) of the runtime, and each further one in another.
    ///
    /// # Errors
    ///
    /// [`RootError`].
    pub async fn start_program(
        &self,
        module: &Module<State>,
        root: Root,
    ) -> Result<Program, RootError> {
        let place = self.place_of(&root);
        let listeners = Listeners::new();
        let first = root.clone().listeners(listeners.clone());
        let started = match &place {
            Place::Given(_) | Place::Main(..) => self.spawn(module, first).await,
            Place::Own(own) => self.spawn(module, first.environment(own.clone())).await,
        };
        let process = match started {
            Ok(process) => process,
            Err(error) => {
                if let Place::Own(own) = &place {
                    own.shut_down().await;
                }
                return Err(error);
            }
        };
        let environment = match place {
            Place::Given(environment) | Place::Own(environment) => environment,
            Place::Main(environment, mut taken) => {
                taken.stays = true;
                environment
            }
        };
        let running = Running {
            process,
            environment,
            listeners,
        };
        let program = Program {
            shared: Arc::new(Shared {
                module_name: module.version_of().cloned(),
                root,
                state: Mutex::new(Progress {
                    running,
                    is_replacing: false,
                    replaced: 0,
                }),
                changed: Event::new(),
            }),
        };
        self.programs.0.programs.lock().push(program.clone());
        Ok(program)
    }

    /// Where a program is to live.
    fn place_of(&self, root: &Root) -> Place<'_> {
        if let Some(given) = root.given_environment() {
            return Place::Given(given.clone());
        }
        let main = self.environment();
        // All programs of a node have the names of the node, and none is replaced.
        let is_taken = &self.programs.0.is_main_taken;
        let was_taken = is_taken.swap(true, AcqRel);
        if self.cluster.is_some() || !was_taken {
            let stays = was_taken;
            return Place::Main(main.clone(), MainTaken { is_taken, stays });
        }
        Place::Own(self.environment_of_program(main.id()))
    }

    /// Whether programs can be replaced.
    ///
    /// # Errors
    ///
    /// [`ReplaceError::OnNode`].
    pub(crate) fn check_replaceable(&self) -> Result<(), ReplaceError> {
        match self.cluster {
            Some(_) => Err(ReplaceError::OnNode),
            None => Ok(()),
        }
    }
}

/// The environment of a program that is started.
enum Place<'a> {
    /// It was named.
    Given(Environment),
    /// That of the runtime.
    Main(Environment, MainTaken<'a>),
    /// Made for it.
    Own(Environment),
}

/// The environment of the runtime is taken; free again when this is dropped, unless it stays so.
struct MainTaken<'a> {
    is_taken: &'a AtomicBool,
    stays: bool,
}

impl Drop for MainTaken<'_> {
    fn drop(&mut self) {
        if !self.stays {
            self.is_taken.store(false, Release);
        }
    }
}

impl Programs {
    /// The program that runs a module with this name.
    pub(crate) fn of(&self, module_name: &str) -> Option<Program> {
        let programs = self.0.programs.lock();
        let is_of = |program: &&Program| program.shared.module_name.as_deref() == Some(module_name);
        programs.iter().find(is_of).cloned()
    }

    /// Where the processes of the first program live.
    pub(crate) fn main_environment(&self) -> Option<Environment> {
        let programs = self.0.programs.lock();
        programs.first().map(Program::environment)
    }
}

impl Program {
    /// The root process, as it is now.
    pub fn process(&self) -> Process {
        self.shared.state.lock().running.process.clone()
    }

    /// Where its processes live now.
    pub fn environment(&self) -> Environment {
        self.shared.state.lock().running.environment.clone()
    }

    /// Whether a process lives where its processes live.
    pub(crate) fn has(&self, process: Pid) -> bool {
        self.environment().exists(process)
    }

    /// Starts a root process as the current version of its module, when the one before has
    /// ended. What is left of the processes of that one is killed. It is done even if nobody
    /// waits for it any more.
    ///
    /// # Errors
    ///
    /// [`ReplaceError`].
    pub async fn start_again(&self, runtime: &Runtime) -> Result<Process, ReplaceError> {
        let (program, on) = (self.clone(), runtime.clone());
        let started = runtime.detached(async move { program.start_now(&on).await });
        started.await.unwrap_or(Err(ReplaceError::ShutDown))
    }

    async fn start_now(&self, runtime: &Runtime) -> Result<Process, ReplaceError> {
        let old = self.begin_replacing()?;
        old.environment.shut_down().await;
        let environment = runtime.environment_of_program(old.environment.id());
        // The sockets of those that were replaced before may still be open.
        let listeners = old.listeners.successor();
        let root = self.shared.root.clone();
        let root = root
            .environment(environment.clone())
            .listeners(listeners.clone());
        let name = self.shared.module_name.as_deref().unwrap_or_default();
        let started = match runtime.versions.current(name) {
            Some(version) => {
                let started = runtime.spawn(&version.module, root).await;
                started.map_err(ReplaceError::NotStarted)
            }
            None => Err(ReplaceError::NoVersions),
        };
        self.settle(started.as_ref().ok(), &environment, &listeners);
        self.shared.changed.notify(usize::MAX);
        started
    }

    fn begin_replacing(&self) -> Result<Running, ReplaceError> {
        let mut state = self.shared.state.lock();
        if state.is_replacing {
            return Err(ReplaceError::InProgress);
        }
        state.is_replacing = true;
        Ok(state.running.clone())
    }

    /// Waits until the root process has ended that no other has replaced.
    pub async fn wait(&self) -> ExitReason {
        loop {
            let changed = self.shared.changed.listen();
            let (process, number) = {
                let state = self.shared.state.lock();
                (state.running.process.clone(), state.replaced)
            };
            let ended = async { Some(process.wait().await) };
            let changed = async {
                changed.await;
                None
            };
            let Some(reason) = future::or(ended, changed).await else {
                continue;
            };
            let again = self.shared.changed.listen();
            match self.has_ended(number) {
                Some(true) => return reason,
                // Another one may become the root process yet.
                Some(false) => again.await,
                None => {}
            }
        }
    }

    /// Whether the root process that has ended was the last one: false while another is
    /// about to replace it, and `None` if one has.
    fn has_ended(&self, number: u64) -> Option<bool> {
        let state = self.shared.state.lock();
        (state.replaced == number).then_some(!state.is_replacing)
    }

    /// A replacement is over: this is the root process from now on, if there is one.
    fn settle(&self, process: Option<&Process>, environment: &Environment, listeners: &Listeners) {
        let mut state = self.shared.state.lock();
        state.is_replacing = false;
        if let Some(process) = process {
            state.replaced += 1;
            state.running = Running {
                process: process.clone(),
                environment: environment.clone(),
                listeners: listeners.clone(),
            };
        }
    }

    /// Replaces its processes by those of another version of its module. Returns when the
    /// new root process has taken over; the connections of the old processes go on then.
    ///
    /// The future may be dropped only if the runtime ends: until it is ready, the program
    /// cannot be replaced again.
    ///
    /// # Errors
    ///
    /// [`ReplaceError`].
    pub(crate) async fn replace(
        &self,
        runtime: &Runtime,
        module: &Module<State>,
        limits: ReplaceLimits,
    ) -> Result<Process, ReplaceError> {
        runtime.check_replaceable()?;
        let export = self.shared.root.export();
        if !module.exported_functions().any(|(name, _)| name == export) {
            return Err(ReplaceError::NoExport(export.to_owned()));
        }
        let old = self.begin_replacing()?;
        let environment = runtime.environment_of_program(old.environment.id());
        let listeners = old.listeners.successor();
        let root = self.shared.root.clone();
        let root = root
            .environment(environment.clone())
            .listeners(listeners.clone());
        let begun = match runtime.spawn(module, root).await {
            Ok(process) => {
                let begun = has_begun(&process, &old.listeners, &listeners, limits.start).await;
                begun.map(|()| process)
            }
            Err(error) => Err(ReplaceError::NotStarted(error)),
        };
        self.settle(begun.as_ref().ok(), &environment, &listeners);
        self.shared.changed.notify(usize::MAX);
        match &begun {
            Ok(_) => {
                runtime.scheduler.spawn(async move {
                    let drained = old.listeners.drained();
                    let late = async {
                        Timer::after(limits.drain).await;
                    };
                    future::or(drained, late).await;
                    old.environment.shut_down().await;
                });
            }
            Err(_) => {
                environment.shut_down().await;
                listeners.give_back();
            }
        }
        begun
    }
}

/// Waits until a new root process has taken over from the old one.
async fn has_begun(
    process: &Process,
    old: &Listeners,
    new: &Listeners,
    limit: Duration,
) -> Result<(), ReplaceError> {
    if !old.has_bound() {
        return lives_on(process).await;
    }
    let begun = async {
        while old.has_bound() && !new.has_begun() {
            Timer::after(LOOK_INTERVAL).await;
        }
        Ok(())
    };
    let ended = async { Err(ReplaceError::Ended(process.wait().await)) };
    let late = async {
        Timer::after(limit).await;
        Err(ReplaceError::TookTooLong(limit))
    };
    future::or(ended, future::or(begun, late)).await
}

/// Waits a moment for a new root process to fail: without a socket nothing tells that it has
/// taken over. One that ends normally has done what it was to do.
async fn lives_on(process: &Process) -> Result<(), ReplaceError> {
    let ended = async {
        match process.wait().await {
            ExitReason::Normal => Ok(()),
            reason => Err(ReplaceError::Failed(reason)),
        }
    };
    let lives = async {
        Timer::after(GRACE).await;
        Ok(())
    };
    future::or(ended, lives).await
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("module_name", &self.shared.module_name)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for ReplaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReplaceError::InProgress => f.write_str("it is being replaced already"),
            ReplaceError::NoVersions => f.write_str("its module has no name"),
            ReplaceError::OnNode => f.write_str(
                "on a node of a cluster nothing is replaced, as processes of other nodes live \
                 beside those of the program; use --others restart or kill, or let the root \
                 process offer its state",
            ),
            ReplaceError::NoExport(export) => {
                write!(f, "the new version exports no function `{export}`")
            }
            ReplaceError::NotStarted(_) => f.write_str("the new root process did not start"),
            ReplaceError::Ended(reason) => {
                write!(
                    f,
                    "the new root process ended before it accepted a connection: {reason}"
                )
            }
            ReplaceError::Failed(reason) => {
                write!(
                    f,
                    "the new root process failed when it had started: {reason}"
                )
            }
            ReplaceError::ShutDown => f.write_str("the runtime has ended"),
            ReplaceError::TookTooLong(limit) => {
                write!(
                    f,
                    "the new root process has not accepted a connection within {limit:?}"
                )
            }
        }
    }
}

impl Error for ReplaceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ReplaceError::NotStarted(error) => Some(error),
            _ => None,
        }
    }
}
