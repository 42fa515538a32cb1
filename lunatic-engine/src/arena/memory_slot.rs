//! The slot of one memory: taken, filled, outgrown and put back.
#![allow(unsafe_code, reason = "reads and writes its slot")]

use std::io;
use std::mem;
use std::ops::Range;
use std::ptr;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lunatic_blocking::Class;

use crate::arena::free_list::FreeSlot;
use crate::arena::image::Image;
use crate::arena::page_faults::PageFaults;
use crate::arena::page_size::PageSize;
use crate::arena::size_class::{Holds, SizeClass, SlotContents};
use crate::arena::size_classes::SizeClasses;
use crate::arena::system;
use crate::arena::written_pages::Gathered;

/// The bytes of memories that are being emptied on other threads. They are charged to no account
/// any more, so they are limited.
struct Emptying(AtomicUsize);

/// The right to empty a memory on another thread, until it is dropped.
struct Admitted {
    of: &'static Emptying,
    bytes: usize,
}

static EMPTYING: Emptying = Emptying(AtomicUsize::new(0));

impl Emptying {
    /// A memory that uses no more bytes is emptied where it is dropped.
    const AT_ONCE: usize = 32 << 20;

    /// The highest number of bytes that wait to be emptied, unless they are of one memory.
    const MAX_QUEUED_BYTES: usize = 256 << 20;

    /// Decides whether a memory that uses `bytes` bytes is emptied on a thread that may block: the
    /// kernel takes about a millisecond for [`AT_ONCE`](Emptying::AT_ONCE), during which no process
    /// would run on the thread that drops it. It is not if much waits to be emptied already.
    fn admit(&'static self, bytes: usize) -> Option<Admitted> {
        if bytes <= Emptying::AT_ONCE {
            return None;
        }
        let added = |waiting: usize| {
            let sum = waiting.saturating_add(bytes);
            (waiting == 0 || sum <= Emptying::MAX_QUEUED_BYTES).then_some(sum)
        };
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, added)
            .ok()?;
        Some(Admitted { of: self, bytes })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.of.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A slot that belongs to one memory. Dropping it puts it back.
pub(super) struct MemorySlot {
    classes: &'static SizeClasses,
    class: &'static SizeClass,
    number: usize,
    /// How many bytes from its start on the memory uses.
    used: usize,
    /// The contents that it gets before it is put back.
    contents: SlotContents,
    /// The image that this is, if it is not zeros.
    image: Option<Arc<Image>>,
    /// Whether pages of another slot were moved here. They stay mappings of their own.
    holds_moved_pages: bool,
}

impl MemorySlot {
    /// A slot with at least so many bytes that holds an image, if there is one, and
    /// zeros.
    ///
    /// # Errors
    ///
    /// Fails if there is no slot that large, all are in use, or the kernel does not do
    /// its part.
    pub(super) fn take(
        classes: &'static SizeClasses,
        bytes: usize,
        image: Option<Arc<Image>>,
    ) -> io::Result<MemorySlot> {
        let class = classes.for_bytes(bytes)?;
        let free = class.take(image.as_deref().map(Image::id))?;
        // SAFETY: the slot was just taken from this class, whose slots have so many
        // bytes.
        let contents = unsafe { class.fill(free, image.as_deref(), bytes) }?;
        Ok(MemorySlot {
            classes,
            class,
            number: free.slot,
            used: bytes,
            contents,
            image,
            holds_moved_pages: false,
        })
    }

    /// How many bytes the memory uses.
    pub(super) fn used(&self) -> usize {
        self.used
    }

    /// The first byte.
    pub(super) fn start(&self) -> *mut u8 {
        self.class.address(self.number)
    }

    /// How many bytes a memory in it may have.
    pub(super) fn capacity(&self) -> usize {
        self.class.memory_bytes()
    }

    /// Sets how many bytes the memory uses, up to its capacity.
    ///
    /// # Errors
    ///
    /// Fails if it has not as many, or there are as many mappings as the kernel allows.
    pub(super) fn use_more(&mut self, bytes: usize) -> io::Result<()> {
        if bytes > self.capacity() {
            return Err(io::Error::other("a slot is too small for its memory"));
        }
        if bytes > self.used {
            // SAFETY: the slot is ours and has so many bytes; none in use is taken away.
            unsafe { self.class.set_accessible(self.number, bytes) }?;
            self.used = bytes;
        }
        Ok(())
    }

