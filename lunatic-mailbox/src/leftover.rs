//! What was queued in a mailbox when it was closed.

use std::task::Waker;

use crate::message::Message;
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
    /// - `count`: how many at most, each counted with its resources.
    pub fn drop_some(&mut self, count: usize) -> bool {
        let mut dropped = 0;
        while dropped < count {
            let mut message = None;
            if !self.queued.take_first(&mut message, &mut None) {
                return false;
            }
            let resources = match &message {
                Some(Message::Data(data)) => data.resource_count(),
                _ => 0,
            };
            dropped += 1 + resources;
        }
        !self.queued.queue.is_empty()
    }
}
