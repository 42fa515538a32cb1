//! The ids of processes.

use std::hint;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use lunatic_mailbox::{NodeId, Pid};

/// Counts up the ids of processes. Environments that share it, as clones do, have no two
/// processes with one id.
#[derive(Debug, Clone, Default)]
pub struct PidCounter {
    counts: Arc<PidCounts>,
}

/// On a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct PidCounts {
    /// How many ids were given.
    given: AtomicU64,
    /// How many of those were put into the table of their environment.
    born: AtomicU64,
    /// The ids up to this one were all put there, as it was seen once.
    all_born: AtomicU64,
}

impl PidCounter {
    /// Returns a counter that has given no id.
    pub fn new() -> PidCounter {
        PidCounter::default()
    }

    /// Returns the next id of a process of this node; `None` if there is none left.
    #[inline]
    pub(crate) fn next(&self, node: NodeId) -> Option<Pid> {
        let given = self.counts.given.fetch_add(1, Ordering::SeqCst);
        Pid::new(node.number(), given + 1)
    }

    /// Notes that the process with an id that was given is in the table.
    #[inline]
    pub(crate) fn count_born(&self) {
        const LOOKED_EACH: u64 = 64;
        let born = self.counts.born.fetch_add(1, Ordering::SeqCst) + 1;
        if born.is_multiple_of(LOOKED_EACH) {
            self.are_all_born();
        }
    }

    /// Returns whether all ids that were given are in the table, or were.
    fn are_all_born(&self) -> bool {
        // In this order: if they are equal, nothing was under way when the first was read.
        let born = self.counts.born.load(Ordering::SeqCst);
        let given = self.counts.given.load(Ordering::SeqCst);
        if born == given {
            self.counts.all_born.fetch_max(given, Ordering::SeqCst);
        }
        born == given
    }

    /// Returns whether the process with this id is in the table, or was. One that is just put
    /// there by another thread is waited for, for some microseconds; then it is not.
    pub(crate) fn was_born(&self, id: Pid) -> bool {
        const SPINS: u32 = 64;
        const YIELDS: u32 = 16;
        if id.counter() <= self.counts.all_born.load(Ordering::SeqCst) {
            return true;
        }
        if id.counter() > self.counts.given.load(Ordering::SeqCst) {
            return false;
        }
        (0..SPINS + YIELDS).any(|round| {
            let is_born = self.are_all_born();
            match round {
                _ if is_born => {}
                0..SPINS => hint::spin_loop(),
                _ => thread::yield_now(),
            }
            is_born
        })
    }
}
