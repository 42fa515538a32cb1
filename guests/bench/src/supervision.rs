//! Does what `cargo xtask bench` times of supervision and process groups:
//! `bench_supervision MODE COUNT`.
//!
//! `bench/beam.erl` does the same in Erlang; what one of them changes, the other
//! has to follow.

mod groups;

use std::env;
use std::time::{Duration, Instant};

use lunatic_guest::process::{self, Message, ProcessId};
use lunatic_guest::supervisor::{Child, Options, Shutdown, Spec, Strategy, Supervisor};
use lunatic_guest::Param;

/// One child in so many is killed.
const KILLED: u64 = 10;

/// The tag with which a child says that it is there.
const HELLO: i64 = 1;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [mode, count] = arguments.as_slice() else {
        panic!("two arguments are needed: MODE COUNT");
    };
    let count = count.parse().expect("the count is a number");
    match mode.as_str() {
        "supervise" => supervise(count),
        "one_for_all" => one_for_all(count),
        "groups" => groups::groups(count),
        _ => panic!("there is no mode `{mode}`"),
    }
}

/// Starts children from a template, kills a tenth of them at random, waits until
/// as many are there again, and stops all.
fn supervise(count: u64) {
    let start = Instant::now();
    let supervisor = begin(Strategy::SimpleOneForOne, |spec| {
        spec.add(&Child::template("member", member))
    });
    let parent = [Param::I64(process::this().0 as i64)];
    let mut children: Vec<ProcessId> = (0..count)
        .map(|_| {
            let child = supervisor.start_from_template(&parent);
            child.expect("a child")
        })
        .collect();
    hear(count);
    since(start, "supervise-start", count);

    let killed = count.div_ceil(KILLED);
    shuffle(&mut children);
    let start = Instant::now();
    for child in &children[..killed as usize] {
        process::kill(*child);
    }
    hear(killed);
    since(start, "supervise-restart", killed);

    let start = Instant::now();
    end(supervisor);
    since(start, "supervise-stop", count);
}

/// Starts children and kills one, so that all are stopped and started again.
fn one_for_all(count: u64) {
    let parent = process::this().0;
    let start = Instant::now();
    let supervisor = begin(Strategy::OneForAll, |spec| {
        (0..count).try_for_each(|number| {
            let child = Child::new(&number.to_string(), member, parent);
            spec.add(&child.shutdown(Shutdown::BrutalKill))
        })
    });
    hear(count);
    since(start, "one-for-all-start", count);

    let children = supervisor.which_children().expect("it lives");
    let middle = children[children.len() / 2].process;
    let start = Instant::now();
    process::kill(middle.expect("all run"));
    hear(count);
    since(start, "one-for-all-restart", count);
    end(supervisor);
}

fn begin(strategy: Strategy, add: impl FnOnce(&Spec) -> lunatic_guest::Result<()>) -> Supervisor {
    let options = Options {
        strategy,
        restarts: 1_000_000,
        period: Duration::from_secs(1),
        ..Options::default()
    };
    let spec = Spec::new("bench", options);
    add(&spec).expect("children");
    spec.start(0).expect("a supervisor")
}

fn end(supervisor: Supervisor) {
    supervisor.stop();
    supervisor.wait();
}

/// Says that it is there, and waits for its end.
fn member(parent: u64) {
    process::send(ProcessId(parent), HELLO, &[]);
    process::receive(&[]);
}

fn hear(count: u64) {
    for _ in 0..count {
        let message = process::receive(&[]);
        assert!(matches!(message, Message::Data { tag: HELLO, .. }));
    }
}

/// The same order each time, and no pattern in it.
fn shuffle(children: &mut [ProcessId]) {
    let mut state: u64 = 0x9E37_79B9_7F4A_7C15;
    for last in (1..children.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        children.swap(last, (state % (last as u64 + 1)) as usize);
    }
}

fn since(start: Instant, name: &str, count: u64) {
    println!("{name} {count} {}", start.elapsed().as_nanos());
}
