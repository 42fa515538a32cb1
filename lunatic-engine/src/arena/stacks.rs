//! The stacks of instances.
#![allow(unsafe_code, reason = "each block says why it is sound")]

use std::io;
use std::ops::Range;
use std::sync::Arc;

use wasmtime::{StackCreator, StackMemory};

use crate::arena::free_list::{FreeLists, FreeSlot, ImageId};
use crate::arena::slab::Slab;
use crate::arena::system::{self, Access, PAGE};

/// The most stacks there can be.
const MOST: usize = 1 << 22;

/// Hands out stacks, each with a guard page below.
#[derive(Debug)]
pub(super) struct Stacks {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    slab: Slab,
    free_lists: FreeLists,
    /// What the engine expects of a stack.
    stack_bytes: usize,
}

/// One stack; dropping it puts it back.
struct Stack {
    stacks: Arc<Inner>,
    slot: usize,
}

impl Stacks {
    pub(super) fn new(stack_bytes: usize) -> io::Result<Stacks> {
        let slot_bytes = (stack_bytes + PAGE).next_multiple_of(PAGE);
        Ok(Stacks {
            inner: Arc::new(Inner {
                slab: Slab::reserve(slot_bytes, MOST, Access::ReadWrite)?,
                free_lists: super::free_lists(),
                stack_bytes,
            }),
        })
    }
}

// SAFETY: every stack is a range of readable and writable memory that belongs to
// it alone, page-aligned, with a page below it that cannot be accessed. It may
// hold what an earlier stack left: guest code cannot read a stack but through
// locals that it has written, so nothing of that can be seen.
unsafe impl StackCreator for Stacks {
    fn new_stack(&self, size: usize, _zeroed: bool) -> wasmtime::Result<Box<dyn StackMemory>> {
        if size > self.inner.stack_bytes {
            wasmtime::bail!("a stack of {size} bytes is larger than a slot");
        }
        let slot = match self.inner.free_lists.take(ImageId::NONE) {
            Some(free) => free.slot,
            None => self.inner.fresh()?,
        };
        Ok(Box::new(Stack {
            stacks: self.inner.clone(),
            slot,
        }))
    }
}

impl Inner {
    fn fresh(&self) -> wasmtime::Result<usize> {
        let slot = self
            .slab
            .fresh()
            .ok_or_else(|| wasmtime::Error::msg("all stacks are in use"))?;
        // SAFETY: the slot is fresh, so nobody uses it.
        unsafe { system::guard(self.slab.address(slot), PAGE) }?;
        Ok(slot)
    }
}

// SAFETY: the ranges are those of the slot, as `StackCreator` promises.
unsafe impl StackMemory for Stack {
    fn top(&self) -> *mut u8 {
        let slab = &self.stacks.slab;
        slab.address(self.slot).wrapping_add(slab.slot_bytes())
    }

    fn range(&self) -> Range<usize> {
        let start = self.stacks.slab.address(self.slot).addr();
        start + PAGE..start + self.stacks.slab.slot_bytes()
    }

    fn guard_range(&self) -> Range<*mut u8> {
        let start = self.stacks.slab.address(self.slot);
        start..start.wrapping_add(PAGE)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        /// What a stack is reckoned to have used; most use three pages, and to
        /// look would cost more than to be wrong.
        const PAGES: usize = 4;
        let free = FreeSlot {
            slot: self.slot,
            image: ImageId::NONE,
            mapped: false,
            pages: PAGES,
        };
        if let Some(cold) = self.stacks.free_lists.put(free) {
            let slab = &self.stacks.slab;
            let start = slab.address(cold.slot).wrapping_add(PAGE);
            // SAFETY: the slot was in a free list and no longer is: nobody uses it.
            unsafe { system::discard(start, slab.slot_bytes() - PAGE) };
            self.stacks
                .free_lists
                .put_emptied(FreeSlot { pages: 0, ..cold });
        }
    }
}
