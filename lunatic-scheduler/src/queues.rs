//! The queues that tasks wait in.
//!
//! Each worker has a queue of its own, in order of arrival, from which other workers
//! steal, and one slot for the task that was woken last. So the receiver of a message
//! runs next, on the same core, with the message still in its cache. Workers do not
//! steal from slots, or two tasks that wake each other would be torn apart; but a task
//! in the slot of a worker that stays busy with another is moved to the common queue
//! after a while. There the tasks wait that are queued by other threads.
//!
//! A task whose share of the processors is behind is put aside while others wait: each
//! worker has a second queue for such tasks, which it turns to when it finds no others.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_deque::{Injector, Steal, Stealer, Worker};
use crossbeam_utils::atomic::AtomicCell;

use crate::scheduler::{Runnable, Shared};
use crate::stats::WorkerStats;

/// The queues that all workers see.
#[derive(Debug)]
pub(crate) struct Queues {
    common: Injector<Runnable>,
    stealers: Box<[Stealer<Runnable>]>,
    /// The stealers of the tasks that were set aside.
    aside: Box<[Stealer<Runnable>]>,
    slots: Box<[Slot]>,
}

/// The slot of one worker, as others see it. It lies on cache lines of its own, since the
/// worker writes to it whenever it begins a task.
#[derive(Default)]
#[repr(align(128))]
struct Slot {
    /// The task that was woken last.
    task: AtomicCell<Option<Runnable>>,
    /// How many tasks the worker has begun.
    begun: AtomicU64,
    /// How many it had begun when that was last looked at.
    seen: AtomicU64,
    /// How often in a row nothing new had begun.
    unchanged: AtomicU32,
    /// How long the worker has rested, in nanoseconds, until it last stopped to.
    rested: AtomicU64,
    /// Since when it rests, in nanoseconds of the scheduler; 0 while it works.
    resting_since: AtomicU64,
}

// Or every wake-up would take a lock.
const _: () = assert!(AtomicCell::<Option<Runnable>>::is_lock_free());

/// The queues and the slot of one worker.
pub(crate) struct Own {
    /// Which worker this is.
    number: usize,
    /// Whether this worker has put a task into its slot, which may have been taken out
    /// since. Spares the others a look there.
    has_next: Cell<bool>,
    /// How many tasks this worker has begun.
    begun: Cell<u64>,
    /// How often in a row `next` was preferred to the queue.
    preferred: Cell<u32>,
    queue: Worker<Runnable>,
    /// Tasks that wait until there are no others.
    aside: Worker<Runnable>,
    /// Where tasks go that are woken now.
    arrivals: Cell<Arrivals>,
    shared: Arc<Shared>,
}

/// Where the tasks go that are woken on the thread of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrivals {
    /// A task wakes them, and the last one runs next.
    Next,
    /// The driver wakes them for a worker that has no others. They go to its own queue, in their
    /// order, where others can steal them.
    Own,
    /// The driver wakes them while the worker has other tasks, which they are not to wait for.
    Common,
}

/// The queues that only one worker puts tasks into.
pub(crate) struct OwnQueues {
    queue: Worker<Runnable>,
    aside: Worker<Runnable>,
}

thread_local! {
    /// The queues and the slot of the worker on this thread, if there is one.
    static OWN: RefCell<Option<Rc<Own>>> = const { RefCell::new(None) };
}

impl Queues {
    /// Makes the queues for a number of workers, and for each its ends of its own.
    pub(crate) fn new(workers: usize) -> (Queues, Vec<OwnQueues>) {
        let new = |_| OwnQueues {
            queue: Worker::new_fifo(),
            aside: Worker::new_fifo(),
        };
        let own: Vec<_> = (0..workers).map(new).collect();
        let queues = Queues {
            common: Injector::new(),
            stealers: own.iter().map(|own| own.queue.stealer()).collect(),
            aside: own.iter().map(|own| own.aside.stealer()).collect(),
            slots: own.iter().map(|_| Slot::default()).collect(),
        };
        (queues, own)
    }

    /// Moves tasks to the common queue that wait in the slots of workers which have been
    /// busy with the same task since some calls of this. Returns whether there was one.
    pub(crate) fn empty_slots_of_busy_workers(&self) -> bool {
        let held_back = self.slots.iter().filter_map(Slot::take_if_held_back);
        held_back.map(|task| self.common.push(task)).count() > 0
    }

    /// Puts a task into the common queue.
    pub(crate) fn push(&self, task: Runnable) {
        self.common.push(task);
    }

    /// Returns whether a task is queued that a worker could find.
    pub(crate) fn have_tasks(&self) -> bool {
        let mut stealers = self.stealers.iter().chain(&self.aside);
        !self.common.is_empty() || stealers.any(|stealer| !stealer.is_empty())
    }

