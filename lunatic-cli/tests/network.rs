//! Networking of processes among each other (ABI §6), and who may use it.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::sync::Arc;

use harness::World;
use lunatic_cli::{Config, Root};
use lunatic_net::{NetConfig, Rules};

/// `$bind` binds a UDP socket of this machine; the code, 0 or 1.
const BIND: &str = r#"
    (func $bind (result i64)
        (i32.store (i32.const 0x100) (i32.const 0x0100007f))
        (i64.extend_i32_u (call $udp_bind (i32.const 4) (i32.const 0x100)
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0x200))))"#;

/// A root that spawns one child with its own config and one with a new one;
/// all three try to bind.
fn codes_of_root_and_children(net: NetConfig) -> [i64; 3] {
    let world = World::new();
    let module = world.load(&format!(
        r#"{BIND}
        (func (export "main") (local $config i64)
            (call $report (call $bind))
            (drop (call $spawn_own (i64.const 0) @child))
            (drop (call $next))
            (local.set $config (call $create_config))
            (drop (call $spawn_with (i64.const 0) (local.get $config) @child))
            (drop (call $next)))
        (func (export "child")
            (call $report (call $bind))
            (call $post (i64.const 1) (i64.const 0) (i64.const 1)))"#
    ));
    let mut config = Config::trusted();
    config.net = Arc::new(net);
    let root = Root::new("main").config(config);
    let process = world.root(&module, root).unwrap();
    assert_eq!(process.id().to_bits(), 1);
    let codes = world.reports();
    harness::assert_normal(&process);
    codes
}

#[test]
fn every_process_may_use_the_network_unless_it_is_told_otherwise() {
    assert_eq!(codes_of_root_and_children(NetConfig::default()), [0, 0, 0]);
}

#[test]
fn what_a_process_may_not_do_its_children_may_not_do_whatever_their_config() {
    assert_eq!(codes_of_root_and_children(NetConfig::nothing()), [1, 1, 1]);
    let connect_only = Rules {
        allow: Some(vec!["connect:*".parse().unwrap()]),
        deny: Vec::new(),
    };
    let net = NetConfig::default().narrowed(connect_only);
    assert_eq!(codes_of_root_and_children(net), [1, 1, 1]);
}

#[test]
fn a_killed_process_that_waits_for_a_connection_gives_its_port_back() {
    let world = World::new();
    let module = world.load(
        r#"(func (export "main")
            (i32.store (i32.const 0x100) (i32.const 0x0100007f))
            (call $ok (call $tcp_bind (i32.const 4) (i32.const 0x100)
                (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0x200)))
            (call $ok (call $tcp_local_addr (i64.const 0) (i32.const 0x200)))
            (call $ok (call $resolve_next (i64.load (i32.const 0x200)) (i32.const 0x300)
                (i32.const 0x310) (i32.const 0x320) (i32.const 0x330) (i32.const 0x340)))
            (call $report (i64.load16_u (i32.const 0x320)))
            (drop (call $tcp_accept (i64.const 0) (i32.const 0x200) (i32.const 0x208))))"#,
    );
    let process = world.spawn(&module, "main");
    let port = u16::try_from(world.report()).unwrap();
    process.kill();
    harness::assert_killed(&process);
    std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
}
