//! A supervisor and its children as data.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future;
use lunatic_account::{Charge, Kind};
use lunatic_blocking::DropLater;
use lunatic_process::{Environment, Failure, Role, SpawnError, SpawnLink, SpawnOptions};

use crate::core::{
    AutoShutdown, Backoff, ChildKind, ChildSpec, Flags, Intensity, MAX_CHILDREN, MAX_LEVELS,
    Machine, Shared, ShutdownPolicy, SpecError, Strategy, SupervisorEvent,
};
use crate::driver::{self, Driver};
use crate::start::{ChildContext, ChildStart, Spawned, Stage, StartChild, Starting, child_bytes};
use crate::supervisor::{Supervisor, SupervisorError};

/// A function that is called with each event in a tree of supervisors. It is cheap to
/// clone.
///
/// It gets the path of the supervisor, `root/web` for example, and the event. The
/// supervisor waits until it returns, so it must be quick.
#[derive(Clone)]
pub struct Observer(Arc<Observe>);

type Observe = dyn Fn(&str, &SupervisorEvent) + Send + Sync;

/// A supervisor and its children as data, which can be started many times. Clones share the
/// children until one of them gets another child.
///
/// # Examples
///
/// ```
/// use futures_lite::future::block_on;
/// use lunatic_mailbox::Wanted;
/// use lunatic_process::Environment;
/// use lunatic_supervisor::{ChildSpec, Spec, Strategy, native};
///
/// # let scheduler = lunatic_scheduler::Scheduler::builder().start()?;
/// let environment = Environment::new(1, scheduler);
/// let echo = native(|mut own| async move {
///     own.mailbox.receive(Wanted::Any).await;
///     Ok(())
/// });
/// let web = Spec::new("web").child(ChildSpec::new("listener", echo.clone()));
/// let root = Spec::new("root")
///     .strategy(Strategy::RestForOne)
///     .child(ChildSpec::new("database", echo))
///     .child(web.into_child());
///
/// block_on(async {
///     let supervisor = root.start(&environment, None).await?;
///     assert_eq!(supervisor.which_children().await?.len(), 2);
///     assert!(supervisor.shut_down().await.is_normal());
///     Ok::<(), Box<dyn std::error::Error>>(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Spec {
    name: Arc<str>,
    flags: Flags,
    /// How many levels of supervisors are below this one.
    levels: u32,
    children: Arc<DropLater<Children>>,
    /// The bytes that are charged for the children.
    bytes: u64,
    observer: Option<Observer>,
}

type Children = Vec<Arc<Shared<ChildStart>>>;

/// The number of children above which a list of them is dropped on another thread.
pub(crate) const DROP_LATER_CHILDREN: usize = 1024;

/// The size of a supervisor without its children and its path, in bytes.
const SUPERVISOR_BYTES: u64 = 8 << 10;

impl Spec {
    /// Returns a supervisor without children, with the default settings of OTP.
    ///
    /// - `name`: names it in logs.
    pub fn new(name: impl Into<Arc<str>>) -> Spec {
        Spec {
            name: name.into(),
            flags: Flags::default(),
            levels: 0,
            children: Arc::new(droppable(Vec::new())),
            bytes: 0,
            observer: None,
        }
    }

    /// Sets which children are restarted when one has ended.
    pub fn strategy(mut self, strategy: Strategy) -> Spec {
        self.flags.strategy = strategy;
        self
    }

    /// Sets how many restarts it does in a period before it gives up.
    pub fn intensity(mut self, restarts: u32, period: Duration) -> Spec {
        self.flags.intensity = Intensity { restarts, period };
        self
    }

    /// Sets whether it ends when its significant children have ended.
    pub fn auto_shutdown(mut self, auto_shutdown: AutoShutdown) -> Spec {
        self.flags.auto_shutdown = auto_shutdown;
        self
    }

    /// Sets how long it waits before a restart.
    pub fn backoff(mut self, backoff: Backoff) -> Spec {
        self.set_backoff(backoff);
        self
    }

