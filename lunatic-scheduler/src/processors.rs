//! Which processor each worker runs on, so that no two share one while another is free.
//!
//! The system often wakes a thread on the processor of the thread that woke it. It moves one of
//! them elsewhere only at one of its own ticks, which are milliseconds apart, if the other
//! processor is idle for less than half a millisecond at a time, as it is with timers. Until then
//! one of the two workers waits, together with the task that it has begun, which no other worker
//! can take. So a worker that is woken on the processor of another one moves.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crossbeam_utils::CachePadded;

/// The worker rests, or it is not known where it works.
const NOWHERE: usize = usize::MAX;

/// The shortest time between two moves, in nanoseconds. Without it, a worker that is woken by one
/// that is about to rest would move each time.
const INTERVAL: u64 = 1_000_000;

/// The processors on which the workers of a scheduler work.
#[derive(Debug)]
pub(crate) struct Processors {
    of_workers: Box<[CachePadded<AtomicUsize>]>,
    /// The time of the last move of a worker, in nanoseconds of the scheduler.
    moved: AtomicU64,
}

impl Processors {
    pub(crate) fn new(workers: usize) -> Processors {
        let nowhere = || CachePadded::new(AtomicUsize::new(NOWHERE));
        Processors {
            of_workers: (0..workers).map(|_| nowhere()).collect(),
            moved: AtomicU64::new(0),
        }
    }

    /// Notes that the worker on this thread rests.
    pub(crate) fn rest(&self, worker: usize) {
        self.of_workers[worker].store(NOWHERE, Ordering::Relaxed);
    }

    /// Records that the worker on this thread works. If it shares a processor with another working
    /// worker, and there is one without any, the worker moves there. After that it may run
    /// anywhere.
    ///
    /// - `now`: the time of the scheduler, in nanoseconds.
    pub(crate) fn work(&self, worker: usize, now: u64) {
        let Some(mut processor) = system::processor() else {
            return;
        };
        // Another one may have been moved by the system since it began to work. Then this one
        // moves in vain, or stays.
        if self.is_shared(worker, processor) && self.may_move(now) {
            let allowed = system::allowed();
            if let Some(free) = self.free(&allowed) {
                system::move_to(free, &allowed);
                processor = free;
            }
        }
        self.of_workers[worker].store(processor, Ordering::Relaxed);
    }

    fn is_shared(&self, worker: usize, processor: usize) -> bool {
        let mut all = self.of_workers.iter().enumerate();
        all.any(|(other, at)| other != worker && at.load(Ordering::Relaxed) == processor)
    }

    fn may_move(&self, now: u64) -> bool {
        let last = self.moved.load(Ordering::Relaxed);
        let is_due = now.saturating_sub(last) >= INTERVAL;
        let exchange = |last| {
            let (success, failure) = (Ordering::Relaxed, Ordering::Relaxed);
            self.moved.compare_exchange(last, now, success, failure)
        };
        is_due && exchange(last).is_ok()
    }

    /// A processor on which no worker works.
    fn free(&self, allowed: &[usize]) -> Option<usize> {
        let is_used = |processor: usize| {
            let mut all = self.of_workers.iter();
            all.any(|at| at.load(Ordering::Relaxed) == processor)
        };
        let mut allowed = allowed.iter().copied();
        allowed.find(|processor| !is_used(*processor))
    }
}

#[cfg(target_os = "linux")]
mod system {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

    /// The processor that this thread runs on.
    pub(super) fn processor() -> Option<usize> {
        Some(sched_getcpu())
    }

    /// The processors that this thread may run on; empty if the system does not report them.
    pub(super) fn allowed() -> Vec<usize> {
        let set = sched_getaffinity(None).unwrap_or_default();
        let all = 0..CpuSet::MAX_CPU;
        all.filter(|processor| set.is_set(*processor)).collect()
    }

    /// Moves this thread to another processor. If the system refuses, it stays.
    pub(super) fn move_to(processor: usize, allowed: &[usize]) {
        let set_of = |processors: &[usize]| {
            let mut set = CpuSet::new();
            processors.iter().for_each(|number| set.set(*number));
            set
        };
        // The second call leaves it where the first has put it.
        for set in [set_of(&[processor]), set_of(allowed)] {
            sched_setaffinity(None, &set).ok();
        }
    }
}

/// Other systems are not asked.
#[cfg(not(target_os = "linux"))]
mod system {
    pub(super) fn processor() -> Option<usize> {
        None
    }

    pub(super) fn allowed() -> Vec<usize> {
        Vec::new()
    }

    pub(super) fn move_to(_: usize, _: &[usize]) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number of workers that work on these processors.
    fn working_on(processors: &[usize]) -> Processors {
        let all = Processors::new(processors.len());
        for (at, processor) in all.of_workers.iter().zip(processors) {
            at.store(*processor, Ordering::Relaxed);
        }
        all
    }

    #[test]
    fn a_processor_is_shared_only_with_another_worker_that_works() {
        let workers = working_on(&[0, 1, NOWHERE]);
        assert!(!workers.is_shared(0, 0));
        assert!(workers.is_shared(2, 0));
        assert!(workers.is_shared(2, 1));
        assert!(!workers.is_shared(2, 2));
        workers.rest(0);
        assert!(!workers.is_shared(2, 0));
    }

    #[test]
    fn a_free_processor_is_one_that_is_allowed_and_has_no_worker() {
        assert_eq!(working_on(&[0, NOWHERE]).free(&[0, 1]), Some(1));
        assert_eq!(working_on(&[3, 0, NOWHERE]).free(&[0, 2, 3]), Some(2));
        assert_eq!(working_on(&[0, NOWHERE]).free(&[0]), None);
        assert_eq!(working_on(&[0, 1, NOWHERE]).free(&[0, 1]), None);
        assert_eq!(working_on(&[0, NOWHERE]).free(&[]), None);
    }

    #[test]
    fn workers_move_once_in_each_interval() {
        let workers = Processors::new(2);
        assert!(!workers.may_move(INTERVAL - 1));
        assert!(workers.may_move(INTERVAL));
        assert!(!workers.may_move(2 * INTERVAL - 1));
        assert!(workers.may_move(2 * INTERVAL));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn who_works_where_another_does_moves_and_may_run_anywhere_then() {
        let allowed = system::allowed();
        for _ in 0..100 {
            let workers = Processors::new(allowed.len());
            let processor = system::processor().expect("a processor");
            workers.of_workers[0].store(processor, Ordering::Relaxed);
            let last = allowed.len() - 1;
            workers.work(last, INTERVAL);
            assert_eq!(system::allowed(), allowed);
            // The system may have moved it at the same moment.
            let own = workers.of_workers[last].load(Ordering::Relaxed);
            if allowed.len() == 1 || own != processor {
                return;
            }
        }
        panic!("it has never moved");
    }
}
