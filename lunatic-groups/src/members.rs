//! The processes of one group, without locks or tasks.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use lunatic_mailbox::Pid;

/// The processes of a group, each as often as it joined.
///
/// The time to join, to leave, or to find the next one hardly depends on their
/// number. They can be listed in pieces: each has a number when it joins, which is
/// greater than all before and stays until it has left.
///
/// # Examples
///
/// ```
/// use lunatic_groups::Members;
/// use lunatic_mailbox::Pid;
///
/// let (one, other) = (Pid::from_bits(1), Pid::from_bits(2));
/// let mut members = Members::new();
/// members.join(one);
/// members.join(one);
/// members.join(other);
/// assert_eq!((members.len(), members.distinct().len()), (3, 2));
///
/// // Each process is the next one as often as any other.
/// assert_ne!(members.next(), members.next());
/// ```
#[derive(Debug, Default)]
pub struct Members {
    /// Each process once, with how many memberships it has, by the number that it has got.
    list: BTreeMap<u64, (Pid, u32)>,
    /// The number of each process in the list.
    numbers: BTreeMap<Pid, u64>,
    /// The number that the next process gets.
    end: u64,
    /// How many memberships all processes have.
    joins: usize,
    /// The next process is the first one with this number or a greater one.
    next: AtomicU64,
}

/// A process in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// The number that it has got when it joined.
    pub number: u64,
    /// The process.
    pub process: Pid,
    /// How many memberships it has.
    pub times: u32,
}

impl Members {
    /// Returns a group without members.
    pub fn new() -> Members {
        Members::default()
    }

    /// Returns a group without members, of which the first one gets this number.
    pub(crate) fn numbered_from(number: u64) -> Members {
        Members {
            end: number,
            ..Members::default()
        }
    }

    /// Adds a membership of a process, even if it has one. Returns its number.
    pub fn join(&mut self, member: Pid) -> u64 {
        let number = *self.numbers.entry(member).or_insert(self.end);
        self.list.entry(number).or_insert((member, 0)).1 += 1;
        self.end = self.end.max(number + 1);
        self.joins += 1;
        number
    }

    /// Returns the number of a process; `None` if it is no member.
    pub(crate) fn number(&self, member: Pid) -> Option<u64> {
        self.numbers.get(&member).copied()
    }

    /// Removes one membership of a process. Returns whether it had one.
    pub fn leave(&mut self, member: Pid) -> bool {
        let Some(number) = self.numbers.get(&member) else {
            return false;
        };
        match self.list.get_mut(number) {
            Some((_, times)) if *times > 1 => {
                *times -= 1;
                self.joins -= 1;
            }
            _ => {
                self.remove(member);
            }
        }
        true
    }

    /// Removes all memberships of a process, and returns how many it had.
    pub fn remove(&mut self, member: Pid) -> u32 {
        let number = self.numbers.remove(&member);
        let removed = number.and_then(|number| self.list.remove(&number));
        let times = removed.map_or(0, |(_, times)| times);
        self.joins -= times as usize;
        times
    }

    /// Returns how many memberships a process has.
    pub fn times(&self, member: Pid) -> u32 {
        let number = self.numbers.get(&member);
        let found = number.and_then(|number| self.list.get(number));
        found.map_or(0, |(_, times)| *times)
    }

    /// Returns each process as often as it joined, in any order.
    pub fn iter(&self) -> impl Iterator<Item = Pid> {
        self.list
            .values()
            .flat_map(|(member, times)| std::iter::repeat_n(*member, *times as usize))
    }

    /// Returns each process once that has this number or a greater one, by their numbers.
    pub fn from(&self, number: u64) -> impl Iterator<Item = Member> {
        let rest = self.list.range(number..);
        rest.map(|(&number, &(process, times))| Member {
            number,
            process,
            times,
        })
    }

    /// Returns the number that the next process gets that joins: all that are here have less.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Returns each process once, in any order.
    pub fn distinct(&self) -> impl ExactSizeIterator<Item = Pid> {
        self.list.values().map(|(member, _)| *member)
    }

    /// Returns another process with each call. Each one is returned once before the
    /// first one is returned again, as long as none joins or leaves.
    pub fn next(&self) -> Option<Pid> {
        let mut from = self.next.load(Ordering::Relaxed);
        loop {
            let rest = self.list.range(from..).next();
            let (number, (member, _)) = rest.or_else(|| self.list.first_key_value())?;
            let taken = self.next.compare_exchange_weak(
                from,
                number + 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            match taken {
                Ok(_) => return Some(*member),
                Err(changed) => from = changed,
            }
        }
    }

    /// Returns how many memberships all processes have.
    pub fn len(&self) -> usize {
        self.joins
    }

    /// Returns whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.joins == 0
    }
}
