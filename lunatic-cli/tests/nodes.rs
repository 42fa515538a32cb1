//! Guests on several nodes.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::time::{Duration, Instant, SystemTime};

use futures_lite::future::{block_on, or};
use lunatic_cli::{RemoteRights, Root, Runtime};
use lunatic_distributed::{Node, NodeConfig};
use lunatic_process::ExitReason;
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
        let end = Instant::now() + LIMIT;
        while runtimes.iter().any(|(_, node)| node.nodes().is_empty()) {
            assert!(Instant::now() < end, "the nodes do not find each other");
            std::thread::sleep(Duration::from_millis(5));
        }
        Cluster {
            _directory: directory,
            runtimes,
        }
    }

    /// Runs `main` on the second node and returns how it ended.
    fn run(&self, after: &str) -> ExitReason {
        let (runtime, _) = &self.runtimes[1];
        block_on(or(
            async {
                let module = runtime.load(guest(after)).await.unwrap();
                let main = runtime.spawn(&module, Root::new("main")).await.unwrap();
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
    let end = Instant::now() + LIMIT;
    while other.environment().process_count() > 0 {
        assert!(Instant::now() < end, "the child does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
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
