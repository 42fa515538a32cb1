//! A wasm process answers the runtime's requests in every one of its waits.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

#[path = "../../lunatic-blocking/tests/gate/mod.rs"]
mod gate;
mod harness;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::num::NonZeroU64;
use std::sync::Arc;

use gate::Gate;
use harness::{World, assert_normal, send};
use lunatic_blocking::Class;
use lunatic_cli::{Config, Root, Value};
use lunatic_net::{NetConfig, Rules};
use lunatic_process::{Inspection, Process, ProcessConfig};
use lunatic_testkit::{wait, wait_until};
use lunatic_wasi::{Access, Input, Stdio};
use rcgen::{CertificateParams, KeyPair};

#[track_caller]
fn inspect(process: &Process) -> Inspection {
    wait("an answer", process.inspect()).expect("it lives")
}

/// The process comes to wait in this host function, called by `$waits`, and says so.
#[track_caller]
fn answers_in(process: &Process, function: &str) {
    wait_until(function, || inspect(process).waiting_in == Some(function));
    let Inspection {
        backtrace, memory, ..
    } = inspect(process);
    assert_eq!(backtrace.last().map(String::as_str), Some("waits"));
    assert_eq!(memory, 64 * 1024);
}

/// A process with all rights that runs `$waits`, whose only parameter is a port.
#[track_caller]
fn with_port(world: &World, body: &str, port: u16) -> Process {
    let module = world.load(&format!("{SOCKETS}{body}"));
    let root = Root::new("main").params([Value::I32(port.into())]);
    world.root(&module, root).unwrap()
}

/// `$connect` connects to a port of this machine, `$bind_udp` binds a UDP socket; the
/// id of both is 0.
const SOCKETS: &str = r#"
    (data (i32.const 0x100) "\7f\00\00\01")
    (func $connect (param $port i32)
        (call $ok (call $tcp_connect (i32.const 4) (i32.const 0x100) (local.get $port)
            (i32.const 0) (i32.const 0) (i64.const -1) (i32.const 0x200))))
    (func $bind_udp
        (call $ok (call $udp_bind (i32.const 4) (i32.const 0x100) (i32.const 0)
            (i32.const 0) (i32.const 0) (i32.const 0x200))))"#;

#[test]
fn in_waits_on_tcp_streams() {
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for (function, call) in [
        (
            "lunatic::networking::tcp_read",
            "(drop (call $tcp_read (i64.const 0) (i32.const 0x300) (i32.const 1) (i32.const 0x200)))",
        ),
        (
            "lunatic::networking::tcp_peek",
            "(drop (call $tcp_peek (i64.const 0) (i32.const 0x300) (i32.const 1) (i32.const 0x200)))",
        ),
        (
            "lunatic::networking::tcp_write_vectored",
            // A vector of one buffer, until nobody takes any more.
            r#"(i32.store (i32.const 0x308) (i32.const 0x1000))
            (i32.store (i32.const 0x30c) (i32.const 0x8000))
            (loop $again
                (br_if $again (i32.eqz (call $tcp_write_vectored
                    (i64.const 0) (i32.const 0x308) (i32.const 1) (i32.const 0x200)))))"#,
        ),
    ] {
        let body = format!(
            r#"(func $waits (export "main") (param $port i32)
                (call $connect (local.get $port)) {call})"#
        );
        let process = with_port(&world, &body, port);
        let (_peer, _) = listener.accept().unwrap();
        answers_in(&process, function);
        process.kill();
    }
}

