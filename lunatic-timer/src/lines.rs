//! Several queues of timers, which take turns when much is due at once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use crate::queue::{TimerKey, TimerQueue};

/// Queues by the number of whom they are. What one of them has due comes out in its order; if several
/// have something due, one of each comes out after the other, however many the others have.
#[derive(Debug)]
pub(crate) struct Lines<P> {
    lines: BTreeMap<u64, Line<P>>,
    /// Those of which nothing was due when it was last looked, by when something is.
    later: BTreeSet<(Instant, u64)>,
    /// Those of which something is due, the next one first. One may have ended since.
    ready: VecDeque<u64>,
    len: usize,
    /// No timer has this number or a greater one, of those in lines that have ended.
    next_number: u64,
}

#[derive(Debug)]
struct Line<P> {
    queue: TimerQueue<P>,
    /// The time under which it is among those for later; `None` if it is ready.
    listed: Option<Instant>,
}

impl<P> Default for Lines<P> {
    fn default() -> Lines<P> {
        Lines {
            lines: BTreeMap::new(),
            later: BTreeSet::new(),
            ready: VecDeque::new(),
            len: 0,
            next_number: 0,
        }
    }
}

impl<P> Lines<P> {
    /// Adds a value to a line, and returns its key in that.
    pub(crate) fn insert(&mut self, number: u64, due: Instant, payload: P) -> TimerKey {
        let (later, next_number) = (&mut self.later, self.next_number);
        let line = self.lines.entry(number).or_insert_with(|| {
            later.insert((due, number));
            Line {
                queue: TimerQueue::beginning_with(next_number),
                listed: Some(due),
            }
        });
        let key = line.queue.insert(due, payload);
        self.len += 1;
        self.list(number);
        key
    }

    /// Takes the value with this key out of a line, if it is still queued.
    pub(crate) fn remove(&mut self, number: u64, key: TimerKey) -> Option<P> {
        let removed = self.lines.get_mut(&number)?.queue.remove(key)?;
        self.len -= 1;
        self.list(number);
        Some(removed)
    }

    /// Returns whether the value with this key is still queued in a line.
    pub(crate) fn contains(&self, number: u64, key: TimerKey) -> bool {
        let line = self.lines.get(&number);
        line.is_some_and(|line| line.queue.contains(key))
    }

    /// Takes the next value out that is due at `now` or before.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<P> {
        while let Some((due, number)) = self.later.first().copied()
            && due <= now
        {
            self.later.pop_first();
            if let Some(line) = self.lines.get_mut(&number) {
                line.listed = None;
                self.ready.push_back(number);
            }
        }
        while let Some(number) = self.ready.pop_front() {
            let Some(line) = self.lines.get_mut(&number) else {
                continue;
            };
            // One of the same number may have begun since.
            if line.listed.is_some() {
                continue;
            }
            let popped = line.queue.pop_due(now);
            self.len -= usize::from(popped.is_some());
            match line.queue.next_due() {
                Some(due) if due <= now => self.ready.push_back(number),
                Some(due) => {
                    line.listed = Some(due);
                    self.later.insert((due, number));
                }
                None => self.end(number),
            }
            if popped.is_some() {
                return popped;
            }
        }
        None
    }

    /// Returns the time at which the next value is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let ready = self.ready.iter();
        let ready = ready.filter_map(|number| self.lines.get(number)?.queue.next_due());
        let later = self.later.first().map(|(due, _)| *due);
        ready.chain(later).min()
    }

    /// Returns the number of queued values.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Notes when the first value of a line is due.
    fn list(&mut self, number: u64) {
        let Some(line) = self.lines.get_mut(&number) else {
            return;
        };
        let Some(due) = line.queue.next_due() else {
            self.end(number);
            return;
        };
        if let Some(before) = line.listed
            && before != due
        {
            line.listed = Some(due);
            self.later.remove(&(before, number));
            self.later.insert((due, number));
        }
    }

    /// Forgets a line that has nothing.
    fn end(&mut self, number: u64) {
        if let Some(line) = self.lines.remove(&number) {
            self.next_number = self.next_number.max(line.queue.next_number());
            if let Some(listed) = line.listed {
                self.later.remove(&(listed, number));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn lines_that_have_something_due_take_turns() {
        let now = Instant::now();
        let at = |millis| now + Duration::from_millis(millis);
        let mut lines = Lines::default();
        for value in 0..1000 {
            lines.insert(1, at(0), value);
        }
        lines.insert(2, at(1), 2000);
        lines.insert(2, at(9), 2001);
        lines.insert(3, at(1), 3000);
        let mut pop = || lines.pop_due(at(2));
        assert_eq!([pop(), pop(), pop()], [Some(0), Some(2000), Some(3000)]);
        assert_eq!([pop(), pop()], [Some(1), Some(2)]);
        for _ in 3..1000 {
            assert!(pop().is_some());
        }
        assert_eq!(pop(), None);
        assert_eq!((lines.next_due(), lines.len()), (Some(at(9)), 1));
        assert_eq!(lines.lines.len(), 1);
    }

    #[test]
    fn a_line_that_ends_and_begins_anew_has_other_keys() {
        let now = Instant::now();
        let mut lines = Lines::default();
        let first = lines.insert(1, now, "first");
        assert_eq!(lines.remove(1, first), Some("first"));
        let second = lines.insert(1, now, "second");
        assert_ne!(first, second);
        assert!(lines.contains(1, second) && !lines.contains(1, first));
        assert_eq!(lines.pop_due(now), Some("second"));
        assert_eq!(lines.next_due(), None);
        assert!(lines.later.is_empty() && lines.ready.is_empty());
    }

    #[test]
    fn the_first_of_a_line_may_change() {
        let now = Instant::now();
        let at = |millis| now + Duration::from_millis(millis);
        let mut lines = Lines::default();
        lines.insert(1, at(5), "later");
        let sooner = lines.insert(1, at(2), "sooner");
        assert_eq!(lines.next_due(), Some(at(2)));
        lines.remove(1, sooner);
        assert_eq!(lines.next_due(), Some(at(5)));
        assert_eq!(lines.pop_due(at(4)), None);
        assert_eq!(lines.pop_due(at(5)), Some("later"));
    }
}
