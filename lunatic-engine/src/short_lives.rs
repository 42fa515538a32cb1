//! Whether the instances of a module end soon after their memories have grown.

use std::sync::atomic::{AtomicU32, Ordering};

/// Counts the instances of a module with guarded memories that have ended soon after their
/// memories have grown. Growing a guarded memory, and shrinking it again for the next
/// instance, takes two system calls, which cost more than such an instance gains.
#[derive(Debug, Default)]
pub(crate) struct ShortLives {
    /// The number of short lives one after the other, up to
    /// [`MIN_IN_A_ROW`](ShortLives::MIN_IN_A_ROW); above that, also the number of instances
    /// that got dense memories since then.
    in_a_row: AtomicU32,
}

impl ShortLives {
    /// The number of short lives in a row after which instances get dense memories.
    const MIN_IN_A_ROW: u32 = 256;

    /// The number of instances with dense memories after which guarded ones are tried again.
    const DENSE_INSTANCES: u32 = 16 * ShortLives::MIN_IN_A_ROW;

    /// Records that an instance with a guarded memory has ended.
    ///
    /// - `was_short`: whether it ended soon, after its memory had grown.
    pub(crate) fn ended(&self, was_short: bool) {
        let count = self.in_a_row.load(Ordering::Relaxed);
        match was_short {
            true if count < ShortLives::MIN_IN_A_ROW => {
                self.in_a_row.fetch_add(1, Ordering::Relaxed);
            }
            false if count > 0 => self.in_a_row.store(0, Ordering::Relaxed),
            _ => {}
        }
    }

    /// Whether the last instances had short lives, [`MIN_IN_A_ROW`](ShortLives::MIN_IN_A_ROW) of
    /// them.
    pub(crate) fn are_usual(&self) -> bool {
        self.in_a_row.load(Ordering::Relaxed) >= ShortLives::MIN_IN_A_ROW
    }

    /// Whether the next instance gets a dense memory; each call counts as one instance.
    pub(crate) fn is_next_dense(&self) -> bool {
        if !self.are_usual() {
            return false;
        }
        let dense = self.in_a_row.fetch_add(1, Ordering::Relaxed) - ShortLives::MIN_IN_A_ROW;
        if dense >= ShortLives::DENSE_INSTANCES {
            self.in_a_row.store(0, Ordering::Relaxed);
        }
        dense < ShortLives::DENSE_INSTANCES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_short_lives_in_a_row_make_memories_dense_for_a_while() {
        let lives = ShortLives::default();
        for _ in 1..ShortLives::MIN_IN_A_ROW {
            lives.ended(true);
        }
        assert!(!lives.is_next_dense());
        lives.ended(true);
        assert!(lives.are_usual());
        for _ in 0..ShortLives::DENSE_INSTANCES {
            assert!(lives.is_next_dense());
        }
        assert!(!lives.is_next_dense());
        assert!(!lives.are_usual());
    }

    #[test]
    fn a_long_life_begins_a_new_row() {
        let lives = ShortLives::default();
        for _ in 1..ShortLives::MIN_IN_A_ROW {
            lives.ended(true);
        }
        lives.ended(false);
        lives.ended(true);
        assert!(!lives.are_usual());
    }
}
