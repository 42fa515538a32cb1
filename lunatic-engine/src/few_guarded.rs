//! What an instance keeps that has one of few guarded memories.

use std::sync::Arc;

use crate::arena::GuardedSlot;
use crate::short_lives::ShortLives;

/// What an instance keeps that has one of few guarded memories. It is dropped after the memory.
pub(crate) struct FewGuarded {
    _slot: GuardedSlot,
    lives: Arc<ShortLives>,
}

impl FewGuarded {
    /// - `lives`: is told how the instance ends.
    pub(crate) fn new(slot: GuardedSlot, lives: Arc<ShortLives>) -> FewGuarded {
        FewGuarded { _slot: slot, lives }
    }

    /// The instance has ended.
    ///
    /// - `was_short`: whether it ended soon, after its memory had grown.
    pub(crate) fn ended(&self, was_short: bool) {
        self.lives.ended(was_short);
    }
}