    /// Sets how long it waits before a restart, without taking the specification, which
    /// may have many children, apart.
    pub fn set_backoff(&mut self, backoff: Backoff) {
        self.flags.backoff = Some(backoff);
    }

    /// Sets all flags.
    pub fn flags(mut self, flags: Flags) -> Spec {
        self.flags = flags;
        self
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Adds a child after checking it. Whether its name is unique is only checked when
    /// the supervisor is started or [checked](Spec::check).
    ///
    /// # Errors
    ///
    /// [`SpecError`] if the child is not valid, or there are too many.
    pub fn add(&mut self, child: ChildSpec<ChildStart>) -> Result<(), SpecError> {
        self.flags.check_child(&child)?;
        if self.children.len() >= MAX_CHILDREN {
            return Err(SpecError::TooManyChildren);
        }
        let levels = levels_below(&child).max(self.levels);
        if levels > MAX_LEVELS {
            return Err(SpecError::NestedTooDeep);
        }
        self.push(child);
        Ok(())
    }

    /// Returns about how many bytes are copied with its children when another one is added; 0 if
    /// they are not shared.
    #[cfg(feature = "guest")]
    pub(crate) fn bytes_to_copy(&self) -> usize {
        /// The counter of a child is on a line of the cache of its own.
        const CHILD_BYTES: usize = 64;
        match Arc::strong_count(&self.children) {
            1 => 0,
            _ => self.children.len() * CHILD_BYTES,
        }
    }

    /// Adds a child. Children are started in the order in which they are added.
    pub fn child(mut self, child: ChildSpec<ChildStart>) -> Spec {
        self.push(child);
        self
    }

    fn push(&mut self, child: ChildSpec<ChildStart>) {
        self.levels = self.levels.max(levels_below(&child));
        self.bytes += child_bytes(child.name.len(), &child.start);
        let child = Shared::new(child);
        match Arc::get_mut(&mut self.children) {
            Some(children) => children.push(child),
            None => {
                let others = self.children.iter().cloned();
                self.children = Arc::new(droppable(others.chain([child]).collect()));
            }
        }
    }

    /// Sets a function that is called with each event of this supervisor, and of the
    /// supervisors below it that have no observer of their own.
    ///
    /// It gets the path of the supervisor, `root/web` for example, and the event. The
    /// supervisor waits until it returns, so it must be quick.
    pub fn observer(
        mut self,
        observer: impl Fn(&str, &SupervisorEvent) + Send + Sync + 'static,
    ) -> Spec {
        self.observer = Some(Observer(Arc::new(observer)));
        self
    }

    /// Returns the specification of this supervisor as the child of another one: it is
    /// permanent, and has unlimited time to stop its own children.
    pub fn into_child(self) -> ChildSpec<ChildStart> {
        let name = self.name.to_string();
        let start: ChildStart = Arc::new(self);
        ChildSpec {
            kind: ChildKind::Supervisor,
            shutdown: ShutdownPolicy::Infinity,
            ..ChildSpec::new(name, start)
        }
    }

    /// Checks the flags and the children.
    ///
    /// # Errors
    ///
    /// [`SpecError`] if they are not valid.
    pub fn check(&self) -> Result<(), SpecError> {
        let mut machine = self.machine_without_children(0)?;
        let mut children = self.children.iter();
        children.try_for_each(|child| machine.specify(child.clone()))
    }

    /// Starts the supervisor, and waits until all of its children are started.
    ///
    /// - `link`: a link to a parent process. The supervisor ends when the parent does,
    ///   and the parent gets a link death when the supervisor ends, unless it ends
    ///   normally.
    ///
    /// # Errors
    ///
    /// [`SupervisorError`] if it is not valid or a child could not be started. All
    /// children are stopped then.
    pub async fn start(
        &self,
        environment: &Environment,
        link: Option<SpawnLink>,
    ) -> Result<Supervisor, SupervisorError> {
        let spawning = self.spawn(environment, link, self.name.clone(), None);
        let Spawned { process, ready } = spawning.await?;
        if let Some(ready) = ready {
            ready.await.map_err(SupervisorError::Child)?;
        }
        Ok(Supervisor::new(process))
    }

    /// Spawns the supervisor. What it needs is charged before it is made, which takes many steps
    /// if there are many children.
    async fn spawn(
        &self,
        environment: &Environment,
        link: Option<SpawnLink>,
        path: Arc<str>,
        inherited: Option<&Observer>,
    ) -> Result<Spawned, SupervisorError> {
        let observer = self.observer.as_ref().or(inherited).cloned();
        let parent = link.as_ref().map(|link| link.parent.id());
        let account = link.as_ref().map(|link| link.parent.account().clone());
        let payer = account.as_ref().unwrap_or_else(|| environment.account());
        let bytes = SUPERVISOR_BYTES + path.len() as u64 + self.bytes;
        let own = Charge::new(payer, Kind::Memory, bytes)
            .map_err(|exceeded| SupervisorError::Spawn(SpawnError::Exceeded(exceeded)))?;
        let machine = self.machine(driver::seed()).await;
        let machine = machine.map_err(SupervisorError::Spec)?;
        let machine = machine.charged(own);
        let options = SpawnOptions {
            link,
            awaited: true,
            parent,
            account,
            role: Role::Supervisor,
            trap_exits: true,
            label: Some(path.clone()),
            ..SpawnOptions::default()
        };
        let (report, ready) = async_channel::bounded(1);
        let process = environment
            .spawn(options, |own| {
                Driver::new(own, machine, parent, path, observer, report).run()
            })
            .map_err(SupervisorError::Spawn)?;
        let ready = async move {
            let ended = || Err(Failure::new("the supervisor ended while it started"));
            ready.recv().await.unwrap_or_else(|_| ended())
        };
        Ok(Spawned {
            process,
            ready: Some(Box::pin(ready)),
        })
    }

    /// Makes the machine, with pauses.
    async fn machine(&self, seed: u64) -> Result<DropLater<Machine<ChildStart>>, SpecError> {
        /// The number of children after which other tasks may run on this core.
        const CHILDREN_PER_STEP: usize = 256;
        let mut machine = DropLater::new(self.machine_without_children(seed)?, |machine| {
            machine.len() > DROP_LATER_CHILDREN
        });
        for piece in self.children.chunks(CHILDREN_PER_STEP) {
            for child in piece {
                machine.specify(child.clone())?;
            }
            if piece.len() == CHILDREN_PER_STEP {
                future::yield_now().await;
            }
        }
        Ok(machine)
    }

    fn machine_without_children(&self, seed: u64) -> Result<Machine<ChildStart>, SpecError> {
        match self.levels <= MAX_LEVELS {
            true => Machine::without_children(self.flags, self.children.len(), seed),
            false => Err(SpecError::NestedTooDeep),
        }
    }
}

/// The children of a specification, which are dropped on another thread if they are many. Their
/// nesting does not matter for the stack of that thread: there are at most [`MAX_LEVELS`].
fn droppable(children: Children) -> DropLater<Children> {
    DropLater::new(children, |children| children.len() > DROP_LATER_CHILDREN)
}

/// Returns how many levels of supervisors a child adds below its own supervisor.
fn levels_below(child: &ChildSpec<ChildStart>) -> u32 {
    let start: &dyn Any = &*child.start;
    let nested = start.downcast_ref::<Spec>();
    nested.map_or(0, |spec| spec.levels + 1)
}

/// Starts a supervisor as the child of another one.
impl StartChild for Spec {
    fn start(&self, context: &ChildContext<'_>) -> Result<Starting, Failure> {
        let path = context.path().into();
        let (spec, environment) = (self.clone(), context.environment().clone());
        let (link, observer) = (context.link(), context.observer().cloned());
        Ok(Starting::after(async move {
            let spawning = spec.spawn(&environment, Some(link), path, observer.as_ref());
            Ok(Starting(Stage::Spawned(spawning.await?)))
        }))
    }

    fn size(&self) -> usize {
        self.bytes as usize
    }
}

impl Observer {
    pub(crate) fn tell(&self, path: &str, event: &SupervisorEvent) {
        (self.0)(path, event);
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}
