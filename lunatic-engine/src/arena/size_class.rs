//! The slots of one size, for memories.
#![allow(unsafe_code, reason = "fills and clears slots")]

use std::io;

use crate::arena::accessible_ranges::AccessibleRanges;
use crate::arena::free_list::{Contents, FreeLists, FreeSlot};
use crate::arena::image::{Image, ImageId};
use crate::arena::machine::Machine;
use crate::arena::mappings::Mappings;
use crate::arena::slab::Slab;
use crate::arena::system::{self, Access};
use crate::arena::written_pages::WrittenPages;
use crate::memory_layout::MemoryLayout;
use crate::stats::SlotUse;

/// The slots of one size, fresh and free.
#[derive(Debug)]
pub(super) struct SizeClass {
    slab: Slab,
    /// The bytes at the end of each slot that are no memory.
    guard: usize,
    free: FreeLists<SlotContents>,
    /// The accessible ranges, on which compiled code relies; `None` in the dense layout.
    accessible: Option<AccessibleRanges>,
    mappings: &'static Mappings,
}

/// The contents of a slot, and the part of it that may have been written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct SlotContents {
    pub(super) holds: Holds,
    /// If it is known. What of the slot was written is in memory, though it has been made what
    /// the slot holds again.
    pub(super) written: Option<WrittenPages>,
}

/// The contents of a slot; the rest of it is zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Holds {
    /// Zeros only.
    #[default]
    Zeros,
    /// A copy of an image.
    Copied(ImageId),
    /// An image, mapped.
    Mapped(MappedImage),
}

/// An image that is mapped into a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MappedImage {
    id: ImageId,
    /// The start and the end of the image in the slot.
    start: usize,
    end: usize,
}

impl MappedImage {
    fn of(image: &Image) -> MappedImage {
        let place = image.place();
        MappedImage {
            id: image.id(),
            start: place.start,
            end: place.end,
        }
    }
}

impl Contents for SlotContents {
    type Key = Option<ImageId>;

    fn key(self) -> Option<ImageId> {
        match self.holds {
            Holds::Zeros => None,
            Holds::Copied(image) => Some(image),
            Holds::Mapped(image) => Some(image.id),
        }
    }
}

impl From<Holds> for SlotContents {
    fn from(holds: Holds) -> SlotContents {
        SlotContents {
            holds,
            written: None,
        }
    }
}

impl SizeClass {
    /// Reserves address space for slots of `slot_bytes`, at most `slots`.
    ///
    /// - `guard`: how many bytes at the end of each are no memory.
    ///
    /// # Errors
    ///
    /// Fails if the kernel does not give it.
    pub(super) fn reserve(
        slot_bytes: usize,
        guard: usize,
        slots: usize,
        memory_layout: MemoryLayout,
        machine: &Machine,
        mappings: &'static Mappings,
    ) -> io::Result<SizeClass> {
        let access = match memory_layout {
            MemoryLayout::Dense => Access::ReadWrite,
            MemoryLayout::Guarded => Access::None,
        };
        let slab = Slab::reserve(slot_bytes, slots, access)?;
        let accessible = match memory_layout {
            MemoryLayout::Dense => None,
            MemoryLayout::Guarded => Some(AccessibleRanges::new(slab.slots(), machine.page)),
        };
        Ok(SizeClass {
            slab,
            guard,
            free: machine.free_lists(),
            accessible,
            mappings,
        })
    }

    /// The bytes of one slot.
    pub(super) fn slot_bytes(&self) -> usize {
        self.slab.slot_bytes()
    }

    /// The bytes of the largest memory that a slot has room for.
    pub(super) fn memory_bytes(&self) -> usize {
        self.slot_bytes() - self.guard
    }

    /// How many slots there are.
    pub(super) fn slots(&self) -> usize {
        self.slab.slots()
    }

    /// How many slots are used, and how many are free and have been.
    pub(super) fn use_of_slots(&self) -> SlotUse {
        SlotUse::new(
            self.slot_bytes(),
            self.slab.fresh_taken(),
            self.free.count(),
        )
    }

    /// The first byte of a slot.
    pub(super) fn address(&self, slot: usize) -> *mut u8 {
        self.slab.address(slot)
    }

