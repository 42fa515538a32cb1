//! Whose operation is next.

use std::collections::{BTreeMap, VecDeque};

use lunatic_account::Share;

use crate::memory::{Answer, Granted, Need, Needs};
use crate::quotas::Quotas;

/// The waiting operations, and the number of running ones. The users of the queue take turns;
/// operations of one user begin in the order in which they came.
///
/// A user is identified by its share of the processors, directly below the root: all guests that
/// were started by one guest are one user. The program itself is another one.
pub(crate) struct FairQueue<T> {
    /// How many operations of one guest may run at once.
    most: usize,
    lines: BTreeMap<usize, Line<T>>,
    /// The users with an operation that may run, the next one first.
    ready: VecDeque<usize>,
    /// The memory that the running operations need.
    needs: Needs,
    /// The operations that may not wait in a line yet.
    quotas: Quotas<Waiting<T>>,
    next_number: u64,
}

/// The operations of one user.
struct Line<T> {
    /// `None` is the program itself. Keeps its address from being used again.
    share: Option<Share>,
    /// The operations by number, so that one can be removed from anywhere.
    waiting: BTreeMap<u64, (Option<Need>, T)>,
    running: usize,
    /// The number of its running operations that need memory.
    running_needs: usize,
    is_ready: bool,
}

/// An operation that will wait in a line.
struct Waiting<T> {
    /// The share of the user of the line.
    share: Option<Share>,
    need: Option<Need>,
    operation: T,
}

/// The place of a waiting operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    line: usize,
    number: u64,
    /// How much memory it needs while it runs.
    bytes: Option<u64>,
}

impl<T> FairQueue<T> {
    /// Returns an empty queue.
    ///
    /// - `most`: how many operations of one guest may run at once.
    pub(crate) fn new(most: usize) -> FairQueue<T> {
        FairQueue {
            most,
            lines: BTreeMap::new(),
            ready: VecDeque::new(),
            needs: Needs::default(),
            quotas: Quotas::default(),
            next_number: 0,
        }
    }

    /// How many have not begun.
    pub(crate) fn waiting(&self) -> usize {
        let in_lines = self.lines.values().map(|line| line.waiting.len());
        in_lines.sum::<usize>() + self.quotas.kept()
    }

    /// Whether [`begin`](FairQueue::begin) has something.
    pub(crate) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Adds an operation that waits.
    ///
    /// - `need`: the memory that there has to be before it begins.
    pub(crate) fn push(
        &mut self,
        share: Option<&Share>,
        need: Option<Need>,
        operation: T,
    ) -> Ticket {
        let share = share.cloned();
        let number = self.next_number;
        self.next_number += 1;
        let ticket = Ticket {
            line: share.as_ref().map_or(0, |share| share.topmost().address()),
            number,
            bytes: need.as_ref().map(|need| need.bytes),
        };
        let waiting = Waiting {
            share: share.as_ref().map(|share| share.topmost().clone()),
            need,
            operation,
        };
        let entered = self.quotas.enter(number, share.as_ref(), waiting);
        if let Some(waiting) = entered {
            self.line_up(number, waiting);
        }
        ticket
    }

    fn line_up(&mut self, number: u64, waiting: Waiting<T>) {
        let Waiting {
            share,
            need,
            operation,
        } = waiting;
        let key = share.as_ref().map_or(0, Share::address);
        let line = self.lines.entry(key).or_insert_with(|| Line {
            share,
            waiting: BTreeMap::new(),
            running: 0,
            running_needs: 0,
            is_ready: false,
        });
        line.waiting.insert(number, (need, operation));
        self.make_ready(key);
    }

    /// Takes out what has not begun.
    pub(crate) fn remove(&mut self, ticket: Ticket) -> Option<T> {
        if let Some((waiting, entered)) = self.quotas.remove(ticket.number) {
            self.line_all_up(entered);
            return Some(waiting.operation);
        }
        let line = self.lines.get_mut(&ticket.line)?;
        let (_, operation) = line.waiting.remove(&ticket.number)?;
        self.leave(ticket);
        Some(operation)
    }

