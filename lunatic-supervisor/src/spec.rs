//! A supervisor and its children as data.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lunatic_process::{Environment, Failure, Role, SpawnLink, SpawnOptions};

use crate::core::{
    AutoShutdown, Backoff, ChildKind, ChildSpec, Flags, Intensity, MAX_CHILDREN, Machine,
    ShutdownPolicy, SpecError, Strategy, SupervisorEvent,
};
use crate::driver::{self, Driver};
use crate::start::{ChildContext, ChildStart, Spawned, Stage, StartChild, Starting};
use crate::supervisor::{Supervisor, SupervisorError};

/// Told what happens in a tree of supervisors; cheap to clone.
///
/// It is called by the supervisor's own task and must be quick. It gets the path
/// of the supervisor, `root/web`, and the event. All events are logged too.
#[derive(Clone)]
pub struct Observer(Arc<Observe>);

type Observe = dyn Fn(&str, &SupervisorEvent) + Send + Sync;

/// A supervisor and its children as data; it can be started many times.
#[derive(Debug, Clone)]
pub struct Spec {
    name: Arc<str>,
    flags: Flags,
    children: Vec<ChildSpec<ChildStart>>,
    observer: Option<Observer>,
}

impl Spec {
    /// A supervisor with OTP's defaults and without children.
    ///
    /// - `name`: for logs.
    pub fn new(name: impl Into<Arc<str>>) -> Spec {
        Spec {
            name: name.into(),
            flags: Flags::default(),
            children: Vec::new(),
            observer: None,
        }
    }

    /// Which children are restarted.
    pub fn strategy(mut self, strategy: Strategy) -> Spec {
        self.flags.strategy = strategy;
        self
    }

    /// How many restarts there may be in how much time, before it gives up.
    pub fn intensity(mut self, restarts: u32, period: Duration) -> Spec {
        self.flags.intensity = Intensity { restarts, period };
        self
    }

    /// Whether it ends with its significant children.
    pub fn auto_shutdown(mut self, auto_shutdown: AutoShutdown) -> Spec {
        self.flags.auto_shutdown = auto_shutdown;
        self
    }

    /// How long it waits before a restart.
    pub fn backoff(mut self, backoff: Backoff) -> Spec {
        self.flags.backoff = Some(backoff);
        self
    }

    /// All flags at once.
    pub fn flags(mut self, flags: Flags) -> Spec {
        self.flags = flags;
        self
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Adds a child, if it can be added to those that are there. Names are
    /// compared when the supervisor is started or [checked](Spec::check).
    ///
    /// # Errors
    ///
    /// [`SpecError`].
    pub fn add(&mut self, child: ChildSpec<ChildStart>) -> Result<(), SpecError> {
        self.flags.check_child(&child)?;
        if self.children.len() >= MAX_CHILDREN {
            return Err(SpecError::TooManyChildren);
        }
        self.children.push(child);
        Ok(())
    }

    /// Adds a child; they are started in the order in which they are added.
    pub fn child(mut self, child: ChildSpec<ChildStart>) -> Spec {
        self.children.push(child);
        self
    }

    /// Whom to tell what happens to it and, unless they have their own, to the
    /// supervisors below.
    pub fn observer(
        mut self,
        observer: impl Fn(&str, &SupervisorEvent) + Send + Sync + 'static,
    ) -> Spec {
        self.observer = Some(Observer(Arc::new(observer)));
        self
    }

    /// A child specification for this supervisor under another: permanent, with
    /// all the time it wants to stop its own children.
    pub fn into_child(self) -> ChildSpec<ChildStart> {
        let name = self.name.to_string();
        let start: ChildStart = Arc::new(self);
        ChildSpec {
            kind: ChildKind::Supervisor,
            shutdown: ShutdownPolicy::Infinity,
            ..ChildSpec::new(name, start)
        }
    }

    /// Checks it, and all that can be seen of it: flags and names.
    ///
    /// # Errors
    ///
    /// [`SpecError`].
    pub fn check(&self) -> Result<(), SpecError> {
        self.machine(0).map(|_| ())
    }

    /// Starts it, and waits until all its children are started.
    ///
    /// - `link`: a link to its parent, with which it ends. The parent is told of
    ///   its end, unless that is normal.
    ///
    /// # Errors
    ///
    /// [`SupervisorError`]; then nothing is left of it.
    pub async fn start(
        &self,
        environment: &Environment,
        link: Option<SpawnLink>,
    ) -> Result<Supervisor, SupervisorError> {
        let Spawned { process, ready } = self.spawn(environment, link, self.name.clone(), None)?;
        if let Some(ready) = ready {
            ready.await.map_err(SupervisorError::Child)?;
        }
        Ok(Supervisor::new(process))
    }

    pub(crate) fn spawn(
        &self,
        environment: &Environment,
        link: Option<SpawnLink>,
        path: Arc<str>,
        inherited: Option<&Observer>,
    ) -> Result<Spawned, SupervisorError> {
        let machine = self
            .machine(driver::seed())
            .map_err(SupervisorError::Spec)?;
        let observer = self.observer.as_ref().or(inherited).cloned();
        let parent = link.as_ref().map(|link| link.parent.id());
        let options = SpawnOptions {
            link,
            awaited: true,
            parent,
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

    fn machine(&self, seed: u64) -> Result<Machine<ChildStart>, SpecError> {
        Machine::new(self.flags, self.children.clone(), seed)
    }
}

/// A supervisor under a supervisor.
impl StartChild for Spec {
    fn start(&self, context: &ChildContext<'_>) -> Result<Starting, Failure> {
        let path = context.path().into();
        let spawned = self.spawn(
            context.environment(),
            Some(context.link()),
            path,
            context.observer(),
        )?;
        Ok(Starting(Stage::Spawned(spawned)))
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
