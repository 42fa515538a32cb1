//! How a child is started.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use lunatic_process::{Context, Environment, Failure, Process, SpawnLink, SpawnOptions};

use crate::core::ChildRef;
use crate::spec::Observer;

/// How a child is started, again and again; cheap to clone.
pub type ChildStart = Arc<dyn StartChild>;

/// Starts the process of a child.
pub trait StartChild: Any + Send + Sync {
    /// Spawns the child, without waiting for anything. If something has to be
    /// waited for first, [`Starting::after`] does that.
    ///
    /// The child should be spawned with [`ChildContext::options`]; one that is
    /// not linked to the supervisor is linked to it afterwards.
    ///
    /// # Errors
    ///
    /// Why there is no child. While the supervisor itself is started, that is
    /// its end; later it counts as another restart.
    fn start(&self, context: &ChildContext<'_>) -> Result<Starting, Failure>;
}

/// What a child gets to know when it is started.
#[derive(Debug)]
pub struct ChildContext<'a> {
    pub(crate) supervisor: &'a Process,
    pub(crate) path: &'a str,
    pub(crate) child: &'a ChildRef,
    pub(crate) observer: Option<&'a Observer>,
}

/// A child that is being started.
pub struct Starting(pub(crate) Stage);

/// How far the start of a child has come.
pub(crate) enum Stage {
    /// It has no process yet.
    Preparing(Preparation),
    /// It has a process.
    Spawned(Spawned),
}

/// What is waited for before a child is spawned, and the spawn.
pub(crate) type Preparation = Pin<Box<dyn Future<Output = Result<Starting, Failure>> + Send>>;

/// The process of a child, and what the child does before it counts as started.
pub(crate) struct Spawned {
    pub(crate) process: Process,
    pub(crate) ready: Option<Ready>,
}

/// The wait until a child has started, or is known not to.
pub(crate) type Ready = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;

impl ChildContext<'_> {
    /// The process of the supervisor.
    pub fn supervisor(&self) -> &Process {
        self.supervisor
    }

    /// Where the child is to live.
    pub fn environment(&self) -> &Environment {
        self.supervisor.environment()
    }

    /// The name of the child in the tree: `root/web/worker`.
    pub fn path(&self) -> String {
        format!("{}/{}", self.path, self.child)
    }

    /// A link to the supervisor.
    pub fn link(&self) -> SpawnLink {
        SpawnLink {
            parent: self.supervisor.clone(),
            tag: None,
        }
    }

    /// Linked to the supervisor, which tells of its failure.
    pub fn options(&self) -> SpawnOptions {
        SpawnOptions {
            link: Some(self.link()),
            awaited: true,
            parent: Some(self.supervisor.id()),
            ..SpawnOptions::default()
        }
    }

    /// Who is told what happens in the tree.
    pub(crate) fn observer(&self) -> Option<&Observer> {
        self.observer
    }
}

impl Starting {
    /// A child that is there as soon as it is spawned.
    pub fn at_once(process: Process) -> Starting {
        Starting(Stage::Spawned(Spawned {
            process,
            ready: None,
        }))
    }

    /// A child that is there when `ready` is over without an error; until then,
    /// the supervisor starts no other.
    pub fn when(
        process: Process,
        ready: impl Future<Output = Result<(), Failure>> + Send + 'static,
    ) -> Starting {
        Starting(Stage::Spawned(Spawned {
            process,
            ready: Some(Box::pin(ready)),
        }))
    }

    /// A child that is spawned by `preparation`, which may wait before it does
    /// that; until then, the supervisor starts no other. If the child is told to
    /// end meanwhile, `preparation` is dropped and there is no child.
    pub fn after(
        preparation: impl Future<Output = Result<Starting, Failure>> + Send + 'static,
    ) -> Starting {
        Starting(Stage::Preparing(Box::pin(preparation)))
    }
}

/// A child that runs an `async` block of this program.
///
/// - `body`: makes the block, for every start anew.
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
