//! What was queued in a mailbox when it was closed.

use crate::mailbox::Waiting;
use crate::queued::Queued;

/// The messages of a mailbox that was closed. Dropping it drops all of them at once,
/// which takes seconds for millions of messages; a task that must not run for so long
/// calls [`drop_some`](Leftover::drop_some) until nothing is left.
#[derive(Debug, Default)]
#[must_use = "dropping it may take long"]
pub struct Leftover {
    queued: Queued,
    _waiting: Option<Waiting>,
}

impl Leftover {
    pub(crate) fn new(queued: Queued, waiting: Option<Waiting>) -> Leftover {
        Leftover {
            queued,
            _waiting: waiting,
        }
    }

    /// Drops the oldest messages. Returns whether there are more.
    ///
    /// - `count`: how many at most.
    pub fn drop_some(&mut self, count: usize) -> bool {
        for _ in 0..count {
            let Some(taken) = self.queued.take_first() else {
                return false;
            };
            drop(taken);
        }
        !self.queued.queue.is_empty()
    }
}
