//! Nodes on which processes compute without end: that is no reason to take one for lost.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]
#![allow(clippy::print_stdout, reason = "what is measured is told")]

mod cluster;

use std::time::{Duration, Instant};

use cluster::{Cluster, until, within};
use futures_lite::future::block_on;
use lunatic_cli::{Config, RemoteRights};

/// Starts so many processes that never end by themselves, nor wait, once this time is over: those
/// that spin would hold up whoever starts the others.
fn spinning(processes: usize, after: Duration) -> Vec<u8> {
    let after = after.as_millis();
    format!(
        r#"(module
        (import "lunatic::process" "spawn"
            (func $spawn (param i64 i64 i64 i32 i32 i32 i32 i32) (result i32)))
        (import "lunatic::process" "sleep_ms" (func $sleep_ms (param i64)))
        (memory (export "memory") 1)
        (data (i32.const 0) "spin")
        (func (export "spin")
            (call $sleep_ms (i64.const {after}))
            (loop $for_ever (br $for_ever)))
        (func (export "main") (local $left i32)
            (local.set $left (i32.const {processes}))
            (loop $next
                (if (call $spawn (i64.const 0) (i64.const -1) (i64.const -1)
                    (i32.const 0) (i32.const 4) (i32.const 128) (i32.const 0) (i32.const 256))
                    (then unreachable))
                (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                (br_if $next (local.get $left)))))"#
    )
    .into_bytes()
}

/// Has so many processes spin on each of some nodes for a while. No session is lost, and nobody
/// is suspected.
fn spin(nodes: &[&str], processes: usize, starting: Duration, time: Duration) {
    let cluster = Cluster::of(nodes, &RemoteRights::default());
    let sessions = || -> Vec<_> {
        let all = cluster.runtimes.iter();
        let all = all.flat_map(|(_, node)| node.sessions().all());
        all.map(|session| (session.node().id, session.connection()))
            .collect()
    };
    let before = sessions();
    assert_eq!(before.len(), nodes.len() * (nodes.len() - 1));
    for node in 0..nodes.len() {
        let main = cluster.begin(node, spinning(processes, starting), Config::trusted());
        let ended = within(main.wait());
        assert!(ended.is_normal(), "{ended}");
        // Who waits for a process is told before it is no longer counted.
        let environment = cluster.runtimes[node].0.environment().clone();
        until(|| environment.process_count() == processes);
    }
    std::thread::sleep(starting);
    let begun = Instant::now();
    let mut slowest = Duration::ZERO;
    while begun.elapsed() < time {
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(sessions(), before, "after {:?}", begun.elapsed());
        for (_, node) in &cluster.runtimes {
            for peer in within(node.peers()) {
                slowest = slowest.max(peer.round_trip);
            }
        }
    }
    let mut suspicions = 0;
    for (runtime, node) in &cluster.runtimes {
        assert_eq!(runtime.environment().process_count(), processes);
        assert_eq!(node.lost_sessions(), 0);
        suspicions += block_on(node.suspicions());
    }
    println!(
        "{processes} spinning on each for {time:?}: {suspicions} suspicions, slowest round trip {slowest:?}"
    );
    assert_eq!(suspicions, 0);
    cluster.stop();
}

#[test]
fn processes_that_spin_are_no_reason_to_take_a_node_for_lost() {
    spin(
        &["one", "two"],
        300,
        Duration::from_millis(500),
        Duration::from_secs(3),
    );
}

/// For people, as it takes more than a minute.
#[test]
#[ignore = "it takes minutes"]
fn ten_thousand_spin_on_each_of_three_nodes_for_a_minute() {
    let (starting, time) = (Duration::from_secs(20), Duration::from_secs(60));
    spin(&["one", "two", "three"], 10_000, starting, time);
}
