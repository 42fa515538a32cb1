//! Two nodes whose processes do something to each other at the same time, or more than the other can take.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod cluster;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use cluster::{Cluster, until, within};
use lunatic_cli::Config;
use lunatic_mailbox::Pid;

/// What every guest here imports, the memory, and `$other`, the id of the other node.
const BEGINNING: &str = r#"
    (import "lunatic::distributed" "get_nodes" (func $get_nodes (param i32 i32) (result i32)))
    (import "lunatic::distributed" "module_id" (func $module_id (result i64)))
    (import "lunatic::distributed" "node_id" (func $node_id (result i64)))
    (import "lunatic::distributed" "spawn"
        (func $spawn (param i64 i64 i64 i32 i32 i32 i32 i32) (result i32)))
    (import "lunatic::process" "process_id" (func $pid (result i64)))
    (import "lunatic::process" "link" (func $link (param i64 i64)))
    (import "lunatic::process" "unlink" (func $unlink (param i64)))
    (import "lunatic::process" "sleep_ms" (func $sleep (param i64)))
    (import "lunatic::process" "die_when_link_dies" (func $trap (param i32)))
    (import "lunatic::message" "create_data" (func $create (param i64 i64)))
    (import "lunatic::message" "write_data" (func $write (param i32 i32) (result i32)))
    (import "lunatic::message" "get_tag" (func $get_tag (result i64)))
    (import "lunatic::message" "send" (func $send (param i64) (result i32)))
    (import "lunatic::message" "receive" (func $receive (param i32 i32 i64) (result i32)))
    (import "lunatic::global" "register"
        (func $register (param i32 i32 i64 i32 i64 i32) (result i32)))
    (import "lunatic::group" "join" (func $join (param i32 i32 i32 i32 i64 i32) (result i32)))
    (import "lunatic::group" "members"
        (func $members (param i32 i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 40)
    (data (i32.const 0) "thw")
    (func $other (result i64)
        (drop (call $get_nodes (i32.const 64) (i32.const 8)))
        (if (result i64) (i64.eq (i64.load (i32.const 72)) (call $node_id))
            (then (i64.load (i32.const 64)))
            (else (i64.load (i32.const 72)))))
    ;; Starts `t` on the other node.
    (func $spawn_there (result i64)
        (if (call $spawn (call $other) (i64.const -1) (call $module_id)
            (i32.const 0) (i32.const 1) (i32.const 128) (i32.const 0) (i32.const 256))
            (then unreachable))
        (i64.load (i32.const 256)))
    (func $set_parameter (param $at i32) (param $value i64)
        (i32.store8 (local.get $at) (i32.const 0x7e))
        (i64.store offset=1 (local.get $at) (local.get $value))
        (i64.store offset=9 (local.get $at) (i64.const 0)))
    ;; Starts `h` on this node, with two parameters.
    (func $spawn_here (param $t i64) (param $spin i64)
        (call $set_parameter (i32.const 128) (local.get $t))
        (call $set_parameter (i32.const 145) (local.get $spin))
        (if (call $spawn (call $node_id) (i64.const -1) (call $module_id)
            (i32.const 1) (i32.const 1) (i32.const 128) (i32.const 34) (i32.const 256))
            (then unreachable)))"#;

fn guest(rest: &str) -> Vec<u8> {
    format!("(module {BEGINNING} {rest})").into_bytes()
}

/// Pairs of processes: `h` is linked to `t` on the other node, and when all is settled, `t` unlinks
/// `h` while `h` links `t` once more, each time a little earlier or later.
fn racing(rounds: u32) -> Vec<u8> {
    guest(&format!(
        r#"
        (func (export "t") (local $h i64)
            (call $trap (i32.const 0))
            (drop (call $receive (i32.const 0) (i32.const 0) (i64.const -1)))
            (local.set $h (call $get_tag))
            (drop (call $receive (i32.const 0) (i32.const 0) (i64.const -1)))
            (call $unlink (local.get $h))
            (call $sleep (i64.const -1)))
        (func (export "h") (param $t i64) (param $spin i64) (local $i i64)
            (call $trap (i32.const 0))
            (call $link (i64.const 7) (local.get $t))
            (call $create (call $pid) (i64.const 0))
            (drop (call $send (local.get $t)))
            (call $sleep (i64.const 6))
            (call $create (i64.const 9) (i64.const 0))
            (drop (call $send (local.get $t)))
            (loop $longer
                (local.set $i (i64.add (local.get $i) (i64.const 1)))
                (br_if $longer (i64.lt_u (local.get $i) (local.get $spin))))
            (call $link (i64.const 7) (local.get $t))
            (call $sleep (i64.const -1)))
        (func (export "main") (local $n i32) (local $spin i64)
            (loop $rounds
                (call $spawn_here (call $spawn_there) (local.get $spin))
                (local.set $spin
                    (i64.rem_u (i64.add (local.get $spin) (i64.const 37013)) (i64.const 1500000)))
                (call $sleep (i64.const 2))
                (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (br_if $rounds (i32.lt_u (local.get $n) (i32.const {rounds})))))"#
    ))
}

#[test]
fn a_link_that_is_made_while_the_other_end_undoes_it_is_known_at_both_ends_or_at_none() {
    const ROUNDS: usize = 600;
    let cluster = Cluster::of_two();
    let main = cluster.begin(1, racing(ROUNDS as u32), Config::trusted());
    assert!(within(main.wait()).is_normal());
    // Who is linked to whom.
    let links = || -> BTreeSet<(Pid, Pid)> {
        let all = cluster.runtimes.iter();
        let processes = all.flat_map(|(runtime, _)| runtime.environment().processes());
        let links = |process: lunatic_process::Process| {
            let id = process.id();
            process.links().into_iter().map(move |peer| (id, peer))
        };
        processes.flat_map(links).collect()
    };
    let count = |node: usize| cluster.runtimes[node].0.environment().process_count();
    until(|| count(0) == ROUNDS && count(1) == ROUNDS);
    // What is under way arrives.
    let mut before = BTreeSet::new();
    until(|| {
        std::thread::sleep(Duration::from_millis(300));
        let now = links();
        let is_settled = now == before;
        before = now;
        is_settled
    });
    let at_one_end = before.iter().filter(|(a, b)| !before.contains(&(*b, *a)));
    let at_one_end: Vec<_> = at_one_end.collect();
    assert!(at_one_end.is_empty(), "{at_one_end:?}");
    // All who have a link hear of the end of the other, and undo it by that.
    for process in cluster.runtimes[1].0.environment().processes() {
        process.kill();
    }
    until(|| links().is_empty());
    cluster.stop();
}

/// So many bytes each message has.
const MESSAGE: usize = 64 << 10;

/// Starts so many processes that send to others on the other node without end, some time later, and
/// then does something.
fn flood(senders: u32, then: &str) -> Vec<u8> {
    guest(&format!(
        r#"
        (func (export "t") (loop $more
            (drop (call $receive (i32.const 0) (i32.const 0) (i64.const -1)))
            (br $more)))
        (func (export "h") (param $t i64) (param i64)
            (call $sleep (i64.const 500))
            (loop $more
                (call $create (i64.const 7) (i64.const {MESSAGE}))
                (drop (call $write (i32.const 1024) (i32.const {MESSAGE})))
                (drop (call $send (local.get $t)))
                (br $more)))
        (func (export "main") (local $n i32)
            (loop $rounds
                (call $spawn_here (call $spawn_there) (i64.const 0))
                (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (br_if $rounds (i32.lt_u (local.get $n) (i32.const {senders}))))
            {then})"#
    ))
}

#[test]
fn of_many_processes_that_send_to_a_node_each_has_a_few_messages_waiting_beyond_the_limit() {
    const SENDERS: usize = 60;
    let cluster = Cluster::of_two();
    let main = cluster.begin(1, flood(SENDERS as u32, ""), Config::trusted());
    assert!(within(main.wait()).is_normal());
    let session = cluster.runtimes[1].1.sessions().all().remove(0);
    until(|| session.queued_bytes() > 8 << 20);
    let begun = Instant::now();
    let mut most = 0;
    while begun.elapsed() < Duration::from_secs(4) {
        most = most.max(session.queued_bytes());
        std::thread::sleep(Duration::from_millis(1));
    }
    let limit = (8 << 20) + SENDERS * 2 * (MESSAGE + 1024);
    assert!(most <= limit, "{most} of {limit} bytes");
    assert!(session.is_open());
    cluster.stop();
}

#[test]
fn names_are_registered_and_groups_joined_while_many_send_to_the_other_node() {
    // More than may be queued, if each sender has one message waiting.
    const SENDERS: u32 = 160;
    let then = r#"
        (call $sleep (i64.const 1500))
        (if (call $join (i32.const 0) (i32.const 1) (i32.const 1) (i32.const 1)
            (call $pid) (i32.const 300)) (then unreachable))
        (if (call $register (i32.const 0) (i32.const 1) (call $pid) (i32.const 0)
            (i64.const 0) (i32.const 400)) (then unreachable))
        (call $sleep (i64.const -1))"#;
    let cluster = Cluster::of_two();
    let main = cluster.begin(1, flood(SENDERS, then), Config::trusted());
    until(|| cluster.runtimes[0].1.find_global("t") == Some(main.id()));
    let scope = cluster.runtimes[0].0.new_names().groups.scope("t").unwrap();
    until(|| scope.members("h").contains(&main.id()));
    cluster.stop();
}
