//! Groups as pure data, against OTP's `pg` and a simple model.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::collections::BTreeMap;

use lunatic_groups::{
    Change, GroupError, GroupEvent, GroupTable, MAX_GROUPS, MAX_MEMBERSHIPS, MAX_MONITORS,
    MAX_NAME_BYTES, MAX_WATCHERS, Members, NotJoined, Notice, Presented,
};
use lunatic_mailbox::{NodeId, NodeNumber, Pid, Tag};
use proptest::prelude::*;

fn member(process: u64) -> Pid {
    Pid::from_bits(process)
}

fn sorted(table: &GroupTable, group: &str) -> Vec<u64> {
    let members = table.members(group);
    let mut found: Vec<u64> = members
        .map(|members| members.iter().map(|member| member.to_bits()).collect())
        .unwrap_or_default();
    found.sort_unstable();
    found
}

fn notice(watcher: u64, monitor: u64, change: Change, group: &str, processes: &[u64]) -> Notice {
    Notice {
        watcher: Pid::from_bits(watcher),
        tag: Tag::new(7),
        event: GroupEvent {
            monitor,
            change,
            group: group.into(),
            members: processes.iter().copied().map(member).collect(),
        },
    }
}

#[test]
fn a_process_that_joins_twice_leaves_twice() {
    let mut table = GroupTable::new();
    assert_eq!(table.join("g", member(1)), Ok(true));
    assert_eq!(table.join("g", member(1)), Ok(false));
    assert_eq!(table.join("g", member(2)), Ok(true));
    assert_eq!(sorted(&table, "g"), [1, 1, 2]);
    assert_eq!(table.leave("g", member(1)), Ok(()));
    assert_eq!(sorted(&table, "g"), [1, 2]);
    assert_eq!(table.leave("g", member(1)), Ok(()));
    assert_eq!(table.leave("g", member(1)), Err(NotJoined));
    assert_eq!(table.leave("h", member(1)), Err(NotJoined));
    assert_eq!(sorted(&table, "g"), [2]);
}

#[test]
fn a_group_is_there_while_somebody_is_in_it() {
    let mut table = GroupTable::new();
    table.join("g", member(1)).unwrap();
    table.join("h", member(1)).unwrap();
    assert_eq!((table.len(), table.name_bytes()), (2, 2));
    table.leave("g", member(1)).unwrap();
    assert_eq!(
        table.groups().map(|name| &**name).collect::<Vec<_>>(),
        ["h"]
    );
    assert_eq!((table.len(), table.name_bytes()), (1, 1));
    table.forget(member(1));
    assert!(table.is_empty() && table.members("h").is_none());
    assert_eq!(table.name_bytes(), 0);
}

#[test]
fn a_monitor_is_told_who_is_there_and_then_of_each_change() {
    let mut table = GroupTable::new();
    table.join("g", member(1)).unwrap();
    let (monitor, _) = table.monitor("g", member(9), Tag::new(7)).unwrap();
    table.join("g", member(2)).unwrap();
    table.join("h", member(2)).unwrap();
    table.leave("g", member(1)).unwrap();
    let told = |change, process| notice(9, monitor, change, "g", &[process]);
    assert_eq!(
        table.take_notices(),
        [
            told(Change::Present, 1),
            told(Change::Joined, 2),
            told(Change::Left, 1)
        ]
    );
    assert!(table.stop_monitoring(member(9), monitor));
    assert!(!table.stop_monitoring(member(9), monitor));
    table.join("g", member(3)).unwrap();
    assert_eq!(table.take_notices(), []);
}

#[test]
fn the_end_of_a_process_is_as_many_departures_as_it_had_memberships() {
    let mut table = GroupTable::new();
    let (monitor, _) = table.monitor("g", member(9), Tag::new(7)).unwrap();
    for _ in 0..3 {
        table.join("g", member(1)).unwrap();
    }
    table.take_notices();
    table.forget(member(1));
    let left = notice(9, monitor, Change::Left, "g", &[1, 1, 1]);
    assert_eq!(table.take_notices(), [left]);
}