    /// Takes a slot, free or fresh: preferably one that holds the image.
    ///
    /// # Errors
    ///
    /// Fails if all slots are in use.
    pub(super) fn take(&self, image: Option<ImageId>) -> io::Result<FreeSlot<SlotContents>> {
        let fresh = || {
            Some(FreeSlot {
                slot: self.slab.take_fresh()?,
                contents: SlotContents::default(),
            })
        };
        self.free.take(image).or_else(fresh).ok_or_else(|| {
            let slots = self.slots();
            let remedy = match self.accessible {
                Some(_) => "; dense ones take less room",
                None => "",
            };
            io::Error::other(format!("all {slots} memories are in use{remedy}"))
        })
    }

    /// Makes a slot hold an image, or only zeros, and makes `bytes` of its bytes accessible.
    /// Returns its contents.
    ///
    /// # Errors
    ///
    /// Fails if the image needs more than `bytes`, or the kernel does not do its part.
    /// Nobody knows then what the slot holds, and it must not be used again.
    ///
    /// # Safety
    ///
    /// The slot was [taken](SizeClass::take) from this class, nobody uses it, and has
    /// so many bytes.
    pub(super) unsafe fn fill(
        &self,
        free: FreeSlot<SlotContents>,
        image: Option<&Image>,
        bytes: usize,
    ) -> io::Result<SlotContents> {
        let holds_it = free.contents.key() == image.map(Image::id);
        if !holds_it {
            // SAFETY: as the caller promises.
            if let Some(contents) = unsafe { self.exchange_image(free, image, bytes) }? {
                return Ok(contents);
            }
            // SAFETY: as the caller promises.
            unsafe { self.clear(free) }?;
        }
        // SAFETY: as the caller promises.
        unsafe { self.set_accessible(free.slot, bytes) }?;
        match image {
            _ if holds_it => Ok(free.contents),
            None => Ok(SlotContents::default()),
            Some(image) if image.end() > bytes => {
                Err(io::Error::other("an image does not fit into its memory"))
            }
            // SAFETY: as the caller promises; the image lies in what can be accessed.
            Some(image) => unsafe { self.put_image(free.slot, image) }.map(SlotContents::from),
        }
    }

    /// Makes `bytes` bytes of a slot accessible, and in the guarded layout no more.
    ///
    /// # Errors
    ///
    /// Fails if there are as many mappings as the kernel allows.
    ///
    /// # Safety
    ///
    /// The slot belongs to the caller and has so many bytes, and nobody uses those
    /// beyond.
    pub(super) unsafe fn set_accessible(&self, slot: usize, bytes: usize) -> io::Result<()> {
        match &self.accessible {
            // SAFETY: as the caller promises; the ranges are those of this slab.
            Some(accessible) => unsafe { accessible.set(&self.slab, slot, bytes) },
            None => Ok(()),
        }
    }

    /// Puts a slot back that holds its contents and zeros, and occupies `pages` pages.
    ///
    /// # Errors
    ///
    /// Fails if the kernel does not take back the pages of another slot, for which
    /// there is no room now. That one is not used again.
    ///
    /// # Safety
    ///
    /// The slot was [taken](SizeClass::take) from this class, nobody uses it, and that
    /// is what it holds.
    pub(super) unsafe fn put(&self, free: FreeSlot<SlotContents>, pages: usize) -> io::Result<()> {
        match self.free.put(free, pages) {
            // SAFETY: it was in a free list and no longer is: nobody uses it.
            Some(oldest) => unsafe { self.empty_and_put(oldest) },
            None => Ok(()),
        }
    }

    /// Gives the pages of a slot back to the kernel, and puts it back. A mapped image
    /// stays, as it was.
    ///
    /// # Errors
    ///
    /// Fails if the kernel does not take them. The slot is not used again.
    ///
    /// # Safety
    ///
    /// The slot was [taken](SizeClass::take) from this class, nobody uses it, and no
    /// image is mapped into it but that of its contents.
    pub(super) unsafe fn empty_and_put(&self, free: FreeSlot<SlotContents>) -> io::Result<()> {
        // SAFETY: as the caller promises.
        unsafe { system::discard(self.address(free.slot), self.slot_bytes()) }?;
        let holds = match free.contents.holds {
            Holds::Zeros | Holds::Copied(_) => Holds::Zeros,
            mapped @ Holds::Mapped(_) => mapped,
        };
        let slot = free.slot;
        let contents = SlotContents::from(holds);
        self.free.put_emptied(FreeSlot { slot, contents });
        Ok(())
    }

