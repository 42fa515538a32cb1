//! Memberships of groups, which every node tells the others: as OTP's `pg`.

use std::collections::BTreeMap;

use lunatic_mailbox::{NodeNumber, Pid};
use serde::{Deserialize, Serialize};

use crate::bounded;

/// So many memberships one node may have elsewhere.
const MAX_MEMBERSHIPS: usize = 1 << 20;

/// So many changes are in one frame, at most.
pub(crate) const CHANGES_IN_A_FRAME: usize = 512;

/// The longest name of a scope or a group, in bytes.
const MAX_NAME_BYTES: usize = 1024;

/// Changes of the groups of one node, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GroupFrame(
    #[serde(deserialize_with = "bounded::list::<_, _, CHANGES_IN_A_FRAME>")]
    pub(crate)  Vec<GroupChange>,
);

/// A process of the node that says so has joined or left a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupChange {
    /// The scope of the group.
    pub scope: String,
    /// The group.
    pub group: String,
    /// The process.
    pub process: Pid,
    /// It has joined; otherwise, it has left.
    pub joined: bool,
}

/// How often a process is in a group of a scope.
type Memberships = BTreeMap<(String, String, Pid), usize>;

/// The memberships of this node, which others are told, and those of others.
///
/// Each node writes its own alone. At the beginning of a session it tells all of them, and
/// then each change; at the end of the session the other forgets them. So what a node knows
/// of another is what that one had when it was last reachable, and nothing else.
#[derive(Debug, Default)]
pub(crate) struct GroupReplica {
    own: Memberships,
    others: BTreeMap<NodeNumber, Others>,
}

/// The memberships of another node.
#[derive(Debug, Default)]
struct Others {
    memberships: Memberships,
    /// How many these are, each as often as it is there.
    count: usize,
}

impl GroupReplica {
    /// A process here has joined or left. Returns the frame for all sessions.
    pub(crate) fn change(&mut self, change: GroupChange) -> GroupFrame {
        count(&mut self.own, &change);
        GroupFrame(vec![change])
    }

    /// The frames for a session that begins.
    pub(crate) fn all(&self) -> Vec<GroupFrame> {
        frames_of(&joins_of(&self.own).collect::<Vec<_>>())
    }

    /// All memberships of other nodes.
    pub(crate) fn others(&self) -> impl Iterator<Item = GroupChange> {
        let others = self.others.values();
        others.flat_map(|known| joins_of(&known.memberships))
    }

    /// Takes in what another node tells. Returns the changes that count.
    pub(crate) fn received(&mut self, node: NodeNumber, frame: GroupFrame) -> Vec<GroupChange> {
        let known = self.others.entry(node).or_default();
        let mut changes = frame.0;
        changes.retain(|change| {
            let is_reasonable = change.process.node() == node
                && change.scope.len().max(change.group.len()) <= MAX_NAME_BYTES
                && (!change.joined || known.count < MAX_MEMBERSHIPS);
            let counts = is_reasonable && count(&mut known.memberships, change);
            match (counts, change.joined) {
                (true, true) => known.count += 1,
                (true, false) => known.count -= 1,
                (false, _) => {}
            }
            counts
        });
        changes
    }

    /// A session has ended. Returns who has left by that, one after the other.
    pub(crate) fn forget(&mut self, node: NodeNumber) -> impl Iterator<Item = GroupChange> + use<> {
        let known = self.others.remove(&node).unwrap_or_default();
        known
            .memberships
            .into_iter()
            .flat_map(|((scope, group, process), count)| {
                let change = GroupChange {
                    scope,
                    group,
                    process,
                    joined: false,
                };
                std::iter::repeat_n(change, count)
            })
    }
}

/// How there have come to be these memberships.
fn joins_of(memberships: &Memberships) -> impl Iterator<Item = GroupChange> {
    memberships
        .iter()
        .flat_map(|((scope, group, process), count)| {
            let change = GroupChange {
                scope: scope.clone(),
                group: group.clone(),
                process: *process,
                joined: true,
            };
            std::iter::repeat_n(change, *count)
        })
}

/// The frames that tell changes.
pub(crate) fn frames_of(changes: &[GroupChange]) -> Vec<GroupFrame> {
    let frames = changes.chunks(CHANGES_IN_A_FRAME);
    frames.map(|changes| GroupFrame(changes.to_vec())).collect()
}

/// Counts a change. Returns whether there was something to change.
fn count(memberships: &mut Memberships, change: &GroupChange) -> bool {
    let key = (change.scope.clone(), change.group.clone(), change.process);
    if change.joined {
        *memberships.entry(key).or_default() += 1;
        return true;
    }
    let Some(times) = memberships.get_mut(&key) else {
        return false;
    };
    *times -= 1;
    if *times == 0 {
        memberships.remove(&key);
    }
    true
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use super::*;

    fn change(group: &str, joined: bool) -> GroupChange {
        GroupChange {
            scope: "shop".into(),
            group: group.into(),
            process: Pid::new(NodeNumber::new(7).unwrap(), 1).unwrap(),
            joined,
        }
    }

    #[test]
    fn a_node_has_only_so_many_memberships_however_often_each_is_told() {
        let node = NodeNumber::new(7).unwrap();
        let mut replica = GroupReplica::default();
        let told = |replica: &mut GroupReplica, group: &str, joined, times: usize| {
            let changes = vec![change(group, joined); times];
            replica.received(node, GroupFrame(changes)).len()
        };
        let half = MAX_MEMBERSHIPS / 2;
        assert_eq!(told(&mut replica, "one", true, half), half);
        assert_eq!(told(&mut replica, "two", true, half - 1), half - 1);
        assert_eq!(told(&mut replica, "one", true, 10), 1);
        assert_eq!(told(&mut replica, "three", true, 10), 0);
        assert_eq!(told(&mut replica, "three", false, 10), 0);
        assert_eq!(told(&mut replica, "two", false, 4), 4);
        assert_eq!(told(&mut replica, "three", true, 10), 4);
        assert_eq!(replica.others().count(), MAX_MEMBERSHIPS);
        let mut left = replica.forget(node);
        assert_eq!(left.next(), Some(change("one", false)));
        assert_eq!(left.count(), MAX_MEMBERSHIPS - 1);
        assert_eq!(replica.others().count(), 0);
    }
}