#[test]
fn a_monitor_of_a_scope_is_told_of_groups_to_come() {
    let mut table = GroupTable::new();
    table.join("g", member(1)).unwrap();
    table.monitor("empty", member(8), None).unwrap();
    table.take_notices();
    let (monitor, _) = table.monitor_scope(member(9), Tag::new(7)).unwrap();
    assert_eq!(table.present_some(monitor, 10), Presented::All);
    table.join("new", member(2)).unwrap();
    assert_eq!(
        table.take_notices(),
        [
            notice(9, monitor, Change::Present, "g", &[1]),
            notice(9, monitor, Change::Joined, "new", &[2])
        ]
    );
}

#[test]
fn a_monitor_of_a_scope_is_told_of_each_group_once_and_then_of_its_changes() {
    let mut table = GroupTable::new();
    for group in ["a", "b", "c"] {
        table.join(group, member(1)).unwrap();
    }
    let (monitor, _) = table.monitor_scope(member(9), Tag::new(7)).unwrap();
    assert_eq!(table.present_some(monitor, 1), Presented::Some);
    assert_eq!(
        table.take_notices(),
        [notice(9, monitor, Change::Present, "a", &[1])]
    );
    // Of these two, it has been told of the first.
    table.join("a", member(2)).unwrap();
    table.join("b", member(2)).unwrap();
    assert_eq!(
        table.take_notices(),
        [notice(9, monitor, Change::Joined, "a", &[2])]
    );
    table.leave("c", member(1)).unwrap();
    // It is where the list goes on, and is there no more.
    table.leave("a", member(1)).unwrap();
    table.leave("a", member(2)).unwrap();
    table.take_notices();
    assert_eq!(table.present_some(monitor, 1), Presented::ManyMembersNext);
    let mut members = Vec::new();
    while table.collect_some(monitor, &mut members, 1) {}
    table.present(monitor, members.into());
    while table.present_some(monitor, 1) != Presented::All {}
    table.join("c", member(3)).unwrap();
    assert_eq!(
        table.take_notices(),
        [
            notice(9, monitor, Change::Present, "b", &[1, 2]),
            notice(9, monitor, Change::Joined, "c", &[3])
        ]
    );
}

#[test]
fn the_dead_watch_nothing() {
    let mut table = GroupTable::new();
    let (group, _) = table.monitor("g", member(9), None).unwrap();
    let (scope, _) = table.monitor_scope(member(9), None).unwrap();
    table.take_notices();
    table.forget(member(9));
    table.join("g", member(1)).unwrap();
    assert_eq!(table.take_notices(), []);
    assert!(!table.stop_monitoring(member(9), group) && !table.stop_monitoring(member(9), scope));
}

#[test]
fn a_monitor_can_be_taken_away_only_by_its_owner() {
    let mut table = GroupTable::new();
    let (monitor, _) = table.monitor("g", member(9), None).unwrap();
    assert!(!table.stop_monitoring(member(8), monitor));
    assert!(table.stop_monitoring(member(9), monitor));
}

#[test]
fn names_are_limited_in_length() {
    let mut table = GroupTable::new();
    table.join(&"n".repeat(MAX_NAME_BYTES), member(1)).unwrap();
    let length = MAX_NAME_BYTES + 1;
    let longer = "n".repeat(length);
    let refused = Err(GroupError::NameTooLong { length });
    assert_eq!(table.join(&longer, member(1)), refused);
    let refused = table.monitor(&longer, member(1), None);
    assert_eq!(refused, Err(GroupError::NameTooLong { length }));
}

