//! Memberships of processes of other nodes for which there was no room here.

use std::collections::BTreeMap;
use std::ops::Bound;

use lunatic_distributed::GroupChange;
use lunatic_mailbox::{NodeNumber, Pid};

/// So many of them are kept of one node. What is refused beyond that is told again with the next
/// session only.
const MAX_KEPT: usize = 1 << 16;

/// A process in a group of a scope.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Membership {
    /// Comes first, so that those of one node are together.
    pub(super) process: Pid,
    pub(super) scope: String,
    pub(super) group: String,
}

/// The memberships that were refused, and are tried again when there may be room. Together with the
/// memberships in the scopes, they are those that other nodes have told of.
#[derive(Debug, Default)]
pub(super) struct RefusedMemberships {
    /// How often each was refused.
    refused: BTreeMap<Membership, u32>,
    /// How many entries each node has.
    entries: BTreeMap<NodeNumber, usize>,
    /// Somebody tries them again.
    is_tried: bool,
}

impl Membership {
    fn of(change: &GroupChange) -> Membership {
        Membership {
            process: change.process,
            scope: change.scope.clone(),
            group: change.group.clone(),
        }
    }
}

impl RefusedMemberships {
    /// Keeps a membership that was refused. Returns whether the caller has to see to it that
    /// [`try_some`](RefusedMemberships::try_some) is called from now on until it returns `None`.
    pub(super) fn refuse(&mut self, change: &GroupChange) -> bool {
        let entries = self.entries.entry(change.process.node()).or_default();
        let membership = Membership::of(change);
        match self.refused.get_mut(&membership) {
            Some(times) => *times += 1,
            None if *entries < MAX_KEPT => {
                *entries += 1;
                self.refused.insert(membership, 1);
            }
            None => {}
        }
        !std::mem::replace(&mut self.is_tried, true)
    }

    /// A membership has ended. Returns whether it was one that was refused, so that there is nothing
    /// else to end.
    pub(super) fn end(&mut self, change: &GroupChange) -> bool {
        let membership = Membership::of(change);
        self.remove_one(&membership)
    }

    /// Tries some of the memberships again, those behind `last` in their order. Returns the last one
    /// that was tried; `None` if there are no others behind `last`.
    ///
    /// - `most`: no more are tried.
    /// - `join`: returns whether there is room.
    pub(super) fn try_some(
        &mut self,
        last: Option<&Membership>,
        most: usize,
        mut join: impl FnMut(&Membership) -> bool,
    ) -> Option<Membership> {
        let behind = last.map_or(Bound::Unbounded, Bound::Excluded);
        let some = self.refused.range((behind, Bound::Unbounded)).take(most);
        let some: Vec<_> = some.map(|(membership, _)| membership.clone()).collect();
        for membership in &some {
            while self.refused.contains_key(membership) && join(membership) {
                self.remove_one(membership);
            }
        }
        some.into_iter().next_back()
    }

    /// Returns whether there are none. Then nobody has to try them any more.
    pub(super) fn end_if_empty(&mut self) -> bool {
        self.is_tried = !self.refused.is_empty();
        !self.is_tried
    }

    fn remove_one(&mut self, membership: &Membership) -> bool {
        let Some(times) = self.refused.get_mut(membership) else {
            return false;
        };
        *times -= 1;
        if *times == 0 {
            self.refused.remove(membership);
            let node = membership.process.node();
            if let Some(entries) = self.entries.get_mut(&node) {
                *entries -= 1;
                if *entries == 0 {
                    self.entries.remove(&node);
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use super::*;

    fn change(node: u32, counter: u64) -> GroupChange {
        GroupChange {
            scope: "shop".into(),
            group: "workers".into(),
            process: Pid::new(NodeNumber::new(node).unwrap(), counter).unwrap(),
            joined: true,
        }
    }

    #[test]
    fn each_refused_membership_is_tried_until_there_is_room_or_it_ends() {
        let mut refused = RefusedMemberships::default();
        assert!(refused.refuse(&change(1, 1)));
        assert!(!refused.refuse(&change(1, 1)));
        assert!(!refused.refuse(&change(2, 1)));
        assert!(!refused.end(&change(1, 2)));
        assert!(refused.end(&change(2, 1)));
        // There is room for one.
        let mut room = 1;
        let last = refused.try_some(None, 10, |_| std::mem::replace(&mut room, 0) > 0);
        assert_eq!(last, Some(Membership::of(&change(1, 1))));
        assert_eq!(refused.try_some(last.as_ref(), 10, |_| true), None);
        assert!(!refused.end_if_empty());
        assert!(refused.try_some(None, 10, |_| true).is_some());
        assert!(refused.end_if_empty());
        assert!(!refused.end(&change(1, 1)));
        assert!(refused.refuse(&change(1, 1)));
    }

    #[test]
    fn of_one_node_only_so_many_are_kept_and_they_are_tried_in_parts() {
        let mut refused = RefusedMemberships::default();
        for counter in 0..MAX_KEPT as u64 + 5 {
            refused.refuse(&change(1, counter));
        }
        refused.refuse(&change(2, 0));
        let (mut tried, mut last) = (0, None);
        while let Some(next) = refused.try_some(last.as_ref(), 1000, |_| {
            tried += 1;
            false
        }) {
            last = Some(next);
        }
        assert_eq!(tried, MAX_KEPT + 1);
        assert!(!refused.end(&change(1, MAX_KEPT as u64)));
        assert!(refused.end(&change(1, 0)));
        refused.refuse(&change(1, MAX_KEPT as u64));
        assert!(refused.end(&change(1, MAX_KEPT as u64)));
    }
}
