//! Lets a child fail in a nested tree of supervisors.
//!
//! `lunatic-cli/tests/supervision.rs` runs it, and the same in WAT and C
//! (`guests/c/supervision.c`), and gives it the id of a process to report to.

use std::env;
use std::time::Duration;

use lunatic_guest::process::{self, Message, ProcessId};
use lunatic_guest::supervisor::{Child, Options, Restart, Shutdown, Spec, Strategy};
use lunatic_guest::Param;

/// The tags with which workers say that they are there.
const LOGGER: i64 = 1;
const STEADY: i64 = 2;
const FRAGILE: i64 = 3;

fn main() {
    let root = Spec::new(
        "root",
        Options {
            restarts: 3,
            ..Options::default()
        },
    );
    let inner = Spec::new(
        "inner",
        Options {
            strategy: Strategy::OneForAll,
            ..Options::default()
        },
    );
    let observer = env::args().nth(1).expect("whom to report to");
    let observer = ProcessId(observer.parse().expect("an id is a number"));
    let worker = |name, number| worker(name, number, observer);
    let all = || -> lunatic_guest::Result<_> {
        root.add(&worker("logger", LOGGER))?;
        inner.add(&worker("steady", STEADY))?;
        inner.add(
            &worker("fragile", FRAGILE)
                .restart(Restart::Transient)
                .shutdown(Shutdown::BrutalKill),
        )?;
        root.add_supervisor(&inner)?;
        root.start(7)
    };
    let tree = all().expect("the tree starts");
    await_worker(LOGGER);
    for _ in 0..2 {
        let fragile = await_inner();
        process::send(fragile, 0, &[]);
    }
    await_inner();
    let counts = tree.count_children().expect("the tree lives");
    assert_eq!((counts.active, counts.supervisors), (2, 1));
    let children = tree.which_children().expect("the tree lives");
    assert_eq!(children[0].name, "logger");
    assert_eq!((children[1].restarts, children[1].is_supervisor), (1, true));
    tree.stop();
    // Who is gone already when it is waited for has ended all the same.
    tree.wait();
    report(observer, 100);
}

fn worker(name: &str, number: i64, observer: ProcessId) -> Child {
    let id = |process: ProcessId| Param::I64(process.0 as i64);
    let params = [Param::I64(number), id(process::this()), id(observer)];
    Child::export(name, "worker", &params).shutdown(Shutdown::Timeout(Duration::from_secs(1)))
}

/// Reports its number, says it and its own id to the parent, and fails at the
/// first message.
#[allow(unsafe_code, reason = "no other export has this name")]
#[export_name = "worker"]
extern "C" fn work(number: i64, parent: u64, observer: u64) {
    report(ProcessId(observer), number);
    let id = process::this().0.to_le_bytes();
    process::send(ProcessId(parent), number, &id);
    process::receive(&[]);
    panic!("the worker {number} was told to fail");
}

/// Waits until both workers of the inner supervisor are there; the fragile one.
fn await_inner() -> ProcessId {
    await_worker(STEADY);
    await_worker(FRAGILE)
}

fn await_worker(number: i64) -> ProcessId {
    let Message::Data { bytes, .. } = process::receive(&[number]) else {
        panic!("no link has this tag");
    };
    let id = bytes.try_into().expect("an id has 8 bytes");
    ProcessId(u64::from_le_bytes(id))
}

fn report(observer: ProcessId, number: i64) {
    process::send(observer, number, &[]);
}
