//! What guests do on several nodes beyond ABI §8: ABI §29, ABI §30 and ABI §31.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod cluster;

use std::future;

use cluster::{Cluster, until, within};
use futures_lite::future::block_on;
use lunatic_account::{AccountLimits, Kind};
use lunatic_cli::{Config, RemoteRights};
use lunatic_distributed::OnLoss;
use lunatic_process::{ExitReason, Process, SpawnOptions};

/// A guest with this body of `main`, whose first node is $own and whose other one is $other.
/// The text at 0 is "leader", that at 16 "child", at 32 "out of work", at 64 "one".
fn guest(main: &str) -> Vec<u8> {
    format!(
        r#"(module
        (import "lunatic::distributed" "get_nodes"
            (func $get_nodes (param i32 i32) (result i32)))
        (import "lunatic::distributed" "module_id" (func $module_id (result i64)))
        (import "lunatic::distributed" "spawn_link"
            (func $spawn_link (param i64 i64 i64 i64 i32 i32 i32 i32 i32) (result i32)))
        (import "lunatic::distributed" "exists" (func $exists (param i64) (result i32)))
        (import "lunatic::distributed" "node_name" (func $node_name (param i64 i32 i32) (result i32)))
        (import "lunatic::distributed" "find_node" (func $find_node (param i32 i32) (result i64)))
        (import "lunatic::distributed" "monitor_nodes" (func $monitor_nodes (param i64)))
        (import "lunatic::distributed" "stop_monitoring_nodes" (func $stop_monitoring_nodes))
        (import "lunatic::global" "register"
            (func $register (param i32 i32 i64 i32 i64 i32) (result i32)))
        (import "lunatic::global" "unregister" (func $unregister (param i32 i32) (result i32)))
        (import "lunatic::global" "whereis" (func $whereis (param i32 i32 i32) (result i32)))
        (import "lunatic::process" "process_id" (func $process_id (result i64)))
        (import "lunatic::process" "die_when_link_dies" (func $die_when_link_dies (param i32)))
        (import "lunatic::process" "exit" (func $exit (param i64 i32 i32 i32)))
        (import "lunatic::process" "monitor_with_reason" (func $monitor (param i64 i64)))
        (import "lunatic::process" "kill" (func $kill (param i64)))
        (import "lunatic::message" "get_tag" (func $get_tag (result i64)))
        (import "lunatic::message" "data_size" (func $data_size (result i64)))
        (import "lunatic::message" "read_data" (func $read_data (param i32 i32) (result i32)))
        (import "lunatic::message" "receive" (func $receive (param i32 i32 i64) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "leader")
        (data (i32.const 16) "child")
        (data (i32.const 32) "out of work")
        (data (i32.const 64) "one")
        (global $own (mut i64) (i64.const 0))
        (global $other (mut i64) (i64.const 0))
        (func $check (param i32) (if (i32.eqz (local.get 0)) (then unreachable)))
        ;; Waits for a message; 0 data, 1 a link has died.
        (func $wait (result i32)
            (call $receive (i32.const 0) (i32.const 0) (i64.const 30000)))
        ;; Waits for a data message with this tag and reads it to 1024; its length.
        (func $told (param $tag i64) (result i32)
            (call $check (i32.eqz (call $wait)))
            (call $check (i64.eq (local.get $tag) (call $get_tag)))
            (drop (call $read_data (i32.const 1024) (i32.wrap_i64 (call $data_size))))
            (i32.wrap_i64 (call $data_size)))
        ;; Starts `child` on the other node, linked with the tag 5.
        (func $child (result i64)
            (call $check (i32.eqz (call $spawn_link
                (global.get $other) (i64.const 5) (i64.const -1) (call $module_id)
                (i32.const 16) (i32.const 5) (i32.const 128) (i32.const 0) (i32.const 256))))
            (i64.load (i32.const 256)))
        (func (export "child") (drop (call $wait)))
        (func (export "main") (local $child i64)
            (drop (call $get_nodes (i32.const 512) (i32.const 8)))
            (global.set $own (i64.load (i32.const 512)))
            (global.set $other (i64.load (i32.const 520)))
            {main}))"#
    )
    .into_bytes()
}

fn run(cluster: &Cluster, main: &str) -> ExitReason {
    cluster.run_guest(guest(main), Config::trusted())
}

/// Expects that `main` on the second node returns.
fn passes(cluster: &Cluster, main: &str) {
    let ended = run(cluster, main);
    assert!(ended.is_normal(), "{ended}");
}

fn traps(cluster: &Cluster, main: &str, text: &str) {
    let ended = run(cluster, main).to_string();
    assert!(ended.contains(text), "{ended}");
}