#[test]
fn groups_are_limited_in_number_and_monitored_ones_count() {
    let mut table = GroupTable::new();
    let (monitor, _) = table.monitor("watched", member(9), None).unwrap();
    for number in 1..MAX_GROUPS {
        let of_many = member(number as u64 / 1000);
        table.join(&number.to_string(), of_many).unwrap();
    }
    let full = Err(GroupError::TooManyGroups);
    assert_eq!(table.join("one more", member(1)), full);
    // What is there can still be joined.
    table.join("1", member(2)).unwrap();
    table.stop_monitoring(member(9), monitor);
    table.join("one more", member(1)).unwrap();
}

#[test]
fn memberships_and_monitors_of_a_process_are_limited() {
    let mut table = GroupTable::new();
    for _ in 0..MAX_MEMBERSHIPS {
        table.join("g", member(1)).unwrap();
    }
    let full = Err(GroupError::TooManyMemberships);
    assert_eq!(table.join("g", member(1)), full);
    table.leave("g", member(1)).unwrap();
    table.join("g", member(1)).unwrap();
    for _ in 0..MAX_MONITORS {
        table.monitor("g", member(2), None).unwrap();
    }
    let full = Err(GroupError::TooManyMonitors);
    assert_eq!(table.monitor("g", member(2), None), full);
    assert_eq!(table.monitor_scope(member(2), None), full);
}

#[test]
fn each_member_has_its_turn_once_in_a_round() {
    let mut members = Members::new();
    assert_eq!(members.next(), None);
    for process in [1, 2, 2, 2, 3] {
        members.join(member(process));
    }
    let mut round: Vec<_> = (0..3).filter_map(|_| members.next()).collect();
    round.sort_unstable();
    assert_eq!(round, [member(1), member(2), member(3)]);
}

#[test]
fn members_of_other_nodes_are_told_apart() {
    let mut members = Members::new();
    let elsewhere = Pid::new(NodeNumber::new(3).unwrap(), 1).unwrap();
    members.join(member(1));
    members.join(elsewhere);
    assert!(members.leave(elsewhere));
    assert!(!members.leave(elsewhere));
    assert_eq!(members.iter().collect::<Vec<_>>(), [member(1)]);
}

#[derive(Debug, Clone)]
enum Step {
    Join(u8, u64),
    Leave(u8, u64),
    Forget(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (0..4u8, 1..6u64).prop_map(|(group, process)| Step::Join(group, process)),
        4 => (0..4u8, 1..6u64).prop_map(|(group, process)| Step::Leave(group, process)),
        1 => (1..6u64).prop_map(Step::Forget),
    ];
    proptest::collection::vec(step, 0..200)
}

/// What two monitors know.
#[derive(Default)]
struct Told {
    scope: u64,
    group: u64,
    /// What is collected of a group for each.
    of_scope: Option<Vec<Pid>>,
    of_group: Vec<Pid>,
    is_group_told: bool,
    notices: Vec<Notice>,
}

impl Told {
    /// Returns whether there may be more.
    fn one_more_piece(&mut self, table: &mut GroupTable) -> bool {
        if !self.is_group_told && !table.collect_some(self.group, &mut self.of_group, 1) {
            table.present(self.group, self.of_group.as_slice().into());
            self.is_group_told = true;
        }
        match &mut self.of_scope {
            Some(members) => {
                if !table.collect_some(self.scope, members, 1) {
                    table.present(self.scope, members.as_slice().into());
                    self.of_scope = None;
                }
                true
            }
            None => match table.present_some(self.scope, 1) {
                Presented::All => !self.is_group_told,
                Presented::Some => true,
                Presented::ManyMembersNext => {
                    self.of_scope = Some(Vec::new());
                    true
                }
            },
        }
    }

    fn hear(&mut self, table: &mut GroupTable) {
        self.notices.extend(table.take_notices());
    }

