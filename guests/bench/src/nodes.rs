//! Does between two nodes what `cargo xtask bench --nodes` times: `bench_nodes MODE COUNT BYTES`.
//!
//! `bench/nodes.erl` does the same in Erlang; what one of them changes, the other has to follow.

use std::env;
use std::thread;
use std::time::{Duration, Instant};

use lunatic_guest::node::{self, Node};
use lunatic_guest::process::{self, Message, ProcessId};

/// The tags of messages.
const READY: i64 = 1;
const PING: i64 = 2;
const DATA: i64 = 3;
const DONE: i64 = 4;
const LINK: i64 = 5;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [mode, count, bytes] = arguments.as_slice() else {
        panic!("three arguments are needed: MODE COUNT BYTES");
    };
    let count = count.parse().expect("the count is a number");
    let bytes = bytes.parse().expect("the number of bytes is a number");
    let other = other();
    match mode.as_str() {
        "ping" => ping(other, count),
        "flood" => flood(other, count, bytes),
        "spawn" => spawn(other, count),
        "watch" => watch(other),
        _ => panic!("there is no mode `{mode}`"),
    }
}

/// The other node, as soon as it is there.
fn other() -> Node {
    loop {
        if let Some(other) = node::all().get(1) {
            return *other;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// A process there, as soon as it runs.
fn start(other: Node, function: fn(u64)) -> ProcessId {
    let started = other.spawn_link(LINK, function, process::this().0);
    let started = started.expect("a process on the other node");
    process::receive(&[READY]);
    started
}

/// Sends a number to and fro.
fn ping(other: Node, count: u64) {
    let echo = start(other, echo);
    let begun = Instant::now();
    for number in 0..count {
        process::send(echo, PING, &number.to_le_bytes());
        process::receive(&[PING]);
    }
    tell("ping", count, begun.elapsed());
}

fn echo(parent: u64) {
    let parent = ProcessId(parent);
    process::send(parent, READY, &[]);
    loop {
        if let Message::Data { bytes, .. } = process::receive(&[PING]) {
            process::send(parent, PING, &bytes);
        }
    }
}

/// Sends messages as fast as it can, until the last has arrived.
fn flood(other: Node, count: u64, bytes: usize) {
    let sink = start(other, sink);
    process::send(sink, DATA, &count.to_le_bytes());
    let message = vec![7; bytes];
    let begun = Instant::now();
    for _ in 0..count {
        process::send(sink, DATA, &message);
    }
    process::receive(&[DONE]);
    tell("flood", count, begun.elapsed());
}

fn sink(parent: u64) {
    let parent = ProcessId(parent);
    process::send(parent, READY, &[]);
    let Message::Data { bytes, .. } = process::receive(&[DATA]) else {
        panic!("not the number of messages");
    };
    let count = u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    for _ in 0..count {
        process::receive(&[DATA]);
    }
    process::send(parent, DONE, &[]);
}

/// Starts processes one after the other, on a node that has the code.
fn spawn(other: Node, count: u64) {
    let start = || other.spawn(ends, 0).expect("a process on the other node");
    start();
    let begun = Instant::now();
    for _ in 0..count {
        start();
    }
    tell("spawn", count, begun.elapsed());
}

fn ends(_: u64) {}

/// Says when it is linked to a process there, and when that has ended.
fn watch(other: Node) {
    process::trap_link_deaths();
    start(other, echo);
    tell("ready", 1, Duration::ZERO);
    process::receive(&[LINK]);
    tell("told", 1, Duration::ZERO);
}

fn tell(what: &str, count: u64, time: Duration) {
    println!("{what} {count} {}", time.as_nanos());
}
