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
use lunatic_process::{Environment, ExitReason, Process, WeakEnvironment};
use parking_lot::Mutex;

use crate::runtime::{Root, RootError, Runtime};
use crate::state::State;

/// A root process with all its descendants, in an environment of its own: the first one that
/// is started in the environment of the runtime, each further one in another. Another version
/// of its module can replace it as a whole: it offers nothing for that.
///
/// A new root process runs beside the old one. Where it binds an address at which the old
/// processes listen, it gets the same socket, and from its first `accept` on theirs wait. The
/// old processes are killed when their connections have ended and the new ones have bound all
/// addresses at which they listen, or have had 5 s for that; or after a while. If the new root
/// process ends before its first `accept`, the old ones go on. Where the old processes listen
/// nowhere, they go on if the new root process fails within 200 ms.
///
/// All programs of a module are replaced, or none.
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
    /// Where the processes live that were replaced and end with their connections.
    draining: Mutex<Vec<WeakEnvironment>>,
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
    /// It failed as soon as it had started, as where the old processes listen nowhere, or while
    /// other programs of the module were replaced.
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
    /// The programs that run a module with this name.
    pub(crate) fn of(&self, module_name: &str) -> Vec<Program> {
        let programs = self.0.programs.lock();
        let is_of = |program: &&Program| program.shared.module_name.as_deref() == Some(module_name);
        programs.iter().filter(is_of).cloned().collect()
    }

    /// Whether a process was replaced, and ends with its connections.
    pub(crate) fn is_draining(&self, process: Pid) -> bool {
        let draining = self.0.draining.lock();
        let mut environments = draining.iter().filter_map(WeakEnvironment::upgrade);
        environments.any(|environment| environment.exists(process))
    }

    /// The processes that live here end with their connections.
    fn begin_draining(&self, environment: &Environment) {
        let mut draining = self.0.draining.lock();
        draining.retain(|environment| environment.upgrade().is_some());
        draining.push(environment.downgrade());
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

    /// Whether it is the same as another.
    pub(crate) fn is(&self, other: &Program) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
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
        let running = started.as_ref().ok().map(|process| Running {
            process: process.clone(),
            environment,
            listeners,
        });
        self.settle(running);
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

    /// A replacement is over: this is what runs from now on, if there is something.
    fn settle(&self, running: Option<Running>) {
        let mut state = self.shared.state.lock();
        state.is_replacing = false;
        if let Some(running) = running {
            state.replaced += 1;
            state.running = running;
        }
        drop(state);
        self.shared.changed.notify(usize::MAX);
    }

    /// Begins to replace its processes by those of another version of its module. Returns when
    /// the new root process has taken over.
    ///
    /// - `limit`: how long it has for that.
    ///
    /// # Errors
    ///
    /// [`ReplaceError`].
    async fn begin(
        &self,
        runtime: &Runtime,
        module: &Module<State>,
        limit: Duration,
    ) -> Result<Replacement, ReplaceError> {
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
        let started = runtime.spawn(module, root).await;
        let begun = match started.map_err(ReplaceError::NotStarted) {
            Ok(process) => {
                let begun = has_begun(&process, &old.listeners, &listeners, limit).await;
                begun.map(|()| process)
            }
            Err(error) => Err(error),
        };
        match begun {
            Ok(process) => Ok(Replacement {
                program: self.clone(),
                old,
                new: Running {
                    process,
                    environment,
                    listeners,
                },
            }),
            Err(error) => {
                self.take_back(&environment, &listeners).await;
                Err(error)
            }
        }
    }

    /// Ends what was to replace its processes.
    async fn take_back(&self, environment: &Environment, listeners: &Listeners) {
        self.settle(None);
        environment.shut_down().await;
        listeners.give_back();
    }
}

/// A new root process that has taken over, and may still have to leave all to the old one.
struct Replacement {
    program: Program,
    old: Running,
    new: Running,
}

impl Replacement {
    /// The new root process stays. The old processes are killed when their connections have
    /// ended.
    ///
    /// - `drain`: how long these may go on.
    fn complete(self, runtime: &Runtime, drain: Duration) {
        let old = self.old;
        runtime.programs.begin_draining(&old.environment);
        self.program.settle(Some(self.new));
        runtime.scheduler.spawn(async move {
            let drained = async {
                passed_on(&old.listeners).await;
                old.listeners.drained().await;
            };
            let late = async {
                Timer::after(drain).await;
            };
            future::or(drained, late).await;
            old.environment.shut_down().await;
        });
    }

    /// The old processes go on.
    async fn take_back(self) {
        let Running {
            environment,
            listeners,
            ..
        } = &self.new;
        self.program.take_back(environment, listeners).await;
    }

    /// Why the new root process cannot stay, if it has failed meanwhile.
    async fn failure(&self) -> Option<ReplaceError> {
        let reason = future::poll_once(self.new.process.wait()).await?;
        (!reason.is_normal()).then_some(ReplaceError::Failed(reason))
    }
}

/// Replaces the processes of programs by those of another version of their module. Returns when
/// the new root processes have taken over; the connections of the old processes go on then. If
/// one does not take over, none is replaced.
///
/// The future may be dropped only if the runtime ends: until it is ready, the programs cannot be
/// replaced again.
///
/// # Errors
///
/// The program that was not replaced, and why.
pub(crate) async fn replace_all(
    programs: &[Program],
    runtime: &Runtime,
    module: &Module<State>,
    limits: ReplaceLimits,
) -> Result<(), (Program, ReplaceError)> {
    let mut begun: Vec<Replacement> = Vec::new();
    let mut failed = None;
    for program in programs {
        match program.begin(runtime, module, limits.start).await {
            Ok(replacement) => begun.push(replacement),
            Err(error) => {
                failed = Some((program.clone(), error));
                break;
            }
        }
    }
    if failed.is_none() {
        // While the others began.
        for replacement in &begun {
            if let Some(error) = replacement.failure().await {
                failed = Some((replacement.program.clone(), error));
                break;
            }
        }
    }
    match failed {
        None => {
            for replacement in begun {
                replacement.complete(runtime, limits.drain);
            }
            Ok(())
        }
        Some(failed) => {
            for replacement in begun {
                replacement.take_back().await;
            }
            Err(failed)
        }
    }
}

/// Waits until new processes have bound all addresses at which old ones listen, or have had the
/// time to: what they have not bound yet is closed when the old ones end.
async fn passed_on(old: &Listeners) {
    /// From the first `accept` of the new root process on. It may not want all addresses.
    const TO_BIND: Duration = Duration::from_secs(5);
    let bound = async {
        while !old.are_passed_on() {
            Timer::after(LOOK_INTERVAL).await;
        }
    };
    let late = async {
        Timer::after(TO_BIND).await;
    };
    future::or(bound, late).await;
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
                    "the new root process has ended before it took over: {reason}"
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
                    "the new root process has not accepted a connection within {limit:?} (--timeout)"
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
