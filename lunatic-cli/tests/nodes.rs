//! Guests on several nodes.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::future;
use std::time::{Duration, Instant, SystemTime};

use futures_lite::future::{block_on, or};
use lunatic_account::AccountLimits;
use lunatic_cli::{Config, RemoteRights, Root, Runtime};
use lunatic_distributed::{Node, NodeConfig};
use lunatic_process::{ExitReason, SpawnOptions};
use lunatic_trust::{Authority, Credentials};
use tempfile::TempDir;

/// What a test waits for at most.
const LIMIT: Duration = Duration::from_secs(60);

/// Starts `child` on the other node, with its own id, and waits for the message that it sends
/// back; then calls $after.
fn guest(after: &str) -> Vec<u8> {
    format!(
        r#"(module
        (import "lunatic::distributed" "get_nodes"
            (func $get_nodes (param i32 i32) (result i32)))
        (import "lunatic::distributed" "module_id" (func $module_id (result i64)))
        (import "lunatic::distributed" "node_id" (func $node_id (result i64)))
        (import "lunatic::distributed" "spawn"
            (func $spawn (param i64 i64 i64 i32 i32 i32 i32 i32) (result i32)))
        (import "lunatic::distributed" "send" (func $send_to (param i64 i64) (result i32)))
        (import "lunatic::process" "process_id" (func $process_id (result i64)))
        (import "lunatic::process" "link" (func $link (param i64 i64)))
        (import "lunatic::process" "kill" (func $kill (param i64)))
        (import "lunatic::message" "create_data" (func $create_data (param i64 i64)))
        (import "lunatic::message" "send" (func $send (param i64) (result i32)))
        (import "lunatic::message" "receive" (func $receive (param i32 i32 i64) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "child")
        (func (export "child") (param $parent i64)
            (call $create_data (i64.const 5) (i64.const 0))
            (drop (call $send (local.get $parent)))
            ;; It lives until it is told to end.
            (drop (call $receive (i32.const 0) (i32.const 0) (i64.const -1))))
        (func $check (param i32) (if (i32.eqz (local.get 0)) (then unreachable)))
        (func (export "main") (local $child i64)
            (call $check (i32.eq (call $get_nodes (i32.const 64) (i32.const 8)) (i32.const 2)))
            (call $check (i64.eq (i64.load (i32.const 64)) (call $node_id)))
            ;; One argument: an i64.
            (i32.store8 (i32.const 128) (i32.const 0x7e))
            (i64.store (i32.const 129) (call $process_id))
            (i64.store (i32.const 137) (i64.const 0))
            (call $check (i32.eqz (call $spawn
                (i64.load (i32.const 72)) (i64.const -1) (call $module_id)
                (i32.const 0) (i32.const 5) (i32.const 128) (i32.const 17) (i32.const 256))))
            (local.set $child (i64.load (i32.const 256)))
            (call $check (i32.eqz
                (call $receive (i32.const 0) (i32.const 0) (i64.const 30000))))
            {after}))"#
    )
    .into_bytes()
}

/// Waits until something holds.
fn until(mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < end, "it takes too long");
        std::thread::sleep(Duration::from_millis(5));
    }
}

struct Cluster {
    _directory: TempDir,
    runtimes: Vec<(Runtime, Node)>,
}

impl Cluster {
    fn of_two() -> Cluster {
        let directory = TempDir::new().unwrap();
        let now = SystemTime::now();
        let path = directory.path().join("test");
        let authority = Authority::init(&path, &"test".parse().unwrap(), now).unwrap();
        let mut runtimes: Vec<(Runtime, Node)> = Vec::new();
        for name in ["one", "two"] {
            let name = name.parse().unwrap();
            let credentials = Credentials::from_authority(&authority, &name, None, now).unwrap();
            let mut config = NodeConfig::new(credentials, ([127, 0, 0, 1], 0).into());
            let address = |(_, node): &(Runtime, Node)| node.info().address.to_string();
            config.seeds = runtimes.iter().map(address).collect();
            let node = block_on(Node::start(config)).unwrap();
            let builder = Runtime::builder().node(node.clone(), RemoteRights::default());
            runtimes.push((builder.start().unwrap(), node));
        }
        until(|| runtimes.iter().all(|(_, node)| !node.nodes().is_empty()));
        Cluster {
            _directory: directory,
            runtimes,
        }
    }

