//! A queue sorted by time, which has no clock itself.

use std::collections::BTreeMap;
use std::time::Instant;

/// A queue of values, each of which is due at a time.
///
/// The value that is due first comes out first, and of two that are due at the same
/// time the one that was inserted first.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use lunatic_timer::TimerQueue;
///
/// let now = Instant::now();
/// let mut queue = TimerQueue::new();
/// queue.insert(now + Duration::from_secs(2), "later");
/// let cancelled = queue.insert(now, "never");
/// queue.insert(now, "now");
///
/// assert_eq!(queue.remove(cancelled), Some("never"));
/// assert_eq!(queue.pop_due(now), Some("now"));
/// assert_eq!(queue.pop_due(now), None);
/// assert_eq!(queue.next_due(), Some(now + Duration::from_secs(2)));
/// ```
#[derive(Debug)]
pub struct TimerQueue<P> {
    entries: BTreeMap<TimerKey, P>,
    next: u64,
}

/// The key of one value in a [`TimerQueue`]. Keys are not used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerKey {
    due: Instant,
    number: u64,
}

impl<P> TimerQueue<P> {
    /// Returns an empty queue.
    pub fn new() -> TimerQueue<P> {
        TimerQueue::beginning_with(0)
    }

    /// Returns an empty queue whose keys are others than those with a lower number.
    pub(crate) fn beginning_with(next: u64) -> TimerQueue<P> {
        TimerQueue {
            entries: BTreeMap::new(),
            next,
        }
    }

    /// Returns the number that the next key gets.
    pub(crate) fn next_number(&self) -> u64 {
        self.next
    }

    /// Adds a value that is due at a time, and returns its key.
    pub fn insert(&mut self, due: Instant, payload: P) -> TimerKey {
        let key = TimerKey {
            due,
            number: self.next,
        };
        self.next += 1;
        self.entries.insert(key, payload);
        key
    }

    /// Takes the value with this key out, if it is still queued.
    pub fn remove(&mut self, key: TimerKey) -> Option<P> {
        self.entries.remove(&key)
    }

    /// Returns whether the value with this key is still queued.
    pub fn contains(&self, key: TimerKey) -> bool {
        self.entries.contains_key(&key)
    }

    /// Takes the next value out, if it is due at `now` or before.
    pub fn pop_due(&mut self, now: Instant) -> Option<P> {
        let entry = self.entries.first_entry()?;
        (entry.key().due <= now).then(|| entry.remove())
    }

    /// Returns the time at which the next value is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.entries.first_key_value().map(|(key, _)| key.due)
    }

    /// Returns the number of queued values.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether no value is queued.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<P> Default for TimerQueue<P> {
    fn default() -> Self {
        TimerQueue::new()
    }
}