/// A process on a node that lives until it is killed.
fn idle(cluster: &Cluster, node: usize) -> Process {
    let environment = cluster.runtimes[node].0.environment();
    let idle = environment.spawn(SpawnOptions::default(), |_| future::pending());
    idle.unwrap()
}

/// Registers the caller as `leader`, with a tag of 9 for its loss; compares the result.
const REGISTERS: &str = "(call $register (i32.const 0) (i32.const 6) (call $process_id)
    (i32.const 1) (i64.const 9) (i32.const 300))";

#[test]
fn a_process_has_a_name_of_the_cluster_until_it_gives_it_up_or_ends() {
    let cluster = Cluster::of_two();
    let [(_, one), (_, two)] = [&cluster.runtimes[0], &cluster.runtimes[1]];
    passes(
        &cluster,
        &format!(
            "(call $check (i32.eq (i32.const 1) (call $whereis
                (i32.const 0) (i32.const 6) (i32.const 400))))
             (call $check (i32.eqz {REGISTERS}))
             (call $check (i32.eqz {REGISTERS}))
             (call $check (i32.eqz (call $whereis
                (i32.const 0) (i32.const 6) (i32.const 400))))
             (call $check (i64.eq (i64.load (i32.const 400)) (call $process_id)))
             (call $check (i32.eqz (call $unregister (i32.const 0) (i32.const 6))))
             (loop $again (br_if $again (i32.eqz (call $whereis
                (i32.const 0) (i32.const 6) (i32.const 400)))))
             (call $check (i32.eq (i32.const 1) (call $unregister (i32.const 0) (i32.const 6))))
             (call $check (i32.eqz {REGISTERS}))"
        ),
    );
    // Its end gives it up.
    until(|| one.find_global("leader").is_none() && two.find_global("leader").is_none());
    let holder = idle(&cluster, 0);
    // Some members may still be told that it was given up.
    until(|| block_on(one.register_global("leader", holder.id())).is_ok());
    passes(
        &cluster,
        &format!(
            "(call $check (i32.eq (i32.const 1) {REGISTERS}))
             (call $check (i64.eq (i64.load (i32.const 300)) (i64.const {})))
             ;; It is not of this node.
             (call $check (i32.eq (i32.const 2) (call $register (i32.const 16) (i32.const 5)
                (i64.load (i32.const 300)) (i32.const 0) (i64.const 0) (i32.const 300))))
             (call $check (i32.eq (i32.const 1) (call $unregister (i32.const 0) (i32.const 6))))",
            holder.id().to_bits() as i64
        ),
    );
    cluster.stop();
}

#[test]
fn the_many_names_of_a_process_are_given_up_at_its_end() {
    const NAMES: usize = 600;
    let cluster = Cluster::of_two();
    let [(_, one), (_, two)] = [&cluster.runtimes[0], &cluster.runtimes[1]];
    let holder = idle(&cluster, 0);
    let names: Vec<_> = (0..NAMES).map(|number| format!("name {number}")).collect();
    for name in &names {
        let registered = one.register_for(&holder, name, OnLoss::Kill, holder.account());
        block_on(registered.unwrap()).unwrap();
    }
    until(|| names.iter().all(|name| two.find_global(name).is_some()));
    holder.kill();
    for node in [one, two] {
        until(|| names.iter().all(|name| node.find_global(name).is_none()));
    }
    assert_eq!(holder.account().used(Kind::Names), 0);
}

#[test]
fn names_of_the_cluster_are_charged_and_need_the_right_to_names_outside() {
    let cluster = Cluster::of_two();
    let mut config = Config::trusted();
    config.process.account = Some(AccountLimits {
        names: 1,
        ..AccountLimits::UNLIMITED
    });
    let two_names = format!(
        "(call $check (i32.eqz {REGISTERS}))
         (drop (call $register (i32.const 16) (i32.const 5) (call $process_id)
            (i32.const 0) (i64.const 0) (i32.const 300)))"
    );
    let ended = cluster.run_guest(guest(&two_names), config.clone());
    assert!(
        ended
            .to_string()
            .contains("the limit of 1 names is reached"),
        "{ended}"
    );
    config.process.can_use_outside_names = false;
    let whereis = "(drop (call $whereis (i32.const 0) (i32.const 6) (i32.const 400)))";
    let ended = cluster.run_guest(guest(whereis), config);
    assert!(
        ended.to_string().contains("use the names of the cluster"),
        "{ended}"
    );
    traps(
        &cluster,
        "(drop (call $register (i32.const 0) (i32.const 6) (call $process_id)
            (i32.const 2) (i64.const 0) (i32.const 300)))",
        "nothing that becomes of who loses a name",
    );
    cluster.stop();
}

