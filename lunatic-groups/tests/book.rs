//! Groups as pure data, against OTP's `pg` and a simple model.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::collections::BTreeMap;

use lunatic_groups::book::Notice;
use lunatic_groups::{
    Book, Change, Event, GroupError, MAX_GROUPS, MAX_MEMBERSHIPS, MAX_MONITORS, MAX_NAME_BYTES,
    Member, Members, NotJoined,
};
use lunatic_mailbox::Tag;
use lunatic_process::ProcessId;
use proptest::prelude::*;

fn member(process: u64) -> Member {
    Member {
        node: 0,
        process: ProcessId(process),
    }
}

fn sorted(book: &Book, group: &str) -> Vec<u64> {
    let members = book.members(group);
    let mut found: Vec<u64> = members
        .map(|members| members.iter().map(|member| member.process.0).collect())
        .unwrap_or_default();
    found.sort_unstable();
    found
}

fn notice(watcher: u64, monitor: u64, change: Change, group: &str, processes: &[u64]) -> Notice {
    Notice {
        watcher: ProcessId(watcher),
        tag: Tag::new(7),
        event: Event {
            monitor,
            change,
            group: group.into(),
            members: processes.iter().copied().map(member).collect(),
        },
    }
}

#[test]
fn a_process_that_joins_twice_leaves_twice() {
    let mut book = Book::new();
    assert_eq!(book.join("g", member(1)), Ok(true));
    assert_eq!(book.join("g", member(1)), Ok(false));
    assert_eq!(book.join("g", member(2)), Ok(true));
    assert_eq!(sorted(&book, "g"), [1, 1, 2]);
    assert_eq!(book.leave("g", member(1)), Ok(()));
    assert_eq!(sorted(&book, "g"), [1, 2]);
    assert_eq!(book.leave("g", member(1)), Ok(()));
    assert_eq!(book.leave("g", member(1)), Err(NotJoined));
    assert_eq!(book.leave("h", member(1)), Err(NotJoined));
    assert_eq!(sorted(&book, "g"), [2]);
}

#[test]
fn a_group_is_there_while_somebody_is_in_it() {
    let mut book = Book::new();
    book.join("g", member(1)).unwrap();
    book.join("h", member(1)).unwrap();
    assert_eq!((book.len(), book.name_bytes()), (2, 2));
    book.leave("g", member(1)).unwrap();
    assert_eq!(book.groups().map(|name| &**name).collect::<Vec<_>>(), ["h"]);
    assert_eq!((book.len(), book.name_bytes()), (1, 1));
    book.forget(member(1));
    assert!(book.is_empty() && book.members("h").is_none());
    assert_eq!(book.name_bytes(), 0);
}

#[test]
fn a_monitor_is_told_who_is_there_and_then_of_each_change() {
    let mut book = Book::new();
    book.join("g", member(1)).unwrap();
    let (monitor, _) = book.monitor("g", member(9), Tag::new(7)).unwrap();
    book.join("g", member(2)).unwrap();
    book.join("h", member(2)).unwrap();
    book.leave("g", member(1)).unwrap();
    let told = |change, process| notice(9, monitor, change, "g", &[process]);
    assert_eq!(
        book.take_notices(),
        [
            told(Change::Present, 1),
            told(Change::Joined, 2),
            told(Change::Left, 1)
        ]
    );
    assert!(book.stop_monitoring(member(9), monitor));
    assert!(!book.stop_monitoring(member(9), monitor));
    book.join("g", member(3)).unwrap();
    assert_eq!(book.take_notices(), []);
}

#[test]
fn the_end_of_a_process_is_as_many_departures_as_it_had_memberships() {
    let mut book = Book::new();
    let (monitor, _) = book.monitor("g", member(9), Tag::new(7)).unwrap();
    for _ in 0..3 {
        book.join("g", member(1)).unwrap();
    }
    book.take_notices();
    book.forget(member(1));
    let left = notice(9, monitor, Change::Left, "g", &[1, 1, 1]);
    assert_eq!(book.take_notices(), [left]);
}

#[test]
fn a_monitor_of_a_scope_is_told_of_groups_to_come() {
    let mut book = Book::new();
    book.join("g", member(1)).unwrap();
    book.monitor("empty", member(8), None).unwrap();
    book.take_notices();
    let (monitor, _) = book.monitor_scope(member(9), Tag::new(7)).unwrap();
    book.join("new", member(2)).unwrap();
    assert_eq!(
        book.take_notices(),
        [
            notice(9, monitor, Change::Present, "g", &[1]),
            notice(9, monitor, Change::Joined, "new", &[2])
        ]
    );
}

