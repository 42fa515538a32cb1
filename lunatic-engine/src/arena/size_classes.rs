//! The sizes of slots for memories.

use std::io;
use std::sync::OnceLock;

use crate::arena::machine::Machine;
use crate::arena::mappings::Mappings;
use crate::arena::pagemap::Pagemap;
use crate::arena::size_class::SizeClass;
use crate::memory_layout::MemoryLayout;
use crate::stats::SlotUse;

/// The largest size of a guarded memory: all that 32 bits can address.
pub(super) const GUARDED_BYTES: usize = 4 << 30;

/// The bytes that compiled code may add to an address without a check.
pub(super) const GUARD_BYTES: usize = 32 << 20;

/// The sizes of dense slots, and the most slots of each size. A slot that a memory
/// outgrows is exchanged for one four times as large. The small ones share pages
/// of the kernel's page tables; the largest holds any memory there can be.
const DENSE: [(usize, usize); 9] = [
    (128 << 10, 1 << 22),
    (512 << 10, 1 << 22),
    (2 << 20, 1 << 22),
    (8 << 20, 1 << 20),
    (32 << 20, 1 << 18),
    (128 << 20, 1 << 16),
    (512 << 20, 1 << 14),
    (2 << 30, 1 << 12),
    (8 << 30, 1 << 10),
];

/// The highest number of guarded memories: they take about half of all addresses, which is the
/// largest free range.
pub(super) const GUARDED_SLOTS: usize = 1 << 14;

/// The number of guarded memories beside dense ones: more than a machine has cores to compute on,
/// and so few that messages between many processes do not become slower.
pub(super) const FEW_GUARDED_SLOTS: usize = 128;

/// The slots for memories, by their size.
#[derive(Debug)]
pub(super) struct SizeClasses {
    memory_layout: MemoryLayout,
    machine: Machine,
    /// Smallest first.
    classes: Box<[Lazy]>,
    mappings: &'static Mappings,
    pagemap: Option<Pagemap>,
}

/// A class that is reserved when a memory first needs it.
#[derive(Debug)]
struct Lazy {
    slot_bytes: usize,
    max_slots: usize,
    class: OnceLock<SizeClass>,
}

impl SizeClasses {
    /// The classes of an arena of dense memories, which is never given back.
    pub(super) fn leak_dense(
        machine: Machine,
        mappings: &'static Mappings,
    ) -> &'static SizeClasses {
        SizeClasses::leak(MemoryLayout::Dense, &DENSE, machine, mappings)
    }

    /// The classes, of which there is one, of an arena of guarded memories, which is never
    /// given back.
    ///
    /// - `slots`: the most slots there may be.
    pub(super) fn leak_guarded(
        machine: Machine,
        mappings: &'static Mappings,
        slots: usize,
    ) -> &'static SizeClasses {
        // Images have the mappings that the slots leave.
        let slots = mappings.take_for_guarded_slots(slots);
        let sizes = [(GUARDED_BYTES + GUARD_BYTES, slots)];
        SizeClasses::leak(MemoryLayout::Guarded, &sizes, machine, mappings)
    }

    fn leak(
        memory_layout: MemoryLayout,
        sizes: &[(usize, usize)],
        machine: Machine,
        mappings: &'static Mappings,
    ) -> &'static SizeClasses {
        Box::leak(Box::new(SizeClasses {
            memory_layout,
            machine,
            classes: sizes.iter().copied().map(Lazy::new).collect(),
            mappings,
            pagemap: Pagemap::open(machine.page),
        }))
    }

    /// The class of the smallest slots that have so many bytes.
    ///
    /// # Errors
    ///
    /// Fails if there are no such slots, or the kernel gives no address space for
    /// them.
    pub(super) fn for_bytes(&'static self, bytes: usize) -> io::Result<&'static SizeClass> {
        let lazy = self
            .classes
            .iter()
            .find(|lazy| lazy.slot_bytes >= bytes)
            .ok_or_else(|| io::Error::other("no memory can be that large"))?;
        if let Some(class) = lazy.class.get() {
            return Ok(class);
        }
        let guard = match self.memory_layout {
            MemoryLayout::Dense => 0,
            MemoryLayout::Guarded => GUARD_BYTES,
        };
        let class = SizeClass::reserve(
            lazy.slot_bytes,
            guard,
            lazy.max_slots,
            self.memory_layout,
            &self.machine,
            self.mappings,
        )?;
        // If another thread was faster, its class is used, and this one is address
        // space that is not.
        Ok(lazy.class.get_or_init(|| class))
    }

    /// How many slots of each class are used that has ever been.
    pub(super) fn use_of_slots(&self) -> Vec<SlotUse> {
        let classes = self.classes.iter().filter_map(|lazy| lazy.class.get());
        classes.map(SizeClass::use_of_slots).collect()
    }

    /// How memories lie in the address space.
    pub(super) fn memory_layout(&self) -> MemoryLayout {
        self.memory_layout
    }

    /// The machine that they are made for.
    pub(super) fn machine(&self) -> &Machine {
        &self.machine
    }

    /// The source of written pages, if there is one.
    pub(super) fn pagemap(&self) -> Option<&Pagemap> {
        self.pagemap.as_ref()
    }
}

impl Lazy {
    fn new((slot_bytes, max_slots): (usize, usize)) -> Lazy {
        Lazy {
            slot_bytes,
            max_slots,
            class: OnceLock::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::page_size::PageSize;

    #[test]
    fn slots_are_whole_pages_on_every_machine() {
        for page in PageSize::all() {
            let guarded = [GUARDED_BYTES, GUARD_BYTES];
            for bytes in DENSE.map(|(bytes, _)| bytes).into_iter().chain(guarded) {
                assert_eq!(bytes, page.round_up(bytes));
            }
        }
    }

    #[test]
    fn classes_are_in_order_and_the_last_holds_any_memory() {
        assert!(DENSE.is_sorted_by(|(smaller, _), (larger, _)| smaller < larger));
        assert!(DENSE[DENSE.len() - 1].0 >= GUARDED_BYTES);
    }
}
