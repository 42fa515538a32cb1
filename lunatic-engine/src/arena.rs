//! Stacks and memories of instances, out of a few large mappings.
//!
//! A wasm instance needs a stack and a memory. Mapped one by one they cost
//! system calls on every spawn, and four entries each in the kernel's list of
//! mappings, of which a process has 65 530. Here each comes out of one large
//! mapping that is divided into slots by arithmetic. A slot that was used before
//! is taken without a system call, and put back with one, which tells what has to
//! be cleaned, or that no more has to be than the last time; a fresh one costs a guard page, page faults, and, while mappings
//! last, the mapping of its image.
//!
//! Almost all `unsafe` code of Lunatic's host is in the parts of this module.
//!
//! # Layout
//!
//! - [`Arena`]: what an engine is given.
//! - `stacks`, `memories`: what the engine asks for.
//! - `memory`: one memory, as the engine sees it; `collected_heap`: the heap of what is
//!   collected as garbage.
//! - `memory_slot`: the slot that a memory has, and how it is cleaned and outgrown.
//! - `size_classes`, `size_class`: the slots for memories, by their size.
//! - `guarded_slots`: who may have a guarded memory, where there are few.
//! - `accessible_ranges`: what of a slot can be accessed, in the guarded geometry.
//! - `image`: what the memory of a module holds at first; `image_file`: a file with it;
//!   `file_mapping`: the part of a file with it that is read.
//! - `mappings`: how many images may be mapped.
//! - `free_list`: slots that are free, and what they hold.
//! - `slab`: one mapping and its slots.
//! - `pagemap`: which pages of a range have been written; `written_pages`: those of a slot,
//!   remembered; `page_faults`: whether there can be others.
//! - `machine`, `page_size`: what has to be known of the machine.
//! - `system`: the calls of the kernel.
//!
//! # Invariants
//!
//! - A slot belongs to one instance or to one free list, never to both.
//! - A free slot for memories holds exactly the image that its list entry names, and
//!   zeros: no byte of one process is ever seen by another.
//! - A memory is written only by the thread on which its instance is resumed, or through
//!   the store of the instance, and pages get into its slot by page faults of that thread, or
//!   when the slot is filled or grown into. So `page_faults` knows when there are no others.
//! - A memory lies inside of its slot. In the dense geometry compiled code checks
//!   every address against the size of the memory, so it cannot reach the next
//!   slot. In the guarded one it can add at most 4 GiB and the guard to the start
//!   of its slot, of which nothing can be accessed but the memory.
//! - What is reserved is never given back, so an address in a slot stays valid.

mod accessible_ranges;
mod collected_heap;
mod file_mapping;
mod free_list;
mod guarded_slots;
mod image;
mod image_file;
mod machine;
mod mappings;
mod memories;
mod memory;
mod memory_slot;
mod page_faults;
mod page_size;
mod pagemap;
mod size_class;
mod size_classes;
mod slab;
mod stacks;
mod system;
mod written_pages;

use std::io;
use std::iter;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use wasmtime::Config;

pub(crate) use crate::arena::guarded_slots::{GuardedSlot, GuardedSlots};
pub(crate) use crate::arena::image::Image;
use crate::arena::machine::Machine;
use crate::arena::mappings::Mappings;
use crate::arena::memories::Memories;
pub(crate) use crate::arena::page_faults::PageFaults;
use crate::arena::page_size::PageSize;
use crate::arena::size_classes::{FEW_GUARDED_SLOTS, GUARD_BYTES, GUARDED_BYTES, GUARDED_SLOTS};
use crate::arena::stacks::Stacks;
use crate::geometry::Geometry;
use crate::initial_memory::InitialMemory;
use crate::limits::STACK_BYTES;
use crate::sealed_file::SealedFile;
use crate::stats::ArenaStats;

/// The stacks and memories of instances, of all engines of this program that ask for the same.
#[derive(Debug)]
pub(crate) struct Arena {
    geometry: Geometry,
    page: PageSize,
    stacks: Arc<Stacks>,
    memories: Arc<Memories>,
    few: Option<Few>,
}

/// What an arena has that has few memories.
#[derive(Debug)]
struct Few {
    slots: GuardedSlots,
    /// Where all those have their memories that have none of the few.
    beyond: &'static Arena,
}

/// What all arenas of this program have in common.
struct Common {
    machine: Machine,
    stacks: Arc<Stacks>,
    mappings: &'static Mappings,
}

