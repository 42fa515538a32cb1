//! The scheduler, and how it is started.

use std::fmt;
use std::future::Future;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use async_task::{Builder as TaskBuilder, ScheduleInfo, WithInfo};
use lunatic_account::Share;
use pin_project_lite::pin_project;

use crate::driver::{Driver, Driving, Task};
use crate::idle::Idle;
use crate::processors::Processors;
use crate::queues::{Own, OwnQueues, Queues};
use crate::stats::SchedulerStats;
use crate::worker;

/// A pool of worker threads that run tasks.
///
/// All clones refer to the same pool. The workers run until
/// [`stop`](Scheduler::stop) is called, also after the last clone is dropped.
///
/// # Examples
///
/// ```
/// use lunatic_scheduler::Scheduler;
///
/// let scheduler = Scheduler::builder().start()?;
/// let (sender, receiver) = async_channel::bounded(1);
/// scheduler.spawn(async move {
///     sender.send(6 * 7).await.ok();
/// });
/// assert_eq!(receiver.recv_blocking(), Ok(42));
/// scheduler.stop();
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Scheduler {
    shared: Arc<Shared>,
}

/// The settings of a new [`Scheduler`].
///
/// # Examples
///
/// ```
/// use std::num::NonZeroUsize;
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicUsize, Ordering};
///
/// use lunatic_scheduler::Scheduler;
///
/// let begun = Arc::new(AtomicUsize::new(0));
/// let counter = begun.clone();
/// let scheduler = Scheduler::builder()
///     .workers(NonZeroUsize::MIN)
///     .on_work(move || {
///         counter.fetch_add(1, Ordering::Relaxed);
///     })
///     .start()?;
///
/// let (sender, receiver) = async_channel::bounded(1);
/// scheduler.spawn(async move {
///     sender.send(()).await.ok();
/// });
/// receiver.recv_blocking().ok();
/// assert!(begun.load(Ordering::Relaxed) > 0);
/// # scheduler.stop();
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Default)]
pub struct Builder {
    workers: Option<NonZeroUsize>,
    hooks: Hooks,
    driver: Option<Box<dyn Driver>>,
}

/// The functions that every worker calls when it finds a task after a rest, and when it finds no
/// more tasks.
#[derive(Default)]
pub(crate) struct Hooks {
    on_work: Option<Hook>,
    on_rest: Option<Hook>,
}

type Hook = Box<dyn Fn() + Send + Sync>;

/// A task that is ready to run. It has its scheduler in its metadata, so that the function that
/// queues it captures nothing: async-task then counts references less often.
pub(crate) type Runnable = async_task::Runnable<Metadata>;

/// The metadata of a task.
#[derive(Debug)]
pub(crate) struct Metadata {
    /// The scheduler that runs it.
    pub(crate) shared: Arc<Shared>,
    /// The share of the processors that its time is counted in; `None`: the task is never behind.
    pub(crate) share: Option<Share>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) queues: Queues,
    pub(crate) idle: Idle,
    pub(crate) processors: Processors,
    pub(crate) hooks: Hooks,
    /// What workers wait for besides tasks.
    pub(crate) driving: Option<Driving>,
    stopped: AtomicBool,
    started: Instant,
    /// All workers; set before anything is spawned.
    threads: OnceLock<Box<[Thread]>>,
}

impl Scheduler {
    /// Returns the default settings for a new scheduler.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Queues a task, which is then run to its end. A panic of the task is caught and
    /// dropped.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn_in(None, task);
    }

    /// Spawns a task whose time is counted in a share of the processors. While the share is
    /// [behind](Share::is_behind), the task waits until the other tasks that are ready have run;
    /// now and then it comes first, so that it makes progress.
    pub fn spawn_in(&self, share: Option<Share>, task: impl Future<Output = ()> + Send + 'static) {
        let metadata = Metadata {
            shared: self.shared.clone(),
            share,
        };
        let (task, handle) = TaskBuilder::new()
            .metadata(metadata)
            .spawn(|_| Guarded { task }, WithInfo(schedule));
        handle.detach();
        task.schedule();
    }

    /// Returns a function that lets other workers run the tasks that a busy worker holds back, and
    /// sees to it that somebody looks at the [driver](Builder::driver). Any one thread must call it
    /// about every millisecond while any worker works.
    ///
    /// A task that is woken by another task is run next by the same worker, and other workers do
    /// not take it. If that worker runs the same task during several calls of the function, the
    /// woken task is offered to all workers. The function does nothing after the scheduler has
    /// ended.
    ///
    /// ```
    /// use lunatic_scheduler::Scheduler;
    ///
    /// let scheduler = Scheduler::builder().start()?;
    /// let offer = scheduler.offer_held_back_tasks();
    /// offer();
    /// # scheduler.stop();
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn offer_held_back_tasks(&self) -> impl Fn() + Send + Sync + 'static {
        let shared = Arc::downgrade(&self.shared);
        move || {
            let Some(shared) = shared.upgrade() else {
                return;
            };
            if shared.queues.empty_slots_of_busy_workers() {
                shared.wake_someone();
            }
            shared.watch_driver();
        }
    }

    /// Returns the number of worker threads.
    pub fn workers(&self) -> usize {
        self.shared.threads.get().map_or(0, |threads| threads.len())
    }

    /// Returns the statistics of the workers, without waiting for them.
    pub fn stats(&self) -> SchedulerStats {
        let now = self.shared.now();
        SchedulerStats {
            workers: self.shared.queues.workers(now),
            queued: self.shared.queues.common_len(),
            uptime: Duration::from_nanos(now),
        }
    }

    /// Tells the workers to end. Each finishes polling the task that it polls now.
    /// Tasks that are ready, or are woken later, are dropped.
    pub fn stop(&self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        for thread in self.shared.threads.get().into_iter().flatten() {
            thread.unpark();
        }
        if let Some(driving) = &self.shared.driving {
            driving.driver().wake();
            driving.driver().stop();
        }
        self.shared.queues.clear();
    }
}

