//! Every way in which threads can take free slots and put them back, checked by
//! loom: `cargo xtask loom`.
#![cfg(lunatic_loom)]

#[path = "../src/arena/free_list.rs"]
mod free_list;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread;

use free_list::{FreeLists, FreeSlot, ImageId};

/// A lock of loom's with the interface of parking_lot's.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
        self.0.lock().expect("nothing panics under the lock")
    }
}

/// How many slots there can be at most.
const SLOTS: usize = 4;

/// As many as one thread uses at the same time.
const AT_ONCE: usize = 2;

/// A slab without memory: its slots, and who knows better than the free_lists which
/// are in use.
struct Model {
    free_lists: FreeLists,
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

    /// As `memories.rs` has it.
    fn take(&self, image: ImageId) -> FreeSlot {
        let free = self.free_lists.take(image).unwrap_or_else(|| FreeSlot {
            slot: self.fresh.fetch_add(1, Ordering::Relaxed),
            image: ImageId::NONE,
            mapped: false,
            pages: 0,
        });
        let was_in_use = self.in_use[free.slot].swap(true, Ordering::Relaxed);
        assert!(!was_in_use, "slot {} has two users", free.slot);
        free
    }

    /// As `memories.rs` has it.
    fn put(&self, slot: FreeSlot, image: ImageId) {
        self.in_use[slot.slot].store(false, Ordering::Relaxed);
        let used = FreeSlot {
            image,
            pages: 1,
            ..slot
        };
        if let Some(emptied) = self.free_lists.put(used) {
            let was_in_use = self.in_use[emptied.slot].swap(true, Ordering::Relaxed);
            assert!(!was_in_use, "slot {} is emptied in use", emptied.slot);
            self.in_use[emptied.slot].store(false, Ordering::Relaxed);
            self.free_lists.put_emptied(FreeSlot {
                image: ImageId::NONE,
                pages: 0,
                ..emptied
            });
        }
    }

    /// Takes some slots at once and puts them back.
    fn work(&self, images: [ImageId; AT_ONCE]) {
        let taken = images.map(|image| self.take(image));
        for (slot, image) in taken.into_iter().zip(images) {
            self.put(slot, image);
        }
    }

    /// All slots that were ever used are found again, whatever they hold.
    fn assert_all_there(&self) {
        let slots = self.fresh.load(Ordering::Relaxed);
        for _ in 0..slots {
            let image = ImageId::NONE;
            let free = self
                .free_lists
                .take(image)
                .expect("no slot is lost or hidden");
            let was_in_use = self.in_use[free.slot].swap(true, Ordering::Relaxed);
            assert!(!was_in_use, "slot {} is there twice", free.slot);
        }
        assert_eq!(self.free_lists.take(ImageId::NONE), None);
    }
}

/// Two threads work at the same time, after something was used already or not.
fn check(warm_pages: usize, used_before: bool, images: [[ImageId; AT_ONCE]; 2]) {
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

const ONE: ImageId = ImageId(1);
const TWO: ImageId = ImageId(2);

/// More pages than all slots have.
const ENOUGH: usize = 100;

/// So few that of two slots in a part one has to be emptied.
const FEW: usize = 2;

#[test]
fn two_threads_that_begin_share_no_slot_and_lose_none() {
    check(ENOUGH, false, [[ONE, ONE], [ONE, ONE]]);
}

#[test]
fn two_threads_that_go_on_share_no_slot_and_lose_none() {
    check(ENOUGH, true, [[ONE, ONE], [ONE, ONE]]);
}

#[test]
fn slots_that_hold_something_else_are_neither_shared_nor_lost() {
    check(ENOUGH, true, [[ONE, TWO], [TWO, ONE]]);
}

#[test]
fn slots_that_are_emptied_are_neither_shared_nor_lost() {
    check(FEW, true, [[ONE, TWO], [ONE, ONE]]);
}
