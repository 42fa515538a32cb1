//! One large mapping and its slots.
#![allow(
    unsafe_code,
    reason = "lets threads share a pointer that nothing is read through"
)]

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::arena::system::{self, Access};

/// A mapping that is divided into slots of one size. It is never unmapped.
#[derive(Debug)]
pub(super) struct Slab {
    base: *mut u8,
    slot_bytes: usize,
    slots: usize,
    /// The first slot that has never been used.
    fresh: AtomicUsize,
}

// SAFETY: `base` is the address of a mapping that is there for good and belongs
// to no thread; the slab itself never reads or writes through it.
unsafe impl Send for Slab {}
// SAFETY: as above.
unsafe impl Sync for Slab {}

impl Slab {
    /// Reserves address space for slots of `slot_bytes`, as many as asked for, or
    /// as the kernel gives.
    ///
    /// # Errors
    ///
    /// Fails if the kernel does not give address space for a few slots.
    pub(super) fn reserve(slot_bytes: usize, slots: usize, access: Access) -> io::Result<Slab> {
        /// With fewer there is no use for a slab.
        const FEWEST: usize = 16;
        let mut slots = slots;
        loop {
            // One more, so that the first slot can begin at a multiple of its size.
            match system::reserve(slot_bytes * (slots + 1), access) {
                Ok(base) => {
                    let gap = base.addr().next_multiple_of(slot_bytes) - base.addr();
                    return Ok(Slab {
                        base: base.wrapping_add(gap),
                        slot_bytes,
                        slots,
                        fresh: AtomicUsize::new(0),
                    });
                }
                Err(error) if slots <= FEWEST => return Err(error),
                Err(_) => slots -= slots / 4,
            }
        }
    }

    /// The bytes of one slot.
    pub(super) fn slot_bytes(&self) -> usize {
        self.slot_bytes
    }

    /// How many slots there are.
    pub(super) fn slots(&self) -> usize {
        self.slots
    }

    /// Takes a slot that has never been used; `None` if all have been.
    pub(super) fn take_fresh(&self) -> Option<usize> {
        self.fresh
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |fresh| {
                (fresh < self.slots).then_some(fresh + 1)
            })
            .ok()
    }

    /// How many slots have ever been used.
    pub(super) fn fresh_taken(&self) -> usize {
        self.fresh.load(Ordering::Relaxed)
    }

    /// The first byte of a slot.
    pub(super) fn address(&self, slot: usize) -> *mut u8 {
        self.base.wrapping_add(slot * self.slot_bytes)
    }
}
