//! The queues that tasks wait in.
//!
//! Each worker has a queue of its own, in order of arrival, from which others
//! steal, and one place for the task that was woken last: the receiver of a
//! message runs next, on the same core, with the message still in its cache.
//! Tasks that come from elsewhere wait in a queue for all.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use async_task::Runnable;
use crossbeam_deque::{Injector, Steal, Stealer, Worker};

use crate::scheduler::Shared;

/// What all workers see.
#[derive(Debug)]
pub(crate) struct Queues {
    common: Injector<Runnable>,
    stealers: Box<[Stealer<Runnable>]>,
}

/// What one worker has.
pub(crate) struct Own {
    next: Cell<Option<Runnable>>,
    /// How often in a row `next` was preferred to the queue.
    preferred: Cell<u32>,
    queue: Worker<Runnable>,
    shared: Arc<Shared>,
}

thread_local! {
    /// What the worker on this thread has, if one is.
    static OWN: RefCell<Option<Rc<Own>>> = const { RefCell::new(None) };
}

impl Queues {
    /// The queues of so many workers, and what each has of its own.
    pub(crate) fn new(workers: usize) -> (Queues, Vec<Worker<Runnable>>) {
        let own: Vec<_> = (0..workers).map(|_| Worker::new_fifo()).collect();
        let queues = Queues {
            common: Injector::new(),
            stealers: own.iter().map(Worker::stealer).collect(),
        };
        (queues, own)
    }

    /// Queues a task that is not from a worker.
    pub(crate) fn push(&self, task: Runnable) {
        self.common.push(task);
    }

    /// Whether anything is queued that a worker could find.
    pub(crate) fn have_tasks(&self) -> bool {
        !self.common.is_empty() || self.stealers.iter().any(|stealer| !stealer.is_empty())
    }

    /// Throws away what is in the common queue.
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

    /// This thread is no worker any more; what is queued here is thrown away.
    pub(crate) fn uninstall() {
        OWN.set(None);
    }

    /// Queues a task at the worker on this thread: to run next, or, if it
    /// `yields`, behind all others. Whether there is something for another worker
    /// to take.
    ///
    /// # Errors
    ///
    /// Hands the task back if this thread is not a worker of this scheduler.
    pub(crate) fn push(
        shared: &Arc<Shared>,
        task: Runnable,
        yields: bool,
    ) -> Result<bool, Runnable> {
        // When the thread ends, or a task is dropped while it is no worker any
        // more, there is nobody.
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

    /// Whether another task had to go to the queue.
    fn push_next(&self, task: Runnable) -> bool {
        match self.next.replace(Some(task)) {
            Some(displaced) => {
                self.queue.push(displaced);
                true
            }
            None => false,
        }
    }

    /// Whether something else is queued here, that somebody else could run. A task
    /// that yields to nobody stays, and keeps its cache warm.
    fn push_last(&self, task: Runnable) -> bool {
        let next = self.next.take();
        let is_alone = next.is_none() && self.queue.is_empty();
        self.next.set(next);
        self.queue.push(task);
        !is_alone
    }

    /// The next task of this worker's own.
    pub(crate) fn pop(&self) -> Option<Runnable> {
        /// Two tasks that wake each other for ever still let others run.
        const PREFERRED: u32 = 8;
        let prefers = self.preferred.get() < PREFERRED || self.queue.is_empty();
        if prefers && let Some(task) = self.next.take() {
            self.preferred.set(self.preferred.get() + 1);
            return Some(task);
        }
        self.preferred.set(0);
        self.queue.pop().or_else(|| self.next.take())
    }

    /// A task from the common queue, without any others that would then wait
    /// behind what is queued here.
    pub(crate) fn pop_one_common(&self) -> Option<Runnable> {
        let common = &self.shared.queues.common;
        if common.is_empty() {
            return None;
        }
        retry(|| common.steal())
    }

    /// A task from the common queue, and some more for later.
    pub(crate) fn pop_common(&self) -> Option<Runnable> {
        let common = &self.shared.queues.common;
        retry(|| common.steal_batch_and_pop(&self.queue))
    }

    /// A task of another worker's, and some more for later.
    ///
    /// - `first`: whom to ask first.
    pub(crate) fn steal(&self, first: usize) -> Option<Runnable> {
        let stealers = &self.shared.queues.stealers;
        let (before, after) = stealers.split_at(first % stealers.len());
        after
            .iter()
            .chain(before)
            .find_map(|stealer| retry(|| stealer.steal_batch_and_pop(&self.queue)))
    }

    /// Whether more is queued here than runs next.
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