pin_project! {
    /// A task whose panics end it.
    struct Guarded<F> {
        #[pin]
        task: F,
    }
}

impl<F: Future<Output = ()>> Future for Guarded<F> {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let task = self.project().task;
        catch_unwind(AssertUnwindSafe(|| task.poll(cx))).unwrap_or(Poll::Ready(()))
    }
}

impl Metadata {
    /// Whether the task is to wait for others.
    #[inline]
    pub(crate) fn is_behind(&self) -> bool {
        self.share.as_ref().is_some_and(Share::is_behind)
    }
}

impl Shared {
    /// Nanoseconds since it was started.
    pub(crate) fn now(&self) -> u64 {
        self.started.elapsed().as_nanos() as u64
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// Wakes a sleeping worker, if one is needed.
    pub(crate) fn wake_someone(&self) {
        let Some(woken) = self.idle.someone_to_wake() else {
            return;
        };
        match &self.driving {
            Some(driving) if woken.is_driving => driving.driver().wake(),
            _ => self.unpark(woken.worker),
        }
    }

    fn unpark(&self, worker: usize) {
        if let Some(threads) = self.threads.get() {
            threads[worker].unpark();
        }
    }

    /// Is called every millisecond: if no worker drives, has one look at the driver.
    fn watch_driver(&self) {
        let Some(driving) = &self.driving else {
            return;
        };
        if self.is_stopped() || self.idle.is_driven() {
            return;
        }
        if let Task::Drive { look } = driving.tick() {
            match self.idle.someone_to_drive() {
                Some(worker) => self.unpark(worker),
                None if look => driving.driver().poll(),
                None => {}
            }
        }
    }
}

/// Queues a task that was spawned or woken.
fn schedule(task: Runnable, info: ScheduleInfo) {
    if task.metadata().shared.is_stopped() {
        drop(task);
        return;
    }
    if let Err(task) = Own::push(task, info.woken_while_running) {
        // Of another thread.
        let shared = task.metadata().shared.clone();
        shared.queues.push(task);
        shared.wake_someone();
    }
}

impl Builder {
    /// Sets the number of worker threads; by default there is one for each core.
    pub fn workers(mut self, workers: NonZeroUsize) -> Builder {
        self.workers = Some(workers);
        self
    }

    /// Makes each worker call `hook` when it starts, and when it finds a task after it had none.
    /// The worker runs no task during the call.
    pub fn on_work(mut self, hook: impl Fn() + Send + Sync + 'static) -> Builder {
        self.hooks.on_work = Some(Box::new(hook));
        self
    }

    /// Makes each worker call `hook` when it finds no more tasks, and when it ends. The worker runs
    /// no task during the call.
    pub fn on_rest(mut self, hook: impl Fn() + Send + Sync + 'static) -> Builder {
        self.hooks.on_rest = Some(Box::new(hook));
        self
    }

    /// Makes workers that have no tasks wait in `driver`, one at a time, for what tasks wait for:
    /// sockets, for example. The function of
    /// [`Scheduler::offer_held_back_tasks`] then has to be called every millisecond, or what has
    /// happened is seen late while workers work.
    pub fn driver(mut self, driver: impl Driver + 'static) -> Builder {
        self.driver = Some(Box::new(driver));
        self
    }

    /// Starts the workers.
    ///
    /// # Errors
    ///
    /// Fails if the operating system cannot start a thread.
    pub fn start(self) -> std::io::Result<Scheduler> {
        let workers = self
            .workers
            .or_else(|| thread::available_parallelism().ok())
            .map_or(1, NonZeroUsize::get);
        let (queues, own) = Queues::new(workers);
        let shared = Arc::new(Shared {
            queues,
            idle: Idle::new(workers),
            processors: Processors::new(workers),
            hooks: self.hooks,
            driving: self.driver.map(Driving::new),
            stopped: AtomicBool::new(false),
            started: Instant::now(),
            threads: OnceLock::new(),
        });
        let scheduler = Scheduler { shared };
        let threads = own
            .into_iter()
            .enumerate()
            .map(|(number, queues)| start_worker(number, queues, scheduler.shared.clone()))
            .collect::<std::io::Result<Box<[Thread]>>>()
            .inspect_err(|_| scheduler.stop())?;
        // Each scheduler is started once, and nothing could be spawned yet.
        scheduler.shared.threads.set(threads).ok();
        Ok(scheduler)
    }
}

fn start_worker(number: usize, queues: OwnQueues, shared: Arc<Shared>) -> std::io::Result<Thread> {
    let worker = thread::Builder::new()
        .name(format!("lunatic-{number}"))
        .spawn(move || worker::work(number, queues, shared))?;
    Ok(worker.thread().clone())
}

impl Hooks {
    pub(crate) fn work(&self) {
        if let Some(hook) = &self.on_work {
            hook();
        }
    }

    pub(crate) fn rest(&self) {
        if let Some(hook) = &self.on_rest {
            hook();
        }
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
