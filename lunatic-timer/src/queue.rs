//! What is due when. Pure data: time is passed in.

use std::collections::BTreeMap;
use std::time::Instant;

/// Things in the order in which they are due; of two that are due at the same
/// time, the one that was inserted first.
#[derive(Debug)]
pub struct TimerQueue<P> {
    entries: BTreeMap<TimerKey, P>,
    next: u64,
}

/// The place of one thing in a [`TimerQueue`]; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerKey {
    due: Instant,
    number: u64,
}

impl<P> TimerQueue<P> {
    /// An empty queue.
    pub fn new() -> TimerQueue<P> {
        TimerQueue {
            entries: BTreeMap::new(),
            next: 0,
        }
    }

    /// Adds something that is due at a time.
    pub fn insert(&mut self, due: Instant, payload: P) -> TimerKey {
        let key = TimerKey {
            due,
            number: self.next,
        };
        self.next += 1;
        self.entries.insert(key, payload);
        key
    }

    /// Takes something out, if it is still there.
    pub fn remove(&mut self, key: TimerKey) -> Option<P> {
        self.entries.remove(&key)
    }

    /// Whether something is still there.
    pub fn contains(&self, key: TimerKey) -> bool {
        self.entries.contains_key(&key)
    }

    /// Takes the next thing that is due at `now`.
    pub fn pop_due(&mut self, now: Instant) -> Option<P> {
        let entry = self.entries.first_entry()?;
        (entry.key().due <= now).then(|| entry.remove())
    }

    /// When the next thing is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.entries.first_key_value().map(|(key, _)| key.due)
    }

    /// How many things are waiting.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is waiting.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<P> Default for TimerQueue<P> {
    fn default() -> Self {
        TimerQueue::new()
    }
}
