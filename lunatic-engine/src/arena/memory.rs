//! The memory of one instance.
#![allow(unsafe_code, reason = "promises the engine what a memory is")]

use std::io;
use std::sync::Arc;

use wasmtime::LinearMemory;

use crate::arena::image::Image;
use crate::arena::memory_slot::MemorySlot;
use crate::arena::size_classes::SizeClasses;

/// A memory in a slot of its own.
pub(super) struct Memory {
    slot: MemorySlot,
}

impl Memory {
    /// A memory of so many bytes that holds an image, if there is one, and zeros.
    ///
    /// # Errors
    ///
    /// Fails if there is no slot for it, or the kernel does not do its part.
    pub(super) fn new(
        classes: &'static SizeClasses,
        size: usize,
        image: Option<Arc<Image>>,
    ) -> io::Result<Memory> {
        let slot = MemorySlot::take(classes, size, image)?;
        Ok(Memory { slot })
    }
}

// SAFETY: `byte_size` bytes from `as_ptr` on can be read and written, belong to this
// memory alone and are inside of its slot, which begins with a page. They keep their
// contents while the memory grows. Growing beyond the slot moves the memory to a larger
// one, which happens only in the dense layout, in which the engine was told that
// memories may move.
unsafe impl LinearMemory for Memory {
    fn byte_size(&self) -> usize {
        self.slot.used()
    }

    fn byte_capacity(&self) -> usize {
        self.slot.capacity()
    }

    fn grow_to(&mut self, new_size: usize) -> wasmtime::Result<()> {
        match new_size > self.slot.capacity() {
            // SAFETY: the engine does not let guests run while it grows their memory,
            // and asks for the address again.
            true => unsafe { self.slot.move_to_larger(new_size) }?,
            false => self.slot.use_more(new_size)?,
        }
        Ok(())
    }

    fn as_ptr(&self) -> *mut u8 {
        self.slot.start()
    }
}
