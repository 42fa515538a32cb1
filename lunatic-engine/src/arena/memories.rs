//! The memories of instances.
#![allow(unsafe_code, reason = "promises the engine what its memories are")]

use std::io;

use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

use crate::arena::collected_heap::{self, CollectedHeap};
use crate::arena::image::Image;
use crate::arena::machine::Machine;
use crate::arena::mappings::Mappings;
use crate::arena::memory::Memory;
use crate::arena::size_classes::{GUARD_BYTES, GUARDED_BYTES, SizeClasses};
use crate::memory_layout::MemoryLayout;
use crate::stats::SlotUse;

/// Hands out memories that hold an image and zeros, and heaps for what is collected.
#[derive(Debug)]
pub(super) struct Memories {
    classes: &'static SizeClasses,
    /// The size classes of dense memories, which heaps use, too.
    for_heaps: &'static SizeClasses,
}

impl Memories {
    /// Dense memories of an arena, which is never given back.
    pub(super) fn dense(machine: Machine, mappings: &'static Mappings) -> Memories {
        let classes = SizeClasses::leak_dense(machine, mappings);
        Memories {
            classes,
            for_heaps: classes,
        }
    }

    /// Guarded memories of an arena, which is never given back.
    ///
    /// - `slots`: the most there may be.
    /// - `dense`: the dense ones, from which heaps are taken.
    pub(super) fn guarded(
        machine: Machine,
        mappings: &'static Mappings,
        slots: usize,
        dense: &Memories,
    ) -> Memories {
        Memories {
            classes: SizeClasses::leak_guarded(machine, mappings, slots),
            for_heaps: dense.classes,
        }
    }

    /// How they lie in the address space.
    pub(super) fn memory_layout(&self) -> MemoryLayout {
        self.classes.memory_layout()
    }

    /// How many guarded memories there can be at once.
    ///
    /// # Errors
    ///
    /// Fails if the kernel gives no address space for them.
    pub(super) fn guarded_slots(&self) -> io::Result<usize> {
        Ok(self.classes.for_bytes(GUARDED_BYTES)?.slots())
    }

    /// How many slots of each class are used.
    pub(super) fn use_of_slots(&self) -> Vec<SlotUse> {
        self.classes.use_of_slots()
    }
}

