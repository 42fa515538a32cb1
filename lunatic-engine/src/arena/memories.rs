//! The memories of instances.
#![allow(unsafe_code, reason = "each block says why it is sound")]

use std::io;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

use crate::arena::accessible_ranges::AccessibleRanges;
use crate::arena::free_list::{FreeLists, FreeSlot, ImageId};
use crate::arena::image::Image;
use crate::arena::pagemap;
use crate::arena::slab::Slab;
use crate::arena::system::{self, Access, PAGE};
use crate::geometry::Geometry;

/// The sizes of dense slots, and the most slots of each size. A slot that a memory
/// outgrows is exchanged for one four times as large. The small ones share pages
/// of the kernel's page tables; the largest holds any memory there can be.
const DENSE: [(usize, usize); 9] = [
    (128 << 10, 1 << 22),
    (512 << 10, 1 << 22),
    (2 << 20, 1 << 22),
    (8 << 20, 1 << 20),
    (32 << 20, 1 << 18),
    (128 << 20, 1 << 16),
    (512 << 20, 1 << 14),
    (2 << 30, 1 << 12),
    (8 << 30, 1 << 10),
];

/// What a guarded memory can grow to: all that 32 bits can address.
pub(super) const GUARDED_BYTES: usize = 4 << 30;

/// The most guarded memories: about half of all addresses there are, which is what
/// lies in one piece.
const GUARDED_SLOTS: usize = 1 << 14;

/// What compiled code may add to an address without asking.
pub(super) const GUARD_BYTES: usize = 32 << 20;

/// Pages of memories smaller than this are copied when it grows out of its slot;
/// pages of larger ones are moved, which costs mappings.
const MOVED_FROM: usize = 8 << 20;

/// Hands out memories that hold an image and zeros.
#[derive(Debug)]
pub(super) struct Memories {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    geometry: Geometry,
    /// The sizes of slots, and the most slots of each size.
    sizes: Box<[(usize, usize)]>,
    classes: Box<[OnceLock<Class>]>,
    /// How many more mappings may be made.
    mappings: AtomicUsize,
}

#[derive(Debug)]
struct Class {
    slab: Slab,
    free_lists: FreeLists,
    /// Only where compiled code relies on them.
    accessible: Option<AccessibleRanges>,
}

/// One memory; dropping it puts its slot back.
struct Memory {
    memories: Arc<Inner>,
    class: usize,
    slot: usize,
    size: usize,
    image: Option<Arc<Image>>,
    /// Whether the image is mapped, and not copied.
    mapped: bool,
}

impl Memories {
    pub(super) fn new(geometry: Geometry) -> Memories {
        let spare = spare_mappings();
        let (sizes, mappings): (Box<[_]>, _) = match geometry {
            Geometry::Dense => (Box::from(DENSE), spare),
            Geometry::Guarded => {
                // Images have what the accessible leave.
                let slots = GUARDED_SLOTS.min(spare / MAPPINGS_PER_FENCE);
                let sizes = Box::from([(GUARDED_BYTES + GUARD_BYTES, slots)]);
                (sizes, spare - slots * MAPPINGS_PER_FENCE)
            }
        };
        Memories {
            inner: Arc::new(Inner {
                geometry,
                classes: sizes.iter().map(|_| OnceLock::new()).collect(),
                sizes,
                mappings: AtomicUsize::new(mappings),
            }),
        }
    }
}

/// How many mappings images or accessible may use: most of what the kernel allows, as
/// the rest of the program needs some too.
fn spare_mappings() -> usize {
    /// The kernel's default.
    const DEFAULT: usize = 65_530;
    let limit = std::fs::read_to_string("/proc/sys/vm/max_map_count")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(DEFAULT);
    limit / 8 * 7
}

/// A mapped image splits the mapping of its slab in two places.
const MAPPINGS_PER_IMAGE: usize = 2;

/// What can be accessed is one mapping, and what cannot another.
const MAPPINGS_PER_FENCE: usize = 2;

// SAFETY: every memory is a range of readable and writable memory that belongs to
// it alone, page-aligned, and zeros but for the image, which is what the data
// segments that were taken out of the module would have written. Dense ones need
// no guard, as the engine is told to check all addresses; of the slot of a guarded
// one, which has room for all it is told to rely on, the rest cannot be accessed.
unsafe impl MemoryCreator for Memories {
    fn new_memory(
        &self,
        _ty: MemoryType,
        minimum: usize,
        _maximum: Option<usize>,
        _reserved: Option<usize>,
        guard: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        debug_assert_eq!(
            guard,
            match self.inner.geometry {
                Geometry::Dense => 0,
                Geometry::Guarded => GUARD_BYTES,
            },
            "the engine was told what there is"
        );
        let image = Image::take_next();
        Memory::new(&self.inner, minimum, image)
            .map(|memory| Box::new(memory) as Box<dyn LinearMemory>)
            .map_err(|error| error.to_string())
    }
}

impl Inner {
    /// The smallest class with room for so many bytes.
    fn class_for(&self, bytes: usize) -> io::Result<usize> {
        self.sizes
            .iter()
            .position(|(slot_bytes, _)| *slot_bytes >= bytes)
            .ok_or_else(|| io::Error::other("no memory can be that large"))
    }

