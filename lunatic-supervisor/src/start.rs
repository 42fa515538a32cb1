//! How a child is started.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use lunatic_account::{Account, Charge, Exceeded, Kind};
use lunatic_process::{Context, Environment, Failure, Process, SpawnLink, SpawnOptions};

use crate::core::ChildRef;
use crate::spec::Observer;

/// How a child is started, each time. It is cheap to clone.
pub type ChildStart = Arc<dyn StartChild>;

/// Starts the process of a child.
///
/// It is implemented by [`native`] and by [`Spec`](crate::Spec).
///
/// # Examples
///
/// A child that is ready only after it has said so:
///
/// ```
/// use std::future;
/// use std::sync::Arc;
///
/// use lunatic_process::Failure;
/// use lunatic_supervisor::{ChildContext, ChildSpec, Spec, StartChild, Starting};
///
/// struct Server;
///
/// impl StartChild for Server {
///     fn start(&self, context: &ChildContext<'_>) -> Result<Starting, Failure> {
///         let (sender, ready) = async_channel::bounded(1);
///         let process = context.environment().spawn(context.options(), |_| async move {
///             sender.send(()).await.ok();
///             future::pending().await
///         })?;
///         Ok(Starting::when(process, async move {
///             ready.recv().await.map_err(Failure::new)
///         }))
///     }
/// }
///
/// # let scheduler = lunatic_scheduler::Scheduler::builder().start()?;
/// # let environment = lunatic_process::Environment::new(1, scheduler);
/// let spec = Spec::new("root").child(ChildSpec::new("server", Arc::new(Server)));
/// # futures_lite::future::block_on(async {
/// let supervisor = spec.start(&environment, None).await?;
/// assert_eq!(supervisor.count_children().await?.active, 1);
/// # supervisor.shut_down().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait StartChild: Any + Send + Sync {
    /// Spawns the child, without blocking. [`Starting::after`] waits for something
    /// before that.
    ///
    /// The child should be spawned with [`ChildContext::options`]. If it is not linked
    /// to the supervisor, it is linked afterwards.
    ///
    /// # Errors
    ///
    /// Fails if the child cannot be started. That ends a supervisor that is starting
    /// its first children; later the start is tried again, which counts as a restart.
    fn start(&self, context: &ChildContext<'_>) -> Result<Starting, Failure>;

    /// Returns how many bytes it keeps, about.
    fn size(&self) -> usize {
        0
    }
}

/// How a child is started, and what is charged for the child as long as a supervisor has it.
pub(crate) struct Charged {
    start: ChildStart,
    _charge: Charge,
}

/// The bytes of a child in a specification or a running supervisor, beside its name and its
/// [start](StartChild::size): in the tables of the supervisor, and its timers.
const CHILD_BYTES: usize = 1024;

/// Returns the bytes that are charged for a child of a specification or a running supervisor.
///
/// - `name`: the length of its name.
pub(crate) fn child_bytes(name: usize, start: &ChildStart) -> u64 {
    // The name is there twice.
    (CHILD_BYTES + 2 * name + start.size()) as u64
}

impl Charged {
    /// Charges a child.
    ///
    /// # Errors
    ///
    /// [`Exceeded`] if the account has no memory left.
    pub(crate) fn wrap(
        start: ChildStart,
        name: usize,
        payer: &Account,
    ) -> Result<ChildStart, Exceeded> {
        let charge = Charge::new(payer, Kind::Memory, child_bytes(name, &start))?;
        Ok(Arc::new(Charged {
            start,
            _charge: charge,
        }))
    }
}

impl StartChild for Charged {
    fn start(&self, context: &ChildContext<'_>) -> Result<Starting, Failure> {
        self.start.start(context)
    }

    fn size(&self) -> usize {
        self.start.size()
    }
}

/// The child and its supervisor, for [`StartChild::start`].
#[derive(Debug)]
pub struct ChildContext<'a> {
    pub(crate) supervisor: &'a Process,
    pub(crate) path: &'a str,
    pub(crate) child: &'a ChildRef,
    pub(crate) observer: Option<&'a Observer>,
}

/// The process of a child that is being started.
pub struct Starting(pub(crate) Stage);

