//! The stacks of instances.
#![allow(
    unsafe_code,
    reason = "promises the engine what its stacks are, and guards them"
)]

use std::cell::RefCell;
use std::io;
use std::ops::Range;

use wasmtime::{StackCreator, StackMemory};

use crate::arena::free_list::{Contents, FreeLists, FreeSlot};
use crate::arena::machine::Machine;
use crate::arena::page_faults::PageFaults;
use crate::arena::page_size::PageSize;
use crate::arena::slab::Slab;
use crate::arena::system::{self, Access};
use crate::stats::SlotUse;

/// The bytes that are kept of a stack that was put back; most stacks are about as deep.
const WARM_BYTES: usize = 16 << 10;

/// Hands out stacks, each with a guard page below.
#[derive(Debug)]
pub(super) struct Stacks {
    slots: &'static StackSlots,
}

#[derive(Debug)]
struct StackSlots {
    slab: Slab,
    free: FreeLists<()>,
    /// The size of a stack that the engine expects, in bytes.
    stack_bytes: usize,
    page: PageSize,
}

/// A stack. Dropping it puts its slot back.
struct Stack {
    place: StackPlace,
}

/// The slot of a stack.
#[derive(Debug, Clone, Copy)]
struct StackPlace {
    slots: &'static StackSlots,
    slot: usize,
}

/// The stacks that an instance has, as far as they were taken and put back while that was
/// [recorded](StacksInUse::record).
#[derive(Debug, Default)]
pub(crate) struct StacksInUse {
    places: Vec<StackPlace>,
}

/// A stack was taken, or put back.
#[derive(Debug, Clone, Copy)]
enum Event {
    Taken(StackPlace),
    PutBack(StackPlace),
}

thread_local! {
    /// What happens to stacks on this thread; `None` if nobody records it.
    static EVENTS: RefCell<Option<Vec<Event>>> = const { RefCell::new(None) };
}

impl Event {
    /// Records it, if somebody does.
    fn record(self) {
        let record = |events: &RefCell<Option<Vec<Event>>>| {
            if let Some(events) = &mut *events.borrow_mut() {
                events.push(self);
            }
        };
        // Nobody records anything on a thread that ends.
        EVENTS.try_with(record).ok();
    }
}

impl StacksInUse {
    /// Whether the kernel tells what was written of stacks.
    pub(crate) fn can_be_measured() -> bool {
        system::tells_resident_bytes()
    }

    /// Calls a function in which stacks of the instance may be taken and put back, on this thread.
    pub(crate) fn record<R>(&mut self, call: impl FnOnce() -> R) -> R {
        // Another instance may be recorded inside of this one.
        let outer = EVENTS.replace(Some(Vec::new()));
        let result = call();
        let events = EVENTS.replace(outer);
        for event in events.into_iter().flatten() {
            match event {
                Event::Taken(place) => self.places.push(place),
                Event::PutBack(place) => self.places.retain(|other| other.slot != place.slot),
            }
        }
        result
    }

    /// The bytes that are in memory of these stacks, beyond those of each that are kept when it is
    /// put back. `None` if the kernel does not tell.
    pub(crate) fn deep_bytes(&self) -> Option<u64> {
        self.places.iter().map(StackPlace::deep_bytes).sum()
    }
}

impl StackPlace {
    fn start(&self) -> *mut u8 {
        self.slots.slab.address(self.slot)
    }

    fn deep_bytes(&self) -> Option<u64> {
        let (start, bytes) = self.slots.deep(self.slot, WARM_BYTES);
        system::resident_bytes(start, bytes)
    }
}

/// A free stack is as good as any other: what an earlier one left is not looked at.
impl Contents for () {
    type Key = ();

    fn key(self) {}
}

impl Stacks {
    /// How many slots are used.
    pub(super) fn use_of_slots(&self) -> SlotUse {
        let StackSlots { slab, free, .. } = self.slots;
        SlotUse::new(slab.slot_bytes(), slab.fresh_taken(), free.count())
    }

    /// Stacks of so many bytes, and a page below each. They are never given back.
    ///
    /// # Errors
    ///
    /// Fails if the kernel does not give the address space.
    pub(super) fn new(stack_bytes: usize, machine: &Machine) -> io::Result<Stacks> {
        /// The highest number of stacks.
        const MAX_STACKS: usize = 1 << 22;
        let page = machine.page;
        let slot_bytes = page.round_up(stack_bytes) + page.bytes();
        Ok(Stacks {
            slots: Box::leak(Box::new(StackSlots {
                slab: Slab::reserve(slot_bytes, MAX_STACKS, Access::ReadWrite)?,
                free: machine.free_lists(),
                stack_bytes,
                page,
            })),
        })
    }
}