    /// Returns the statistics of each worker.
    ///
    /// - `now`: nanoseconds since the scheduler was started.
    pub(crate) fn workers(&self, now: u64) -> Vec<WorkerStats> {
        let queues = self.stealers.iter().zip(&self.aside);
        let workers = self.slots.iter().zip(queues);
        let stats = workers.map(|(slot, (queue, aside))| WorkerStats {
            tasks: slot.begun.load(Ordering::Relaxed),
            busy: slot.busy(now),
            queued: queue.len() + aside.len(),
        });
        stats.collect()
    }

    /// How many tasks wait in the common queue.
    pub(crate) fn common_len(&self) -> usize {
        self.common.len()
    }

    /// Drops the tasks in the common queue.
    pub(crate) fn clear(&self) {
        while let Steal::Success(_) | Steal::Retry = self.common.steal() {}
    }
}

impl Slot {
    /// Takes the task, if its worker has begun no other for so many looks.
    fn take_if_held_back(&self) -> Option<Runnable> {
        /// A task that computes is preempted before that.
        const LOOKS: u32 = 3;
        // Nothing depends on these but when the task is taken, which may be late.
        let begun = self.begun.load(Ordering::Relaxed);
        if self.seen.swap(begun, Ordering::Relaxed) != begun {
            self.unchanged.store(0, Ordering::Relaxed);
            return None;
        }
        let looks = self.unchanged.load(Ordering::Relaxed).saturating_add(1);
        self.unchanged.store(looks, Ordering::Relaxed);
        match looks >= LOOKS {
            true => self.task.take(),
            false => None,
        }
    }
}

impl Slot {
    /// How long the worker has worked until `now`. It may just stop to rest, and then this
    /// is a little more or less.
    fn busy(&self, now: u64) -> Duration {
        let mut rested = self.rested.load(Ordering::Relaxed);
        match self.resting_since.load(Ordering::Relaxed) {
            0 => {}
            since => rested += now.saturating_sub(since),
        }
        Duration::from_nanos(now.saturating_sub(rested))
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("begun", &self.begun)
            .finish_non_exhaustive()
    }
}

impl Own {
    /// Makes this thread a worker.
    pub(crate) fn install(number: usize, queues: OwnQueues, shared: Arc<Shared>) -> Rc<Own> {
        let own = Rc::new(Own {
            number,
            has_next: Cell::new(false),
            begun: Cell::new(0),
            preferred: Cell::new(0),
            queue: queues.queue,
            aside: queues.aside,
            arrivals: Cell::new(Arrivals::Next),
            shared,
        });
        OWN.set(Some(own.clone()));
        own
    }

    /// Ends what [`install`](Own::install) began, and drops the tasks that are queued
    /// here.
    pub(crate) fn uninstall() {
        if let Some(own) = OWN.take() {
            while own.take_next().is_some() {}
            while own.queue.pop().is_some() {}
            while own.aside.pop().is_some() {}
        }
    }

    /// Notes that this worker begins a task.
    pub(crate) fn begin(&self) {
        self.begun.set(self.begun.get() + 1);
        self.slot().begun.store(self.begun.get(), Ordering::Relaxed);
    }

    /// Notes that this worker rests from now on.
    ///
    /// - `now`: nanoseconds since the scheduler was started.
    pub(crate) fn begin_rest(&self, now: u64) {
        self.slot()
            .resting_since
            .store(now.max(1), Ordering::Relaxed);
    }

    /// Notes that it does not any more.
    pub(crate) fn end_rest(&self, now: u64) {
        let slot = self.slot();
        let since = slot.resting_since.load(Ordering::Relaxed);
        let rested = slot.rested.load(Ordering::Relaxed);
        // Only this thread writes it.
        slot.rested
            .store(rested + now.saturating_sub(since), Ordering::Relaxed);
        slot.resting_since.store(0, Ordering::Relaxed);
    }

    fn slot(&self) -> &Slot {
        &self.shared.queues.slots[self.number]
    }

    /// Takes the task out of the slot.
    fn take_next(&self) -> Option<Runnable> {
        match self.has_next.replace(false) {
            true => self.slot().task.take(),
            false => None,
        }
    }

    /// Queues a task at the worker on this thread, to run next or, if it `yields`, after
    /// all others. If there is now a task that another worker could take, wakes one.
    ///
    /// # Errors
    ///
    /// Returns the task if this thread is not a worker of its scheduler.
    pub(crate) fn push(task: Runnable, yields: bool) -> Result<(), Runnable> {
        let mut task = Some(task);
        // There is none when the thread ends, or when a task is dropped after
        // `uninstall`. Nothing of a task runs or is dropped while it is borrowed.
        OWN.try_with(|own| {
            let own = own.try_borrow().ok()?;
            let own = own.as_ref()?;
            let arrivals = own.arrivals.get();
            if arrivals == Arrivals::Common {
                return None;
            }
            let task = task.take_if(|task| Arc::ptr_eq(&own.shared, &task.metadata().shared))?;
            let others_can_help = match yields {
                true => own.push_last(task),
                false if own.waits_for_others(&task) => {
                    own.put_aside(task);
                    true
                }
                false if arrivals == Arrivals::Own => own.push_last(task),
                false => own.push_next(task),
            };
            if others_can_help {
                own.shared.wake_someone();
            }
            Some(())
        })
        .ok();
        task.map_or(Ok(()), Err)
    }

