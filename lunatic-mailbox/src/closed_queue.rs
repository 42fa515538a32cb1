//! The messages that were queued in a mailbox when it was closed.

use std::task::Waker;

use crate::message::Message;
use crate::queued::Queued;

/// The messages of a mailbox that was closed. Dropping this drops all of them at once,
/// which takes seconds for millions of messages. A task that must not run for that long
/// calls [`drop_some`](ClosedQueue::drop_some) until it returns false.
#[derive(Debug, Default)]
#[must_use = "dropping it may take long"]
pub struct ClosedQueue {
    queued: Queued,
    /// The waker of the receiver that waited; it may be the last reference to a task.
    _waker: Option<Waker>,
}

impl ClosedQueue {
    pub(crate) fn new(queued: Queued, waker: Option<Waker>) -> ClosedQueue {
        ClosedQueue {
            queued,
            _waker: waker,
        }
    }

    /// Drops the oldest messages. Returns whether there are more.
    ///
    /// - `count`: the highest number of messages and resources to drop; the last message may
    ///   exceed it by its resources.
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