// SAFETY: every stack is a range of readable and writable memory that belongs to
// it alone, page-aligned, with a page below it that cannot be accessed. It may
// hold what an earlier stack left: guest code cannot read a stack but through
// locals that it has written, so nothing of that can be seen.
unsafe impl StackCreator for Stacks {
    fn new_stack(&self, size: usize, _zeroed: bool) -> wasmtime::Result<Box<dyn StackMemory>> {
        if size > self.slots.stack_bytes {
            wasmtime::bail!("a stack of {size} bytes is larger than a slot");
        }
        let slot = match self.slots.free.take(()) {
            Some(free) => free.slot,
            None => self.slots.take_fresh()?,
        };
        let place = StackPlace {
            slots: self.slots,
            slot,
        };
        Event::Taken(place).record();
        Ok(Box::new(Stack { place }))
    }
}

impl StackSlots {
    /// Takes a slot that has never been used, and guards it.
    fn take_fresh(&self) -> wasmtime::Result<usize> {
        let slot = self
            .slab
            .take_fresh()
            .ok_or_else(|| wasmtime::Error::msg("all stacks are in use"))?;
        // SAFETY: the slot is fresh, so nobody uses it.
        unsafe { system::guard(self.slab.address(slot), self.page.bytes()) }?;
        Ok(slot)
    }

    /// Puts a slot back. Pages beyond [`WARM_BYTES`] that were written are given back to the
    /// kernel.
    ///
    /// # Errors
    ///
    /// Fails if the kernel does not take back pages of the slot, or of another one, for which
    /// there is no room now. That one is not used again.
    ///
    /// # Safety
    ///
    /// The slot was taken from here, and nobody uses it.
    unsafe fn put(&self, slot: usize) -> io::Result<()> {
        // Where no page was written for the first time, the deep part is as it was kept.
        if !PageFaults::none_in_this_life() {
            // SAFETY: as the caller promises.
            unsafe { self.discard(slot, WARM_BYTES) }?;
        }
        let free = FreeSlot { slot, contents: () };
        let Some(oldest) = self.free.put(free, self.page.pages(WARM_BYTES)) else {
            return Ok(());
        };
        // SAFETY: the slot was in a free list and no longer is: nobody uses it.
        unsafe { self.discard(oldest.slot, 0) }?;
        self.free.put_emptied(oldest);
        Ok(())
    }

    /// Gives a slot back to the kernel, except for the `kept` bytes at its top.
    ///
    /// # Errors
    ///
    /// Fails if the kernel does not take it back.
    ///
    /// # Safety
    ///
    /// Nobody uses the slot.
    unsafe fn discard(&self, slot: usize, kept: usize) -> io::Result<()> {
        let (start, bytes) = self.deep(slot, kept);
        // SAFETY: these are whole pages of the slot, which nobody uses.
        unsafe { system::discard(start, bytes) }
    }

    /// The start and the length in bytes of what is deeper in a slot than the pages that hold the
    /// `kept` bytes at its top.
    fn deep(&self, slot: usize, kept: usize) -> (*mut u8, usize) {
        let guard = self.page.bytes();
        let kept = self.page.round_up(kept);
        let bytes = (self.slab.slot_bytes() - guard).saturating_sub(kept);
        (self.slab.address(slot).wrapping_add(guard), bytes)
    }
}

impl Stack {
    /// The lowest byte, which is the first of the guard page.
    fn start(&self) -> *mut u8 {
        self.place.start()
    }
}

// SAFETY: the ranges are those of the slot, as `StackCreator` promises.
unsafe impl StackMemory for Stack {
    fn top(&self) -> *mut u8 {
        self.start()
            .wrapping_add(self.place.slots.slab.slot_bytes())
    }

    fn range(&self) -> Range<usize> {
        self.guard_range().end.addr()..self.top().addr()
    }