    /// Calls the driver, and has the tasks that it wakes on this thread go to a queue.
    pub(crate) fn drive(&self, arrivals: Arrivals, driver: impl FnOnce()) {
        self.arrivals.set(arrivals);
        driver();
        self.arrivals.set(Arrivals::Next);
    }

    /// Puts a task into the slot, and the previous one into the queue. Returns whether there was a
    /// previous one.
    fn push_next(&self, task: Runnable) -> bool {
        self.has_next.set(true);
        match self.slot().task.swap(Some(task)) {
            Some(displaced) => {
                self.queue.push(displaced);
                true
            }
            None => false,
        }
    }

    /// Puts a task at the end of its queue. Returns whether other tasks are queued
    /// here. A task that is alone is not offered to other workers, as it would lose
    /// what is in the cache of this core.
    fn push_last(&self, task: Runnable) -> bool {
        let is_alone = !self.has_next.get() && !self.has_more();
        match task.metadata().is_behind() {
            true => self.aside.push(task),
            false => self.queue.push(task),
        }
        !is_alone
    }

    /// Returns whether to set a task aside: its share is behind, and there are other tasks.
    #[inline]
    pub(crate) fn waits_for_others(&self, task: &Runnable) -> bool {
        task.metadata().is_behind()
            && (self.has_next.get()
                || !self.queue.is_empty()
                || !self.shared.queues.common.is_empty())
    }

    /// Sets a task aside until there are no others.
    pub(crate) fn put_aside(&self, task: Runnable) {
        self.aside.push(task);
    }

    /// Takes a task that was put aside.
    pub(crate) fn pop_aside(&self) -> Option<Runnable> {
        self.aside.pop()
    }

    /// Takes the next task from the slot or the queue of this worker.
    pub(crate) fn pop(&self) -> Option<Runnable> {
        /// After so many tasks from the slot, one from the queue runs, so that two
        /// tasks that wake each other for ever do not keep the others from running.
        const PREFERRED: u32 = 8;
        let prefers = self.preferred.get() < PREFERRED || self.queue.is_empty();
        if prefers && let Some(task) = self.take_next() {
            self.preferred.set(self.preferred.get() + 1);
            return Some(task);
        }
        self.preferred.set(0);
        self.queue.pop().or_else(|| self.take_next())
    }

    /// Takes one task from the common queue.
    pub(crate) fn pop_one_common(&self) -> Option<Runnable> {
        let common = &self.shared.queues.common;
        if common.is_empty() {
            return None;
        }
        retry(|| common.steal())
    }

    /// Takes a task from the common queue, and moves some more to the queue of this
    /// worker.
    pub(crate) fn pop_common(&self) -> Option<Runnable> {
        let common = &self.shared.queues.common;
        retry(|| common.steal_batch_and_pop(&self.queue))
    }

    /// Takes a task from the queue of another worker, and moves some more to the
    /// queue of this one.
    ///
    /// - `first`: the worker to try first.
    pub(crate) fn steal(&self, first: usize) -> Option<Runnable> {
        steal_from(&self.shared.queues.stealers, first, &self.queue)
    }

    /// Steals a task that was set aside.
    pub(crate) fn steal_aside(&self, first: usize) -> Option<Runnable> {
        steal_from(&self.shared.queues.aside, first, &self.aside)
    }

    /// Returns whether there are tasks in the queues of this worker.
    pub(crate) fn has_more(&self) -> bool {
        !self.queue.is_empty() || !self.aside.is_empty()
    }
}

/// Takes a task from one of these queues, and moves some more to `own`.
fn steal_from(
    stealers: &[Stealer<Runnable>],
    first: usize,
    own: &Worker<Runnable>,
) -> Option<Runnable> {
    let (before, after) = stealers.split_at(first % stealers.len());
    let mut stealers = after.iter().chain(before);
    stealers.find_map(|stealer| retry(|| stealer.steal_batch_and_pop(own)))
}

fn retry(mut steal: impl FnMut() -> Steal<Runnable>) -> Option<Runnable> {
    loop {
        match steal() {
            Steal::Success(task) => return Some(task),
            Steal::Empty => return None,
            Steal::Retry => std::hint::spin_loop(),
        }
    }
}