    /// Removes an operation that was in its line, or has run.
    fn leave(&mut self, ticket: Ticket) {
        let entered = self.quotas.leave(ticket.number);
        self.line_all_up(entered);
        self.forget_if_done(ticket.line);
    }

    fn line_all_up(&mut self, entered: Vec<(u64, Waiting<T>)>) {
        for (number, waiting) in entered {
            self.line_up(number, waiting);
        }
    }

    /// Returns the next operation, which counts as running until it has [ended](FairQueue::end),
    /// and the memory that it is granted. An operation that needs more memory than there is waits
    /// until others that need memory have ended, and so do the operations after it that need some.
    pub(crate) fn begin(&mut self) -> Option<(Ticket, T, Granted)> {
        let mut index = 0;
        let mut somebody_waits_for_memory = false;
        while let Some(key) = self.ready.get(index).copied() {
            let Some(line) = self.lines.get_mut(&key) else {
                self.ready.remove(index);
                continue;
            };
            let Some(first) = line.waiting.first_entry() else {
                self.ready.remove(index);
                line.is_ready = false;
                self.forget_if_done(key);
                continue;
            };
            let granted = match &first.get().0 {
                None => Granted::Nothing,
                Some(_) if somebody_waits_for_memory => {
                    index += 1;
                    continue;
                }
                Some(need) => match self.needs.begin(need, line.running_needs) {
                    Answer::Begins(granted) => granted,
                    Answer::Waits { for_all } => {
                        somebody_waits_for_memory |= for_all;
                        index += 1;
                        continue;
                    }
                },
            };
            let (number, (_, operation)) = first.remove_entry();
            self.ready.remove(index);
            line.is_ready = false;
            line.running += 1;
            let bytes = granted.bytes();
            line.running_needs += usize::from(bytes.is_some());
            self.make_ready(key);
            let ticket = Ticket {
                line: key,
                number,
                bytes,
            };
            return Some((ticket, operation, granted));
        }
        None
    }