    /// Exchanges the slot for one of at least `bytes` bytes, with the same contents and zeros after
    /// them.
    ///
    /// # Errors
    ///
    /// As for [`take`](MemorySlot::take); the slot is the same as before then.
    ///
    /// # Panics
    ///
    /// Panics if the kernel moves some pages and then fails: the instance must not continue without
    /// them.
    ///
    /// # Safety
    ///
    /// Nobody reads or writes the memory meanwhile, or uses its old address later.
    pub(super) unsafe fn move_to_larger(&mut self, bytes: usize) -> io::Result<()> {
        let mut larger = MemorySlot::take(self.classes, bytes.max(self.used), None)?;
        // Pages that are moved there are written without a page fault.
        larger.contents.written = None;
        // SAFETY: as the caller promises; the new slot is as large, and was just taken.
        match unsafe { self.move_pages(larger.start()) } {
            Ok(moved) => larger.holds_moved_pages = moved,
            Err(error) => {
                // Not all of it can be accessed, so it must not be used again.
                mem::forget(larger);
                panic!("a part of a memory was moved, and the rest cannot be: {error}");
            }
        }
        *self = larger;
        Ok(())
    }

    /// Moves or copies all contents to another slot. Returns whether pages may have been moved.
    ///
    /// # Errors
    ///
    /// Fails if not all of the other slot can be accessed any more. Pages that were
    /// moved there are lost.
    ///
    /// # Safety
    ///
    /// `to` is a slot of zeros, of which as many bytes can be accessed as are used
    /// here, and nobody uses either slot.
    unsafe fn move_pages(&mut self, to: *mut u8) -> io::Result<bool> {
        /// Fewer bytes are copied: to move them costs mappings.
        const MIN_MOVED: usize = 8 << 20;
        let bytes = self.used_pages();
        let page = self.page();
        if let Holds::Mapped(_) = self.contents.holds {
            // SAFETY: as the caller promises.
            unsafe { self.copy_mapped(to) };
            return Ok(false);
        }
        let moves = bytes >= MIN_MOVED;
        if moves {
            // Pages that are moved leave zeros behind, and not their part of an image.
            self.contents = SlotContents::default();
            self.image = None;
            // SAFETY: as the caller promises; slots do not overlap, and no image is
            // mapped into this one.
            if unsafe { system::move_pages(self.start(), to, bytes, page) }? {
                self.used = 0;
                return Ok(true);
            }
        }
        // SAFETY: as the caller promises.
        unsafe { self.copy_pages(to) };
        Ok(moves)
    }

    /// Copies every page that is not zeros to another slot, of a slot without a mapped
    /// image.
    ///
    /// # Safety
    ///
    /// As for [`move_pages`](MemorySlot::move_pages), but `to` may hold pages already
    /// where this slot has zeros.
    unsafe fn copy_pages(&self, to: *mut u8) {
        let page = self.page().bytes();
        let copy = |part: Range<usize>| {
            for offset in part.clone().step_by(page) {
                let page = offset..part.end.min(offset + page);
                // SAFETY: as the caller promises; the page lies in what is used.
                unsafe {
                    if !is_zeros(self.start().wrapping_add(offset), page.len()) {
                        self.copy_part(to, page);
                    }
                }
            }
        };
        self.for_each_written_or_all(copy);
    }

    /// Copies a mapped image, and what was written, to another slot.
    ///
    /// # Safety
    ///
    /// As for [`move_pages`](MemorySlot::move_pages).
    unsafe fn copy_mapped(&self, to: *mut u8) {
        if let Some(image) = &self.image {
            // Pages of it that were only read are not told of as written.
            // SAFETY: as the caller promises; the image lies in what is used.
            unsafe { image.copy(to) };
        }
        // SAFETY: as the caller promises; the part lies in what is used.
        self.for_each_written_or_all(|part| unsafe { self.copy_part(to, part) });
    }