// SAFETY: every memory is a range of readable and writable memory that belongs to
// it alone, page-aligned, and zeros but for the image, which is what the data
// segments that were taken out of the module would have written. Dense ones need
// no guard, as the engine is told to check all addresses. The slot of a guarded one
// has room for the memory and the guard that the engine is told to rely on, and nothing
// of it but the memory can be accessed.
unsafe impl MemoryCreator for Memories {
    fn new_memory(
        &self,
        _ty: MemoryType,
        minimum: usize,
        _maximum: Option<usize>,
        reserved: Option<usize>,
        guard: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        if reserved == Some(collected_heap::RESERVED_BYTES) {
            return match (minimum, guard) {
                (0, 0) => Ok(Box::new(CollectedHeap::new(self.for_heaps))),
                _ => Err("a heap begins empty and has no guard".to_owned()),
            };
        }
        let promised = match self.classes.memory_layout() {
            MemoryLayout::Dense => 0,
            MemoryLayout::Guarded => GUARD_BYTES,
        };
        if guard > promised {
            return Err(format!("the engine relies on a guard of {guard} bytes"));
        }
        let image = Image::take_next();
        Memory::new(self.classes, minimum, image)
            .map(|memory| Box::new(memory) as Box<dyn LinearMemory>)
            .map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::iter;
    use std::sync::Arc;

    use super::*;
    use crate::arena::page_size::PageSize;
    use crate::arena::size_classes::GUARDED_SLOTS;
    use crate::initial_memory::InitialMemory;

    const WASM_PAGE: usize = 64 << 10;

    /// Memories as they are on a machine with such pages. The pages of this machine
    /// are smaller or the same, so all that is done with larger ones can be done here.
    fn with_pages(memory_layout: MemoryLayout, page: PageSize) -> Memories {
        let machine = Machine::with_pages(page);
        let mappings = Mappings::leak(&machine);
        match memory_layout {
            MemoryLayout::Dense => Memories::dense(machine, mappings),
            MemoryLayout::Guarded => {
                let dense = Memories::dense(machine, mappings);
                Memories::guarded(machine, mappings, GUARDED_SLOTS, &dense)
            }
        }
    }

    fn image(offset: usize, bytes: &[u8], page: PageSize) -> Arc<Image> {
        let bytes = bytes.to_vec();
        Arc::new(Image::new(&InitialMemory { offset, bytes }, page))
    }

    fn memory(memories: &Memories, bytes: usize, image: Option<&Arc<Image>>) -> Memory {
        Memory::new(memories.classes, bytes, image.cloned()).expect("a memory")
    }

    fn contents(memory: &mut Memory) -> &mut [u8] {
        // SAFETY: that is what a `LinearMemory` promises.
        unsafe { std::slice::from_raw_parts_mut(memory.as_ptr(), memory.byte_size()) }
    }

    /// Every layout on every machine.
    fn for_each_machine(test: impl Fn(&Memories, PageSize)) {
        for page in PageSize::all() {
            for memory_layout in [MemoryLayout::Dense, MemoryLayout::Guarded] {
                test(&with_pages(memory_layout, page), page);
            }
        }
    }

    #[test]
    fn a_memory_shows_nothing_of_the_one_before_it() {
        for_each_machine(|memories, _| {
            for written in [0..1, 5000..5001, 60_000..WASM_PAGE, 0..2 * WASM_PAGE] {
                contents(&mut memory(memories, 2 * WASM_PAGE, None))[written.clone()].fill(7);
                let mut next = memory(memories, 2 * WASM_PAGE, None);
                assert!(
                    contents(&mut next).iter().all(|byte| *byte == 0),
                    "{written:?}"
                );
            }
        });
    }

    #[test]
    fn a_heap_shows_nothing_of_the_one_before_it_and_is_limited() {
        for_each_machine(|memories, _| {
            for _ in 0..3 {
                let ty = MemoryType::new(0, None);
                let reserved = Some(collected_heap::RESERVED_BYTES);
                let heap = memories.new_memory(ty, 0, None, reserved, 0);
                let mut heap = heap.expect("a heap");
                assert_eq!(heap.byte_size(), 0);
                for bytes in [WASM_PAGE, 2 * WASM_PAGE, 4 * WASM_PAGE] {
                    let before = heap.byte_size();
                    heap.grow_to(bytes).expect("room");
                    // SAFETY: that is what a `LinearMemory` promises.
                    let contents = unsafe { std::slice::from_raw_parts_mut(heap.as_ptr(), bytes) };
                    assert!(contents[..before].iter().all(|byte| *byte == 7));
                    assert!(contents[before..].iter().all(|byte| *byte == 0));
                    contents.fill(7);
                }
                assert!(heap.grow_to(4 * WASM_PAGE + 1).is_err());
            }
        });
    }

    #[test]
    fn a_memory_holds_its_image_and_zeros_whatever_the_one_before_it_did() {
        for_each_machine(|memories, page| {
            // One that is copied, one that is mapped, and none.
            let small = image(70_000, &[1; 100], page);
            let large = image(100, &[2; 5 * WASM_PAGE], page);
            // Others are mapped over a part of it, within it, and beside each other.
            let first = image(0, &[3; 2 * WASM_PAGE], page);
            let middle = image(WASM_PAGE, &[4; 2 * WASM_PAGE], page);
            let last = image(4 * WASM_PAGE, &[5; 2 * WASM_PAGE], page);
            let filled = [
                (&small, 1, 70_000..70_100),
                (&large, 2, 100..100 + 5 * WASM_PAGE),
                (&first, 3, 0..2 * WASM_PAGE),
                (&middle, 4, WASM_PAGE..3 * WASM_PAGE),
                (&last, 5, 4 * WASM_PAGE..6 * WASM_PAGE),
            ];
            let images = iter::once(None).chain(filled.iter().map(|(image, ..)| Some(*image)));
            let images: Vec<_> = images.collect();
            let expected = |image: Option<&Arc<Image>>, at: usize| {
                let of = |image: &Arc<Image>| {
                    let mut all = filled.iter();
                    let (_, byte, place) = all.find(|(its, ..)| Arc::ptr_eq(its, image))?;
                    place.contains(&at).then_some(*byte)
                };
                image.and_then(of).unwrap_or_default()
            };
            for before in images.iter().copied() {
                for after in images.iter().copied() {
                    contents(&mut memory(memories, 6 * WASM_PAGE, before))[90_000..150_000].fill(7);
                    for image in [after, after] {
                        let mut memory = memory(memories, 6 * WASM_PAGE, image);
                        for (at, byte) in contents(&mut memory).iter_mut().enumerate() {
                            assert_eq!(*byte, expected(image, at), "at {at}");
                            *byte = 9;
                        }
                    }
                }
            }
        });
    }

    #[test]
    fn a_memory_keeps_its_contents_and_gets_zeros_while_it_grows() {
        for_each_machine(|memories, page| {
            let image = image(100, &[2; 3 * WASM_PAGE], page);
            for _ in 0..2 {
                let mut memory = memory(memories, 4 * WASM_PAGE, Some(&image));
                let mut size = 4 * WASM_PAGE;
                // Within slots and beyond, also where pages are moved.
                for pages in [5, 9, 33, 300, 600, 1000, 2500] {
                    memory.grow_to(pages * WASM_PAGE).expect("room");
                    let contents = contents(&mut memory);
                    assert_eq!(contents.len(), pages * WASM_PAGE);
                    assert_eq!(contents[99..101], [0, 2]);
                    for end in (WASM_PAGE..size).step_by(WASM_PAGE).skip(4) {
                        assert_eq!(contents[end - 1], 3, "before {end} of {pages} pages");
                    }
                    for start in (size..contents.len()).step_by(WASM_PAGE) {
                        let new = &mut contents[start..start + WASM_PAGE];
                        assert!(new.iter().all(|byte| *byte == 0), "at {start}");
                        new[WASM_PAGE - 1] = 3;
                    }
                    size = contents.len();
                }
            }
        });
    }
}
