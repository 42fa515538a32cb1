//! The heap of the references of one instance that are collected as garbage.
#![allow(unsafe_code, reason = "promises the engine what a heap is")]

use std::io;
use std::ptr;

use wasmtime::LinearMemory;

use crate::arena::memory_slot::MemorySlot;
use crate::arena::size_classes::SizeClasses;
use crate::limits::COLLECTED_HEAP_BYTES;

/// The reservation of the engine for such a heap. No memory of a guest has the same, so that the
/// two can be distinguished.
pub(super) const RESERVED_BYTES: usize = 64 << 10;

/// A heap. It takes a slot of the dense memories when it grows for the first time, so that an
/// unused heap costs nothing.
pub(super) struct CollectedHeap {
    classes: &'static SizeClasses,
    slot: Option<MemorySlot>,
}

impl CollectedHeap {
    /// An empty heap.
    ///
    /// - `classes`: the size classes of dense memories.
    pub(super) fn new(classes: &'static SizeClasses) -> CollectedHeap {
        CollectedHeap {
            classes,
            slot: None,
        }
    }
}

// SAFETY: as for a memory in the dense layout, whose slots these are: the engine was told
// that heaps may move and have no guard. Of an empty one nothing is accessed.
unsafe impl LinearMemory for CollectedHeap {
    fn byte_size(&self) -> usize {
        self.slot.as_ref().map_or(0, MemorySlot::used)
    }

    fn byte_capacity(&self) -> usize {
        self.slot.as_ref().map_or(0, MemorySlot::capacity)
    }

    fn grow_to(&mut self, new_size: usize) -> wasmtime::Result<()> {
        if new_size > COLLECTED_HEAP_BYTES {
            let error = format!("the heap has at most {COLLECTED_HEAP_BYTES} bytes");
            return Err(io::Error::other(error).into());
        }
        match &mut self.slot {
            None => self.slot = Some(MemorySlot::take(self.classes, new_size, None)?),
            Some(slot) if new_size <= slot.capacity() => slot.use_more(new_size)?,
            // SAFETY: the engine does not let guests run while it grows their heap, and
            // asks for the address again.
            Some(slot) => unsafe { slot.move_to_larger(new_size) }?,
        }
        Ok(())
    }

    fn as_ptr(&self) -> *mut u8 {
        let empty = ptr::dangling_mut::<u128>().cast();
        self.slot.as_ref().map_or(empty, MemorySlot::start)
    }
}
