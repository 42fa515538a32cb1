//! What workers wait for besides tasks, and which of them does.
//!
//! A worker without tasks *drives* if no other one does: it waits in the driver of the scheduler, for
//! example for sockets, and wakes the tasks that wait for them. All others sleep. While all workers
//! work, or sleep without driving, those that work look between two tasks; and whoever calls
//! [`Driving::watch`] every millisecond sees to it that somebody looks.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

/// Waits for something else than tasks, and wakes the tasks that wait for it. A scheduler has one
/// worker at a time wait in it; see [`Builder::driver`](crate::Builder::driver).
pub trait Driver: Send + Sync {
    /// Blocks the worker until something has happened, or [`wake`](Driver::wake) is called. Then calls
    /// `awake` once, and after that wakes the tasks that wait for what has happened.
    ///
    /// It may return without any reason. If there are more tasks to wake than should be woken at
    /// once, the next call does not block.
    fn wait(&self, awake: &mut dyn FnMut());

    /// Wakes tasks for what has happened, without blocking. Any thread calls this, also while another
    /// one is in [`wait`](Driver::wait).
    fn poll(&self);

    /// Makes the worker in [`wait`](Driver::wait) return, or the next one if there is none.
    fn wake(&self);

    /// The scheduler has stopped: no worker waits any more, except one that returns soon.
    fn stop(&self);
}

/// A worker that works looks after so many tasks, if nobody has for [`LOOK_INTERVAL`].
const LOOK_EVERY: u32 = 32;

/// The time between two looks while nobody drives, in nanoseconds.
const LOOK_INTERVAL: u64 = 200_000;

/// The driver of a scheduler, and when somebody last looked.
pub(crate) struct Driving {
    driver: Box<dyn Driver>,
    counters: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    /// Whether a worker that works is to look before its next task. Each worker reads it before each
    /// task.
    is_due: CachePadded<AtomicBool>,
    /// When somebody last looked, in nanoseconds of the scheduler.
    looked: AtomicU64,
    /// How often a worker has begun to drive, and what that was at the previous tick.
    waits: AtomicU64,
    seen_waits: AtomicU64,
    /// The time of the last look at the previous tick.
    seen_looked: AtomicU64,
}

/// What is to be done at a tick while nobody drives.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Nothing.
    None,
    /// A worker that sleeps is to drive, if there is one. If there is none, the caller looks.
    Drive { look: bool },
}

impl Driving {
    pub(crate) fn new(driver: Box<dyn Driver>) -> Driving {
        Driving {
            driver,
            counters: Counters::default(),
        }
    }

    pub(crate) fn driver(&self) -> &dyn Driver {
        &*self.driver
    }

    /// Records that a worker begins to drive.
    pub(crate) fn begin_wait(&self) {
        self.counters.waits.fetch_add(1, Ordering::Relaxed);
    }

    /// Records that a worker drives no more, and looks now.
    pub(crate) fn end_wait(&self, now: u64) {
        self.counters.looked.store(now, Ordering::Relaxed);
    }

    /// Returns whether a worker that works is to consider to look. Then it is not to again, until the
    /// next tick or after some tasks.
    ///
    /// - `tasks`: how many tasks it has looked for since this was true.
    #[inline]
    pub(crate) fn may_be_due(&self, tasks: u32) -> bool {
        let is_tick = self.counters.is_due.load(Ordering::Relaxed);
        if is_tick {
            self.counters.is_due.store(false, Ordering::Relaxed);
        }
        is_tick || tasks >= LOOK_EVERY
    }

    /// Returns whether a worker is to look now; then nobody else is for a while.
    pub(crate) fn is_due(&self, now: u64) -> bool {
        let counters = &self.counters;
        let looked = counters.looked.load(Ordering::Relaxed);
        let is_due = now.saturating_sub(looked) >= LOOK_INTERVAL;
        let (success, failure) = (Ordering::Relaxed, Ordering::Relaxed);
        is_due
            && counters
                .looked
                .compare_exchange(looked, now, success, failure)
                .is_ok()
    }

    /// Is called once in a millisecond, while nobody drives. Those that work are to look. Returns
    /// what else is to be done.
    pub(crate) fn tick(&self) -> Task {
        let counters = &self.counters;
        counters.is_due.store(true, Ordering::Relaxed);
        let waits = counters.waits.load(Ordering::Relaxed);
        let looked = counters.looked.load(Ordering::Relaxed);
        let has_waited = counters.seen_waits.swap(waits, Ordering::Relaxed) != waits;
        let has_looked = counters.seen_looked.swap(looked, Ordering::Relaxed) != looked;
        match has_waited {
            true => Task::None,
            false => Task::Drive { look: !has_looked },
        }
    }
}

impl fmt::Debug for Driving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driving")
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    impl Driver for Nothing {
        fn wait(&self, awake: &mut dyn FnMut()) {
            awake();
        }

        fn poll(&self) {}

        fn wake(&self) {}

        fn stop(&self) {}
    }

    #[test]
    fn one_worker_looks_after_each_interval() {
        let driving = Driving::new(Box::new(Nothing));
        assert!(!driving.may_be_due(LOOK_EVERY - 1));
        assert!(driving.may_be_due(LOOK_EVERY));
        assert!(!driving.is_due(LOOK_INTERVAL - 1));
        assert!(driving.is_due(LOOK_INTERVAL));
        assert!(!driving.is_due(2 * LOOK_INTERVAL - 1));
        driving.tick();
        assert!(driving.may_be_due(0));
        assert!(!driving.may_be_due(0));
        assert!(driving.is_due(2 * LOOK_INTERVAL));
    }

    #[test]
    fn a_sleeper_is_to_drive_after_a_millisecond_in_which_nobody_did() {
        let driving = Driving::new(Box::new(Nothing));
        driving.begin_wait();
        driving.end_wait(5);
        assert_eq!(driving.tick(), Task::None);
        assert_eq!(driving.tick(), Task::Drive { look: true });
        assert!(driving.is_due(LOOK_INTERVAL + 5));
        assert_eq!(driving.tick(), Task::Drive { look: false });
        driving.begin_wait();
        assert_eq!(driving.tick(), Task::None);
    }
}