impl Arena {
    /// The arena; `None` where the pages of the machine are too large, or the kernel does
    /// not give that much address space. It is reserved once, and costs no memory until it
    /// is used.
    ///
    /// - `geometry`: that of all memories; if it is `None`, few are guarded, and
    ///   there is another arena [for any number](Arena::for_any_number). Where the kernel has
    ///   no address space for those few, it is that other arena.
    pub(crate) fn get(geometry: Option<Geometry>) -> Option<&'static Arena> {
        static DENSE: LazyLock<Option<Arena>> =
            LazyLock::new(|| Some(Arena::dense(Common::get()?)));
        static GUARDED: LazyLock<Option<Arena>> = LazyLock::new(|| {
            Some(Arena::guarded(
                Common::get()?,
                GUARDED_SLOTS,
                DENSE.as_ref()?,
            ))
        });
        static FEW_GUARDED: LazyLock<Option<Arena>> =
            LazyLock::new(|| Arena::few_guarded(Common::get()?, DENSE.as_ref()?));
        match geometry {
            Some(Geometry::Dense) => DENSE.as_ref(),
            Some(Geometry::Guarded) => GUARDED.as_ref(),
            None => FEW_GUARDED.as_ref().or(DENSE.as_ref()),
        }
    }

    fn dense(common: &Common) -> Arena {
        Arena::new(common, Memories::dense(common.machine, common.mappings))
    }

    fn guarded(common: &Common, slots: usize, dense: &Arena) -> Arena {
        let (machine, mappings) = (common.machine, common.mappings);
        let memories = Memories::guarded(machine, mappings, slots, &dense.memories);
        Arena::new(common, memories)
    }

    /// Few guarded memories; `None` if there is no address space for them.
    ///
    /// - `beyond`: for all that have none of them.
    fn few_guarded(common: &Common, beyond: &'static Arena) -> Option<Arena> {
        let arena = Arena::guarded(common, FEW_GUARDED_SLOTS, beyond);
        let slots = arena.memories.guarded_slots().inspect_err(|error| {
            tracing::info!("the processor guards no memory, and code is slower: {error}");
        });
        let slots = GuardedSlots::new(slots.ok()?);
        let few = Some(Few { slots, beyond });
        Some(Arena { few, ..arena })
    }

    fn new(common: &Common, memories: Memories) -> Arena {
        Arena {
            geometry: memories.geometry(),
            page: common.machine.page,
            stacks: common.stacks.clone(),
            memories: Arc::new(memories),
            few: None,
        }
    }

    /// Who may have one of its memories, if it has few.
    pub(crate) fn few(&'static self) -> Option<&'static GuardedSlots> {
        self.few.as_ref().map(|few| &few.slots)
    }

    /// The arena for all that have none of its memories, if it has few; else it is itself.
    pub(crate) fn for_any_number(&'static self) -> &'static Arena {
        self.few.as_ref().map_or(self, |few| few.beyond)
    }

    /// Has an engine take its stacks and memories from here.
    pub(crate) fn configure(&self, config: &mut Config) {
        config
            .with_host_stack(self.stacks.clone())
            .with_host_memory(self.memories.clone())
            .memory_reservation_for_growth(0)
            .guard_before_linear_memory(false)
            .memory_init_cow(false)
            // That a heap is asked for is known by what is reserved for it.
            .gc_heap_initial_size(0)
            .gc_heap_reservation(collected_heap::RESERVED_BYTES as u64)
            .gc_heap_guard_size(0)
            .gc_heap_reservation_for_growth(0)
            .gc_heap_may_move(true);
        match self.geometry {
            // No room beyond its size is promised to a memory, so every access is
            // checked, and it may move when it grows.
            Geometry::Dense => config
                .memory_reservation(0)
                .memory_guard_size(0)
                .memory_may_move(true),
            Geometry::Guarded => config
                .memory_reservation(GUARDED_BYTES as u64)
                .memory_guard_size(GUARD_BYTES as u64)
                .memory_may_move(false),
        };
    }

    /// How many of its slots are used, and of those beyond.
    pub(crate) fn stats(&self) -> ArenaStats {
        let beyond = self.few.as_ref().map(|few| few.beyond);
        let of = |geometry| {
            let arenas = iter::once(self).chain(beyond);
            let mut arenas = arenas.filter(move |arena| arena.geometry == geometry);
            arenas.next().map(|arena| arena.memories.use_of_slots())
        };
        ArenaStats {
            stacks: self.stacks.use_of_slots(),
            memories: of(Geometry::Dense).unwrap_or_default(),
            guarded: of(Geometry::Guarded).unwrap_or_default().pop(),
        }
    }

    /// The image of what a module's memory holds at first.
    pub(crate) fn image(&self, memory: &InitialMemory) -> Image {
        Image::new(memory, self.page)
    }

    /// The image that is kept with the code of a module.
    ///
    /// - `start`: where in the memory it is.
    /// - `part`: where in the file.
    ///
    /// # Errors
    ///
    /// Fails if it is not made of whole pages, or cannot be mapped.
    pub(crate) fn kept_image(
        &self,
        start: usize,
        file: &SealedFile,
        part: &Range<u64>,
    ) -> io::Result<Image> {
        Image::kept(start, file, part, self.page)
    }
}

impl Common {
    /// `None`, and a line in the log that says why, if there can be no arena.
    fn get() -> Option<&'static Common> {
        static COMMON: LazyLock<Option<Common>> = LazyLock::new(|| {
            Common::reserve()
                .inspect_err(|error| {
                    tracing::warn!(
                        "there is no arena, so the engine maps every stack and memory by itself \
                         and processes cost more: {error}"
                    );
                })
                .ok()
        });
        COMMON.as_ref()
    }

    fn reserve() -> io::Result<Common> {
        let machine = Machine::detect()?;
        Ok(Common {
            machine,
            stacks: Arc::new(Stacks::new(STACK_BYTES, &machine)?),
            mappings: Mappings::leak(&machine),
        })
    }
}
