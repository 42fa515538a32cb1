//! A group of many: joining, hearing of something together, leaving.

use std::time::Instant;

use lunatic_guest::group::Group;
use lunatic_guest::process::{self, ProcessId};
use lunatic_guest::supervisor::{Child, Strategy};
use lunatic_guest::Param;

use crate::{begin, end, hear, since, HELLO};

/// Takes processes into a group one after the other, sends something to all of
/// them, which each answers, and takes them out again.
pub fn groups(count: u64) {
    let supervisor = begin(Strategy::SimpleOneForOne, |spec| {
        spec.add(&Child::template("member", answers))
    });
    let parent = [Param::I64(process::this().0 as i64)];
    let members: Vec<ProcessId> = (0..count)
        .map(|_| {
            let member = supervisor.start_from_template(&parent);
            member.expect("a member")
        })
        .collect();
    hear(count);

    let group = Group::new("bench");
    let start = Instant::now();
    for member in &members {
        group.join_process(*member).expect("room");
    }
    since(start, "group-join", count);

    let start = Instant::now();
    assert_eq!(group.broadcast(HELLO, &[]) as u64, count);
    hear(count);
    since(start, "group-broadcast", count);

    let start = Instant::now();
    for member in &members {
        assert!(group.leave_process(*member));
    }
    since(start, "group-leave", count);
    end(supervisor);
}

/// Says that it is there, and answers every message.
fn answers(parent: u64) {
    loop {
        process::send(ProcessId(parent), HELLO, &[]);
        process::receive(&[]);
    }
}
