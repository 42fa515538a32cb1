//! Values that live on one thread, since they cannot leave it.

use std::fmt;
use std::future::Future;
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use async_channel::Sender;
use async_executor::LocalExecutor;
use futures_lite::FutureExt;
use futures_lite::future::block_on;
use parking_lot::Mutex;

/// A bounded number of threads on which tasks live that cannot be sent to another one.
///
/// A task is made on the thread on which it stays. It may block its thread: that holds up
/// the other tasks of this thread, and nobody else. New ones go to the thread that has the
/// fewest.
///
/// ```
/// use std::num::NonZeroUsize;
/// use std::rc::Rc;
///
/// use lunatic_blocking::Residents;
///
/// let residents = Residents::new("example", NonZeroUsize::MIN);
/// let (ask, asked) = async_channel::bounded(1);
/// let (answer, answered) = async_channel::bounded(1);
/// residents.settle(move || async move {
///     // It never leaves its thread.
///     let number = Rc::new(20);
///     while let Ok(more) = asked.recv().await {
///         answer.send(*number + more).await.ok();
///     }
/// });
/// futures_lite::future::block_on(async {
///     ask.send(1).await.unwrap();
///     assert_eq!(answered.recv().await, Ok(21));
/// });
/// ```
pub struct Residents {
    name: &'static str,
    max_threads: NonZeroUsize,
    threads: Mutex<Vec<Home>>,
}

/// A thread.
struct Home {
    residents: Arc<AtomicUsize>,
    sender: Sender<Settle>,
}

type Settle = Box<dyn FnOnce(&LocalExecutor<'static>) + Send>;

/// Counts a task as long as it lives.
struct Resident(Arc<AtomicUsize>);

impl Residents {
    /// Returns a set of threads, of which none has been started.
    ///
    /// - `name`: what the threads are called.
    /// - `max_threads`: how many there may be.
    pub fn new(name: &'static str, max_threads: NonZeroUsize) -> Residents {
        Residents {
            name,
            max_threads,
            threads: Mutex::default(),
        }
    }

    /// Makes a task on one of the threads, which runs it to its end. A panic ends the task,
    /// and not its thread.
    ///
    /// If no thread can be started, and there is none, nothing is made.
    pub fn settle<F: Future<Output = ()> + 'static>(
        &self,
        make: impl FnOnce() -> F + Send + 'static,
    ) {
        let mut threads = self.threads.lock();
        let all_taken = threads.iter().all(|home| home.count() > 0);
        if all_taken && threads.len() < self.max_threads.get() {
            threads.extend(Home::start(self.name));
        }
        let Some(home) = threads.iter().min_by_key(|home| home.count()) else {
            return;
        };
        let resident = Resident::new(&home.residents);
        let settle: Settle = Box::new(move |executor| {
            let task = AssertUnwindSafe(async move {
                let _resident = resident;
                make().await;
            });
            // The panic hook has reported a panic.
            let task = async move { drop(task.catch_unwind().await) };
            executor.spawn(task).detach();
        });
        // A thread never ends before the program, so it receives this.
        home.sender.try_send(settle).ok();
    }

    /// Returns how many tasks live.
    pub fn count(&self) -> usize {
        self.threads.lock().iter().map(Home::count).sum()
    }
}

impl Home {
    fn start(name: &'static str) -> Option<Home> {
        let (sender, receiver) = async_channel::unbounded::<Settle>();
        let run = move || {
            let executor = LocalExecutor::new();
            block_on(executor.run(async {
                while let Ok(settle) = receiver.recv().await {
                    settle(&executor);
                }
            }));
        };
        let started = thread::Builder::new().name(name.to_owned()).spawn(run);
        started.ok().map(|_| Home {
            residents: Arc::default(),
            sender,
        })
    }

    fn count(&self) -> usize {
        self.residents.load(Ordering::Relaxed)
    }
}

impl Resident {
    fn new(count: &Arc<AtomicUsize>) -> Resident {
        count.fetch_add(1, Ordering::Relaxed);
        Resident(count.clone())
    }
}

impl Drop for Resident {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Residents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Residents")
            .field("name", &self.name)
            .field("max_threads", &self.max_threads)
            .field("count", &self.count())
            .finish_non_exhaustive()
    }
}
