//! The scheduler and how it is started.

use std::fmt;
use std::future::Future;
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use async_executor::Executor;
use event_listener::Event;
use futures_lite::FutureExt;

use crate::worker;

/// A pool of worker threads that run tasks; clone it freely.
///
/// The workers run until [`stop`](Scheduler::stop) is called.
#[derive(Debug, Clone)]
pub struct Scheduler {
    shared: Arc<Shared>,
}

/// How a [`Scheduler`] is to be started.
#[derive(Default)]
pub struct Builder {
    workers: Option<NonZeroUsize>,
    hooks: Hooks,
}

/// Called by every worker whenever it finds something to do, or nothing more.
#[derive(Default)]
pub(crate) struct Hooks {
    pub(crate) on_work: Option<Hook>,
    pub(crate) on_rest: Option<Hook>,
}

type Hook = Box<dyn Fn() + Send + Sync>;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) executor: Executor<'static>,
    pub(crate) hooks: Hooks,
    stopped: AtomicBool,
    stop: Event,
}

impl Scheduler {
    /// Settings for a new scheduler.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Queues a task; it runs to its end by itself. The result, or a panic, of
    /// the task goes nowhere.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let task = AssertUnwindSafe(task).catch_unwind();
        self.shared
            .executor
            .spawn(async move {
                task.await.ok();
            })
            .detach();
    }

    /// Tells the workers to end after the task they are in. Tasks that have not
    /// run to their end stay where they are.
    pub fn stop(&self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.shared.stop.notify(usize::MAX);
    }
}

impl Builder {
    /// The number of worker threads; by default one for each core.
    pub fn workers(mut self, workers: NonZeroUsize) -> Builder {
        self.workers = Some(workers);
        self
    }

    /// Calls `hook` whenever a worker finds something to do. It must be quick.
    pub fn on_work(mut self, hook: impl Fn() + Send + Sync + 'static) -> Builder {
        self.hooks.on_work = Some(Box::new(hook));
        self
    }

    /// Calls `hook` whenever a worker has nothing more to do. It must be quick.
    pub fn on_rest(mut self, hook: impl Fn() + Send + Sync + 'static) -> Builder {
        self.hooks.on_rest = Some(Box::new(hook));
        self
    }

    /// Starts the workers.
    ///
    /// # Errors
    ///
    /// Fails if the system does not give us a thread.
    pub fn start(self) -> std::io::Result<Scheduler> {
        let workers = self
            .workers
            .or_else(|| thread::available_parallelism().ok())
            .map_or(1, NonZeroUsize::get);
        let shared = Arc::new(Shared {
            executor: Executor::new(),
            hooks: self.hooks,
            stopped: AtomicBool::new(false),
            stop: Event::new(),
        });
        for number in 0..workers {
            let shared = shared.clone();
            thread::Builder::new()
                .name(format!("lunatic-{number}"))
                .spawn(move || worker::work(&shared))?;
        }
        Ok(Scheduler { shared })
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("workers", &self.workers)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hooks")
    }
}

impl Shared {
    /// Ready when the scheduler is to stop.
    pub(crate) async fn stopped(&self) {
        let listener = self.stop.listen();
        if !self.stopped.load(Ordering::SeqCst) {
            listener.await;
        }
    }
}
