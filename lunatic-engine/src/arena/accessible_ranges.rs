//! How much of each slot can be accessed, where the processor keeps instances inside
//! of their memories.
#![allow(unsafe_code, reason = "allows and forbids accesses to slots")]

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::arena::page_size::PageSize;
use crate::arena::slab::Slab;
use crate::arena::system::{self, Access};

/// The range of each slot of one slab that can be accessed. It begins with the slot.
///
/// A free slot keeps its range: the next memory is most often as large as the last.
#[derive(Debug)]
pub(super) struct AccessibleRanges {
    page: PageSize,
    /// The lengths of the ranges in bytes, by slot.
    lengths: Box<[AtomicUsize]>,
}

impl AccessibleRanges {
    /// Returns the ranges of slots of which nothing can be accessed yet.
    pub(super) fn new(slots: usize, page: PageSize) -> AccessibleRanges {
        AccessibleRanges {
            page,
            lengths: (0..slots).map(|_| AtomicUsize::new(0)).collect(),
        }
    }

    /// Makes exactly the first `bytes` bytes of a slot accessible, rounded up to whole pages.
    ///
    /// # Errors
    ///
    /// Fails if there are as many mappings as the kernel allows. The range is what it
    /// was then.
    ///
    /// # Safety
    ///
    /// `slab` is the one that this was made for, `bytes` is no more than its slots
    /// have, the slot belongs to the caller, and nobody uses what can no longer be
    /// accessed then.
    pub(super) unsafe fn set(&self, slab: &Slab, slot: usize, bytes: usize) -> io::Result<()> {
        let new = self.page.round_up(bytes);
        let old = self.lengths[slot].load(Ordering::Relaxed);
        let Some((changed, access)) = change(old, new) else {
            return Ok(());
        };
        let start = slab.address(slot).wrapping_add(changed.start);
        // SAFETY: as the caller promises; both lengths are whole pages inside of the
        // slot.
        unsafe { system::protect(start, changed.len(), access) }?;
        self.lengths[slot].store(new, Ordering::Relaxed);
        Ok(())
    }

    /// Maps zeros over a slot, of which nothing can be accessed then.
    ///
    /// # Errors
    ///
    /// Fails if there are as many mappings as the kernel allows. The slot may hold
    /// anything then.
    ///
    /// # Safety
    ///
    /// `slab` is the one that this was made for, and nobody uses the slot.
    pub(super) unsafe fn map_zeros_over(&self, slab: &Slab, slot: usize) -> io::Result<()> {
        let start = slab.address(slot);
        // SAFETY: as the caller promises.
        unsafe { system::map_zeros_over(start, slab.slot_bytes(), Access::None) }?;
        self.lengths[slot].store(0, Ordering::Relaxed);
        Ok(())
    }
}

/// Returns the range that changes between two lengths, and its new access; `None` if they are the
/// same.
fn change(old: usize, new: usize) -> Option<(Range<usize>, Access)> {
    match new.cmp(&old) {
        std::cmp::Ordering::Greater => Some((old..new, Access::ReadWrite)),
        std::cmp::Ordering::Less => Some((new..old, Access::None)),
        std::cmp::Ordering::Equal => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_changed() {
        assert_eq!(change(0, 8), Some((0..8, Access::ReadWrite)));
        assert_eq!(change(8, 24), Some((8..24, Access::ReadWrite)));
        assert_eq!(change(24, 8), Some((8..24, Access::None)));
        assert_eq!(change(8, 8), None);
    }
}
