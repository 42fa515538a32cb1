//! Free slots, and what they hold.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::fmt::Debug;
use std::hash::Hash;

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

/// The contents of a free slot. The default is a slot whose pages have been given back to the
/// kernel.
pub(super) trait Contents: Copy + Debug + Default + PartialEq {
    /// The key by which slots are requested.
    type Key: Copy + Debug + Eq + Hash;

    /// Returns the key of a slot with these contents.
    fn key(self) -> Self::Key;
}

/// A free slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FreeSlot<C> {
    /// The number of the slot in the slab.
    pub(super) slot: usize,
    /// The contents of the slot.
    pub(super) contents: C,
}

/// The free slots of one slab, in a list for each core.
#[derive(Debug)]
pub(super) struct FreeLists<C: Contents> {
    lists: Box<[Mutex<FreeList<C>>]>,
    /// How many slots there are in all lists; a hint that spares the search.
    free: AtomicUsize,
    /// How many pages the warm slots of one list may occupy.
    warm_pages: usize,
}

#[derive(Debug)]
struct FreeList<C: Contents> {
    /// Slots that may occupy memory, by what they are asked for, the last used at
    /// the back.
    warm: FxHashMap<C::Key, VecDeque<WarmSlot<C>>>,
    warm_pages: usize,
    /// Slots that occupy no memory and hold the default.
    cold: Vec<usize>,
}

#[derive(Debug)]
struct WarmSlot<C> {
    free: FreeSlot<C>,
    /// How many pages of memory it occupies.
    pages: usize,
}

impl<C: Contents> FreeLists<C> {
    /// No free slots.
    ///
    /// - `lists`: how many threads do not get into each other's way.
    /// - `warm_pages`: how many pages the warm slots of all lists may occupy.
    pub(super) fn new(lists: usize, warm_pages: usize) -> FreeLists<C> {
        FreeLists {
            lists: (0..lists).map(|_| Mutex::new(FreeList::new())).collect(),
            free: AtomicUsize::new(0),
            warm_pages: warm_pages / lists,
        }
    }

    /// How many slots are free.
    #[cfg_attr(
        lunatic_loom,
        allow(dead_code, reason = "the model check does not ask")
    )]
    pub(super) fn count(&self) -> usize {
        self.free.load(Ordering::Relaxed)
    }

    /// Takes a free slot: preferably one with this key, else one that occupies no memory, else any.
    /// `None` if there is no free slot.
    pub(super) fn take(&self, key: C::Key) -> Option<FreeSlot<C>> {
        if self.free.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let own = self.own_list();
        let (before, from_own) = self.lists.split_at(own);
        let lists = || from_own.iter().chain(before);
        let free = lists()
            .find_map(|list| list.lock().take_warm(key))
            .or_else(|| lists().find_map(|list| list.lock().take_cold()))
            .or_else(|| lists().find_map(|list| list.lock().take_any()))?;
        self.free.fetch_sub(1, Ordering::Relaxed);
        Some(free)
    }

    /// Puts a slot back that occupies `pages` pages of memory.
    ///
    /// If the warm slots then occupy too much memory, the one that was used longest ago is taken
    /// out and returned. The caller gives its pages back to the kernel, and puts it back by
    /// [`put_emptied`](FreeLists::put_emptied).
    #[must_use]
    pub(super) fn put(&self, free: FreeSlot<C>, pages: usize) -> Option<FreeSlot<C>> {
        let mut list = self.lists[self.own_list()].lock();
        let too_much = list.put(free, pages, self.warm_pages);
        drop(list);
        if too_much.is_none() {
            self.free.fetch_add(1, Ordering::Relaxed);
        }
        too_much
    }

    /// Puts a slot back that occupies no memory.
    pub(super) fn put_emptied(&self, free: FreeSlot<C>) {
        self.lists[self.own_list()].lock().put_emptied(free);
        self.free.fetch_add(1, Ordering::Relaxed);
    }

    /// The list that this thread uses first.
    fn own_list(&self) -> usize {
        thread_number() % self.lists.len()
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

impl<C: Contents> FreeList<C> {
    fn new() -> FreeList<C> {
        FreeList {
            warm: FxHashMap::default(),
            warm_pages: 0,
            cold: Vec::new(),
        }
    }

    fn take_warm(&mut self, key: C::Key) -> Option<FreeSlot<C>> {
        let Entry::Occupied(mut slots) = self.warm.entry(key) else {
            return None;
        };
        let warm = slots.get_mut().pop_back();
        if slots.get().is_empty() {
            slots.remove();
        }
        let warm = warm?;
        self.warm_pages -= warm.pages;
        Some(warm.free)
    }

    fn take_cold(&mut self) -> Option<FreeSlot<C>> {
        let slot = self.cold.pop()?;
        Some(FreeSlot {
            slot,
            contents: C::default(),
        })
    }

    fn take_any(&mut self) -> Option<FreeSlot<C>> {
        let key = *self.warm.keys().next()?;
        self.take_warm(key)
    }

    fn put(&mut self, free: FreeSlot<C>, pages: usize, most_pages: usize) -> Option<FreeSlot<C>> {
        let key = free.contents.key();
        self.put_warm(free, pages);
        (self.warm_pages > most_pages).then(|| self.take_oldest(key))?
    }

    fn put_emptied(&mut self, free: FreeSlot<C>) {
        match free.contents == C::default() {
            true => self.cold.push(free.slot),
            false => self.put_warm(free, 0),
        }
    }

    fn put_warm(&mut self, free: FreeSlot<C>, pages: usize) {
        self.warm_pages += pages;
        let slots = self.warm.entry(free.contents.key()).or_default();
        slots.push_back(WarmSlot { free, pages });
    }

    /// Takes the slot that was used longest ago, preferably one with another key than `kept`.
    fn take_oldest(&mut self, kept: C::Key) -> Option<FreeSlot<C>> {
        let other = self.warm.keys().find(|key| **key != kept);
        let key = *other.unwrap_or(&kept);
        let slots = self.warm.get_mut(&key)?;
        let warm = slots.pop_front();
        if slots.is_empty() {
            self.warm.remove(&key);
        }
        let warm = warm?;
        self.warm_pages -= warm.pages;
        Some(warm.free)
    }
}
