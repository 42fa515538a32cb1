//! Joins, watches and leaves process groups, with everything that
//! `lunatic_guest::group` has; `lunatic-cli/tests/groups.rs` runs it.

use std::slice;

use lunatic::{Mailbox, Process};
use lunatic_guest::group::{self, Change, Group, Member};
use lunatic_guest::process::{self, Message, ProcessId};

const CHANGES: i64 = 1;
const SCOPE_CHANGES: i64 = 2;
const WORK: i64 = 3;

#[lunatic::main]
fn main(_: Mailbox<()>) {
    let workers = Group::in_scope("test", "workers");
    joins_and_leaves(&workers);
    let everything = group::watch_scope("test", SCOPE_CHANGES).expect("a watch");
    watches(&workers);
    assert_eq!(
        everything.next(),
        (workers.clone(), Change::Joined(vec![this()]))
    );
    sends(&workers);
    refusals(&workers);
    println!("all is well");
}

fn this() -> Member {
    Member {
        node: 0,
        process: process::this(),
    }
}

fn joins_and_leaves(workers: &Group) {
    assert_eq!(workers.name(), "workers");
    assert_eq!((workers.members(), workers.next()), (vec![], None));
    assert!(!workers.leave());
    workers.join().expect("room");
    workers.join().expect("room");
    assert_eq!(workers.members(), [this(), this()]);
    assert_eq!(workers.local_members(), [this(), this()]);
    assert_eq!(workers.next(), Some(this()));
    assert_eq!(group::groups("test"), slice::from_ref(workers));
    assert_eq!(group::groups(""), []);
    assert_eq!(Group::new("workers").members(), []);
    assert!(workers.leave() && workers.leave() && !workers.leave());
    assert_eq!(group::groups("test"), []);
    for number in 0..100 {
        let many = Group::in_scope("many", number.to_string());
        many.join().expect("room");
    }
    assert_eq!(group::groups("many").len(), 100);
}

/// Who joins and who ends is told, in order.
fn watches(workers: &Group) {
    let watch = workers.watch(CHANGES).expect("a watch");
    let next = || match watch.next() {
        (group, change) if group == *workers => change,
        (group, _) => panic!("told of {group:?}"),
    };
    assert_eq!(next(), Change::Present(vec![]));
    workers.join().expect("room");
    assert_eq!(next(), Change::Joined(vec![this()]));
    let child = Process::spawn((), waits);
    let child = Member {
        node: 0,
        process: ProcessId(child.id()),
    };
    workers.join_process(child.process).expect("room");
    workers.join_process(child.process).expect("room");
    assert_eq!(next(), Change::Joined(vec![child]));
    assert_eq!(next(), Change::Joined(vec![child]));
    assert!(workers.leave_process(child.process));
    assert_eq!(next(), Change::Left(vec![child]));
    process::kill(child.process);
    assert_eq!(next(), Change::Left(vec![child]));
    assert_eq!(workers.members(), [this()]);
}

fn sends(workers: &Group) {
    let child = Process::spawn((), echoes);
    workers.join_process(ProcessId(child.id())).expect("room");
    assert_eq!(workers.broadcast(WORK, &process::this().0.to_le_bytes()), 2);
    // Its own copy, and what the child sends back.
    for _ in 0..2 {
        let bytes = process::this().0.to_le_bytes().to_vec();
        assert_eq!(
            process::receive(&[WORK]),
            Message::Data { tag: WORK, bytes }
        );
    }
    assert!(workers.leave());
    let sent = workers.dispatch(WORK, &process::this().0.to_le_bytes());
    assert_eq!(sent.map(|member| member.process.0), Some(child.id()));
    assert!(matches!(process::receive(&[WORK]), Message::Data { .. }));
    child.kill();
}

fn refusals(workers: &Group) {
    let nobody = workers.join_process(ProcessId(u64::MAX));
    let error = nobody.expect_err("there is no such process");
    assert_eq!(error.to_string(), "there is no such process");
    let long = Group::new("n".repeat(256)).join();
    assert!(long.is_err_and(|error| error.to_string().contains("256 bytes")));
    let watches: Vec<_> = (0..2000)
        .map_while(|_| workers.watch(CHANGES).ok())
        .collect();
    // Each is one of 1024, and the scope has one.
    assert_eq!(watches.len(), 1023);
    drop(watches);
    assert!(workers.watch(CHANGES).is_ok());
    assert_eq!(Group::new("nobody").dispatch(0, b"for nobody"), None);
    assert_eq!(Group::new("nobody").broadcast(0, b"for nobody"), 0);
}

fn waits(_: (), mailbox: Mailbox<()>) {
    mailbox.receive();
}

/// Sends each message back to the process that it names.
fn echoes(_: (), _: Mailbox<()>) {
    while let Message::Data { tag, bytes } = process::receive(&[]) {
        let to = bytes[..].try_into().expect("an id");
        process::send(ProcessId(u64::from_le_bytes(to)), tag, &bytes);
    }
}
