//! Servers that are replaced as a whole while they have connections, and addresses that their next
//! version binds later.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use harness::{World, assert_killed, module};
use lunatic_cli::{Others, Program, Reloading, ReplaceLimits, Root};
use lunatic_reload::{Outcome, ReloadResult, Report};
use lunatic_testkit::{PATIENCE, wait};

const REPLACE: Others = Others::Replace(ReplaceLimits {
    start: PATIENCE,
    drain: PATIENCE,
});

/// A port that nobody listens at.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// A server that answers each byte of a connection with a digit, one connection after the other.
///
/// - `first`: what it does first.
/// - `next`: what it does when it has accepted a connection.
fn server(version: u32, port: u16, first: &str, next: &str) -> String {
    module(&format!(
        r#"(data (i32.const 0x10) "\7f\00\00\01")
        (data (i32.const 0x20) "{version}")
        (func (export "main")
            {first}
            (call $bind (i32.const {port}))
            (loop $again
                (call $take (i64.const 0))
                {next}
                (call $serve)
                (br $again)))
        (func $bind (param $port i32)
            (call $ok (call $tcp_bind (i32.const 4) (i32.const 0x10) (local.get $port)
                (i32.const 0) (i32.const 0) (i32.const 0x100))))
        ;; The stream is at 0x108.
        (func $take (param $listener i64)
            (call $ok (call $tcp_accept (local.get $listener) (i32.const 0x108) (i32.const 0x110)))
            (call $drop_dns_iterator (i64.load (i32.const 0x110))))
        (func $serve
            (i32.store (i32.const 0x200) (i32.const 0x20))
            (i32.store (i32.const 0x204) (i32.const 1))
            (loop $more
                (if (i32.eqz (call $tcp_read (i64.load (i32.const 0x108))
                        (i32.const 0x300) (i32.const 1) (i32.const 0x208))) (then
                    (if (i64.ne (i64.load (i32.const 0x208)) (i64.const 0)) (then
                        (drop (call $tcp_write_vectored (i64.load (i32.const 0x108))
                            (i32.const 0x200) (i32.const 1) (i32.const 0x208)))
                        (br $more))))))
            (call $drop_tcp_stream (i64.load (i32.const 0x108))))"#
    ))
}

fn connect(port: u16) -> TcpStream {
    let client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
}

/// Which version answers on a connection.
#[track_caller]
fn ask(client: &mut TcpStream) -> u8 {
    client.write_all(b"?").unwrap();
    let mut answer = [0; 1];
    client.read_exact(&mut answer).unwrap();
    answer[0] - b'0'
}

fn start(world: &World, text: &str) -> Program {
    let runtime = &world.runtime;
    let module = wait("compilation", runtime.load_version("app", text.to_owned())).unwrap();
    let root = Root::new("main");
    wait("the start", runtime.start_program(&module, root)).unwrap()
}

fn replace(world: &World, text: &str, purge: bool) -> Report {
    let how = Reloading {
        others: REPLACE,
        purge,
        ..Reloading::default()
    };
    let reload = world.runtime.reload("app", text.into(), how);
    wait("the reload", reload).unwrap()
}

fn is_replaced(report: &Report) {
    assert_eq!(report.result, ReloadResult::Moved, "{report:?}");
    let [root] = report.processes.as_slice() else {
        panic!("{report:?}");
    };
    assert_eq!(root.outcome, Outcome::Replaced);
}

#[test]
fn while_replaced_servers_still_have_connections_the_next_version_comes() {
    let (world, port) = (World::new(), free_port());
    let program = start(&world, &server(1, port, "", ""));
    // It may not listen yet.
    let mut clients = vec![loop {
        match TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            Ok(client) => break client,
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }];
    assert_eq!(ask(&mut clients[0]), 1);
    let mut roots = vec![program.process()];
    for (version, purge) in [(2, false), (3, false), (4, true)] {
        is_replaced(&replace(&world, &server(version, port, "", ""), purge));
        clients.push(connect(port));
        for (client, version) in clients.iter_mut().zip(1..) {
            assert_eq!(ask(client), version);
        }
        roots.push(program.process());
    }
    // Each ends with its connection, but for the last one.
    for (client, root) in clients.into_iter().zip(&roots).take(3) {
        assert!(root.is_alive());
        drop(client);
        assert_killed(root);
    }
    assert!(roots[3].is_alive());
    assert_eq!(ask(&mut connect(port)), 4);
}

#[test]
fn an_address_that_the_next_version_binds_later_is_not_closed_meanwhile() {
    let (world, first, second) = (World::new(), free_port(), free_port());
    let binds_second = format!("(call $bind (i32.const {second}))");
    let old = format!("{binds_second} (call $report (i64.const 1))");
    // The second one is bound first, but by the old version alone.
    let program = start(
        &world,
        &server(1, first, &old, "")
            .replace("(call $take (i64.const 0))", "(call $take (i64.const 1))"),
    );
    assert_eq!(world.report(), 1);
    let old = program.process();
    let next = format!(
        "(call $report (i64.const 2))
        (loop $wait (call $sleep_ms (i64.const 1)) (br_if $wait (i64.eqz (call $setting))))
        {binds_second}
        (call $serve)
        (call $take (i64.const 1))"
    );
    is_replaced(&replace(&world, &server(2, first, "", &next), false));
    let mut to_first = connect(first);
    assert_eq!(world.report(), 2);
    // The old version has no connections; nobody accepts this one for now.
    let mut to_second = connect(second);
    assert!(old.is_alive());
    world.run_main(r#"(func (export "main") (call $set (i64.const 1)))"#);
    assert_eq!(ask(&mut to_first), 2);
    drop(to_first);
    assert_eq!(ask(&mut to_second), 2);
    assert_killed(&old);
}
