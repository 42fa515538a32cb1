//! Changes of groups that were not told yet, summed up.

use std::collections::BTreeMap;

use lunatic_mailbox::Pid;

use crate::groups::GroupChange;

/// Changes of groups that are to be told. To join and to leave again is no change, so there
/// are never more than there are memberships that others know or are to know, however often
/// guests join and leave while another node reads slowly.
#[derive(Debug, Default)]
pub struct GroupChanges {
    /// How many more memberships there are of a process in a group of a scope, or fewer.
    pending: BTreeMap<(String, String, Pid), i64>,
}

impl GroupChanges {
    /// Adds a change.
    pub fn add(&mut self, change: GroupChange) {
        self.add_times(change, 1);
    }

    /// Adds a change that has happened so many times.
    pub fn add_times(&mut self, change: GroupChange, times: u32) {
        let times = i64::from(times);
        let by = if change.joined { times } else { -times };
        let key = (change.scope, change.group, change.process);
        let pending = &mut self.pending;
        let sum = pending.get(&key).copied().unwrap_or_default() + by;
        match sum {
            0 => drop(pending.remove(&key)),
            sum => drop(pending.insert(key, sum)),
        }
    }

    /// Takes all changes out.
    pub fn take(&mut self) -> Vec<GroupChange> {
        let pending = std::mem::take(&mut self.pending);
        let changes = pending
            .into_iter()
            .flat_map(|((scope, group, process), sum)| {
                let change = GroupChange {
                    scope,
                    group,
                    process,
                    joined: sum > 0,
                };
                let times = usize::try_from(sum.unsigned_abs()).unwrap_or(usize::MAX);
                std::iter::repeat_n(change, times)
            });
        changes.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(process: u64, joined: bool) -> GroupChange {
        GroupChange {
            scope: "shop".into(),
            group: "workers".into(),
            process: Pid::from_bits(process),
            joined,
        }
    }

    #[test]
    fn to_join_and_to_leave_again_is_no_change() {
        let mut changes = GroupChanges::default();
        for _ in 0..1000 {
            changes.add(change(1, true));
            changes.add(change(1, false));
            changes.add(change(2, false));
            changes.add(change(2, true));
        }
        assert!(changes.pending.is_empty());
        assert_eq!(changes.take(), []);
    }

    #[test]
    fn memberships_are_told_as_often_as_there_are() {
        let mut changes = GroupChanges::default();
        for joined in [true, true, false, true] {
            changes.add(change(1, joined));
        }
        changes.add_times(change(2, true), 3);
        changes.add_times(change(2, false), 4);
        let expected = [change(1, true), change(1, true), change(2, false)];
        assert_eq!(changes.take(), expected);
        assert_eq!(changes.take(), []);
    }
}