    /// The members of a group, as a monitor knows them. Its first message comes before the changes
    /// that it was told of while that was made.
    fn known(&self, monitor: u64, group: &str) -> Vec<u64> {
        let of_group =
            |notice: &&Notice| (notice.event.monitor, &*notice.event.group) == (monitor, group);
        let mut notices: Vec<_> = self.notices.iter().filter(of_group).collect();
        notices.sort_by_key(|notice| notice.event.change != Change::Present);
        let mut known = Vec::new();
        for Notice { event, .. } in notices {
            for member in event.members.iter() {
                match event.change {
                    Change::Left => {
                        let at = known.iter().position(|known| known == member);
                        known.swap_remove(at.expect("it was told of it before"));
                    }
                    _ => known.push(*member),
                }
            }
        }
        let mut known: Vec<_> = known.into_iter().map(Pid::to_bits).collect();
        known.sort_unstable();
        known
    }
}

fn node_of(process: Pid) -> NodeId {
    NodeId::from_bits(process.node().get().into())
}

fn event() -> impl Strategy<Value = GroupEvent> {
    let change = prop_oneof![
        Just(Change::Present),
        Just(Change::Joined),
        Just(Change::Left)
    ];
    let members = proptest::collection::vec(any::<u64>(), 0..20);
    (any::<u64>(), change, ".{0,40}", members).prop_map(|(monitor, change, group, members)| {
        GroupEvent {
            monitor,
            change,
            group: group.into(),
            members: members.into_iter().map(Pid::from_bits).collect(),
        }
    })
}

proptest! {
    /// A list of pairs, and who watches counts along.
    #[test]
    fn groups_are_as_a_list_of_memberships(steps in steps()) {
        let mut table = GroupTable::new();
        let (monitor, _) = table.monitor_scope(member(99), None).unwrap();
        prop_assert_eq!(table.present_some(monitor, 100), Presented::All);
        let mut model: Vec<(String, u64)> = Vec::new();
        let mut watched: BTreeMap<String, i64> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Join(group, process) => {
                    table.join(&group.to_string(), member(process)).unwrap();
                    model.push((group.to_string(), process));
                }
                Step::Leave(group, process) => {
                    let membership = (group.to_string(), process);
                    let at = model.iter().position(|known| *known == membership);
                    let left = table.leave(&membership.0, member(process));
                    prop_assert_eq!(left.is_ok(), at.is_some());
                    at.map(|at| model.swap_remove(at));
                }
                Step::Forget(process) => {
                    table.forget(member(process));
                    model.retain(|(_, known)| *known != process);
                }
            }
            for notice in table.take_notices() {
                let sign = if notice.event.change == Change::Left { -1 } else { 1 };
                *watched.entry(notice.event.group.to_string()).or_default() +=
                    sign * notice.event.members.len() as i64;
            }
            let mut names = 0;
            for group in ["0", "1", "2", "3"] {
                let mut expected: Vec<u64> = model
                    .iter()
                    .filter(|(name, _)| name == group)
                    .map(|(_, process)| *process)
                    .collect();
                expected.sort_unstable();
                names += usize::from(!expected.is_empty());
                prop_assert_eq!(watched.get(group).copied().unwrap_or(0), expected.len() as i64);
                let joins = table.members(group).map_or(0, Members::len);
                prop_assert_eq!(joins, expected.len());
                prop_assert_eq!(sorted(&table, group), expected);
            }
            prop_assert_eq!((table.len(), table.name_bytes()), (names, names));
            prop_assert_eq!(table.groups().count(), names);
        }
    }

    /// One monitor of the scope, and one of a group, are told of it piece by piece while it
    /// changes: what they are told adds up, and of each process the changes follow each other.
    #[test]
    fn what_is_told_in_pieces_adds_up(before in steps(), meanwhile in steps()) {
        let mut table = GroupTable::new();
        let change = |table: &mut GroupTable, step| match step {
            Step::Join(group, process) => {
                table.join(&group.to_string(), member(process)).unwrap();
            }
            Step::Leave(group, process) => {
                table.leave(&group.to_string(), member(process)).ok();
            }
            Step::Forget(process) => table.forget(member(process)),
        };
        before.into_iter().for_each(|step| change(&mut table, step));
        let (of_scope, _) = table.monitor_scope(member(99), None).unwrap();
        let (of_group, _) = table.begin_monitor("0", member(99), None).unwrap();
        let mut told = Told { scope: of_scope, group: of_group, ..Told::default() };
        for step in meanwhile {
            told.one_more_piece(&mut table);
            change(&mut table, step);
            told.hear(&mut table);
        }
        while told.one_more_piece(&mut table) {}
        told.hear(&mut table);
        for group in ["0", "1", "2", "3"] {
            prop_assert_eq!(told.known(of_scope, group), sorted(&table, group));
        }
        prop_assert_eq!(told.known(of_group, "0"), sorted(&table, "0"));
    }

    #[test]
    fn an_event_is_read_as_it_was_written(event in event()) {
        prop_assert_eq!(GroupEvent::from_bytes(&event.to_bytes(node_of)), Some(event));
    }

    #[test]
    fn bytes_that_are_no_event_are_none(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        if let Some(event) = GroupEvent::from_bytes(&bytes) {
            let written = event.to_bytes(node_of);
            prop_assert_eq!(written.len(), bytes.len());
            prop_assert_eq!(GroupEvent::from_bytes(&written), Some(event));
        }
    }
}

