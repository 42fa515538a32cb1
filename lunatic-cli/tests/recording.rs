//! `lunatic run --profile`, `--coredump` and `--trace-out`.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use harness::module;
use harness::program::Guests;
use serde_json::Value;
use wasmparser::{Parser, Payload};

fn core_dumps(guests: &Guests) -> Vec<PathBuf> {
    let entries = fs::read_dir(guests.path().join("dumps")).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_profile_has_the_functions_that_run_by_name() {
    let guests = Guests::new();
    // A tick finds it at work: it computes until the clock has moved on by 200 ms.
    let guest = r#"
        (func (export "_start") (local $end i64)
            (drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 0x100)))
            (local.set $end (i64.add (i64.load (i32.const 0x100)) (i64.const 200000000)))
            (call $outer (local.get $end)))
        (func $outer (param $end i64) (call $busy_here (local.get $end)))
        (func $busy_here (param $end i64) (local $n i32)
            (loop $again
                (local.set $n (i32.const 100000))
                (loop $spin
                    (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                    (br_if $spin (local.get $n)))
                (drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 0x100)))
                (br_if $again (i64.lt_u (i64.load (i32.const 0x100)) (local.get $end)))))"#;
    guests.file("guest.wat", module(guest));
    guests
        .run(&["run", "--profile", "out.json", "guest.wat"])
        .code(0);
    let text = fs::read_to_string(guests.path().join("out.json")).unwrap();
    let profile: Value = serde_json::from_str(&text).unwrap();
    assert!(profile["meta"]["version"].is_number(), "{text:.200}");
    let samples = profile["threads"][0]["samples"]["length"].as_u64().unwrap();
    assert!(samples > 10, "{samples} samples");
    assert!(text.contains("busy_here") && text.contains("outer"));
}

#[test]
fn a_profile_that_cannot_be_written_is_told() {
    let guests = Guests::new();
    guests.file("guest.wat", module(r#"(func (export "_start"))"#));
    guests
        .run(&["run", "--profile", "no/such/out.json", "guest.wat"])
        .code(1)
        .says(&["cannot write `no/such/out.json`", "make the directory"]);
}

#[test]
fn a_trap_leaves_a_core_dump_that_only_its_user_reads() {
    let guests = Guests::new();
    let guest = r#"
        (data (i32.const 0x500) "the secret")
        (func (export "_start") (call $fails_here))
        (func $fails_here (unreachable))"#;
    guests.file("guest.wat", module(guest));
    guests
        .run(&["run", "--coredump", "dumps", "guest.wat"])
        .code(1)
        .says(&["`dumps` is no directory"]);
    fs::create_dir(guests.path().join("dumps")).unwrap();
    let ran = guests.run(&["run", "--coredump", "dumps", "guest.wat"]);
    ran.code(1).says(&[
        "core dump: ",
        "failed: wasm trap: wasm `unreachable`",
        "fails_here",
    ]);
    let dumps = core_dumps(&guests);
    let [dump] = &dumps[..] else {
        panic!("{dumps:?}");
    };
    let name = dump.file_name().unwrap().to_str().unwrap();
    assert!(name.ends_with("-process-1.coredump"), "{name}");
    let mode = fs::metadata(dump).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let bytes = fs::read(dump).unwrap();
    let mut names = Vec::new();
    for payload in Parser::new(0).parse_all(&bytes) {
        if let Payload::CustomSection(section) = payload.unwrap() {
            names.push(section.name().to_owned());
        }
    }
    for section in ["core", "coremodules", "coreinstances", "corestack"] {
        assert!(names.iter().any(|name| name == section), "{names:?}");
    }
    assert!(bytes.windows(10).any(|window| window == b"the secret"));
}

#[test]
fn an_exit_and_a_kill_leave_no_core_dump() {
    let guests = Guests::new();
    fs::create_dir(guests.path().join("dumps")).unwrap();
    guests.file(
        "guest.wat",
        module(r#"(func (export "_start") (call $proc_exit (i32.const 3)))"#),
    );
    guests
        .run(&["run", "--coredump", "dumps", "guest.wat"])
        .code(3);
    assert!(core_dumps(&guests).is_empty());
}

#[test]
fn no_more_core_dumps_are_written_than_may_be() {
    let guests = Guests::new();
    fs::create_dir(guests.path().join("dumps")).unwrap();
    let guest = r#"
        (func (export "_start") (local $left i32)
            (local.set $left (i32.const 40))
            (loop $again
                (call $await (call $spawn_own (i64.const 0) @fails))
                (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                (br_if $again (local.get $left))))
        (func (export "fails") (unreachable))"#;
    guests.file("guest.wat", module(guest));
    guests
        .run(&["run", "--coredump", "dumps", "guest.wat"])
        .code(0);
    assert_eq!(core_dumps(&guests).len(), 16);
}

#[test]
fn a_trace_file_has_spawns_and_slow_calls_with_their_times() {
    let guests = Guests::new();
    let guest = r#"
        (func (export "_start")
            (call $await (call $spawn_own (i64.const 0) @child))
            (call $sleep_ms (i64.const 30)))
        (func (export "child"))"#;
    guests.file("guest.wat", module(guest));
    guests
        .run(&["run", "--trace-out", "trace.json", "guest.wat"])
        .code(0)
        .is_silent();
    let text = fs::read_to_string(guests.path().join("trace.json")).unwrap();
    let events: Vec<Value> = serde_json::from_str(&text).unwrap();
    let named = |name: &'static str| events.iter().filter(move |event| event["name"] == name);
    let spawn = named("lunatic::process::spawn").next().unwrap();
    assert_eq!(spawn["ph"], "X");
    assert_eq!(spawn["tid"], 1);
    let slept = named("lunatic::process::sleep_ms");
    let longest = slept.map(|event| event["dur"].as_u64().unwrap()).max();
    assert!(longest.unwrap() >= 30_000, "{text}");
    guests
        .run(&["run", "--trace-out", "no/such/trace.json", "guest.wat"])
        .code(1)
        .says(&["cannot write the trace `no/such/trace.json`"]);
}

#[test]
fn a_trace_file_of_the_terminals_log_is_unchanged() {
    let guests = Guests::new();
    let guest = r#"
        (func (export "_start") (call $await (call $spawn_own (i64.const 0) @fails)))
        (func (export "fails") (unreachable))"#;
    guests.file("guest.wat", module(guest));
    let plain = guests.run(&["run", "guest.wat"]);
    let traced = guests.run(&["run", "--trace-out", "trace.json", "guest.wat"]);
    let warnings = |text: &str| text.matches("WARN").count();
    assert_eq!(warnings(&plain.err), 1, "{}", plain.err);
    assert_eq!(warnings(&traced.err), 1, "{}", traced.err);
}
