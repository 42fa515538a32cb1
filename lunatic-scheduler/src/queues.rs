//! The queues that tasks wait in.
//!
//! Each worker has a queue of its own, in order of arrival, from which other workers
//! steal, and one slot for the task that was woken last. So the receiver of a message
//! runs next, on the same core, with the message still in its cache. Tasks that are
//! queued by other threads wait in a common queue.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use async_task::Runnable;
use crossbeam_deque::{Injector, Steal, Stealer, Worker};

use crate::scheduler::Shared;

/// The queues that all workers see.
#[derive(Debug)]
pub(crate) struct Queues {
    common: Injector<Runnable>,
    stealers: Box<[Stealer<Runnable>]>,
}

/// The queue and the slot of one worker.
pub(crate) struct Own {
    /// The slot for the task that was woken last.
    next: Cell<Option<Runnable>>,
    /// How often in a row `next` was preferred to the queue.
    preferred: Cell<u32>,
    queue: Worker<Runnable>,
    shared: Arc<Shared>,
}

thread_local! {
    /// The queue and the slot of the worker on this thread, if there is one.
    static OWN: RefCell<Option<Rc<Own>>> = const { RefCell::new(None) };
}

impl Queues {
    /// Makes the queues for a number of workers, and the end of its own queue for
    /// each.
    pub(crate) fn new(workers: usize) -> (Queues, Vec<Worker<Runnable>>) {
        let own: Vec<_> = (0..workers).map(|_| Worker::new_fifo()).collect();
        let queues = Queues {
            common: Injector::new(),
            stealers: own.iter().map(Worker::stealer).collect(),
        };
        (queues, own)
    }

    /// Puts a task into the common queue.
    pub(crate) fn push(&self, task: Runnable) {
        self.common.push(task);
    }

    /// Returns whether a task is queued that a worker could find.
    pub(crate) fn have_tasks(&self) -> bool {
        !self.common.is_empty() || self.stealers.iter().any(|stealer| !stealer.is_empty())
    }

    /// Drops the tasks in the common queue.
    pub(crate) fn clear(&self) {
        while let Steal::Success(_) | Steal::Retry = self.common.steal() {}
    }
}

impl Own {
    /// Makes this thread a worker.
    pub(crate) fn install(queue: Worker<Runnable>, shared: Arc<Shared>) -> Rc<Own> {
        let own = Rc::new(Own {
            next: Cell::new(None),
            preferred: Cell::new(0),
            queue,
            shared,
        });
        OWN.set(Some(own.clone()));
        own
    }

    /// Ends what [`install`](Own::install) began, and drops the tasks that are queued
    /// here.
    pub(crate) fn uninstall() {
        OWN.set(None);
    }

    /// Queues a task at the worker on this thread, to run next or, if `yields`, after
    /// all others. Returns whether there is now a task that another worker could
    /// take.
    ///
    /// # Errors
    ///
    /// Returns the task if this thread is not a worker of this scheduler.
    pub(crate) fn push(
        shared: &Arc<Shared>,
        task: Runnable,
        yields: bool,
    ) -> Result<bool, Runnable> {
        // There is none when the thread ends, or when a task is dropped after
        // `uninstall`.
        let own = OWN
            .try_with(|own| own.try_borrow().ok()?.clone())
            .ok()
            .flatten()
            .filter(|own| Arc::ptr_eq(&own.shared, shared));
        let Some(own) = own else {
            return Err(task);
        };
        match yields {
            true => Ok(own.push_last(task)),
            false => Ok(own.push_next(task)),
        }
    }

    /// Puts a task into the slot, and one that was there into the queue. Returns
    /// whether there was one.
    fn push_next(&self, task: Runnable) -> bool {
        match self.next.replace(Some(task)) {
            Some(displaced) => {
                self.queue.push(displaced);
                true
            }
            None => false,
        }
    }

    /// Puts a task at the end of the queue. Returns whether other tasks are queued
    /// here. A task that is alone is not offered to other workers, as it would lose
    /// what is in the cache of this core.
    fn push_last(&self, task: Runnable) -> bool {
        let next = self.next.take();
        let is_alone = next.is_none() && self.queue.is_empty();
        self.next.set(next);
        self.queue.push(task);
        !is_alone
    }

    /// Takes the next task from the slot or the queue of this worker.
    pub(crate) fn pop(&self) -> Option<Runnable> {
        /// After so many tasks from the slot, one from the queue runs, so that two
        /// tasks that wake each other for ever do not keep the others from running.
        const PREFERRED: u32 = 8;
        let prefers = self.preferred.get() < PREFERRED || self.queue.is_empty();
        if prefers && let Some(task) = self.next.take() {
            self.preferred.set(self.preferred.get() + 1);
            return Some(task);
        }
        self.preferred.set(0);
        self.queue.pop().or_else(|| self.next.take())
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
        let stealers = &self.shared.queues.stealers;
        let (before, after) = stealers.split_at(first % stealers.len());
        after
            .iter()
            .chain(before)
            .find_map(|stealer| retry(|| stealer.steal_batch_and_pop(&self.queue)))
    }

    /// Returns whether there are tasks in the queue of this worker.
    pub(crate) fn has_more(&self) -> bool {
        !self.queue.is_empty()
    }
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