#[test]
fn the_dead_watch_nothing() {
    let mut book = Book::new();
    let (group, _) = book.monitor("g", member(9), None).unwrap();
    let (scope, _) = book.monitor_scope(member(9), None).unwrap();
    book.take_notices();
    book.forget(member(9));
    book.join("g", member(1)).unwrap();
    assert_eq!(book.take_notices(), []);
    assert!(!book.stop_monitoring(member(9), group) && !book.stop_monitoring(member(9), scope));
}

#[test]
fn a_monitor_can_be_taken_away_only_by_its_owner() {
    let mut book = Book::new();
    let (monitor, _) = book.monitor("g", member(9), None).unwrap();
    assert!(!book.stop_monitoring(member(8), monitor));
    assert!(book.stop_monitoring(member(9), monitor));
}

#[test]
fn names_are_limited_in_length() {
    let mut book = Book::new();
    book.join(&"n".repeat(MAX_NAME_BYTES), member(1)).unwrap();
    let length = MAX_NAME_BYTES + 1;
    let longer = "n".repeat(length);
    let refused = Err(GroupError::NameTooLong { length });
    assert_eq!(book.join(&longer, member(1)), refused);
    let refused = book.monitor(&longer, member(1), None);
    assert_eq!(refused, Err(GroupError::NameTooLong { length }));
}

#[test]
fn groups_are_limited_in_number_and_monitored_ones_count() {
    let mut book = Book::new();
    let (monitor, _) = book.monitor("watched", member(9), None).unwrap();
    for number in 1..MAX_GROUPS {
        let of_many = member(number as u64 / 1000);
        book.join(&number.to_string(), of_many).unwrap();
    }
    let full = Err(GroupError::TooManyGroups);
    assert_eq!(book.join("one more", member(1)), full);
    // What is there can still be joined.
    book.join("1", member(2)).unwrap();
    book.stop_monitoring(member(9), monitor);
    book.join("one more", member(1)).unwrap();
}

#[test]
fn memberships_and_monitors_of_a_process_are_limited() {
    let mut book = Book::new();
    for _ in 0..MAX_MEMBERSHIPS {
        book.join("g", member(1)).unwrap();
    }
    let full = Err(GroupError::TooManyMemberships);
    assert_eq!(book.join("g", member(1)), full);
    book.leave("g", member(1)).unwrap();
    book.join("g", member(1)).unwrap();
    for _ in 0..MAX_MONITORS {
        book.monitor("g", member(2), None).unwrap();
    }
    let full = Err(GroupError::TooManyMonitors);
    assert_eq!(book.monitor("g", member(2), None), full);
    assert_eq!(book.monitor_scope(member(2), None), full);
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
    let elsewhere = Member {
        node: 3,
        process: ProcessId(1),
    };
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

fn event() -> impl Strategy<Value = Event> {
    let change = prop_oneof![
        Just(Change::Present),
        Just(Change::Joined),
        Just(Change::Left)
    ];
    let members = proptest::collection::vec((any::<u64>(), any::<u64>()), 0..20);
    (any::<u64>(), change, ".{0,40}", members).prop_map(|(monitor, change, group, members)| Event {
        monitor,
        change,
        group: group.into(),
        members: members
            .into_iter()
            .map(|(node, process)| Member {
                node,
                process: ProcessId(process),
            })
            .collect(),
    })
}

proptest! {
    /// A list of pairs, and who watches counts along.
    #[test]
    fn groups_are_as_a_list_of_memberships(steps in steps()) {
        let mut book = Book::new();
        book.monitor_scope(member(99), None).unwrap();
        let mut model: Vec<(String, u64)> = Vec::new();
        let mut watched: BTreeMap<String, i64> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Join(group, process) => {
                    book.join(&group.to_string(), member(process)).unwrap();
                    model.push((group.to_string(), process));
                }
                Step::Leave(group, process) => {
                    let membership = (group.to_string(), process);
                    let at = model.iter().position(|known| *known == membership);
                    let left = book.leave(&membership.0, member(process));
                    prop_assert_eq!(left.is_ok(), at.is_some());
                    at.map(|at| model.swap_remove(at));
                }
                Step::Forget(process) => {
                    book.forget(member(process));
                    model.retain(|(_, known)| *known != process);
                }
            }
            for notice in book.take_notices() {
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
                let joins = book.members(group).map_or(0, Members::len);
                prop_assert_eq!(joins, expected.len());
                prop_assert_eq!(sorted(&book, group), expected);
            }
            prop_assert_eq!((book.len(), book.name_bytes()), (names, names));
            prop_assert_eq!(book.groups().count(), names);
        }
    }

    #[test]
    fn an_event_is_read_as_it_was_written(event in event()) {
        prop_assert_eq!(Event::from_bytes(&event.to_bytes()), Some(event));
    }

    #[test]
    fn bytes_that_are_no_event_are_none(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        if let Some(event) = Event::from_bytes(&bytes) {
            prop_assert_eq!(event.to_bytes(), bytes);
        }
    }
}
