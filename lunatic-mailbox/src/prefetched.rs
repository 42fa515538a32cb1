//! The oldest messages of a long queue, which the owner has taken out in advance.
//!
//! If a process sends faster than another receives, both contend for the lock of the mailbox.
//! So the owner takes small messages out in batches, and receives them without the lock. They
//! count as queued until they are received, but are no longer charged to their senders: they
//! take less than 2 KiB, which the owner has paid for with the mailbox.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::message::Message;
use crate::queued::{Queued, Unused};
use crate::wanted::Wanted;

/// The highest number of messages that are taken out at once.
const BATCH: usize = 32;

const _: () = assert!(BATCH * size_of::<Message>() <= 2048);

/// The largest sum of their sizes, in bytes.
const BATCH_BYTES: usize = BATCH * Message::SMALL_BYTES;

/// The length from which a queue is long enough for batches.
const MIN_QUEUE_LENGTH: usize = 16;

/// The messages that were taken out, the oldest first.
#[derive(Debug)]
pub(crate) struct Prefetched {
    messages: VecDeque<Message>,
    count: Count,
}

/// How many messages the owner has taken out and not received yet. Only the owner changes
/// it, without the lock.
#[derive(Debug, Clone, Default)]
pub(crate) struct Count(Arc<AtomicU64>);

impl Prefetched {
    pub(crate) fn new(count: Count) -> Prefetched {
        Prefetched {
            messages: VecDeque::with_capacity(BATCH),
            count,
        }
    }

    /// Returns whether the queue is so long that messages should be taken out in batches.
    #[inline]
    pub(crate) fn is_worthwhile(queued: &Queued) -> bool {
        queued.queue.len() >= MIN_QUEUE_LENGTH
    }

    /// Takes small messages out of the queue, the oldest first.
    ///
    /// - `unused`: as for [`Queued::take_first`].
    pub(crate) fn fill(&mut self, queued: &mut Queued, unused: &mut Unused) {
        // A few are left, so that senders and the owner rarely meet at one.
        let batch = BATCH.min(queued.queue.len() / 2);
        let mut taken = None;
        while self.messages.len() < batch
            && unused.is_none()
            && queued.queue.first().is_some_and(Message::is_small)
            && queued.take_first(&mut taken, unused)
            && let Some(message) = taken.take()
        {
            self.count.add(&message);
            self.messages.push_back(message);
        }
    }

    /// Takes the oldest message that `wanted` matches.
    #[inline]
    pub(crate) fn take(&mut self, wanted: &Wanted) -> Option<Message> {
        let message = match wanted {
            Wanted::Any => self.messages.pop_front(),
            Wanted::Tags(_) => {
                let is_wanted = |message: &Message| wanted.matches(message);
                let position = self.messages.iter().position(is_wanted)?;
                self.messages.remove(position)
            }
        }?;
        self.count.subtract(&message);
        Some(message)
    }
}

impl Count {
    /// The number of messages above the sum of their sizes.
    const SIZE_BITS: u32 = u32::BITS;

    /// The highest number of messages, and the largest sum of their sizes in bytes.
    pub(crate) const MAX: (usize, usize) = (BATCH, BATCH_BYTES);

    /// Returns the number of messages and the sum of their sizes, in bytes.
    pub(crate) fn get(&self) -> (usize, usize) {
        let count = self.0.load(Ordering::Acquire);
        ((count >> Count::SIZE_BITS) as usize, count as u32 as usize)
    }

    fn add(&self, message: &Message) {
        let count = self.0.load(Ordering::Relaxed);
        self.0.store(count + Count::of(message), Ordering::Release);
    }

    #[inline]
    fn subtract(&self, message: &Message) {
        let count = self.0.load(Ordering::Relaxed);
        self.0.store(count - Count::of(message), Ordering::Release);
    }

    #[inline]
    fn of(message: &Message) -> u64 {
        (1 << Count::SIZE_BITS) + message.size() as u64
    }
}