    /// Copies a part to the same place of another slot.
    ///
    /// # Safety
    ///
    /// The part lies in what is used, `to` is a slot of which it can be accessed, and
    /// nobody uses either slot.
    unsafe fn copy_part(&self, to: *mut u8, part: Range<usize>) {
        let from = self.start().wrapping_add(part.start);
        // SAFETY: as the caller promises; slots do not overlap.
        unsafe { ptr::copy_nonoverlapping(from, to.wrapping_add(part.start), part.len()) };
    }

    /// Makes the slot hold its contents and zeros, and puts it back.
    ///
    /// # Errors
    ///
    /// Fails if the kernel does not take pages back. A slot is not used again then.
    ///
    /// # Safety
    ///
    /// Nobody uses the slot any more, through this value or otherwise.
    unsafe fn put_back(&mut self) -> io::Result<()> {
        if let Some(admitted) = EMPTYING.admit(self.used) {
            let free = FreeSlot {
                slot: self.number,
                contents: self.contents,
            };
            let (class, holds_moved_pages) = (self.class, self.holds_moved_pages);
            Class::Memory.queue().run_detached(move || {
                // SAFETY: as the caller promises; only this closure knows the slot now.
                let emptied = unsafe {
                    match holds_moved_pages {
                        true => class.map_zeros_and_put(free),
                        false => class.empty_and_put(free),
                    }
                };
                emptied.unwrap_or_else(|error| tell_lost(&error));
                drop(admitted);
            });
            return Ok(());
        }
        let free = |slot: &MemorySlot| FreeSlot {
            slot: slot.number,
            contents: slot.contents,
        };
        if self.holds_moved_pages {
            // SAFETY: as the caller promises; the slot was taken from this class.
            return unsafe { self.class.map_zeros_and_put(free(self)) };
        }
        // SAFETY: as the caller promises.
        let restored = unsafe { self.restore() };
        let free = free(self);
        // SAFETY: as the caller promises; the slot was taken from this class, and holds
        // its contents and zeros, or is emptied.
        unsafe {
            match restored {
                Some(pages) => self.class.put(free, pages),
                None => self.class.empty_and_put(free),
            }
        }
    }

    /// Makes the slot hold its contents and zeros. Returns how many pages it occupies;
    /// `None` if it is better emptied, and may hold anything.
    ///
    /// # Safety
    ///
    /// Nobody uses the slot.
    unsafe fn restore(&mut self) -> Option<usize> {
        // SAFETY: as the caller promises.
        if let Some(pages) = unsafe { self.restore_what_was_written_before() } {
            return Some(pages);
        }
        let mut bytes = 0;
        let mut written = Gathered::new(self.used, self.page());
        self.for_each_written(|part| {
            bytes += part.len();
            written.add(&part);
            // SAFETY: as the caller promises; the part lies in what can be accessed.
            unsafe { Image::restore(self.image.as_deref(), self.start(), part) };
        })?;
        self.contents.written = written.pages();
        Some(self.page().pages(bytes))
    }

    /// Like [`restore`](MemorySlot::restore), but without asking the kernel, if only pages can have
    /// been written that had been written by earlier instances of the slot. `None` if that is not
    /// certain; the slot is unchanged then.
    ///
    /// # Safety
    ///
    /// Nobody uses the slot.
    unsafe fn restore_what_was_written_before(&self) -> Option<usize> {
        let written = self.contents.written?.within(self.used, self.page())?;
        if !PageFaults::none_in_this_life() {
            return None;
        }
        let mut bytes = 0;
        for part in written {
            bytes += part.len();
            // SAFETY: as the caller promises; the part lies in what can be accessed.
            unsafe { Image::restore(self.image.as_deref(), self.start(), part) };
        }
        Some(self.page().pages(bytes))
    }

    /// Calls `each` with every part of what is used that has been written, in whole
    /// pages. `None` as of [`Pagemap::for_each_written`].
    ///
    /// [`Pagemap::for_each_written`]: crate::arena::pagemap::Pagemap::for_each_written
    fn for_each_written(&self, mut each: impl FnMut(Range<usize>)) -> Option<()> {
        let start = self.start().addr();
        let all = start..start + self.used_pages();
        self.classes
            .pagemap()?
            .for_each_written(all, |run| each(run.start - start..run.end - start))
    }

