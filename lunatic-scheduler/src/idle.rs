//! Who sleeps, and who is woken: so that no task is left lying and no core is
//! woken for nothing.
//!
//! A worker that has run out of tasks *searches* the queues of the others, then
//! *sleeps*. Whoever queues a task wakes one sleeper, unless somebody searches
//! already, who will find it. The protocol has two halves that must not miss each
//! other:
//!
//! - who queues a task: queue it, then look whether anybody searches or sleeps;
//! - who goes to sleep: say so, then look once more whether anything is queued.
//!
//! All of that is sequentially consistent, so one of the two sees the other.

#[cfg(lunatic_loom)]
use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicUsize, Ordering, fence},
};
#[cfg(not(lunatic_loom))]
use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicUsize, Ordering, fence},
};

/// The sleeping and searching workers.
#[derive(Debug)]
pub struct Idle {
    searching: AtomicUsize,
    /// How many sleep; the length of `sleepers`, to be read without the lock.
    sleeping: AtomicUsize,
    sleepers: Mutex<Vec<usize>>,
    workers: usize,
}

impl Idle {
    pub fn new(workers: usize) -> Idle {
        Idle {
            searching: AtomicUsize::new(0),
            sleeping: AtomicUsize::new(0),
            sleepers: Mutex::new(Vec::with_capacity(workers)),
            workers,
        }
    }

    /// A task was queued: the worker to be woken for it, who is searching from now
    /// on.
    pub fn someone_to_wake(&self) -> Option<usize> {
        fence(Ordering::SeqCst);
        if self.sleeping.load(Ordering::SeqCst) == 0 || self.searching.load(Ordering::SeqCst) > 0 {
            return None;
        }
        let mut sleepers = self.sleepers();
        // Looked at again under the lock, or two tasks would wake two.
        if self.searching.load(Ordering::SeqCst) > 0 {
            return None;
        }
        let worker = sleepers.pop()?;
        self.searching.fetch_add(1, Ordering::SeqCst);
        self.sleeping.fetch_sub(1, Ordering::SeqCst);
        Some(worker)
    }

    /// A worker begins to search; not if half of them do already, as they would
    /// only be in each other's way.
    pub fn begin_search(&self) -> bool {
        if 2 * self.searching.load(Ordering::SeqCst) >= self.workers {
            return false;
        }
        self.searching.fetch_add(1, Ordering::SeqCst);
        true
    }

    /// A searching worker has found something. Whether it was the only one
    /// searching: then it has to see whether there is more, and somebody to wake.
    pub fn end_search(&self) -> bool {
        self.searching.fetch_sub(1, Ordering::SeqCst) == 1
    }

    /// A worker goes to sleep. It has to look once more for tasks after this, and
    /// to [`stay_awake`](Idle::stay_awake) if there are some.
    pub fn sleep(&self, worker: usize, was_searching: bool) {
        let mut sleepers = self.sleepers();
        sleepers.push(worker);
        self.sleeping.fetch_add(1, Ordering::SeqCst);
        drop(sleepers);
        if was_searching {
            self.searching.fetch_sub(1, Ordering::SeqCst);
        }
        fence(Ordering::SeqCst);
    }

    /// A worker does not sleep after all, or has been woken for another reason
    /// than a task. Whether somebody has woken it for a task meanwhile: then it is
    /// searching.
    pub fn stay_awake(&self, worker: usize) -> bool {
        let mut sleepers = self.sleepers();
        let Some(position) = sleepers.iter().position(|sleeper| *sleeper == worker) else {
            return true;
        };
        sleepers.swap_remove(position);
        self.sleeping.fetch_sub(1, Ordering::SeqCst);
        false
    }

    /// Nothing panics while the lock is held.
    fn sleepers(&self) -> MutexGuard<'_, Vec<usize>> {
        self.sleepers.lock().expect("the lock is not poisoned")
    }

    /// Whether a worker still counts as sleeping.
    pub fn is_asleep(&self, worker: usize) -> bool {
        self.sleepers().contains(&worker)
    }
}