    fn class(&self, number: usize) -> io::Result<&Class> {
        if let Some(class) = self.classes[number].get() {
            return Ok(class);
        }
        let (slot_bytes, slots) = self.sizes[number];
        let class = match self.geometry {
            Geometry::Dense => Class {
                slab: Slab::reserve(slot_bytes, slots, Access::ReadWrite)?,
                free_lists: super::free_lists(),
                accessible: None,
            },
            Geometry::Guarded => {
                let slab = Slab::reserve(slot_bytes, slots, Access::None)?;
                Class {
                    accessible: Some(AccessibleRanges::new(slab.slots())),
                    slab,
                    free_lists: super::free_lists(),
                }
            }
        };
        // If another thread was faster, its slab is used, and this one is address
        // space that is not.
        Ok(self.classes[number].get_or_init(|| class))
    }

    /// Takes the mappings for one image from what may be used.
    fn take_mappings(&self) -> bool {
        self.mappings
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(MAPPINGS_PER_IMAGE)
            })
            .is_ok()
    }

    fn give_mappings_back(&self) {
        self.mappings
            .fetch_add(MAPPINGS_PER_IMAGE, Ordering::Relaxed);
    }
}

impl Class {
    /// A slot, free or fresh.
    fn take(&self, image: ImageId) -> io::Result<FreeSlot> {
        self.free_lists
            .take(image)
            .or_else(|| {
                Some(FreeSlot {
                    slot: self.slab.fresh()?,
                    image: ImageId::NONE,
                    mapped: false,
                    pages: 0,
                })
            })
            .ok_or_else(|| {
                let slots = self.slab.slots();
                let remedy = match self.accessible {
                    Some(_) => "; dense ones take less room",
                    None => "",
                };
                io::Error::other(format!("all {slots} memories are in use{remedy}"))
            })
    }

    /// Lets so many bytes of a slot be accessed, and no more if that is relied on.
    ///
    /// # Safety
    ///
    /// The slot is the caller's, and nobody uses what is beyond.
    unsafe fn set_open(&self, slot: usize, bytes: usize) -> io::Result<()> {
        match &self.accessible {
            // SAFETY: the caller's.
            Some(accessible) => unsafe { accessible.set(&self.slab, slot, bytes) },
            None => Ok(()),
        }
    }

    /// Gives all pages of a slot back. A mapped image stays, as it was.
    ///
    /// # Safety
    ///
    /// Nobody uses the slot.
    unsafe fn discard(&self, slot: usize) {
        // SAFETY: the caller's.
        unsafe { system::discard(self.slab.address(slot), self.slab.slot_bytes()) };
    }

    /// Makes a slot zeros, whatever it holds.
    ///
    /// # Safety
    ///
    /// Nobody uses the slot.
    unsafe fn clear(&self, slot: FreeSlot) -> io::Result<()> {
        // SAFETY: the caller's.
        unsafe { self.discard(slot.slot) };
        match slot.mapped {
            // SAFETY: the caller's.
            true => unsafe {
                system::map_nothing_over(self.slab.address(slot.slot), self.slab.slot_bytes())
            },
            false => Ok(()),
        }
    }
}

/// Makes a free slot hold an image and zeros; whether the image is mapped. If it
/// fails, nobody knows what the slot holds, and it is not to be used again.
fn fill(
    memories: &Inner,
    class: &Class,
    free: FreeSlot,
    image: Option<&Image>,
) -> io::Result<bool> {
    if free.image == image.map_or(ImageId::NONE, Image::id) {
        return Ok(free.mapped);
    }
    if free.image != ImageId::NONE {
        // SAFETY: the slot was taken from a free list: nobody uses it.
        unsafe { class.clear(free) }?;
        if free.mapped {
            memories.give_mappings_back();
        }
    }
    let Some(image) = image else {
        return Ok(false);
    };
    let start = class.slab.address(free.slot);
    if image.is_worth_mapping() && memories.take_mappings() {
        // SAFETY: nobody uses the slot, and the class was chosen to have room for
        // the image.
        if unsafe { image.map(start) } {
            return Ok(true);
        }
        memories.give_mappings_back();
    }
    // SAFETY: as above.
    unsafe { image.copy(start) };
    Ok(false)
}

impl Memory {
    fn new(memories: &Arc<Inner>, size: usize, image: Option<Arc<Image>>) -> io::Result<Memory> {
        let needed = image.as_ref().map_or(size, |image| size.max(image.end()));
        let number = memories.class_for(needed)?;
        let class = memories.class(number)?;
        let free = class.take(image.as_ref().map_or(ImageId::NONE, |image| image.id()))?;
        // SAFETY: the slot was taken: nobody uses it.
        unsafe { class.set_open(free.slot, size) }?;
        let mapped = fill(memories, class, free, image.as_deref())?;
        Ok(Memory {
            memories: memories.clone(),
            class: number,
            slot: free.slot,
            size,
            image,
            mapped,
        })
    }

    fn class(&self) -> io::Result<&Class> {
        self.memories.class(self.class)
    }

