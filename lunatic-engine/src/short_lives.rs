//! Whether the instances of a module end soon after their memories have grown.

use std::sync::atomic::{AtomicU32, Ordering};

/// Counts the instances of a module with guarded memories that have ended soon after their
/// memories have grown. To grow a guarded memory, and to make it small again for the next
/// instance, takes two calls of the kernel, which is more than such an instance gains.
#[derive(Debug, Default)]
pub(crate) struct ShortLives {
    /// How many there were, one after the other; beyond [`ENOUGH`](ShortLives::ENOUGH), how
    /// many were made since with dense memories.
    in_a_row: AtomicU32,
}

impl ShortLives {
    /// After so many, memories are dense.
    const ENOUGH: u32 = 256;

    /// After so many dense ones, guarded ones are tried again.
    const DENSE: u32 = 16 * ShortLives::ENOUGH;

    /// An instance with a guarded memory has ended.
    ///
    /// - `was_short`: whether it ended soon, after its memory had grown.
    pub(crate) fn ended(&self, was_short: bool) {
        let count = self.in_a_row.load(Ordering::Relaxed);
        match was_short {
            true if count < ShortLives::ENOUGH => {
                self.in_a_row.fetch_add(1, Ordering::Relaxed);
            }
            false if count > 0 => self.in_a_row.store(0, Ordering::Relaxed),
            _ => {}
        }
    }

    /// Whether there were enough of them.
    pub(crate) fn are_usual(&self) -> bool {
        self.in_a_row.load(Ordering::Relaxed) >= ShortLives::ENOUGH
    }

    /// Whether the next instance is to have a dense memory, which is counted.
    pub(crate) fn is_next_dense(&self) -> bool {
        if !self.are_usual() {
            return false;
        }
        let dense = self.in_a_row.fetch_add(1, Ordering::Relaxed) - ShortLives::ENOUGH;
        if dense >= ShortLives::DENSE {
            self.in_a_row.store(0, Ordering::Relaxed);
        }
        dense < ShortLives::DENSE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_short_lives_in_a_row_make_memories_dense_for_a_while() {
        let lives = ShortLives::default();
        for _ in 1..ShortLives::ENOUGH {
            lives.ended(true);
        }
        assert!(!lives.is_next_dense());
        lives.ended(true);
        assert!(lives.are_usual());
        for _ in 0..ShortLives::DENSE {
            assert!(lives.is_next_dense());
        }
        assert!(!lives.is_next_dense());
        assert!(!lives.are_usual());
    }

    #[test]
    fn a_long_life_begins_a_new_row() {
        let lives = ShortLives::default();
        for _ in 1..ShortLives::ENOUGH {
            lives.ended(true);
        }
        lives.ended(false);
        lives.ended(true);
        assert!(!lives.are_usual());
    }
}