#[test]
fn a_process_leaves_many_groups_in_pieces() {
    const GROUPS: usize = 1000;
    let mut table = GroupTable::new();
    table.monitor("0", member(1), None).unwrap();
    for number in 0..GROUPS {
        table.join(&number.to_string(), member(1)).unwrap();
        table.join(&number.to_string(), member(2)).unwrap();
    }
    let mut leaving = table.forget_process(member(1));
    let mut pieces = 1;
    while table.leave_some(&mut leaving, 100) {
        pieces += 1;
    }
    assert_eq!(pieces, 11);
    for number in 0..GROUPS {
        let members = table.members(&number.to_string()).unwrap();
        assert_eq!((members.times(member(1)), members.times(member(2))), (0, 1));
    }
    assert_eq!(table.join("0", member(1)), Ok(true));
}

#[test]
fn a_group_is_monitored_a_limited_number_of_times() {
    let mut table = GroupTable::new();
    for number in 0..MAX_WATCHERS as u64 {
        let watcher = member(1 + number / 1000);
        table.monitor("g", watcher, None).unwrap();
    }
    table.take_notices();
    let full = Err(GroupError::TooManyWatchers);
    assert_eq!(table.monitor("g", member(1000), None), full);
    table.monitor("h", member(1000), None).unwrap();
}

#[test]
fn members_are_listed_in_pieces_and_none_is_missed_or_twice_while_others_come_and_go() {
    let mut members = Members::new();
    for process in 1..=100 {
        members.join(Pid::from_bits(process));
    }
    members.join(Pid::from_bits(50));
    let end = members.end();
    let mut listed = Vec::new();
    let mut next = 0;
    loop {
        let rest = members.from(next).take_while(|member| member.number < end);
        let piece: Vec<_> = rest.take(10).collect();
        let Some(last) = piece.last() else { break };
        next = last.number + 1;
        listed.extend(
            piece
                .iter()
                .map(|member| (member.process.to_bits(), member.times)),
        );
        // One that was listed leaves, one that was not, and another one joins.
        let left = listed.len() as u64;
        members.remove(Pid::from_bits(left));
        members.remove(Pid::from_bits(101 - left / 10));
        members.join(Pid::from_bits(1000 + left));
    }
    let processes: Vec<_> = listed.iter().map(|(process, _)| *process).collect();
    assert!(processes.is_sorted_by(|one, other| one < other));
    // Whoever stayed is there.
    assert!((1..=90).all(|process| processes.contains(&process)));
    assert!(processes.iter().all(|process| *process <= 100));
    assert!(listed.contains(&(50, 2)));
}