/// How far the start of a child has come.
pub(crate) enum Stage {
    /// The child has no process yet.
    Preparing(Preparation),
    /// The child has a process.
    Spawned(Spawned),
}

/// A future that prepares a child, and spawns it.
pub(crate) type Preparation = Pin<Box<dyn Future<Output = Result<Starting, Failure>> + Send>>;

/// The process of a child, and what the child does before it counts as started.
pub(crate) struct Spawned {
    pub(crate) process: Process,
    pub(crate) ready: Option<Ready>,
}

/// Completes when a child is started, or could not be.
pub(crate) type Ready = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;

impl ChildContext<'_> {
    /// Returns the process of the supervisor.
    pub fn supervisor(&self) -> &Process {
        self.supervisor
    }

    /// Returns the environment to spawn the child in.
    pub fn environment(&self) -> &Environment {
        self.supervisor.environment()
    }

    /// Returns the path of the child in the tree, `root/web/worker` for example.
    pub fn path(&self) -> String {
        format!("{}/{}", self.path, self.child)
    }

    /// Returns a link to the supervisor.
    pub fn link(&self) -> SpawnLink {
        SpawnLink {
            parent: self.supervisor.clone(),
            tag: None,
        }
    }

    /// Returns options with which the child is linked to the supervisor, and its failure
    /// is not logged, as the supervisor does that.
    pub fn options(&self) -> SpawnOptions {
        SpawnOptions {
            link: Some(self.link()),
            awaited: true,
            parent: Some(self.supervisor.id()),
            account: Some(self.supervisor.account().clone()),
            ..SpawnOptions::default()
        }
    }

    /// Returns the function that is called with the events of the tree.
    pub(crate) fn observer(&self) -> Option<&Observer> {
        self.observer
    }
}

impl Starting {
    /// Returns a child that is started as soon as it is spawned.
    pub fn at_once(process: Process) -> Starting {
        Starting(Stage::Spawned(Spawned {
            process,
            ready: None,
        }))
    }

    /// Returns a child that is started when `ready` completes without an error. Until
    /// then the supervisor starts no other child.
    pub fn when(
        process: Process,
        ready: impl Future<Output = Result<(), Failure>> + Send + 'static,
    ) -> Starting {
        Starting(Stage::Spawned(Spawned {
            process,
            ready: Some(Box::pin(ready)),
        }))
    }

    /// A child that is spawned by `preparation`, which may wait before it spawns; until then, the
    /// supervisor starts no other child. If the child is asked to end during that time,
    /// `preparation` is dropped and there is no child.
    pub fn after(
        preparation: impl Future<Output = Result<Starting, Failure>> + Send + 'static,
    ) -> Starting {
        Starting(Stage::Preparing(Box::pin(preparation)))
    }
}

/// Returns how to start a child that runs a future of this program.
///
/// - `body`: makes the future, each time the child is started.
///
/// # Examples
///
/// ```
/// use lunatic_mailbox::Wanted;
/// use lunatic_supervisor::{ChildSpec, native};
///
/// let echo = native(|mut own| async move {
///     let message = own.mailbox.receive(Wanted::Any).await;
///     println!("got {message:?}");
///     Ok(())
/// });
/// let child = ChildSpec::new("echo", echo);
/// # drop(child);
/// ```
pub fn native<B, F>(body: B) -> ChildStart
where
    B: Fn(Context) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), Failure>> + Send + 'static,
{
    Arc::new(Native(body))
}

struct Native<B>(B);

impl<B, F> StartChild for Native<B>
where
    B: Fn(Context) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), Failure>> + Send + 'static,
{
    fn start(&self, context: &ChildContext<'_>) -> Result<Starting, Failure> {
        let environment = context.environment();
        let process = environment.spawn(context.options(), |own| (self.0)(own))?;
        Ok(Starting::at_once(process))
    }
}

impl fmt::Debug for dyn StartChild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StartChild")
    }
}

impl fmt::Debug for Starting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Stage::Preparing(_) => f.write_str("Starting"),
            Stage::Spawned(Spawned { process, ready }) => f
                .debug_struct("Starting")
                .field("process", process)
                .field("at_once", &ready.is_none())
                .finish(),
        }
    }
}