    fn guard_range(&self) -> Range<*mut u8> {
        self.start()..self.start().wrapping_add(self.place.slots.page.bytes())
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        Event::PutBack(self.place).record();
        // SAFETY: the slot is this stack's, and the engine is done with it.
        if let Err(error) = unsafe { self.place.slots.put(self.place.slot) } {
            tracing::error!("a stack could not be emptied: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: usize = 100_000;

    #[test]
    fn a_stack_is_whole_pages_above_a_guard_page_and_can_be_written() {
        for page in PageSize::all() {
            let stacks = Stacks::new(BYTES, &Machine::with_pages(page)).expect("stacks");
            let all: Vec<_> = (0..3)
                .map(|_| stacks.new_stack(BYTES, false).expect("a stack"))
                .collect();
            for stack in &all {
                let (range, guard) = (stack.range(), stack.guard_range());
                assert!(range.len() >= BYTES);
                assert_eq!(guard.end.addr() - guard.start.addr(), page.bytes());
                for end in [guard.start.addr(), range.start, range.end] {
                    assert_eq!(end, page.round_up(end));
                }
                assert_eq!(
                    (guard.end.addr(), stack.top().addr()),
                    (range.start, range.end)
                );
                // SAFETY: both bytes are in the range of the stack.
                unsafe {
                    guard.end.write(1);
                    stack.top().wrapping_sub(1).write(1);
                }
            }
        }
    }

    #[test]
    fn a_stack_that_was_put_back_is_taken_again() {
        let machine = Machine::detect().expect("this machine has an arena");
        let stacks = Stacks::new(BYTES, &machine).expect("stacks");
        let first = stacks.new_stack(BYTES, false).expect("a stack").range();
        assert_eq!(
            stacks.new_stack(BYTES, false).expect("a stack").range(),
            first
        );
    }

    /// Writes to a stack so many bytes below its top, and puts it back.
    fn write_and_put_back(stacks: &Stacks, depth: usize) {
        let stack = stacks.new_stack(BYTES, false).expect("a stack");
        // SAFETY: the byte is in the range of the stack.
        unsafe { stack.top().wrapping_sub(depth).write(1) };
    }

    /// What is written there in a stack that is taken now.
    fn read(stacks: &Stacks, depth: usize) -> u8 {
        let stack = stacks.new_stack(BYTES, false).expect("a stack");
        // SAFETY: the byte is in the range of the stack.
        unsafe { stack.top().wrapping_sub(depth).read() }
    }

    #[test]
    fn the_deep_part_of_a_stack_is_given_back_and_the_top_is_kept() {
        for page in PageSize::all() {
            let stacks = Stacks::new(BYTES, &Machine::with_pages(page)).expect("stacks");
            let deep = page.round_up(WARM_BYTES) + 1;
            for depth in [deep, page.round_up(BYTES)] {
                write_and_put_back(&stacks, 1);
                write_and_put_back(&stacks, depth);
                let is_kept = depth < deep;
                assert_eq!(read(&stacks, depth) == 1, is_kept, "{depth} of {page:?}");
                assert_eq!(read(&stacks, 1), 1);
            }
        }
    }

    #[test]
    fn what_was_written_of_the_stacks_in_use_is_told_but_for_their_tops() {
        let page = system::page_bytes().expect("the kernel tells");
        for size in PageSize::all() {
            let stacks = Stacks::new(BYTES, &Machine::with_pages(size)).expect("stacks");
            let deep = size.round_up(WARM_BYTES) + 1;
            if deep > size.round_up(BYTES) || !StacksInUse::can_be_measured() {
                continue;
            }
            let mut in_use = StacksInUse::default();
            let take = || stacks.new_stack(BYTES, false).expect("a stack");
            // SAFETY: the byte is in the range of the stack.
            let write = |stack: &dyn StackMemory, depth| unsafe {
                stack.top().wrapping_sub(depth).write(1);
            };
            let unrecorded = take();
            write(&*unrecorded, deep);
            let one = in_use.record(take);
            write(&*one, 1);
            assert_eq!(in_use.deep_bytes(), Some(0), "{size:?}");
            write(&*one, deep);
            let mut inner = StacksInUse::default();
            let other = in_use.record(|| inner.record(take));
            write(&*other, deep);
            assert_eq!(in_use.deep_bytes(), Some(page as u64));
            assert_eq!(inner.deep_bytes(), Some(page as u64));
            in_use.record(|| drop(one));
            assert_eq!(in_use.deep_bytes(), Some(0));
        }
    }

    #[test]
    fn a_stack_that_is_too_large_is_refused() {
        let machine = Machine::detect().expect("this machine has an arena");
        let stacks = Stacks::new(BYTES, &machine).expect("stacks");
        assert!(stacks.new_stack(BYTES + 1, false).is_err());
    }
}
