//! Which workers sleep, and which one is woken for a task, so that each queued task
//! is run and no worker is woken without need.
//!
//! A worker that has run out of tasks *searches* the queues of the others, then
//! *sleeps*. A thread that queues a task wakes one sleeper, unless a worker searches
//! already: that one will find the task. The protocol has two halves:
//!
//! - The thread that queues a task first queues it, then looks whether a worker
//!   searches or sleeps.
//! - A worker that goes to sleep first registers as a sleeper, then looks once more
//!   whether a task is queued.
//!
//! All of these steps are sequentially consistent, so at least one of the two sees
//! what the other did.
//!
//! One of the sleepers may *drive*: it waits for sockets and times in the driver of the
//! scheduler, and is woken through that. Who drives changes only under the lock of the list,
//! so whoever takes a sleeper off the list knows how to wake it. The driver keeps a wake-up
//! that comes before the wait.

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
    /// The length of `sleepers`, to be read without the lock.
    sleeping: AtomicUsize,
    sleepers: Mutex<Vec<usize>>,
    /// The worker that drives, or [`NOBODY`]. It is written under the lock of `sleepers`.
    driving: AtomicUsize,
    workers: usize,
}

/// No worker drives.
const NOBODY: usize = usize::MAX;

/// How a worker waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// It does not: it was taken off the list.
    Over,
    /// Until it is unparked.
    Park,
    /// In the driver.
    Drive,
}

/// A worker that is to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Woken {
    pub worker: usize,
    /// It waits in the driver, or is about to.
    pub is_driving: bool,
}

impl Idle {
    pub fn new(workers: usize) -> Idle {
        Idle {
            searching: AtomicUsize::new(0),
            sleeping: AtomicUsize::new(0),
            sleepers: Mutex::new(Vec::with_capacity(workers)),
            driving: AtomicUsize::new(NOBODY),
            workers,
        }
    }

    /// Returns the worker to wake for a task that was just queued, if one has to be
    /// woken. That worker counts as searching from now on. It is the one that drives only if no
    /// other one sleeps.
    pub fn someone_to_wake(&self) -> Option<Woken> {
        fence(Ordering::SeqCst);
        if self.sleeping.load(Ordering::SeqCst) == 0 || self.searching.load(Ordering::SeqCst) > 0 {
            return None;
        }
        let mut sleepers = self.sleepers();
        // Checked again under the lock, or two tasks would wake two workers.
        if self.searching.load(Ordering::SeqCst) > 0 {
            return None;
        }
        let driving = self.driving.load(Ordering::SeqCst);
        let other = sleepers.iter().rposition(|worker| *worker != driving);
        let worker = match other {
            Some(position) => sleepers.remove(position),
            None => sleepers.pop()?,
        };
        self.searching.fetch_add(1, Ordering::SeqCst);
        self.sleeping.fetch_sub(1, Ordering::SeqCst);
        Some(Woken {
            worker,
            is_driving: worker == driving,
        })
    }

    /// Returns how a sleeping worker waits. If it is to drive, it does so until it calls
    /// [`stay_awake`](Idle::stay_awake).
    ///
    /// - `has_driver`: whether there is anything to drive.
    pub fn rest(&self, worker: usize, has_driver: bool) -> Rest {
        let sleepers = self.sleepers();
        if !sleepers.contains(&worker) {
            return Rest::Over;
        }
        if !has_driver || self.is_driven() {
            return Rest::Park;
        }
        self.driving.store(worker, Ordering::SeqCst);
        Rest::Drive
    }

    /// Returns whether a worker drives.
    pub fn is_driven(&self) -> bool {
        self.driving.load(Ordering::SeqCst) != NOBODY
    }

    /// Returns a worker that sleeps, if there is one and none drives: if it is woken, and nobody
    /// has taken it off the list, it can drive.
    pub fn someone_to_drive(&self) -> Option<usize> {
        let sleepers = self.sleepers();
        match self.is_driven() {
            true => None,
            false => sleepers.last().copied(),
        }
    }

    /// Registers one more searching worker and returns true, or returns false if
    /// half of the workers search already: more would only contend for the queues.
    pub fn begin_search(&self) -> bool {
        if 2 * self.searching.load(Ordering::SeqCst) >= self.workers {
            return false;
        }
        self.searching.fetch_add(1, Ordering::SeqCst);
        true
    }

    /// Records that a searching worker has found a task. Returns whether no other
    /// worker searches; the caller then has to wake one if there are more tasks.
    pub fn end_search(&self) -> bool {
        self.searching.fetch_sub(1, Ordering::SeqCst) == 1
    }

    /// Registers a worker as a sleeper. After this it must look for tasks once more,
    /// and call [`stay_awake`](Idle::stay_awake) if there are some.
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

    /// Takes a worker off the list of sleepers, because it does not sleep after all
    /// or was woken for another reason than a task. It drives no more. Returns whether it had been
    /// taken off already, to be woken for a task: then it counts as searching.
    pub fn stay_awake(&self, worker: usize) -> bool {
        let mut sleepers = self.sleepers();
        if self.driving.load(Ordering::SeqCst) == worker {
            self.driving.store(NOBODY, Ordering::SeqCst);
        }
        let Some(position) = sleepers.iter().position(|sleeper| *sleeper == worker) else {
            return true;
        };
        sleepers.swap_remove(position);
        self.sleeping.fetch_sub(1, Ordering::SeqCst);
        false
    }

    /// Locks the list of sleepers. Nothing panics while the lock is held.
    fn sleepers(&self) -> MutexGuard<'_, Vec<usize>> {
        self.sleepers.lock().expect("the lock is not poisoned")
    }
}