    /// Runs `main` on the second node and returns how it ended.
    fn run(&self, after: &str) -> ExitReason {
        self.run_with(after, Config::trusted())
    }

    fn run_with(&self, after: &str, config: Config) -> ExitReason {
        let (runtime, _) = &self.runtimes[1];
        block_on(or(
            async {
                let module = runtime.load(guest(after)).await.unwrap();
                let main = runtime
                    .spawn(&module, Root::new("main").config(config))
                    .await;
                let main = main.unwrap();
                main.wait().await
            },
            async {
                async_io::Timer::after(LIMIT).await;
                panic!("it takes too long")
            },
        ))
    }

    fn stop(self) {
        for (runtime, node) in &self.runtimes {
            block_on(node.stop());
            block_on(runtime.shut_down());
        }
    }
}

#[test]
fn a_guest_starts_a_process_on_another_node_and_hears_from_it() {
    let cluster = Cluster::of_two();
    let ended = cluster.run(
        "(call $create_data (i64.const 1) (i64.const 0))
         (call $check (i32.eqz (call $send_to (i64.load (i32.const 72)) (local.get $child))))",
    );
    assert!(ended.is_normal(), "{ended}");
    let (other, _) = &cluster.runtimes[0];
    until(|| other.environment().process_count() == 0);
    cluster.stop();
}

#[test]
fn the_death_of_a_linked_process_of_another_node_ends_a_guest() {
    let cluster = Cluster::of_two();
    let ended = cluster.run(
        "(call $link (i64.const 0) (local.get $child))
         (call $kill (local.get $child))
         (drop (call $receive (i32.const 0) (i32.const 0) (i64.const 30000)))",
    );
    assert!(ended.to_string().contains("died"), "{ended}");
    cluster.stop();
}

#[test]
fn a_message_to_an_unknown_node_is_refused_and_stays() {
    let cluster = Cluster::of_two();
    let ended = cluster.run(
        "(call $create_data (i64.const 1) (i64.const 0))
         (call $check (i32.eq (call $send_to (i64.const 77) (i64.const 1)) (i32.const 1)))
         (call $check (i32.eqz (call $send_to (i64.load (i32.const 72)) (local.get $child))))",
    );
    assert!(ended.is_normal(), "{ended}");
    cluster.stop();
}

#[test]
fn a_guest_with_an_account_of_its_own_starts_none_on_other_nodes_without_the_right() {
    let cluster = Cluster::of_two();
    let mut config = Config::trusted();
    config.process.account = Some(AccountLimits::default());
    config.process.can_signal_outside = false;
    let ended = cluster.run_with("", config.clone());
    assert!(
        ended.to_string().contains("spawn processes on other nodes"),
        "{ended}"
    );
    assert_eq!(cluster.runtimes[0].0.environment().process_count(), 0);
    config.process.can_signal_outside = true;
    let ended = cluster.run_with("(call $kill (local.get $child))", config);
    assert!(ended.is_normal(), "{ended}");
    cluster.stop();
}

#[test]
fn members_of_a_group_are_known_on_all_nodes_while_they_live() {
    let cluster = Cluster::of_two();
    let [one, two] = [&cluster.runtimes[0].0, &cluster.runtimes[1].0];
    let process = one
        .environment()
        .spawn(SpawnOptions::default(), |_| future::pending());
    let process = process.unwrap();
    let scope = |runtime: &Runtime| runtime.new_names().groups.scope("shop").unwrap();
    scope(one).join("workers", &process).unwrap();
    until(|| scope(two).members("workers") == [process.id()]);
    assert!(scope(two).local_members("workers").is_empty());
    process.kill();
    until(|| scope(two).members("workers").is_empty());
    let again = two
        .environment()
        .spawn(SpawnOptions::default(), |_| future::pending());
    scope(two).join("workers", &again.unwrap()).unwrap();
    until(|| scope(one).members("workers").len() == 1);
    // The members of a node that has left are gone.
    block_on(cluster.runtimes[1].1.stop());
    until(|| scope(one).members("workers").is_empty());
    cluster.stop();
}