#[test]
fn in_waits_for_connections() {
    let world = World::new();
    let key = KeyPair::generate().unwrap();
    let names = ["localhost".to_owned()];
    let certificate = CertificateParams::new(names).unwrap().self_signed(&key);
    let certificate = certificate.unwrap().pem();
    let lengths = (certificate.len(), key.serialize_pem().len());
    world.give(certificate + &key.serialize_pem());
    let bind = format!(
        r#"(drop (call $given (i32.const 0x1000)))
        (call $ok (call $tls_bind (i32.const 4) (i32.const 0x100) (i32.const 0) (i32.const 0)
            (i32.const 0) (i32.const 0x200) (i32.const 0x1000) (i32.const {certificate})
            (i32.const {key_ptr}) (i32.const {key})))"#,
        certificate = lengths.0,
        key_ptr = 0x1000 + lengths.0,
        key = lengths.1,
    );
    let tcp = with_port(
        &world,
        r#"(func $waits (export "main") (param i32)
            (call $ok (call $tcp_bind (i32.const 4) (i32.const 0x100) (i32.const 0)
                (i32.const 0) (i32.const 0) (i32.const 0x200)))
            (drop (call $tcp_accept (i64.const 0) (i32.const 0x200) (i32.const 0x208))))"#,
        0,
    );
    answers_in(&tcp, "lunatic::networking::tcp_accept");
    let tls = with_port(
        &world,
        &format!(
            r#"(func $waits (export "main") (param i32) {bind}
                (call $ok (call $tls_local_addr (i64.const 0) (i32.const 0x200)))
                (call $ok (call $resolve_next (i64.const 0) (i32.const 0x300)
                    (i32.const 0x310) (i32.const 0x320) (i32.const 0x330) (i32.const 0x340)))
                (call $report (i64.load16_u (i32.const 0x320)))
                (call $ok (call $tls_accept (i64.const 0) (i32.const 0x200) (i32.const 0x208)))
                (drop (call $tls_read
                    (i64.const 0) (i32.const 0x300) (i32.const 1) (i32.const 0x200))))"#
        ),
        0,
    );
    answers_in(&tls, "lunatic::networking::tls_accept");
    let port = u16::try_from(world.report()).unwrap();
    let _says_nothing = TcpStream::connect(("127.0.0.1", port)).unwrap();
    answers_in(&tls, "lunatic::networking::tls_read");
}

#[test]
fn in_handshakes_of_tls() {
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let key = KeyPair::generate().unwrap();
    let root = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let root = root.self_signed(&key).unwrap().pem();
    world.give(root);
    let process = with_port(
        &world,
        r#"(func $waits (export "main") (param $port i32)
            (i32.store (i32.const 0x300) (i32.const 0x1000))
            (i32.store (i32.const 0x304) (call $given (i32.const 0x1000)))
            (drop (call $tls_connect @localhost (local.get $port)
                (i64.const -1) (i32.const 0x200) (i32.const 0x300) (i32.const 1))))"#,
        listener.local_addr().unwrap().port(),
    );
    answers_in(&process, "lunatic::networking::tls_connect");
}

#[test]
fn in_waits_for_datagrams() {
    let world = World::new();
    for (function, arguments) in [
        ("udp_receive", ""),
        ("udp_receive_from", "(i32.const 0x208)"),
    ] {
        let body = format!(
            r#"(func $waits (export "main") (param i32)
                (call $bind_udp)
                (drop (call ${function} (i64.const 0) (i32.const 0x300) (i32.const 1)
                    (i32.const 0x200) {arguments})))"#
        );
        let process = with_port(&world, &body, 0);
        answers_in(&process, &format!("lunatic::networking::{function}"));
        process.kill();
    }
}

#[test]
fn while_a_name_is_looked_up() {
    let gate = Gate::closed();
    gate.occupy(Class::Lookup.queue());
    let world = World::new();
    let process = with_port(
        &world,
        r#"(func $waits (export "main") (param i32)
            (drop (call $resolve @localhost (i64.const -1) (i32.const 0x200))))"#,
        0,
    );
    answers_in(&process, "lunatic::networking::resolve");
}

#[test]
fn while_a_name_in_a_rule_is_looked_up() {
    let gate = Gate::closed();
    gate.occupy(Class::RuleLookup.queue());
    let world = World::new();
    let module = world.load(&format!(
        r#"{SOCKETS}
        (func $waits (export "connects") (call $connect (i32.const 1)))"#
    ));
    let mut config = Config::trusted();
    config.net = Arc::new(NetConfig::default().narrowed(Rules {
        allow: None,
        deny: vec!["rule.invalid".parse().unwrap()],
    }));
    let root = Root::new("connects").config(config);
    let process = world.root(&module, root).unwrap();
    wait_until("a wait", || {
        inspect(&process).waiting_in == Some("lunatic::networking::tcp_connect")
    });
    assert_eq!(inspect(&process).backtrace, ["connect", "waits"]);
}