    /// Calls `each` with every part of what is used that has been written, or with all
    /// of it, in whole pages.
    fn for_each_written_or_all(&self, mut each: impl FnMut(Range<usize>)) {
        if self.for_each_written(&mut each).is_none() {
            each(0..self.used_pages());
        }
    }

    /// Returns the bytes of the pages that are used.
    fn used_pages(&self) -> usize {
        self.page().round_up(self.used)
    }

    fn page(&self) -> PageSize {
        self.classes.machine().page
    }
}

/// Whether a range holds nothing but zeros.
///
/// # Safety
///
/// The range can be read, and nobody writes to it.
unsafe fn is_zeros(start: *const u8, bytes: usize) -> bool {
    // SAFETY: as the caller promises.
    let bytes = unsafe { slice::from_raw_parts(start, bytes) };
    let (chunks, rest) = bytes.as_chunks::<64>();
    chunks.iter().all(|chunk| *chunk == [0; 64]) && rest.iter().all(|byte| *byte == 0)
}

impl Drop for MemorySlot {
    fn drop(&mut self) {
        // SAFETY: whoever owned the slot is done with it.
        if let Err(error) = unsafe { self.put_back() } {
            tell_lost(&error);
        }
    }
}

/// A slot is in no free list, and is never used again.
fn tell_lost(error: &io::Error) {
    tracing::error!("a memory could not be emptied: {error}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::machine::Machine;
    use crate::arena::mappings::Mappings;

    fn dense() -> &'static SizeClasses {
        let machine = Machine::with_pages(PageSize::all()[0]);
        SizeClasses::leak_dense(machine, Mappings::leak(&machine))
    }

    /// Runs one instance with a memory of 1 MiB, which writes these pages. Asserts that the memory
    /// begins with zeros. Returns whether it ended without asking which pages were written.
    fn live(classes: &'static SizeClasses, pages: &[usize]) -> bool {
        let watched = PageFaults::watch();
        let slot = MemorySlot::take(classes, 1 << 20, None).expect("a slot");
        for number in pages {
            let at = slot.start().wrapping_add(number * slot.page().bytes());
            // SAFETY: the slot is ours and has so many pages.
            unsafe {
                assert_eq!(at.read(), 0, "page {number}");
                at.write(1);
            }
        }
        watched.ended();
        let is_known = slot.contents.written.is_some() && PageFaults::none_in_this_life();
        drop(slot);
        is_known
    }

    #[test]
    fn a_life_that_writes_what_earlier_ones_wrote_ends_without_asking() {
        let classes = dense();
        // If the kernel does not report one of the two, each instance ends like the first.
        let can_be_known = classes.pagemap().is_some() && PageFaults::are_counted();
        assert!(!live(classes, &[3, 200]));
        // Whatever else the thread did may have cost page faults, so it is tried again.
        for pages in [&[200][..], &[3, 200]] {
            assert_eq!((0..10).any(|_| live(classes, pages)), can_be_known);
        }
    }

    #[test]
    fn a_life_that_writes_other_pages_leaves_zeros_too() {
        let classes = dense();
        live(classes, &[3]);
        for pages in [&[3][..], &[7], &[3, 7], &[0, 255], &[0, 3, 7, 255]] {
            live(classes, pages);
            live(classes, &[0, 3, 7, 255]);
        }
        // More runs than are remembered.
        let many: Vec<_> = (0..100).map(|number| 2 * number).collect();
        assert!((0..4).all(|_| !live(classes, &many)));
    }

    #[test]
    fn pages_that_are_moved_into_a_slot_are_cleaned() {
        let classes = dense();
        const SMALL: usize = 32 << 20;
        const LARGE: usize = 128 << 20;
        // The large slot is known to have been written nowhere but in its first page.
        for _ in 0..3 {
            let watched = PageFaults::watch();
            let slot = MemorySlot::take(classes, LARGE, None).expect("a slot");
            // SAFETY: the slot is ours.
            unsafe { slot.start().write(1) };
            watched.ended();
        }
        // Whatever else the thread did may have cost page faults, so it is tried again.
        for number in 0..10 {
            let mut slot = MemorySlot::take(classes, SMALL, None).expect("a slot");
            let at = SMALL - (1 + number) * slot.page().bytes();
            // SAFETY: the slot is ours.
            unsafe { slot.start().wrapping_add(at).write(7) };
            // That was a page fault of a life before.
            let before = PageFaults::watch();
            before.ended();
            PageFaults::none_in_this_life();
            let watched = PageFaults::watch();
            // SAFETY: nobody uses the slot.
            unsafe { slot.move_to_larger(LARGE) }.expect("moved");
            watched.ended();
            // SAFETY: the slot is ours.
            assert_eq!(unsafe { slot.start().wrapping_add(at).read() }, 7);
            drop(slot);
            let slot = MemorySlot::take(classes, LARGE, None).expect("a slot");
            // SAFETY: the slot is ours.
            assert_eq!(unsafe { slot.start().wrapping_add(at).read() }, 0);
        }
    }

    #[test]
    fn few_large_memories_are_emptied_by_others() {
        static EMPTYING: Emptying = Emptying(AtomicUsize::new(0));
        const MIB: usize = 1 << 20;
        assert!(EMPTYING.admit(32 * MIB).is_none());
        let large = EMPTYING.admit(4096 * MIB).expect("nobody has one");
        assert!(EMPTYING.admit(33 * MIB).is_none());
        drop(large);
        let admitted: Vec<_> = (0..10).map_while(|_| EMPTYING.admit(64 * MIB)).collect();
        assert_eq!(admitted.len(), 4);
        drop(admitted);
        assert!(EMPTYING.admit(64 * MIB).is_some());
    }

    #[test]
    fn a_slot_that_pages_are_moved_into_again_and_again_stays_few_mappings() {
        const MIB: usize = 1 << 20;
        let classes = dense();
        let slots: Vec<_> = (0..2)
            .map(|_| MemorySlot::take(classes, 32 * MIB, None).expect("a slot"))
            .collect();
        let addresses: Vec<_> = slots.iter().map(|slot| slot.start().addr()).collect();
        drop(slots);
        let mut larger = 0;
        for round in 0..200 {
            // By turns from one and the other, fewer bytes each time.
            let other = (round % 2 == 1).then(|| MemorySlot::take(classes, 32 * MIB, None));
            let used = 32 * MIB - round * (64 << 10);
            let mut slot = MemorySlot::take(classes, used, None).expect("a slot");
            assert!(addresses.contains(&slot.start().addr()));
            for at in (0..used).step_by(MIB) {
                // SAFETY: the slot is ours, and has so many bytes.
                unsafe { slot.start().wrapping_add(at).write(1) };
            }
            // SAFETY: nobody uses the slot.
            unsafe { slot.move_to_larger(128 * MIB) }.expect("moved");
            larger = slot.start().addr();
            drop((slot, other));
        }
        let maps = std::fs::read_to_string("/proc/self/maps").expect("mappings");
        let begins = maps.lines().filter_map(|line| {
            let (start, _) = line.split_once('-')?;
            usize::from_str_radix(start, 16).ok()
        });
        let inside = begins.filter(|start| (larger..larger + 128 * MIB).contains(start));
        assert!(inside.count() < 10, "{maps}");
    }

    #[test]
    fn pages_that_were_moved_already_are_not_copied_over() {
        const BYTES: usize = 1 << 20;
        let page = PageSize::all()[0];
        let classes = dense();
        let slot = || MemorySlot::take(classes, BYTES, None).expect("a slot");
        let (old, new) = (slot(), slot());
        let numbers = || (0..BYTES / page.bytes()).step_by(2);
        let at = |slot: &MemorySlot, number| slot.start().wrapping_add(number * page.bytes());
        // SAFETY: both slots have so many bytes and nobody else uses them.
        unsafe {
            // More than the kernel is asked to list: even pages here, odd ones there.
            numbers().for_each(|even| at(&old, even).write(1));
            numbers().for_each(|even| at(&new, even + 1).write(2));
            old.copy_pages(new.start());
            for even in numbers() {
                assert_eq!((at(&new, even).read(), at(&new, even + 1).read()), (1, 2));
            }
        }
    }
}
