//! How many reloads there were, by what came of them.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many reloads there were, by what came of them.
#[derive(Debug, Default)]
pub(crate) struct ReloadCounts([AtomicU64; 4]);

/// What came of a reload.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Counted {
    Moved,
    Partly,
    Unchanged,
    Refused,
}

impl ReloadCounts {
    /// Counts one more.
    pub(crate) fn count(&self, reload: Counted) {
        self.0[reload as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many there were, by a name for what came of them.
    pub(crate) fn get(&self) -> [(&'static str, u64); 4] {
        [
            ("moved", Counted::Moved),
            ("partly", Counted::Partly),
            ("unchanged", Counted::Unchanged),
            ("refused", Counted::Refused),
        ]
        .map(|(name, reload)| (name, self.0[reload as usize].load(Ordering::Relaxed)))
    }
}
