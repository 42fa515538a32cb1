//! The statistics of an engine.

/// How often compiled code was kept, and what of the arena is used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineStats {
    /// How often compiled code was found in the directory where it is kept.
    pub cache_hits: u64,
    /// How often it was not there.
    pub cache_misses: u64,
    /// The use of the arena, by all engines of the program with the same
    /// [`memory_layout`](crate::EngineConfig::memory_layout); `None` if there is no arena.
    pub arena: Option<ArenaStats>,
}

/// The use of an arena.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArenaStats {
    /// The stacks, of instances with memories of either kind.
    pub stacks: SlotUse,
    /// The dense memories, by the size of their slots, the smallest first. Sizes that were
    /// never used are left out.
    pub memories: Vec<SlotUse>,
    /// The guarded memories, if there can be any.
    pub guarded: Option<SlotUse>,
}

/// How many slots of one size there are. The numbers are not of the same moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotUse {
    /// The size of a slot, in bytes.
    pub slot_bytes: usize,
    /// Slots that an instance has.
    pub used: usize,
    /// Slots that an instance has had.
    pub free: usize,
}

impl SlotUse {
    /// - `taken`: how many were ever used.
    pub(crate) fn new(slot_bytes: usize, taken: usize, free: usize) -> SlotUse {
        SlotUse {
            slot_bytes,
            used: taken.saturating_sub(free),
            free,
        }
    }
}
