//! What was queued in a mailbox when it was closed.

use std::task::Waker;

use crate::queued::Queued;

/// The messages of a mailbox that was closed. Dropping it drops all of them at once,
/// which takes seconds for millions of messages; a task that must not run for so long
/// calls [`drop_some`](Leftover::drop_some) until nothing is left.
#[derive(Debug, Default)]
#[must_use = "dropping it may take long"]
pub struct Leftover {
    queued: Queued,
    /// Of who waited; it may be the last reference to a task.
    _waker: Option<Waker>,
}

impl Leftover {
    pub(crate) fn new(queued: Queued, waker: Option<Waker>) -> Leftover {
        Leftover {
            queued,
            _waker: waker,
        }
    }

    /// Drops the oldest messages. Returns whether there are more.
    ///
    /// - `count`: how many at most.
    pub fn drop_some(&mut self, count: usize) -> bool {
        for _ in 0..count {
            if !self.queued.take_first(&mut None, &mut None) {
                return false;
            }
        }
        !self.queued.queue.is_empty()
    }
}
