//! A supervisor with two workers, one of whom fails and is started again.

use lunatic_guest::process::{self, Message, ProcessId};
use lunatic_guest::supervisor::{Child, Options, Spec};

/// The tag with which a worker says that it is there.
const READY: i64 = 1;

fn main() {
    let pool = Spec::new(
        "pool",
        Options {
            restarts: 3,
            ..Options::default()
        },
    );
    let this = process::this().0;
    pool.add(&Child::new("first", worker, this)).unwrap();
    pool.add(&Child::new("second", worker, this)).unwrap();
    let pool = pool.start(0).unwrap();
    ready();
    let unlucky = ready();
    println!("{} workers run", pool.count_children().unwrap().active);

    process::send(unlucky, 0, b"fail");
    let next = ready();
    println!("it is another process: {}", next != unlucky);
    let restarts = pool.which_children().unwrap();
    let restarts: u64 = restarts.iter().map(|child| child.restarts).sum();
    println!("restarts: {restarts}");

    pool.stop();
    println!("the supervisor ended: {:?}", pool.wait());
}

/// Says that it is there, and fails at the first message.
fn worker(parent: u64) {
    let id = process::this().0.to_le_bytes();
    process::send(ProcessId(parent), READY, &id);
    process::receive(&[]);
    panic!("a worker fails on purpose");
}

/// Waits until a worker is there; which one.
fn ready() -> ProcessId {
    match process::receive(&[READY]) {
        Message::Data { bytes, .. } => ProcessId(u64::from_le_bytes(bytes.try_into().unwrap())),
        other => panic!("{other:?} has no such tag"),
    }
}