    fn start(&self) -> *mut u8 {
        // The class of a memory that exists is there.
        self.class()
            .map_or(ptr::null_mut(), |class| class.slab.address(self.slot))
    }

    /// Moves to a slot of a larger class.
    fn move_to(&mut self, class: usize) -> io::Result<()> {
        let target = self.memories.class(class)?;
        let free = target.take(ImageId::NONE)?;
        let to = target.slab.address(free.slot);
        fill(&self.memories, target, free, None)?;
        let used = self.size.next_multiple_of(PAGE);
        let moved = used >= MOVED_FROM
            && !self.mapped
            // SAFETY: both ranges are slots, one this memory's and one nobody's,
            // and the memory is not in use while it grows.
            && unsafe { system::move_pages(self.start(), to, used) }.is_ok();
        if !moved {
            // SAFETY: as above; both slots have room for `used` bytes.
            unsafe { self.copy_pages(to, used) };
        }
        let mut old = std::mem::replace(
            self,
            Memory {
                memories: self.memories.clone(),
                class,
                slot: free.slot,
                size: self.size,
                // In the new slot the image is no different from other bytes.
                image: None,
                mapped: false,
            },
        );
        if moved {
            // Its pages are gone, and it is zeros.
            old.size = 0;
            old.image = None;
        }
        drop(old);
        Ok(())
    }

    /// Copies what was written, and the image, to another slot.
    ///
    /// # Safety
    ///
    /// `to` is a slot of zeros with room for `bytes`, which nobody uses.
    unsafe fn copy_pages(&self, to: *mut u8, bytes: usize) {
        let from = self.start();
        if let Some(image) = &self.image {
            // Pages of a mapped image that were only read are not told of.
            // SAFETY: the caller's; the slot has room for what this one holds.
            unsafe { image.copy(to) };
        }
        let copy = |range: Range<usize>| {
            let offset = range.start - from.addr();
            // SAFETY: the range is inside of this memory; slots do not overlap.
            unsafe {
                ptr::copy_nonoverlapping(
                    from.wrapping_add(offset),
                    to.wrapping_add(offset),
                    range.len(),
                );
            }
        };
        let all = from.addr()..from.addr() + bytes;
        if pagemap::written(all.clone(), copy).is_none() {
            copy(all);
        }
    }

    /// Makes the slot hold the image and zeros again; how many pages it occupies
    /// then. `None` if it is better emptied.
    fn clean(&self) -> Option<usize> {
        let start = self.start();
        let mut pages = 0;
        let used = self.size.next_multiple_of(PAGE);
        let clean = |range: Range<usize>| {
            pages += range.len() / PAGE;
            for page in range.step_by(PAGE) {
                let offset = page - start.addr();
                let original = self.image.as_ref().and_then(|image| image.page(offset));
                let page = start.wrapping_add(offset);
                // SAFETY: the page is inside of this memory, which nobody uses
                // any more.
                unsafe {
                    match original {
                        Some(bytes) => ptr::copy_nonoverlapping(bytes.as_ptr(), page, PAGE),
                        None => ptr::write_bytes(page, 0, PAGE),
                    }
                }
            }
        };
        pagemap::written(start.addr()..start.addr() + used, clean)?;
        Some(pages)
    }

    fn put_back(&self) -> io::Result<()> {
        let class = self.class()?;
        let image = self
            .image
            .as_ref()
            .map_or(ImageId::NONE, |image| image.id());
        let free = FreeSlot {
            slot: self.slot,
            image,
            mapped: self.mapped,
            pages: 0,
        };
        let too_much = match self.clean() {
            Some(pages) => class.free_lists.put(FreeSlot { pages, ..free }),
            None => Some(free),
        };
        if let Some(emptied) = too_much {
            // SAFETY: the slot is in no free list, and nobody uses it.
            unsafe { class.discard(emptied.slot) };
            let image = match emptied.mapped {
                true => emptied.image,
                false => ImageId::NONE,
            };
            class.free_lists.put_emptied(FreeSlot {
                image,
                pages: 0,
                ..emptied
            });
        }
        Ok(())
    }
}

// SAFETY: as `MemoryCreator` promises. `byte_size` bytes from `as_ptr` on are
// inside of the slot; growing beyond the slot moves the memory to a larger one,
// which the engine allows.
unsafe impl LinearMemory for Memory {
    fn byte_size(&self) -> usize {
        self.size
    }

    fn byte_capacity(&self) -> usize {
        self.memories.sizes[self.class].0
    }

    fn grow_to(&mut self, new_size: usize) -> wasmtime::Result<()> {
        let class = self.memories.class_for(new_size)?;
        if class > self.class {
            self.move_to(class)?;
        } else if new_size > self.size {
            // SAFETY: the slot is this memory's; it grows.
            unsafe { self.class()?.set_open(self.slot, new_size) }?;
        }
        self.size = self.size.max(new_size);
        Ok(())
    }

    fn as_ptr(&self) -> *mut u8 {
        self.start()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Err(error) = self.put_back() {
            // The slot is in no free list and is never used again.
            tracing::error!("a memory could not be emptied: {error}");
        }
    }
}