#[test]
fn in_waits_for_files() {
    /// The file is descriptor 4, in the directory that is 3.
    const OPENS: &str = r#"
        (func $open
            (call $ok (call $path_open (i32.const 3) (i32.const 0) @file (i32.const 0)
                (i64.const -1) (i64.const -1) (i32.const 0) (i32.const 0x200)))
            (i32.store (i32.const 0x300) (i32.const 0x1000))
            (i32.store (i32.const 0x304) (i32.const 4)))"#;
    const CALLS: &[(&str, &str)] = &[
        (
            "fd_read",
            "(i32.const 4) (i32.const 0x300) (i32.const 1) (i32.const 0x200)",
        ),
        (
            "fd_write",
            "(i32.const 4) (i32.const 0x300) (i32.const 1) (i32.const 0x200)",
        ),
        (
            "fd_pread",
            "(i32.const 4) (i32.const 0x300) (i32.const 1) (i64.const 0) (i32.const 0x200)",
        ),
        (
            "fd_pwrite",
            "(i32.const 4) (i32.const 0x300) (i32.const 1) (i64.const 0) (i32.const 0x200)",
        ),
        (
            "fd_seek",
            "(i32.const 4) (i64.const 0) (i32.const 2) (i32.const 0x200)",
        ),
        ("fd_sync", "(i32.const 4)"),
        ("fd_datasync", "(i32.const 4)"),
        ("fd_allocate", "(i32.const 4) (i64.const 0) (i64.const 1)"),
        ("fd_filestat_get", "(i32.const 4) (i32.const 0x1000)"),
        ("fd_filestat_set_size", "(i32.const 4) (i64.const 1)"),
        (
            "fd_filestat_set_times",
            "(i32.const 4) (i64.const 0) (i64.const 0) (i32.const 2)",
        ),
        (
            "fd_readdir",
            "(i32.const 3) (i32.const 0x1000) (i32.const 64) (i64.const 0) (i32.const 0x200)",
        ),
        ("path_create_directory", "(i32.const 3) @made"),
        (
            "path_filestat_get",
            "(i32.const 3) (i32.const 0) @file (i32.const 0x1000)",
        ),
        (
            "path_filestat_set_times",
            "(i32.const 3) (i32.const 0) @file (i64.const 0) (i64.const 0) (i32.const 2)",
        ),
        (
            "path_link",
            "(i32.const 3) (i32.const 0) @file (i32.const 3) @linked",
        ),
        (
            "path_open",
            "(i32.const 3) (i32.const 0) @file (i32.const 0) (i64.const 0) (i64.const 0) \
             (i32.const 0) (i32.const 0x200)",
        ),
        (
            "path_readlink",
            "(i32.const 3) @symlink (i32.const 0x1000) (i32.const 64) (i32.const 0x200)",
        ),
        ("path_rename", "(i32.const 3) @renamed (i32.const 3) @other"),
        ("path_symlink", "@file (i32.const 3) @symlink"),
        ("path_unlink_file", "(i32.const 3) @other"),
        ("path_remove_directory", "(i32.const 3) @made"),
        ("fd_close", "(i32.const 4)"),
    ];
    let world = World::new();
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("file"), "text").unwrap();
    for (function, arguments) in CALLS {
        let module = world.load(&format!(
            r#"{OPENS}
            (func $waits (export "main")
                (call $open)
                (call $report (i64.const 0))
                (drop (call $next))
                (drop (call ${function} {arguments})))"#
        ));
        let mut config = Config::trusted();
        let wasi = config.wasi_mut();
        wasi.add_dir(directory.path(), "/", Access::ReadWrite)
            .unwrap();
        let root = Root::new("main").config(config);
        let process = world.root(&module, root).unwrap();
        world.report();
        let gate = Gate::closed();
        gate.occupy(Class::Cache.queue());
        gate.occupy(Class::Disk.queue());
        send(&process, 0, b"");
        answers_in(&process, &format!("wasi_snapshot_preview1::{function}"));
        gate.open();
        assert_normal(&process);
    }
}

#[test]
fn in_waits_for_standard_input_and_times() {
    let world = World::new();
    let module = world.load(
        r#"(func $waits (export "reads")
            (i32.store (i32.const 0x300) (i32.const 0x1000))
            (i32.store (i32.const 0x304) (i32.const 1))
            (drop (call $fd_read
                (i32.const 0) (i32.const 0x300) (i32.const 1) (i32.const 0x200))))
        ;; A time of the monotonic clock, far away.
        (func $polls (export "polls")
            (i32.store (i32.const 0x310) (i32.const 1))
            (i64.store (i32.const 0x318) (i64.const 0x7fffffffffffffff))
            (drop (call $poll_oneoff
                (i32.const 0x300) (i32.const 0x400) (i32.const 1) (i32.const 0x200))))"#,
    );
    let (reader, _writer) = std::io::pipe().unwrap();
    let stdio = Stdio::default().with_input(Input::from_reader(reader));
    let reads = world
        .root(&module, Root::new("reads").stdio(stdio))
        .unwrap();
    answers_in(&reads, "wasi_snapshot_preview1::fd_read");
    let polls = world.spawn(&module, "polls");
    wait_until("a wait", || {
        inspect(&polls).waiting_in == Some("wasi_snapshot_preview1::poll_oneoff")
    });
}