#[test]
fn who_loses_a_name_after_a_cut_is_told_or_killed_as_it_chose() {
    let cluster = Cluster::on_a_wire(&["one", "two"]);
    let [(_, one), (_, two)] = [&cluster.runtimes[0], &cluster.runtimes[1]];
    cluster.cut(true);
    until(|| one.nodes().is_empty() && two.nodes().is_empty());
    // The claims on node one are the first that it makes.
    let first = idle(&cluster, 0);
    for name in ["leader", "child"] {
        block_on(one.register_global(name, first.id())).unwrap();
    }
    // Those on node two are later, whatever the clocks say: its counter is above.
    let other = idle(&cluster, 1);
    for name in ["x", "y", "z"] {
        block_on(two.register_global(name, other.id())).unwrap();
    }
    let winner = first.id().to_bits() as i64;
    let told = guest(&format!(
        "(call $check (i32.eqz {REGISTERS}))
         (call $check (i32.eq (i32.const 14) (call $told (i64.const 9))))
         (call $check (i64.eq (i64.load (i32.const 1024)) (i64.const {winner})))
         (call $check (i32.eq (i32.load8_u (i32.const 1032)) (i32.const 108)))"
    ));
    let killed = guest(
        "(call $check (i32.eqz (call $register (i32.const 16) (i32.const 5) (call $process_id)
            (i32.const 0) (i64.const 0) (i32.const 300))))
         (drop (call $wait))",
    );
    let told = cluster.begin(1, told, Config::trusted());
    let killed = cluster.begin(1, killed, Config::trusted());
    until(|| two.find_global("leader").is_some() && two.find_global("child").is_some());
    cluster.cut(false);
    let ended = within(told.wait());
    assert!(ended.is_normal(), "{ended}");
    assert_eq!(within(killed.wait()), ExitReason::Killed);
    for name in ["leader", "child"] {
        until(|| two.find_global(name) == Some(first.id()));
        assert_eq!(one.find_global(name), Some(first.id()));
    }
    assert!(first.is_alive());
    cluster.stop();
}

#[test]
fn a_linked_process_of_another_node_is_there_and_dies_with_the_caller() {
    let cluster = Cluster::of_two();
    let one = cluster.runtimes[0].0.environment();
    passes(
        &cluster,
        "(call $die_when_link_dies (i32.const 0))
         (local.set $child (call $child))
         (call $check (i32.eq (i32.const 1) (call $exists (local.get $child))))
         (call $check (i32.eq (i32.const 1) (call $exists (call $process_id))))
         (call $kill (local.get $child))
         (call $check (i32.eq (i32.const 1) (call $wait)))
         (call $check (i64.eq (i64.const 5) (call $get_tag)))
         (call $check (i32.eqz (call $exists (local.get $child))))
         ;; No node has this number.
         (call $check (i32.eq (i32.const 9027) (call $exists (i64.const 0x7f))))",
    );
    until(|| one.process_count() == 0);
    // The caller traps: its child dies by the link.
    traps(&cluster, "(drop (call $child)) unreachable", "unreachable");
    until(|| one.process_count() == 0);
    assert_eq!(one.spawned_count(), 2);
    cluster.stop();
}

#[test]
fn a_process_is_told_why_one_of_another_node_ends() {
    let cluster = Cluster::of_two();
    passes(
        &cluster,
        "(call $die_when_link_dies (i32.const 0))
         (local.set $child (call $child))
         (call $monitor (i64.const 3) (local.get $child))
         (call $exit (local.get $child) (i32.const 1) (i32.const 32) (i32.const 11))
         ;; The link and the monitor, in this order.
         (call $check (i32.eq (i32.const 1) (call $wait)))
         (call $check (i32.eq (i32.const 23) (call $told (i64.const 3))))
         (call $check (i64.eq (i64.load (i32.const 1024)) (local.get $child)))
         (call $check (i32.eq (i32.load (i32.const 1032)) (i32.const 1)))
         (call $check (i64.eq (i64.load (i32.const 1036)) (i64.load (i32.const 32))))
         ;; It is gone.
         (call $monitor (i64.const 4) (local.get $child))
         (call $check (i32.eq (i32.const 12) (call $told (i64.const 4))))
         (call $check (i32.eq (i32.load (i32.const 1032)) (i32.const 4)))
         ;; In good order.
         (local.set $child (call $child))
         (call $monitor (i64.const 3) (local.get $child))
         (call $exit (local.get $child) (i32.const 3) (i32.const 0) (i32.const 0))
         (call $check (i32.eq (i32.const 1) (call $wait)))
         (drop (call $told (i64.const 3)))
         (call $check (i32.eq (i32.load (i32.const 1032)) (i32.const 3)))
         ;; One of a node that is not there.
         (call $monitor (i64.const 4) (i64.const 0x100000000007))
         (drop (call $told (i64.const 4)))
         (call $check (i32.eq (i32.load (i32.const 1032)) (i32.const 5)))",
    );
    traps(
        &cluster,
        "(call $exit (call $process_id) (i32.const 2) (i32.const 0) (i32.const 0))",
        "no reason for which",
    );
    let mut config = Config::trusted();
    config.process.account = Some(AccountLimits::UNLIMITED);
    config.process.can_signal_outside = false;
    let monitor = "(call $monitor (i64.const 1) (i64.const 0x100000000007))";
    let ended = cluster.run_guest(guest(monitor), config);
    assert!(
        ended.to_string().contains("signal processes outside"),
        "{ended}"
    );
    cluster.stop();
}

