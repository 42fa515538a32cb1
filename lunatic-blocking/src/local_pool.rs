//! Values that live on one thread, since they cannot leave it.

use std::fmt;
use std::future::Future;
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::thread;

use async_channel::Sender;
use async_executor::LocalExecutor;
use futures_lite::FutureExt;
use lunatic_account::Share;
use parking_lot::Mutex;

use crate::block_on::block_on;

/// A bounded number of threads for tasks that cannot be sent to another thread.
///
/// A task is made on the thread on which it stays. If it blocks its thread, only the other tasks of
/// this thread wait. New tasks go to the thread with the fewest. A thread that is used often polls
/// for some ten microseconds before it sleeps (see [`AdaptiveSpin`](crate::AdaptiveSpin)).
///
/// No two guests have tasks on the same thread, unless there are as many guests as threads. A guest
/// is identified by the [share](Share::current) of the processors of the calling process: a guest
/// and all that it has started are one, and the program itself is another.
///
/// ```
/// use std::num::NonZeroUsize;
/// use std::rc::Rc;
///
/// use lunatic_blocking::{LocalPool, ThreadLimits};
///
/// let one = NonZeroUsize::MIN;
/// let limits = ThreadLimits { program: one, guest: one, all: one };
/// let pool = LocalPool::new("example", limits);
/// let (ask, asked) = async_channel::bounded(1);
/// let (answer, answered) = async_channel::bounded(1);
/// pool.spawn_pinned(move || async move {
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
pub struct LocalPool {
    shared: Arc<Shared>,
}

/// How many threads there may be.
#[derive(Debug, Clone, Copy)]
pub struct ThreadLimits {
    /// The threads for tasks of the program itself. They are kept when they have no task.
    pub program: NonZeroUsize,
    /// The threads for tasks of one guest and all that it has started; fewer, if the limit of the
    /// [account](lunatic_account::AccountLimits::threads) directly below the root is lower.
    pub guest: NonZeroUsize,
    /// The threads in all. From half of them on, no guest gets a second thread.
    pub all: NonZeroUsize,
}

struct Shared {
    name: &'static str,
    limits: ThreadLimits,
    threads: Mutex<Threads>,
}

#[derive(Default)]
struct Threads {
    running: Vec<PoolThread>,
    next_number: u64,
}

/// A thread.
struct PoolThread {
    number: u64,
    /// The share of the user whose tasks run there, if there are any; `None` is the program itself.
    /// It keeps the address of the share from being used again.
    owner: Option<Share>,
    tasks: usize,
    sender: Sender<Start>,
}

type Start = Box<dyn FnOnce(&LocalExecutor<'static>) + Send>;

/// Counts a task as long as it lives.
struct Pinned {
    shared: Arc<Shared>,
    /// The number of its thread.
    thread: u64,
}

impl LocalPool {
    /// Returns a set of threads, of which none has been started.
    ///
    /// - `name`: what the threads are called.
    /// - `limits`: how many there may be.
    pub fn new(name: &'static str, limits: ThreadLimits) -> LocalPool {
        LocalPool {
            shared: Arc::new(Shared {
                name,
                limits,
                threads: Mutex::default(),
            }),
        }
    }

    /// Makes a task on one of the threads, which runs it to its end. A panic ends the task,
    /// and not its thread.
    ///
    /// If no thread can be started, and there is none, nothing is made.
    pub fn spawn_pinned<F: Future<Output = ()> + 'static>(
        &self,
        make: impl FnOnce() -> F + Send + 'static,
    ) {
        let share = Share::current().map(|share| share.topmost().clone());
        let Shared { name, limits, .. } = &*self.shared;
        let mut threads = self.shared.threads.lock();
        let Some(thread) = threads.find(name, limits, share.as_ref()) else {
            return;
        };
        if thread.tasks == 0 {
            thread.owner = share;
        }
        thread.tasks += 1;
        let pinned = Pinned {
            shared: self.shared.clone(),
            thread: thread.number,
        };
        let start: Start = Box::new(move |executor| {
            let task = AssertUnwindSafe(async move {
                let _pinned = pinned;
                make().await;
            });
            // The panic hook has reported a panic.
            let task = async move { drop(task.catch_unwind().await) };
            executor.spawn(task).detach();
        });
        // A thread does not end before its last task, so it receives this.
        thread.sender.try_send(start).ok();
    }

    /// Returns how many tasks there are.
    pub fn count(&self) -> usize {
        let threads = self.shared.threads.lock();
        threads.running.iter().map(|thread| thread.tasks).sum()
    }

    /// Returns how many threads there are.
    pub fn threads(&self) -> usize {
        self.shared.threads.lock().running.len()
    }
}

impl Threads {
    /// The thread for a new task; one without tasks may have had any owner. Starts one if it may.
    fn find(
        &mut self,
        name: &str,
        limits: &ThreadLimits,
        share: Option<&Share>,
    ) -> Option<&mut PoolThread> {
        let own = |thread: &PoolThread| thread.tasks > 0 && thread.is_of(share);
        let busy = |thread: &&PoolThread| thread.tasks > 0;
        let own_count = self.running.iter().filter(|thread| own(thread)).count();
        let busy_count = self.running.iter().filter(busy).count();
        let most = match share {
            Some(share) => {
                let own = usize::try_from(share.max_threads()).unwrap_or(usize::MAX);
                limits.guest.get().min(own)
            }
            None => limits.program.get(),
        };
        let may_have_one_more = match own_count {
            0 => busy_count < limits.all.get(),
            _ => own_count < most && busy_count < limits.all.get() / 2,
        };
        if may_have_one_more {
            if busy_count == self.running.len() {
                self.start(name);
            }
            if let Some(index) = self.running.iter().position(|thread| thread.tasks == 0) {
                return self.running.get_mut(index);
            }
        }
        let has_own = own_count > 0;
        let possible = self
            .running
            .iter_mut()
            .filter(|thread| !has_own || own(thread));
        possible.min_by_key(|thread| thread.tasks)
    }

    fn start(&mut self, name: &str) {
        let (sender, receiver) = async_channel::unbounded::<Start>();
        let run = move || {
            let executor = LocalExecutor::new();
            block_on(executor.run(async {
                while let Ok(start) = receiver.recv().await {
                    start(&executor);
                }
            }));
        };
        let started = thread::Builder::new().name(name.to_owned()).spawn(run);
        if started.is_ok() {
            self.running.push(PoolThread {
                number: self.next_number,
                owner: None,
                tasks: 0,
                sender,
            });
            self.next_number += 1;
        }
    }
}

impl PoolThread {
    fn is_of(&self, share: Option<&Share>) -> bool {
        self.owner.as_ref().map(Share::address) == share.map(Share::address)
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let Shared {
            limits, threads, ..
        } = &*self.shared;
        let mut threads = threads.lock();
        let is_surplus = threads.running.len() > limits.program.get();
        let mut running = threads.running.iter();
        let Some(index) = running.position(|thread| thread.number == self.thread) else {
            return;
        };
        let thread = &mut threads.running[index];
        thread.tasks -= 1;
        if thread.tasks > 0 {
            return;
        }
        let owner = thread.owner.take();
        // A thread ends when its senders are gone.
        let ended = is_surplus.then(|| threads.running.swap_remove(index));
        drop(threads);
        drop((owner, ended));
    }
}

impl fmt::Debug for LocalPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalPool")
            .field("name", &self.shared.name)
            .field("limits", &self.shared.limits)
            .field("count", &self.count())
            .finish_non_exhaustive()
    }
}
