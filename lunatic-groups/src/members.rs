//! The processes of one group, without locks or tasks.

use std::sync::atomic::{AtomicUsize, Ordering};

use lunatic_mailbox::{Pid, PidMap};

/// The processes of a group, each as often as it joined.
///
/// The time to join, to leave, or to find the next one does not depend on their
/// number.
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
    /// Each process once, with the number of its memberships.
    list: Vec<(Pid, u32)>,
    /// The index of each process in the list.
    places: PidMap<usize>,
    /// The number of memberships of all processes.
    joins: usize,
    next: AtomicUsize,
}

impl Members {
    /// Returns a group without members.
    pub fn new() -> Members {
        Members::default()
    }

    /// Adds a membership of a process, even if it has one.
    pub fn join(&mut self, member: Pid) {
        let place = *self.places.entry(member).or_insert_with(|| {
            self.list.push((member, 0));
            self.list.len() - 1
        });
        self.list[place].1 += 1;
        self.joins += 1;
    }

    /// Removes one membership of a process. Returns whether it had one.
    pub fn leave(&mut self, member: Pid) -> bool {
        let Some(&place) = self.places.get(&member) else {
            return false;
        };
        match self.list[place].1 {
            1 => {
                self.remove(member);
            }
            _ => {
                self.list[place].1 -= 1;
                self.joins -= 1;
            }
        }
        true
    }

    /// Removes all memberships of a process, and returns their number.
    pub fn remove(&mut self, member: Pid) -> u32 {
        let Some(place) = self.places.remove(&member) else {
            return 0;
        };
        let (_, times) = self.list.swap_remove(place);
        if let Some((moved, _)) = self.list.get(place) {
            self.places.insert(*moved, place);
        }
        self.joins -= times as usize;
        times
    }

    /// Returns the number of memberships of a process.
    pub fn times(&self, member: Pid) -> u32 {
        self.places
            .get(&member)
            .map_or(0, |place| self.list[*place].1)
    }

    /// Returns each process as often as it joined, in any order.
    pub fn iter(&self) -> impl Iterator<Item = Pid> {
        self.list
            .iter()
            .flat_map(|(member, times)| std::iter::repeat_n(*member, *times as usize))
    }

    /// Returns each process once, in any order.
    pub fn distinct(&self) -> impl ExactSizeIterator<Item = Pid> {
        self.list.iter().map(|(member, _)| *member)
    }

    /// Returns another process with each call. Each one is returned once before the
    /// first one is returned again, as long as none joins or leaves.
    pub fn next(&self) -> Option<Pid> {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        let place = next.checked_rem(self.list.len())?;
        Some(self.list[place].0)
    }

    /// Returns the number of memberships of all processes.
    pub fn len(&self) -> usize {
        self.joins
    }

    /// Returns whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.joins == 0
    }
}