#[test]
fn a_process_is_told_of_nodes_that_come_and_go() {
    let cluster = Cluster::of(&["one", "two", "three"], &RemoteRights::default());
    let [(_, one), (_, three)] = [&cluster.runtimes[0], &cluster.runtimes[2]];
    let main = guest(
        "(call $monitor_nodes (i64.const 8))
         ;; Both others are there.
         (drop (call $told (i64.const 8)))
         (call $check (i32.eqz (i32.load (i32.const 1024))))
         (drop (call $told (i64.const 8)))
         (call $check (i32.eqz (i32.load (i32.const 1024))))
         ;; One leaves.
         (call $check (i32.eq (i32.const 19) (call $told (i64.const 8))))
         (call $check (i32.eq (i32.load (i32.const 1024)) (i32.const 3)))
         (call $check (i32.eq (i32.load (i32.const 1028)) (i32.const 3)))
         (call $check (i32.eq (i32.load8_u (i32.const 1040)) (i32.const 111)))
         (call $check (i64.eqz (call $find_node (i32.const 64) (i32.const 3))))
         (call $check (i32.eq (i32.const -1)
            (call $node_name (i64.load (i32.const 1032)) (i32.const 700) (i32.const 8))))
         (call $stop_monitoring_nodes)",
    );
    let watching = cluster.begin(1, main, Config::trusted());
    until(|| watching.queued_messages() == 0 || watching.exit_reason().is_some());
    std::thread::sleep(std::time::Duration::from_millis(100));
    block_on(one.stop());
    let ended = within(watching.wait());
    assert!(ended.is_normal(), "{ended}");
    // Names of nodes.
    passes(
        &cluster,
        "(call $check (i32.eq (i32.const 3)
            (call $node_name (global.get $own) (i32.const 700) (i32.const 3))))
         (call $check (i64.eq (call $find_node (i32.const 700) (i32.const 3)) (global.get $own)))
         (call $check (i32.eq (i32.const 5)
            (call $node_name (global.get $other) (i32.const 700) (i32.const 2))))",
    );
    assert_eq!(three.info().name.as_str(), "three");
    cluster.stop();
}

#[test]
fn a_lost_connection_is_told_to_who_monitors_nodes_and_processes() {
    let cluster = Cluster::on_a_wire(&["one", "two"]);
    let main = guest(
        "(call $die_when_link_dies (i32.const 0))
         (call $monitor_nodes (i64.const 8))
         (drop (call $told (i64.const 8)))
         (local.set $child (call $child))
         (call $monitor (i64.const 3) (local.get $child))
         ;; In this order: the link, the monitor, the node; then it is back.
         (call $check (i32.eq (i32.const 1) (call $wait)))
         (drop (call $told (i64.const 3)))
         (call $check (i32.eq (i32.load (i32.const 1032)) (i32.const 5)))
         (drop (call $told (i64.const 8)))
         (call $check (i32.eq (i32.load (i32.const 1024)) (i32.const 2)))
         (drop (call $told (i64.const 8)))
         (call $check (i32.eq (i32.load (i32.const 1024)) (i32.const 1)))
         ;; Nothing else comes.
         (call $check (i32.eq (i32.const 9027)
            (call $receive (i32.const 0) (i32.const 0) (i64.const 1000))))",
    );
    let main = cluster.begin(1, main, Config::trusted());
    let [(there, one), (_, two)] = [&cluster.runtimes[0], &cluster.runtimes[1]];
    let is_watched = || {
        let all = there.environment().processes();
        all.iter().any(|process| process.info().watchers == 1)
    };
    until(|| is_watched() || main.exit_reason().is_some());
    cluster.cut(true);
    until(|| one.nodes().is_empty() && two.nodes().is_empty());
    // The child has been told too, and is gone with its link.
    until(|| there.environment().process_count() == 0);
    cluster.cut(false);
    let ended = within(main.wait());
    assert!(ended.is_normal(), "{ended}");
    cluster.stop();
}
