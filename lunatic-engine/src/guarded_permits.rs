//! The permits for guarded memories, where there is a limited number of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::short_lives::ShortLives;

/// A counter of the guarded memories that instances may still take.
///
/// The code of an instance is chosen before its memory is allocated, so an instance takes a
/// permit first.
#[derive(Debug)]
pub(crate) struct GuardedPermits {
    permits: usize,
    used: AtomicUsize,
}

/// The right to one guarded memory. It is dropped after the memory.
#[derive(Debug)]
pub(crate) struct GuardedPermit {
    permits: &'static GuardedPermits,
}

/// The permit of one instance, which also records how the instance ends. It is dropped after
/// the memory.
pub(crate) struct InstancePermit {
    _permit: GuardedPermit,
    lives: Arc<ShortLives>,
}

impl GuardedPermits {
    /// - `permits`: the highest number of guarded memories at once.
    #[cfg(any(test, all(target_os = "linux", target_pointer_width = "64")))]
    pub(crate) fn new(permits: usize) -> GuardedPermits {
        GuardedPermits {
            permits,
            used: AtomicUsize::new(0),
        }
    }

    /// Takes a permit; `None` if there is none left.
    pub(crate) fn take(&'static self) -> Option<GuardedPermit> {
        let taken = self
            .used
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, |used| {
                (used < self.permits).then_some(used + 1)
            });
        taken.ok().map(|_| GuardedPermit { permits: self })
    }

    /// Whether all permits are taken.
    pub(crate) fn are_used(&self) -> bool {
        self.used.load(Ordering::Relaxed) >= self.permits
    }

    /// Whether more than half of the permits are taken.
    pub(crate) fn are_half_used(&self) -> bool {
        self.used.load(Ordering::Relaxed) > self.permits / 2
    }
}

impl Drop for GuardedPermit {
    fn drop(&mut self) {
        // The next instance that takes the permit sees that the memory was put back.
        self.permits.used.fetch_sub(1, Ordering::Release);
    }
}

impl InstancePermit {
    /// - `lives`: the statistics of the module's instances, which are updated by
    ///   [`ended`](InstancePermit::ended).
    pub(crate) fn new(permit: GuardedPermit, lives: Arc<ShortLives>) -> InstancePermit {
        InstancePermit {
            _permit: permit,
            lives,
        }
    }

    /// Records that the instance has ended.
    ///
    /// - `was_short`: whether it ended soon, after its memory had grown.
    pub(crate) fn ended(&self, was_short: bool) {
        self.lives.ended(was_short);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_permits_are_taken_than_there_are() {
        let permits: &'static GuardedPermits = Box::leak(Box::new(GuardedPermits::new(2)));
        assert!(!permits.are_half_used());
        let first = permits.take();
        assert!(first.is_some() && !permits.are_half_used());
        let second = permits.take();
        assert!(second.is_some() && permits.are_half_used());
        assert!(permits.take().is_none());
        drop(first);
        assert!(!permits.are_half_used());
        assert!(permits.take().is_some());
    }
}
