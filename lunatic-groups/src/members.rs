//! The processes of one group. Pure data.

use std::sync::atomic::{AtomicUsize, Ordering};

use lunatic_mailbox::Pid;
use rustc_hash::FxHashMap;

/// Who is in a group, each as often as it joined; joining, leaving and taking
/// the next one do not depend on how many there are.
#[derive(Debug, Default)]
pub struct Members {
    /// Each process once, with how often it joined.
    list: Vec<(Pid, u32)>,
    /// Where a process is in the list.
    places: FxHashMap<Pid, usize>,
    /// How often anybody joined and has not left.
    joins: usize,
    next: AtomicUsize,
}

impl Members {
    /// Nobody.
    pub fn new() -> Members {
        Members::default()
    }

    /// Takes a process in, once more if it is there.
    pub fn join(&mut self, member: Pid) {
        let place = *self.places.entry(member).or_insert_with(|| {
            self.list.push((member, 0));
            self.list.len() - 1
        });
        self.list[place].1 += 1;
        self.joins += 1;
    }

    /// Takes one membership of a process away. Whether it had any.
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

    /// Takes all memberships of a process away. How many it had.
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

    /// How often this process is in the group.
    pub fn times(&self, member: Pid) -> u32 {
        self.places
            .get(&member)
            .map_or(0, |place| self.list[*place].1)
    }

    /// Each process as often as it joined, in no order.
    pub fn iter(&self) -> impl Iterator<Item = Pid> {
        self.list
            .iter()
            .flat_map(|(member, times)| std::iter::repeat_n(*member, *times as usize))
    }

    /// Each process once, in no order.
    pub fn distinct(&self) -> impl ExactSizeIterator<Item = Pid> {
        self.list.iter().map(|(member, _)| *member)
    }

    /// The processes one after the other, each once in a round.
    pub fn next(&self) -> Option<Pid> {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        let place = next.checked_rem(self.list.len())?;
        Some(self.list[place].0)
    }

    /// How many memberships there are.
    pub fn len(&self) -> usize {
        self.joins
    }

    /// Whether nobody is in it.
    pub fn is_empty(&self) -> bool {
        self.joins == 0
    }
}
