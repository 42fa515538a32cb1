//! Stacks and memories of instances, out of a few large mappings.
//!
//! A wasm instance needs a stack and a memory. Mapped one by one they cost
//! system calls on every spawn, and four entries each in the kernel's list of
//! mappings, of which a process has 65 530. Here each comes out of one large
//! mapping that is divided into slots by arithmetic. A slot that was used before
//! is taken without a system call. Putting it back takes one system call, which
//! returns the pages to clean, or that they are the same as the last time. A fresh
//! slot costs a guard page, page faults, and, while mappings last, the mapping of
//! its image.
//!
//! Almost all `unsafe` code of Lunatic's host is in the parts of this module.
//!
//! # Layout
//!
//! - [`Arena`]: the stacks and memories of an engine.
//! - `stacks`, `memories`: the implementations of the engine's traits.
//! - `memory`: one memory, as the engine sees it; `collected_heap`: the heap of garbage-collected
//!   values.
//! - `memory_slot`: the slot of a memory; cleans it, and moves the memory to a larger one.
//! - `size_classes`, `size_class`: the slots for memories, by their size.
//! - `accessible_ranges`: which part of a slot can be accessed, in the guarded layout.
//! - `image`: the initial contents of the memory of a module; `image_file`: a file with an image;
//!   `file_mapping`: the part of such a file that is read.
//! - `mappings`: how many images may be mapped.
//! - `free_list`: free slots, and their contents.
//! - `slab`: one mapping and its slots.
//! - `pagemap`: which pages of a range have been written; `written_pages`: the written pages of a
//!   slot, remembered; `page_faults`: whether there can be others.
//! - `machine`, `page_size`: properties of the machine.
//! - `system`: the system calls.
//!
//! # Invariants
//!
//! - A slot belongs to one instance or to one free list, never to both.
//! - A free slot for memories holds exactly the image that its list entry names, and
//!   zeros: no byte of one process is ever seen by another.
//! - A memory is written only by the thread on which its instance is resumed, or through
//!   the store of the instance, and pages get into its slot by page faults of that thread, or
//!   when the slot is filled or grown into. So `page_faults` knows when there are no others.
//! - A memory lies inside of its slot. In the dense layout compiled code checks every address
//!   against the size of the memory, so it cannot reach the next slot. In the guarded layout it can
//!   add at most 4 GiB and the guard to the start of its slot, of which only the memory can be
//!   accessed.
//! - Reserved addresses are never given back, so an address in a slot stays valid.

mod accessible_ranges;
mod collected_heap;
mod file_mapping;
mod free_list;
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

pub(crate) use crate::arena::image::Image;
use crate::arena::machine::Machine;
use crate::arena::mappings::Mappings;
use crate::arena::memories::Memories;
pub(crate) use crate::arena::page_faults::PageFaults;
use crate::arena::page_size::PageSize;
use crate::arena::size_classes::{FEW_GUARDED_SLOTS, GUARD_BYTES, GUARDED_BYTES, GUARDED_SLOTS};
use crate::arena::stacks::Stacks;
pub(crate) use crate::arena::stacks::StacksInUse;
use crate::guarded_permits::GuardedPermits;
use crate::initial_memory::InitialMemory;
use crate::limits::STACK_BYTES;
use crate::memory_layout::MemoryLayout;
use crate::sealed_file::SealedFile;
use crate::stats::ArenaStats;

/// The stacks and memories of instances. All engines of this program with the same layout share
/// one.
#[derive(Debug)]
pub(crate) struct Arena {
    memory_layout: MemoryLayout,
    page: PageSize,
    stacks: Arc<Stacks>,
    memories: Arc<Memories>,
    overflow: Option<Overflow>,
}

/// How instances share an arena that has fewer memories than instances may need.
#[derive(Debug)]
struct Overflow {
    /// The permits for the memories of this arena.
    permits: GuardedPermits,
    /// The arena with the memories of all instances without a permit.
    dense: &'static Arena,
}

