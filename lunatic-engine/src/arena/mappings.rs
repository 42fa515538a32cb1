//! How many mappings the arena may make.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::arena::machine::Machine;

/// The mappings that may still be made. The kernel lets a program have so many, and
/// an image that is mapped into a memory splits the mapping of its slab.
#[derive(Debug)]
pub(super) struct Mappings {
    left: AtomicUsize,
}

impl Mappings {
    /// What one image costs: it splits a mapping in two places.
    pub(super) const PER_IMAGE: usize = 2;

    /// What one guarded slot costs: the part that can be accessed is one mapping,
    /// and the part that cannot another.
    pub(super) const PER_GUARDED_SLOT: usize = 2;

    /// How many mappings the arena may make on this machine: most of what the kernel
    /// allows, as the rest of the program needs some too.
    pub(super) fn allowed(machine: &Machine) -> usize {
        machine.mappings / 8 * 7
    }

    /// So many may be made.
    pub(super) fn new(number: usize) -> Mappings {
        Mappings {
            left: AtomicUsize::new(number),
        }
    }

    /// Takes those of one image; returns whether there are enough left.
    pub(super) fn take_for_image(&self) -> bool {
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(Mappings::PER_IMAGE)
            })
            .is_ok()
    }

    /// Gives those of one image back.
    pub(super) fn give_back_of_image(&self) {
        self.left.fetch_add(Mappings::PER_IMAGE, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
