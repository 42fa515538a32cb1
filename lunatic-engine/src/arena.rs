//! Stacks and memories of instances, out of a few large mappings.
//!
//! A wasm instance needs a stack and a memory. Mapped one by one they cost
//! system calls on every spawn, and four entries each in the kernel's list of
//! mappings, of which a process has 65 530. Here each comes out of one large
//! mapping that is divided into slots by arithmetic. A slot that was used before
//! is taken without a system call, and put back with one, which tells what has to
//! be cleaned; a fresh one costs a guard page, page faults, and, while mappings
//! last, the mapping of its image.
//!
//! This module and its parts are the only ones in Lunatic with `unsafe` code.
//!
//! # Layout
//!
//! - [`Arena`]: what an engine is given.
//! - `system`: the calls of the kernel, with safe signatures where that is true.
//! - `pagemap`: which pages of a range have been written.
//! - `slab`: one mapping and its slots.
//! - `image`: what the memory of a module holds at first.
//! - `free_list`: slots that are free, and what they hold.
//! - `stacks`, `memories`: what the engine asks for.
//! - `accessible_ranges`: what of a slot can be accessed, in the guarded geometry.
//!
//! # Invariants
//!
//! - A slot belongs to one instance or to one free list, never to both.
//! - A slot on a shelf holds exactly the image it is shelved under and zeros, or
//!   nothing at all: no byte of one process is ever seen by another.
//! - A memory lies inside of its slot. In the dense geometry compiled code checks
//!   every address against the size of the memory, so it cannot reach the next
//!   slot. In the guarded one it can add at most 4 GiB and the guard to the start
//!   of its slot, of which nothing can be accessed but the memory.

mod accessible_ranges;
mod free_list;
mod image;
mod memories;
mod pagemap;
mod slab;
mod stacks;
mod system;

use std::sync::{Arc, LazyLock};
use std::thread;

use wasmtime::Config;

use crate::arena::free_list::FreeLists;
pub(crate) use crate::arena::image::Image;
use crate::arena::memories::{GUARD_BYTES, GUARDED_BYTES, Memories};
use crate::arena::stacks::Stacks;
use crate::geometry::Geometry;

/// The stacks and memories of all instances of this program.
#[derive(Debug)]
pub(crate) struct Arena {
    geometry: Geometry,
    stacks: Arc<Stacks>,
    memories: Arc<Memories>,
}

/// Room for guest code (ABI §15.6).
pub(crate) const WASM_STACK_BYTES: usize = 512 << 10;

/// Room for guest code and the host functions that run on the same stack.
pub(crate) const STACK_BYTES: usize = WASM_STACK_BYTES + (256 << 10);

impl Arena {
    /// The arena; `None` where the kernel does not give that much address space.
    /// It is reserved once, and costs no memory until it is used.
    pub(crate) fn get(geometry: Geometry) -> Option<&'static Arena> {
        static DENSE: LazyLock<Option<Arena>> = LazyLock::new(|| reserve(Geometry::Dense));
        static GUARDED: LazyLock<Option<Arena>> = LazyLock::new(|| reserve(Geometry::Guarded));
        match geometry {
            Geometry::Dense => DENSE.as_ref(),
            Geometry::Guarded => GUARDED.as_ref(),
        }
    }

    /// Has an engine take its stacks and memories from here.
    pub(crate) fn configure(&self, config: &mut Config) {
        config
            .with_host_stack(self.stacks.clone())
            .with_host_memory(self.memories.clone())
            .memory_reservation_for_growth(0)
            .guard_before_linear_memory(false)
            .memory_init_cow(false);
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
}

fn reserve(geometry: Geometry) -> Option<Arena> {
    Stacks::new(STACK_BYTES)
        .map(|stacks| Arena {
            geometry,
            stacks: Arc::new(stacks),
            memories: Arc::new(Memories::new(geometry)),
        })
        .inspect_err(|error| {
            tracing::warn!("no address space for an arena, so processes cost more: {error}");
        })
        .ok()
}

/// FreeLists for the free slots of one slab.
fn free_lists() -> FreeLists {
    /// What the warm slots may occupy: 128 MiB.
    const WARM_PAGES: usize = (128 << 20) / system::PAGE;
    let cores = thread::available_parallelism().map_or(1, usize::from);
    FreeLists::new(cores, WARM_PAGES)
}
