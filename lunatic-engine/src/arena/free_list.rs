//! Slots that are free, and what they hold.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;

use rustc_hash::FxHashMap;

#[cfg(not(lunatic_loom))]
use parking_lot::Mutex;
#[cfg(not(lunatic_loom))]
use std::sync::atomic::{AtomicUsize, Ordering};

// The model check compiles this file alone.
#[cfg(lunatic_loom)]
use crate::Mutex;
#[cfg(lunatic_loom)]
use loom::sync::atomic::{AtomicUsize, Ordering};

/// Tells images apart; a memory without one has number 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ImageId(pub(super) u64);

impl ImageId {
    /// Nothing but zeros.
    pub(super) const NONE: ImageId = ImageId(0);
}

/// Free slots of one slab, in a part for each core.
#[derive(Debug)]
pub(super) struct FreeLists {
    parts: Box<[Mutex<FreeList>]>,
    /// How many slots there are in all parts; a hint that spares the search.
    free: AtomicUsize,
    /// How many pages the warm slots of a part may occupy.
    warm_pages: usize,
}

/// A free slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FreeSlot {
    pub(super) slot: usize,
    /// What it holds beside zeros.
    pub(super) image: ImageId,
    /// Whether the image is mapped, and not copied.
    pub(super) mapped: bool,
    /// How many pages of memory it occupies.
    pub(super) pages: usize,
}

#[derive(Debug, Default)]
struct FreeList {
    /// Slots that occupy memory, by what they hold, the last used at the back.
    warm: FxHashMap<ImageId, VecDeque<FreeSlot>>,
    warm_pages: usize,
    /// Slots that occupy none.
    cold: Vec<FreeSlot>,
}

impl FreeLists {
    /// Nothing yet.
    ///
    /// - `parts`: how many threads do not get into each other's way.
    /// - `warm_pages`: what the warm slots of all parts may occupy.
    pub(super) fn new(parts: usize, warm_pages: usize) -> FreeLists {
        FreeLists {
            parts: (0..parts).map(|_| Mutex::default()).collect(),
            free: AtomicUsize::new(0),
            warm_pages: warm_pages / parts,
        }
    }

    /// A free slot: best one that holds the image, else one that holds nothing,
    /// else any.
    pub(super) fn take(&self, image: ImageId) -> Option<FreeSlot> {
        if self.free.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let own = self.own_part();
        let (before, from_own) = self.parts.split_at(own);
        let parts = || from_own.iter().chain(before);
        let slot = parts()
            .find_map(|part| part.lock().take_holding(image))
            .or_else(|| parts().find_map(|part| part.lock().cold.pop()))
            .or_else(|| parts().find_map(|part| part.lock().take_any()))?;
        self.free.fetch_sub(1, Ordering::Relaxed);
        Some(slot)
    }

    /// Puts a slot back. If the warm ones occupy too much memory then, the one
    /// that was used longest ago is taken out and returned: it is to be emptied
    /// and put back by [`put_emptied`](FreeLists::put_emptied).
    #[must_use]
    pub(super) fn put(&self, slot: FreeSlot) -> Option<FreeSlot> {
        let mut part = self.parts[self.own_part()].lock();
        let too_much = part.put(slot, self.warm_pages);
        drop(part);
        if too_much.is_none() {
            self.free.fetch_add(1, Ordering::Relaxed);
        }
        too_much
    }

    /// Puts a slot back that occupies no memory.
    pub(super) fn put_emptied(&self, slot: FreeSlot) {
        let mut part = self.parts[self.own_part()].lock();
        match slot.image == ImageId::NONE {
            true => part.cold.push(slot),
            // Its image is mapped, and still there.
            false => part.warm.entry(slot.image).or_default().push_back(slot),
        }
        drop(part);
        self.free.fetch_add(1, Ordering::Relaxed);
    }

    /// The part that this thread uses first.
    fn own_part(&self) -> usize {
        thread_number() % self.parts.len()
    }
}

/// Numbers the threads that ask.
#[cfg(not(lunatic_loom))]
fn thread_number() -> usize {
    use std::cell::Cell;

    thread_local! {
        static NUMBER: Cell<Option<usize>> = const { Cell::new(None) };
    }
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    NUMBER.get().unwrap_or_else(|| {
        let number = THREADS.fetch_add(1, Ordering::Relaxed);
        NUMBER.set(Some(number));
        number
    })
}

/// The same in the model, where the threads of one execution are not those of
/// another.
#[cfg(lunatic_loom)]
fn thread_number() -> usize {
    loom::lazy_static! {
        static ref THREADS: AtomicUsize = AtomicUsize::new(0);
    }
    loom::thread_local! {
        static NUMBER: usize = THREADS.fetch_add(1, Ordering::Relaxed);
    }
    NUMBER.with(|number| *number)
}

impl FreeList {
    fn take_holding(&mut self, image: ImageId) -> Option<FreeSlot> {
        let Entry::Occupied(mut slots) = self.warm.entry(image) else {
            return None;
        };
        let slot = slots.get_mut().pop_back();
        if slots.get().is_empty() {
            slots.remove();
        }
        let slot = slot?;
        self.warm_pages -= slot.pages;
        Some(slot)
    }

    fn take_any(&mut self) -> Option<FreeSlot> {
        let image = *self.warm.keys().next()?;
        self.take_holding(image)
    }

    fn put(&mut self, slot: FreeSlot, most_pages: usize) -> Option<FreeSlot> {
        self.warm_pages += slot.pages;
        self.warm.entry(slot.image).or_default().push_back(slot);
        (self.warm_pages > most_pages).then(|| self.take_oldest(slot.image))?
    }

    /// The slot that was used longest ago, best of another image than `kept`.
    fn take_oldest(&mut self, kept: ImageId) -> Option<FreeSlot> {
        let other = self.warm.keys().find(|image| **image != kept);
        let image = *other.unwrap_or(&kept);
        let slots = self.warm.get_mut(&image)?;
        let slot = slots.pop_front();
        if slots.is_empty() {
            self.warm.remove(&image);
        }
        let slot = slot?;
        self.warm_pages -= slot.pages;
        Some(slot)
    }
}