    /// Records that an operation has ended.
    pub(crate) fn end(&mut self, ticket: Ticket) {
        if let Some(bytes) = ticket.bytes {
            self.needs.end(bytes);
        }
        if let Some(line) = self.lines.get_mut(&ticket.line) {
            line.running -= 1;
            line.running_needs -= usize::from(ticket.bytes.is_some());
        }
        self.make_ready(ticket.line);
        self.leave(ticket);
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

    /// Removes a line without waiting or running operations. A line that is still among the ready
    /// ones is removed when it is its turn.
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

    use lunatic_account::{Account, AccountLimits, Kind};

    use super::*;

    fn account() -> Account {
        Account::root(AccountLimits::UNLIMITED)
    }

    fn begun(queue: &mut FairQueue<&'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| queue.begin().map(|(_, operation, _)| operation)).collect()
    }

    #[test]
    fn guests_take_turns_and_each_keeps_its_order() {
        let root = account();
        let one = root.branch(AccountLimits::UNLIMITED).unwrap();
        let other = root.branch(AccountLimits::UNLIMITED).unwrap();
        let mut queue = FairQueue::new(8);
        for operation in ["a1", "a2", "a3"] {
            queue.push(one.share(), None, operation);
        }
        queue.push(other.share(), None, "b1");
        queue.push(None, None, "host");
        assert_eq!(queue.waiting(), 5);
        assert_eq!(begun(&mut queue), ["a1", "b1", "host", "a2", "a3"]);
    }

    #[test]
    fn a_guest_and_those_below_it_run_no_more_than_their_part_at_once() {
        let root = account();
        let one = root.branch(AccountLimits::UNLIMITED).unwrap();
        let below = one.branch(AccountLimits::UNLIMITED).unwrap();
        let mut queue = FairQueue::new(2);
        queue.push(one.share(), None, "a1");
        queue.push(below.share(), None, "a2");
        queue.push(below.share(), None, "a3");
        let (first, ..) = queue.begin().unwrap();
        assert!(queue.begin().is_some());
        assert!(queue.begin().is_none());
        assert!(!queue.is_ready());
        queue.push(None, None, "host");
        assert_eq!(begun(&mut queue), ["host"]);
        queue.end(first);
        assert_eq!(begun(&mut queue), ["a3"]);
    }

    fn threads(threads: u64) -> AccountLimits {
        AccountLimits {
            threads,
            ..AccountLimits::UNLIMITED
        }
    }

    #[test]
    fn a_branch_with_a_limit_of_threads_has_no_more_with_those_below_it() {
        let root = account();
        let one = root.branch(threads(2)).unwrap();
        let below = one.branch(threads(1)).unwrap();
        let mut queue = FairQueue::new(8);
        queue.push(below.share(), None, "b1");
        let b2 = queue.push(below.share(), None, "b2");
        queue.push(below.share(), None, "b3");
        queue.push(one.share(), None, "o1");
        queue.push(one.share(), None, "o2");
        assert_eq!(queue.waiting(), 5);
        let (b1, operation, _) = queue.begin().unwrap();
        assert_eq!(operation, "b1");
        let (o1, operation, _) = queue.begin().unwrap();
        assert_eq!(operation, "o1");
        assert!(queue.begin().is_none());
        assert_eq!(queue.remove(b2), Some("b2"));
        queue.end(o1);
        let (o2, operation, _) = queue.begin().unwrap();
        assert_eq!(operation, "o2");
        assert!(queue.begin().is_none());
        queue.end(b1);
        let (b3, operation, _) = queue.begin().unwrap();
        assert_eq!(operation, "b3");
        queue.end(b3);
        queue.end(o2);
        assert_eq!(queue.waiting(), 0);
        assert!(queue.lines.is_empty() && queue.quotas.is_empty());
    }

    #[test]
    fn who_is_kept_by_two_limits_comes_in_when_both_allow() {
        let root = account();
        let one = root.branch(threads(1)).unwrap();
        let below: Vec<_> = (0..3).map(|_| one.branch(threads(1)).unwrap()).collect();
        let mut queue = FairQueue::new(8);
        for round in 0..200 {
            queue.push(below[round % 3].share(), None, "one");
        }
        let mut ran = 0;
        while let Some((ticket, ..)) = queue.begin() {
            assert!(queue.begin().is_none());
            queue.end(ticket);
            ran += 1;
        }
        assert_eq!(ran, 200);
        assert!(queue.lines.is_empty() && queue.quotas.is_empty());
    }

    #[test]
    fn who_always_has_more_leaves_room_to_the_account_above() {
        let root = account();
        let one = root.branch(threads(1)).unwrap();
        let below = one.branch(threads(1)).unwrap();
        let mut queue = FairQueue::new(8);
        queue.push(below.share(), None, "below");
        queue.push(below.share(), None, "below");
        queue.push(one.share(), None, "one");
        for _ in 0..3 {
            let (ticket, operation, _) = queue.begin().unwrap();
            if operation == "one" {
                return;
            }
            queue.push(below.share(), None, "below");
            queue.end(ticket);
        }
        panic!("it waits for ever");
    }

    #[test]
    fn the_program_itself_has_no_limit() {
        let mut queue = FairQueue::new(1);
        for operation in ["1", "2", "3"] {
            queue.push(None, None, operation);
        }
        assert_eq!(begun(&mut queue), ["1", "2", "3"]);
    }

    #[test]
    fn what_is_taken_out_never_begins_and_nothing_is_kept_in_the_end() {
        let root = account();
        let one = root.branch(AccountLimits::UNLIMITED).unwrap();
        let mut queue = FairQueue::new(1);
        let first = queue.push(one.share(), None, "1");
        queue.push(one.share(), None, "2");
        assert_eq!(queue.remove(first), Some("1"));
        assert_eq!(queue.remove(first), None);
        let (second, operation, _) = queue.begin().unwrap();
        assert_eq!(operation, "2");
        assert!(queue.begin().is_none());
        queue.end(second);
        let third = queue.push(one.share(), None, "3");
        queue.remove(third);
        assert!(queue.begin().is_none());
        assert!(queue.lines.is_empty());
    }

    fn need(account: &Account, bytes: u64) -> Option<Need> {
        Some(Need {
            bytes,
            payer: Some(account.clone()),
        })
    }

    #[test]
    fn as_many_begin_as_there_is_memory_for_and_the_others_when_those_have_ended() {
        let root = account();
        root.set_memory_left(100);
        let one = root.branch(AccountLimits::UNLIMITED).unwrap();
        let other = root.branch(AccountLimits::UNLIMITED).unwrap();
        let before = root.used(Kind::Memory);
        let mut queue = FairQueue::new(8);
        queue.push(one.share(), need(&one, 60), "a1");
        queue.push(other.share(), need(&other, 60), "b1");
        queue.push(one.share(), need(&one, 30), "a2");
        queue.push(None, None, "needs nothing");
        let (first, operation, granted) = queue.begin().unwrap();
        assert_eq!(operation, "a1");
        assert_eq!(root.used(Kind::Memory), before + 60);
        // There is memory for `a2`, but `b1` has waited for longer.
        assert_eq!(begun(&mut queue), ["needs nothing"]);
        drop(granted);
        queue.end(first);
        assert_eq!(begun(&mut queue), ["b1", "a2"]);
    }

    #[test]
    fn who_can_never_have_the_memory_is_told_and_nobody_waits_for_it() {
        let root = account();
        let small = AccountLimits {
            memory: 50,
            ..AccountLimits::UNLIMITED
        };
        let one = root.branch(small).unwrap();
        let mut queue = FairQueue::new(8);
        queue.push(one.share(), need(&one, 40), "fits");
        queue.push(one.share(), need(&one, 40), "fits later");
        queue.push(one.share(), need(&one, 60), "never fits");
        let (first, operation, granted) = queue.begin().unwrap();
        assert_eq!(operation, "fits");
        assert!(queue.begin().is_none());
        drop(granted);
        queue.end(first);
        let (second, operation, granted) = queue.begin().unwrap();
        assert_eq!(operation, "fits later");
        assert!(matches!(granted, Granted::Memory { .. }));
        drop(granted);
        queue.end(second);
        let (third, operation, granted) = queue.begin().unwrap();
        assert_eq!(operation, "never fits");
        assert!(matches!(granted, Granted::Refused(exceeded) if exceeded.limit == 50));
        queue.end(third);
        assert!(queue.lines.is_empty());
    }

    #[test]
    fn nobody_waits_behind_a_guest_that_has_reached_its_own_limit() {
        let root = account();
        let small = AccountLimits {
            memory: 100,
            ..AccountLimits::UNLIMITED
        };
        let limited = root.branch(small).unwrap();
        let other = root.branch(AccountLimits::UNLIMITED).unwrap();
        let mut queue = FairQueue::new(8);
        queue.push(limited.share(), need(&limited, 80), "first");
        queue.push(limited.share(), need(&limited, 80), "second");
        queue.push(other.share(), need(&other, 80), "other");
        let (first, operation, granted) = queue.begin().unwrap();
        assert_eq!(operation, "first");
        assert_eq!(begun(&mut queue), ["other"]);
        drop(granted);
        queue.end(first);
        assert_eq!(begun(&mut queue), ["second"]);
    }

    #[test]
    fn the_program_itself_may_always_have_one_operation() {
        let root = account();
        root.set_memory_left(10);
        let mut queue = FairQueue::new(8);
        queue.push(None, need(&root, 1000), "1");
        queue.push(None, need(&root, 1000), "2");
        let (first, operation, granted) = queue.begin().unwrap();
        assert_eq!(operation, "1");
        assert!(matches!(granted, Granted::Memory { .. }));
        assert!(queue.begin().is_none());
        queue.end(first);
        assert_eq!(begun(&mut queue), ["2"]);
    }
}
