//! Slots that are free, and what they hold.

use std::cell::Cell;
use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::arena::image::ImageId;

/// Free slots of one slab, in a part for each core.
#[derive(Debug)]
pub(super) struct Shelves {
    parts: Box<[Mutex<Shelf>]>,
    /// How many slots there are in all parts; a hint that spares the search.
    free: AtomicUsize,
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
struct Shelf {
    /// Slots that occupy memory, by what they hold, the last used at the back.
    warm: FxHashMap<ImageId, VecDeque<FreeSlot>>,
    warm_pages: usize,
    /// Slots that occupy none.
    cold: Vec<FreeSlot>,
}

/// What the warm slots of one slab may occupy, in pages: 128 MiB.
const WARM_PAGES: usize = (128 << 20) / crate::arena::system::PAGE;

impl Shelves {
    pub(super) fn new() -> Shelves {
        let parts = thread::available_parallelism().map_or(1, usize::from);
        Shelves {
            parts: (0..parts).map(|_| Mutex::default()).collect(),
            free: AtomicUsize::new(0),
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
    /// and put back by [`put_emptied`](Shelves::put_emptied).
    #[must_use]
    pub(super) fn put(&self, slot: FreeSlot) -> Option<FreeSlot> {
        let most = WARM_PAGES / self.parts.len();
        let too_much = self.parts[self.own_part()].lock().put(slot, most);
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
        thread_local! {
            static NUMBER: Cell<Option<usize>> = const { Cell::new(None) };
        }
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.get().unwrap_or_else(|| {
            let number = THREADS.fetch_add(1, Ordering::Relaxed);
            NUMBER.set(Some(number));
            number
        });
        number % self.parts.len()
    }
}

impl Shelf {
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
