//! How often children were started again.

use std::sync::atomic::{AtomicU64, Ordering};

static RESTARTS: AtomicU64 = AtomicU64::new(0);

/// Counts one more restart.
pub(crate) fn count_restart() {
    RESTARTS.fetch_add(1, Ordering::Relaxed);
}

/// How often children of all supervisors of the program were started again.
pub fn restarts() -> u64 {
    RESTARTS.load(Ordering::Relaxed)
}
