//! Memberships of groups, which every node tells the others: as OTP's `pg`.

use std::collections::BTreeMap;

use lunatic_mailbox::{NodeNumber, Pid};
use serde::{Deserialize, Serialize};

/// So many memberships one node may have elsewhere.
const MAX_MEMBERSHIPS: usize = 1 << 20;

/// So many changes are in one frame.
const CHANGES_IN_A_FRAME: usize = 512;

/// The longest name of a scope or a group, in bytes.
const MAX_NAME_BYTES: usize = 1024;

/// Changes of the groups of one node, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GroupFrame(pub(crate) Vec<GroupChange>);

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
    others: BTreeMap<NodeNumber, Memberships>,
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
    pub(crate) fn others(&self) -> Vec<GroupChange> {
        self.others.values().flat_map(joins_of).collect()
    }

    /// Takes in what another node tells. Returns the changes that count.
    pub(crate) fn received(&mut self, node: NodeNumber, frame: GroupFrame) -> Vec<GroupChange> {
        let known = self.others.entry(node).or_default();
        let mut changes = frame.0;
        changes.retain(|change| {
            let is_reasonable = change.process.node() == node
                && change.scope.len().max(change.group.len()) <= MAX_NAME_BYTES
                && (!change.joined || known.len() < MAX_MEMBERSHIPS);
            is_reasonable && count(known, change)
        });
        changes
    }

    /// A session has ended. Returns who has left by that.
    pub(crate) fn forget(&mut self, node: NodeNumber) -> Vec<GroupChange> {
        let known = self.others.remove(&node).unwrap_or_default();
        let left = known
            .into_iter()
            .flat_map(|((scope, group, process), count)| {
                let change = GroupChange {
                    scope,
                    group,
                    process,
                    joined: false,
                };
                std::iter::repeat_n(change, count)
            });
        left.collect()
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