/// The common parts of all arenas of this program.
struct Common {
    machine: Machine,
    stacks: Arc<Stacks>,
    mappings: &'static Mappings,
}

impl Arena {
    /// The arena; `None` if the pages of the machine are too large, or the kernel does
    /// not give that much address space. The address space is reserved once, and costs no
    /// memory until it is used.
    ///
    /// - `memory_layout`: the layout of all memories. If it is `None`, a few memories are
    ///   guarded, and another arena is [for any number](Arena::for_any_number) of further
    ///   ones. If the kernel has no address space for the few, that other arena is returned.
    pub(crate) fn get(memory_layout: Option<MemoryLayout>) -> Option<&'static Arena> {
        static DENSE: LazyLock<Option<Arena>> =
            LazyLock::new(|| Some(Arena::dense(Common::get()?)));
        static GUARDED: LazyLock<Option<Arena>> = LazyLock::new(|| {
            Some(Arena::guarded(
                Common::get()?,
                GUARDED_SLOTS,
                DENSE.as_ref()?,
            ))
        });
        static AUTO: LazyLock<Option<Arena>> =
            LazyLock::new(|| Arena::with_overflow(Common::get()?, DENSE.as_ref()?));
        match memory_layout {
            Some(MemoryLayout::Dense) => DENSE.as_ref(),
            Some(MemoryLayout::Guarded) => GUARDED.as_ref(),
            None => AUTO.as_ref().or(DENSE.as_ref()),
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

    /// An arena with a few guarded memories; `None` if there is no address space for them.
    ///
    /// - `dense`: the arena for the memories of all further instances.
    fn with_overflow(common: &Common, dense: &'static Arena) -> Option<Arena> {
        let arena = Arena::guarded(common, FEW_GUARDED_SLOTS, dense);
        let slots = arena.memories.guarded_slots().inspect_err(|error| {
            tracing::info!("the processor guards no memory, and code is slower: {error}");
        });
        let permits = GuardedPermits::new(slots.ok()?);
        let overflow = Some(Overflow { permits, dense });
        Some(Arena { overflow, ..arena })
    }

    fn new(common: &Common, memories: Memories) -> Arena {
        Arena {
            memory_layout: memories.memory_layout(),
            page: common.machine.page,
            stacks: common.stacks.clone(),
            memories: Arc::new(memories),
            overflow: None,
        }
    }

    /// The permits that instances need for a memory of this arena; `None` if they need none.
    pub(crate) fn permits(&'static self) -> Option<&'static GuardedPermits> {
        self.overflow.as_ref().map(|overflow| &overflow.permits)
    }

    /// The arena for instances without a permit; this one if no permits are needed.
    pub(crate) fn for_any_number(&'static self) -> &'static Arena {
        let overflow = self.overflow.as_ref();
        overflow.map_or(self, |overflow| overflow.dense)
    }

    /// Makes an engine take its stacks and memories from this arena.
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
        match self.memory_layout {
            // No room beyond its size is promised to a memory, so every access is
            // checked, and it may move when it grows.
            MemoryLayout::Dense => config
                .memory_reservation(0)
                .memory_guard_size(0)
                .memory_may_move(true),
            MemoryLayout::Guarded => config
                .memory_reservation(GUARDED_BYTES as u64)
                .memory_guard_size(GUARD_BYTES as u64)
                .memory_may_move(false),
        };
    }

    /// How many slots are used in this arena, and in the one for instances without a permit.
    pub(crate) fn stats(&self) -> ArenaStats {
        let dense = self.overflow.as_ref().map(|overflow| overflow.dense);
        let of = |memory_layout| {
            let arenas = iter::once(self).chain(dense);
            let mut arenas = arenas.filter(move |arena| arena.memory_layout == memory_layout);
            arenas.next().map(|arena| arena.memories.use_of_slots())
        };
        ArenaStats {
            stacks: self.stacks.use_of_slots(),
            memories: of(MemoryLayout::Dense).unwrap_or_default(),
            guarded: of(MemoryLayout::Guarded).unwrap_or_default().pop(),
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
