//! Which instances have a guarded memory, where there is room for few.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts the guarded memories that there may still be.
///
/// It is known of an instance which code it runs before it asks for its memory, so it takes
/// one of these first.
#[derive(Debug)]
pub(crate) struct GuardedSlots {
    slots: usize,
    used: AtomicUsize,
}

/// The right to have a guarded memory. It is dropped after the memory.
#[derive(Debug)]
pub(crate) struct GuardedSlot {
    slots: &'static GuardedSlots,
}

impl GuardedSlots {
    /// - `slots`: how many guarded memories there may be at once.
    pub(super) fn new(slots: usize) -> GuardedSlots {
        GuardedSlots {
            slots,
            used: AtomicUsize::new(0),
        }
    }

    /// Takes one; `None` if there is none left.
    pub(crate) fn take(&'static self) -> Option<GuardedSlot> {
        let taken = self
            .used
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, |used| {
                (used < self.slots).then_some(used + 1)
            });
        taken.ok().map(|_| GuardedSlot { slots: self })
    }

    /// Whether all of them are taken.
    pub(crate) fn are_used(&self) -> bool {
        self.used.load(Ordering::Relaxed) >= self.slots
    }

    /// Whether more than half of them are taken.
    pub(crate) fn are_half_used(&self) -> bool {
        self.used.load(Ordering::Relaxed) > self.slots / 2
    }
}

impl Drop for GuardedSlot {
    fn drop(&mut self) {
        // Who takes it next finds the memory that was put back before.
        self.slots.used.fetch_sub(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_are_taken_than_there_are() {
        let slots: &'static GuardedSlots = Box::leak(Box::new(GuardedSlots::new(2)));
        assert!(!slots.are_half_used());
        let first = slots.take();
        assert!(first.is_some() && !slots.are_half_used());
        let second = slots.take();
        assert!(second.is_some() && slots.are_half_used());
        assert!(slots.take().is_none());
        drop(first);
        assert!(!slots.are_half_used());
        assert!(slots.take().is_some());
    }
}
