//! A limited number of permits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One of a limited number of permits. It is returned when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit(Arc<AtomicUsize>);

impl Permit {
    /// Takes a permit; `None` if all are taken.
    pub(crate) fn take(taken: &Arc<AtomicUsize>, permits: usize) -> Option<Permit> {
        let next = |count: usize| (count < permits).then_some(count + 1);
        let took = taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        took.ok().map(|_| Permit(taken.clone()))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
