//! Whose operation is next.

use std::collections::{BTreeMap, VecDeque};

use lunatic_account::Share;

/// What waits, and how much runs. Those who ask take turns; what one asks for begins in the
/// order in which it came.
///
/// Who asks is told by the share of the processors that they have, as far as that is one
/// right below the root: guests that were started by one guest are one of them. The program
/// itself is another one.
pub(crate) struct Turns<T> {
    /// How many operations of one guest may run at once.
    most: usize,
    lines: BTreeMap<usize, Line<T>>,
    /// Those that have something to run and may, the next one first.
    ready: VecDeque<usize>,
    next_number: u64,
}

/// What one of them asks for.
struct Line<T> {
    /// `None` is the program itself. Keeps its address from being used again.
    share: Option<Share>,
    /// By their numbers, so that one can be taken out from anywhere.
    waiting: BTreeMap<u64, T>,
    running: usize,
    is_ready: bool,
}

/// Where something waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    line: usize,
    number: u64,
}

impl<T> Turns<T> {
    /// Nothing waits.
    ///
    /// - `most`: how many operations of one guest may run at once.
    pub(crate) fn new(most: usize) -> Turns<T> {
        Turns {
            most,
            lines: BTreeMap::new(),
            ready: VecDeque::new(),
            next_number: 0,
        }
    }

    /// How many have not begun.
    pub(crate) fn waiting(&self) -> usize {
        self.lines.values().map(|line| line.waiting.len()).sum()
    }

    /// Whether [`begin`](Turns::begin) has something.
    pub(crate) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Has `operation` wait.
    pub(crate) fn push(&mut self, share: Option<&Share>, operation: T) -> Ticket {
        let share = share.map(Share::topmost);
        let key = share.map_or(0, Share::address);
        let number = self.next_number;
        self.next_number += 1;
        let line = self.lines.entry(key).or_insert_with(|| Line {
            share: share.cloned(),
            waiting: BTreeMap::new(),
            running: 0,
            is_ready: false,
        });
        line.waiting.insert(number, operation);
        self.make_ready(key);
        Ticket { line: key, number }
    }

    /// Takes out what has not begun.
    pub(crate) fn remove(&mut self, ticket: Ticket) -> Option<T> {
        let line = self.lines.get_mut(&ticket.line)?;
        let removed = line.waiting.remove(&ticket.number);
        self.forget_if_done(ticket.line);
        removed
    }

    /// The next one, which runs from now on until it has [ended](Turns::end).
    pub(crate) fn begin(&mut self) -> Option<(Ticket, T)> {
        while let Some(key) = self.ready.pop_front() {
            let Some(line) = self.lines.get_mut(&key) else {
                continue;
            };
            line.is_ready = false;
            let Some((number, operation)) = line.waiting.pop_first() else {
                self.forget_if_done(key);
                continue;
            };
            line.running += 1;
            self.make_ready(key);
            return Some((Ticket { line: key, number }, operation));
        }
        None
    }

    /// What has begun has ended.
    pub(crate) fn end(&mut self, ticket: Ticket) {
        if let Some(line) = self.lines.get_mut(&ticket.line) {
            line.running -= 1;
        }
        self.make_ready(ticket.line);
        self.forget_if_done(ticket.line);
    }

    fn make_ready(&mut self, key: usize) {
        let Some(line) = self.lines.get_mut(&key) else {
            return;
        };
        let may_run = line.share.is_none() || line.running < self.most;
        if may_run && !line.is_ready && !line.waiting.is_empty() {
            line.is_ready = true;
            self.ready.push_back(key);
        }
    }

    /// A line of which nothing waits or runs is not kept. One that is still among those
    /// that are ready is forgotten when it comes first.
    fn forget_if_done(&mut self, key: usize) {
        let is_done =
            |line: &Line<T>| line.waiting.is_empty() && line.running == 0 && !line.is_ready;
        if self.lines.get(&key).is_some_and(is_done) {
            self.lines.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use lunatic_account::{Account, AccountLimits};

    use super::*;

    fn account() -> Account {
        Account::root(AccountLimits::UNLIMITED)
    }

    fn begun(turns: &mut Turns<&'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| turns.begin().map(|(_, operation)| operation)).collect()
    }

    #[test]
    fn guests_take_turns_and_each_keeps_its_order() {
        let root = account();
        let one = root.branch(AccountLimits::UNLIMITED).unwrap();
        let other = root.branch(AccountLimits::UNLIMITED).unwrap();
        let mut turns = Turns::new(8);
        for operation in ["a1", "a2", "a3"] {
            turns.push(one.share(), operation);
        }
        turns.push(other.share(), "b1");
        turns.push(None, "host");
        assert_eq!(turns.waiting(), 5);
        assert_eq!(begun(&mut turns), ["a1", "b1", "host", "a2", "a3"]);
    }

    #[test]
    fn a_guest_and_those_below_it_run_no_more_than_their_part_at_once() {
        let root = account();
        let one = root.branch(AccountLimits::UNLIMITED).unwrap();
        let below = one.branch(AccountLimits::UNLIMITED).unwrap();
        let mut turns = Turns::new(2);
        turns.push(one.share(), "a1");
        turns.push(below.share(), "a2");
        turns.push(below.share(), "a3");
        let (first, _) = turns.begin().unwrap();
        assert!(turns.begin().is_some());
        assert!(turns.begin().is_none());
        assert!(!turns.is_ready());
        turns.push(None, "host");
        assert_eq!(begun(&mut turns), ["host"]);
        turns.end(first);
        assert_eq!(begun(&mut turns), ["a3"]);
    }

    #[test]
    fn the_program_itself_has_no_limit() {
        let mut turns = Turns::new(1);
        for operation in ["1", "2", "3"] {
            turns.push(None, operation);
        }
        assert_eq!(begun(&mut turns), ["1", "2", "3"]);
    }

    #[test]
    fn what_is_taken_out_never_begins_and_nothing_is_kept_in_the_end() {
        let root = account();
        let one = root.branch(AccountLimits::UNLIMITED).unwrap();
        let mut turns = Turns::new(1);
        let first = turns.push(one.share(), "1");
        turns.push(one.share(), "2");
        assert_eq!(turns.remove(first), Some("1"));
        assert_eq!(turns.remove(first), None);
        let (second, operation) = turns.begin().unwrap();
        assert_eq!(operation, "2");
        assert!(turns.begin().is_none());
        turns.end(second);
        let third = turns.push(one.share(), "3");
        turns.remove(third);
        assert!(turns.begin().is_none());
        assert!(turns.lines.is_empty());
    }
}