    /// Maps zeros over a slot that pages were moved into, and puts it back. To give the pages back
    /// would leave the mappings: each time that pages are moved into a slot makes one more.
    ///
    /// # Errors
    ///
    /// As for [`empty_and_put`](SizeClass::empty_and_put).
    ///
    /// # Safety
    ///
    /// As for [`empty_and_put`](SizeClass::empty_and_put).
    pub(super) unsafe fn map_zeros_and_put(&self, free: FreeSlot<SlotContents>) -> io::Result<()> {
        // SAFETY: as the caller promises.
        unsafe { self.map_zeros_over(free.slot) }?;
        if let Holds::Mapped(_) = free.contents.holds {
            self.mappings.give_back_of_image();
        }
        let (slot, contents) = (free.slot, SlotContents::default());
        self.free.put_emptied(FreeSlot { slot, contents });
        Ok(())
    }

    /// Maps zeros over a slot.
    ///
    /// # Errors
    ///
    /// Fails if the kernel does not do its part. The slot may hold anything then.
    ///
    /// # Safety
    ///
    /// Nobody uses the slot.
    unsafe fn map_zeros_over(&self, slot: usize) -> io::Result<()> {
        let (start, bytes) = (self.address(slot), self.slot_bytes());
        // SAFETY: as the caller promises; the ranges are those of this slab.
        unsafe {
            match &self.accessible {
                Some(accessible) => accessible.map_zeros_over(&self.slab, slot),
                None => system::map_zeros_over(start, bytes, Access::ReadWrite),
            }
        }
    }

    /// Maps an image into a slot into which another one is mapped, in its place. Returns what
    /// the slot holds then; `None` if it has to be cleared for that.
    ///
    /// # Errors
    ///
    /// As for [`fill`](SizeClass::fill).
    ///
    /// # Safety
    ///
    /// As for [`fill`](SizeClass::fill).
    unsafe fn exchange_image(
        &self,
        free: FreeSlot<SlotContents>,
        image: Option<&Image>,
        bytes: usize,
    ) -> io::Result<Option<SlotContents>> {
        let (Holds::Mapped(before), Some(image)) = (free.contents.holds, image) else {
            return Ok(None);
        };
        if !image.can_be_mapped() || before.end.max(image.end()) > bytes {
            return Ok(None);
        }
        let start = self.address(free.slot);
        // SAFETY: as the caller promises; both images lie in what can be accessed, and outside
        // of that before there are zeros.
        unsafe {
            self.set_accessible(free.slot, bytes)?;
            if !image.map(start)? {
                return Ok(None);
            }
            let place = image.place();
            for rest in [
                before.start..before.end.min(place.start),
                before.start.max(place.end)..before.end,
            ] {
                if !rest.is_empty() {
                    let start = start.wrapping_add(rest.start);
                    system::map_zeros_over(start, rest.len(), Access::ReadWrite)?;
                }
            }
        }
        Ok(Some(Holds::Mapped(MappedImage::of(image)).into()))
    }

    /// Makes a slot zeros.
    ///
    /// # Errors
    ///
    /// Fails if the kernel does not do its part. The slot may hold anything then.
    ///
    /// # Safety
    ///
    /// Nobody uses the slot.
    unsafe fn clear(&self, free: FreeSlot<SlotContents>) -> io::Result<()> {
        match free.contents.holds {
            Holds::Zeros => Ok(()),
            // SAFETY: as the caller promises.
            Holds::Copied(_) => unsafe {
                system::discard(self.address(free.slot), self.slot_bytes())
            },
            Holds::Mapped(_) => {
                // SAFETY: as the caller promises.
                unsafe { self.map_zeros_over(free.slot) }?;
                self.mappings.give_back_of_image();
                Ok(())
            }
        }
    }

    /// Puts an image into a slot of zeros. Returns what the slot holds then.
    ///
    /// # Errors
    ///
    /// Fails if the kernel does not do its part. The slot may hold anything then.
    ///
    /// # Safety
    ///
    /// Nobody uses the slot, and the place of the image in it can be accessed.
    unsafe fn put_image(&self, slot: usize, image: &Image) -> io::Result<Holds> {
        let start = self.address(slot);
        if image.can_be_mapped() && self.mappings.take_for_image() {
            // SAFETY: as the caller promises.
            if unsafe { image.map(start) }? {
                return Ok(Holds::Mapped(MappedImage::of(image)));
            }
            self.mappings.give_back_of_image();
        }
        // SAFETY: as the caller promises.
        unsafe { image.copy(start) };
        Ok(Holds::Copied(image.id()))
    }
}
