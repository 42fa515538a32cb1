//! How much of each slot can be accessed, where the processor keeps instances in.
#![allow(unsafe_code, reason = "each block says why it is sound")]

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::arena::slab::Slab;
use crate::arena::system::{self, Access, PAGE};

/// The accessible of all slots of one slab. A slot that nobody uses keeps its fence:
/// the next memory is most often of the same size.
#[derive(Debug)]
pub(super) struct AccessibleRanges {
    /// How many bytes from its start on can be accessed, by slot.
    open: Box<[AtomicUsize]>,
}

impl AccessibleRanges {
    /// No slot can be accessed, as it was reserved.
    pub(super) fn new(slots: usize) -> AccessibleRanges {
        AccessibleRanges {
            open: (0..slots).map(|_| AtomicUsize::new(0)).collect(),
        }
    }

    /// Lets so many bytes of a slot be accessed, in whole pages, and no more.
    ///
    /// # Safety
    ///
    /// `slab` is the one that this was made for, and the slot is the caller's; what
    /// is no longer accessible then is not in use.
    pub(super) unsafe fn set(&self, slab: &Slab, slot: usize, bytes: usize) -> io::Result<()> {
        let wanted = bytes.next_multiple_of(PAGE);
        let open = self.open[slot].load(Ordering::Relaxed);
        let (from, to, access) = match wanted > open {
            true => (open, wanted, Access::ReadWrite),
            false => (wanted, open, Access::None),
        };
        if from == to {
            return Ok(());
        }
        let start = slab.address(slot).wrapping_add(from);
        // SAFETY: the caller's; both ends are inside of the slot.
        unsafe { system::protect(start, to - from, access) }?;
        self.open[slot].store(wanted, Ordering::Relaxed);
        Ok(())
    }
}