/// A module whose instances never come to be: their start function sleeps.
const NEVER_STARTS: &str = r#"(module
    (import "lunatic::process" "sleep_ms" (func $sleep_ms (param i64)))
    (func $start (call $sleep_ms (i64.const -1)))
    (start $start)
    (func (export "main")))"#;

#[test]
fn while_another_process_starts() {
    let world = World::new();
    world.give(NEVER_STARTS);
    let module = world.load(
        r#"(func $waits (export "spawns")
            (drop (call $spawn (i64.const 0) (i64.const -1) (call $compile_given) @main
                (i32.const 0) (i32.const 0) (i32.const 0x200))))
        (func $also_waits (export "gets or spawns")
            (drop (call $get_or_spawn @name (i64.const 0) (i64.const -1) (call $compile_given)
                @main (i32.const 0) (i32.const 0) (i32.const 0x208) (i32.const 0x200))))"#,
    );
    let spawns = world.spawn(&module, "spawns");
    answers_in(&spawns, "lunatic::process::spawn");
    let children = world.runtime.environment().processes();
    let child = children.iter().find(|child| child.id() != spawns.id());
    let child = inspect(child.expect("a child"));
    assert_eq!(child.waiting_in, Some("lunatic::process::sleep_ms"));
    let gets = world.spawn(&module, "gets or spawns");
    wait_until("a wait", || {
        inspect(&gets).waiting_in == Some("lunatic::process::get_or_spawn")
    });
}

#[test]
fn while_a_supervisor_starts() {
    let world = World::new();
    world.give(NEVER_STARTS);
    let module = world.load(
        r#"(func $pair (param $at i32) (param $one i32) (param $other i32)
            (i32.store (local.get $at) (local.get $one))
            (i32.store offset=4 (local.get $at) (local.get $other)))
        (func $waits (export "main") (local $spec i64)
            (local.set $spec (call $supervisor_create_spec
                @top (i32.const 0) (i32.const 1) (i64.const 5000) (i32.const 0)))
            (call $pair (i32.const 0x100) @name)
            (i64.store (i32.const 0x108) (call $compile_given))
            (i64.store (i32.const 0x110) (i64.const -1))
            (call $pair (i32.const 0x118) @main)
            (i64.store (i32.const 0x128) (i64.const 1000))
            (call $ok (call $supervisor_add_child
                (local.get $spec) (i32.const 0x100) (i32.const 0)))
            (drop (call $supervisor_start (local.get $spec) (i64.const 0) (i32.const 0x90))))"#,
    );
    let process = world.spawn(&module, "main");
    answers_in(&process, "lunatic::supervisor::start");
    process.kill();
}

#[test]
fn while_a_module_is_compiled() {
    let world = World::new();
    world.give("(module)");
    let module = world.load(r#"(func $waits (export "main") (drop (call $compile_given)))"#);
    let gate = Gate::closed();
    gate.occupy(Class::Cpu.queue());
    let process = world.spawn(&module, "main");
    answers_in(&process, "lunatic::process::compile_module");
    gate.open();
    assert_normal(&process);
}

fn budget() -> ProcessConfig {
    ProcessConfig {
        max_fuel: NonZeroU64::new(1 << 40),
        ..ProcessConfig::trusted()
    }
}

#[test]
fn while_it_computes_and_counts_fuel() {
    let world = World::new();
    let module = world.load(r#"(func (export "main") (call $spin))"#);
    let process = world.spawn_with(&module, "main", budget());
    let inspection = inspect(&process);
    assert_eq!(inspection.waiting_in, None);
    assert_eq!(inspection.module, module.hash().to_string()[..12]);
    process.kill();
}

#[test]
fn in_waits_of_a_process_with_a_budget() {
    let world = World::new();
    let module = world.load(r#"(func $waits (export "main") (call $sleep_ms (i64.const -1)))"#);
    let process = world.spawn_with(&module, "main", budget());
    answers_in(&process, "lunatic::process::sleep_ms");
}

#[test]
fn while_its_own_code_is_compiled_to_count_fuel() {
    let world = World::new();
    let module = world.load(r#"(func (export "main"))"#);
    let gate = Gate::closed();
    gate.occupy(Class::Cpu.queue());
    let process = world.spawn_with(&module, "main", budget());
    let inspection = inspect(&process);
    assert_eq!(inspection.module, module.hash().to_string()[..12]);
    assert_eq!((inspection.memory, inspection.waiting_in), (0, None));
    gate.open();
    assert_normal(&process);
}
