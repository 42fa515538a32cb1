//! Every way in which threads can take free slots and put them back, checked by
//! loom: `cargo xtask loom`.
#![cfg(lunatic_loom)]

#[path = "../src/arena/free_list.rs"]
mod free_list;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread;

use free_list::{Contents, FreeLists, FreeSlot};

/// A lock of loom's with the interface of parking_lot's.
#[derive(Debug)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Mutex<T> {
        Mutex(loom::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
        self.0.lock().expect("nothing panics under the lock")
    }
}

/// How many slots there can be at most.
const SLOTS: usize = 4;

/// As many as one thread uses at the same time.
const AT_ONCE: usize = 2;

/// What a slot holds: an image, by its number, or 0 for zeros. As in `size_class.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Image(u64);

impl Contents for Image {
    type Key = u64;

    fn key(self) -> u64 {
        self.0
    }
}

/// A slab without memory: its slots, and which of them are in use, kept apart from the
/// free lists.
struct Model {
    free_lists: FreeLists<Image>,
    fresh: AtomicUsize,
    in_use: [AtomicBool; SLOTS],
}

impl Model {
    fn new(warm_pages: usize) -> Arc<Model> {
        Arc::new(Model {
            free_lists: FreeLists::new(2, warm_pages),
            fresh: AtomicUsize::new(0),
            in_use: Default::default(),
        })
    }

    /// As `SizeClass::take` does it. Returns the number of the slot.
    fn take(&self, image: Image) -> usize {
        let free = self.free_lists.take(image.key());
        let slot = match free {
            Some(free) => free.slot,
            None => self.fresh.fetch_add(1, Ordering::Relaxed),
        };
        let was_in_use = self.in_use[slot].swap(true, Ordering::Relaxed);
        assert!(!was_in_use, "slot {slot} has two users");
        slot
    }

    /// As `SizeClass::put` does it.
    fn put(&self, slot: usize, contents: Image) {
        self.in_use[slot].store(false, Ordering::Relaxed);
        if let Some(emptied) = self.free_lists.put(FreeSlot { slot, contents }, 1) {
            let was_in_use = self.in_use[emptied.slot].swap(true, Ordering::Relaxed);
            assert!(!was_in_use, "slot {} is emptied in use", emptied.slot);
            self.in_use[emptied.slot].store(false, Ordering::Relaxed);
            self.free_lists.put_emptied(FreeSlot {
                contents: Image::default(),
                ..emptied
            });
        }
    }

    /// Takes some slots at once and puts them back.
    fn work(&self, images: [Image; AT_ONCE]) {
        let taken = images.map(|image| self.take(image));
        for (slot, image) in taken.into_iter().zip(images) {
            self.put(slot, image);
        }
    }

    /// All slots that were ever used are found again, whatever they hold.
    fn assert_all_there(&self) {
        let slots = self.fresh.load(Ordering::Relaxed);
        for _ in 0..slots {
            let free = self.free_lists.take(Image::default().key());
            let free = free.expect("no slot is lost or hidden");
            let was_in_use = self.in_use[free.slot].swap(true, Ordering::Relaxed);
            assert!(!was_in_use, "slot {} is there twice", free.slot);
        }
        assert_eq!(self.free_lists.take(Image::default().key()), None);
    }
}

/// Two threads work at the same time, after something was used already or not.
fn check(warm_pages: usize, used_before: bool, images: [[Image; AT_ONCE]; 2]) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        let model = Model::new(warm_pages);
        if used_before {
            model.work(images[0]);
        }
        let threads = images.map(|images| {
            let model = model.clone();
            thread::spawn(move || model.work(images))
        });
        for thread in threads {
            thread.join().expect("a worker does not panic");
        }
        model.assert_all_there();
    });
}

const ONE: Image = Image(1);
const TWO: Image = Image(2);

/// A number of pages above that of all slots.
const MORE_THAN_ALL_PAGES: usize = 100;

/// A number of pages so low that of two slots in a part one must be emptied.
const WARM_PAGES: usize = 2;

#[test]
fn two_threads_that_begin_share_no_slot_and_lose_none() {
    check(MORE_THAN_ALL_PAGES, false, [[ONE, ONE], [ONE, ONE]]);
}

#[test]
fn two_threads_that_go_on_share_no_slot_and_lose_none() {
    check(MORE_THAN_ALL_PAGES, true, [[ONE, ONE], [ONE, ONE]]);
}

#[test]
fn slots_that_hold_something_else_are_neither_shared_nor_lost() {
    check(MORE_THAN_ALL_PAGES, true, [[ONE, TWO], [TWO, ONE]]);
}

#[test]
fn slots_that_are_emptied_are_neither_shared_nor_lost() {
    check(WARM_PAGES, true, [[ONE, TWO], [ONE, ONE]]);
}
