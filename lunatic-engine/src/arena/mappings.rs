//! How many mappings the arenas may make.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::arena::machine::Machine;

/// The mappings that may still be made. The kernel lets a program have so many, and
/// an image that is mapped into a memory splits the mapping of its slab.
#[derive(Debug)]
pub(super) struct Mappings {
    left: AtomicUsize,
}

impl Mappings {
    /// The mappings of one image: it splits a mapping in two places.
    const PER_IMAGE: usize = 2;

    /// The mappings of one guarded slot: one for the part that can be accessed, and one for the
    /// rest.
    const PER_GUARDED_SLOT: usize = 2;

    /// Returns the budget of mappings for arenas, which is never freed: most of the mappings that
    /// the kernel allows on this machine, as the rest of the program needs some too.
    pub(super) fn leak(machine: &Machine) -> &'static Mappings {
        Box::leak(Box::new(Mappings::new(machine.mappings / 8 * 7)))
    }

    /// Returns a budget of `number` mappings.
    fn new(number: usize) -> Mappings {
        Mappings {
            left: AtomicUsize::new(number),
        }
    }

    /// Takes the mappings of guarded slots, permanently. Returns for how many of `slots` there were
    /// enough.
    pub(super) fn take_for_guarded_slots(&self, slots: usize) -> usize {
        let affordable = |left: usize| slots.min(left / Mappings::PER_GUARDED_SLOT);
        let taken = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                Some(left - affordable(left) * Mappings::PER_GUARDED_SLOT)
            });
        affordable(taken.unwrap_or_else(|left| left))
    }

    /// Takes the mappings of one image; returns whether there were enough left.
    pub(super) fn take_for_image(&self) -> bool {
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(Mappings::PER_IMAGE)
            })
            .is_ok()
    }

    /// Gives the mappings of one image back.
    pub(super) fn give_back_of_image(&self) {
        self.left.fetch_add(Mappings::PER_IMAGE, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guarded_slots_leave_the_rest_to_images() {
        let mappings = Mappings::new(2 * Mappings::PER_GUARDED_SLOT + Mappings::PER_IMAGE);
        assert_eq!(mappings.take_for_guarded_slots(2), 2);
        assert!(mappings.take_for_image());
        assert!(!mappings.take_for_image());
        mappings.give_back_of_image();
        assert_eq!(mappings.take_for_guarded_slots(2), 1);
        assert_eq!(mappings.take_for_guarded_slots(2), 0);
    }

    #[test]
    fn no_more_is_taken_than_there_is() {
        let mappings = Mappings::new(2 * Mappings::PER_IMAGE + 1);
        assert!(mappings.take_for_image() && mappings.take_for_image());
        assert!(!mappings.take_for_image());
        mappings.give_back_of_image();
        assert!(mappings.take_for_image());
        assert!(!mappings.take_for_image());
    }
}
