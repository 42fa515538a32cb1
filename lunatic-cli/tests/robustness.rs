//! The runtime survives what processes and host functions do, and every death is
//! told.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::io::Read;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use harness::{Told, World, assert_failed, assert_killed, send};
use lunatic_cli::{Root, RootError};
use lunatic_process::{FailureKind, SpawnError};
use lunatic_wasi::{Input, Stdio};

/// One export for each way to wait, or not to; each reports 1 before, and 2 if
/// it goes on.
const VICTIMS: &str = r#"
    (memory (export "memory") 64)
    (start $first)
    (func $first
        (if (i64.eq (call $setting) (i64.const 1)) (then (call $report (i64.const 1)) (call $spin))))
    (table funcref (elem $sleeps))
    (func $sleeps (result i32) (call $sleep) (i32.const 1))
    (func (export "child"))

    (func (export "sleep_ms")
        (call $report (i64.const 1))
        (call $sleep)
        (call $report (i64.const 2)))
    (func (export "receive")
        (call $report (i64.const 1))
        (drop (call $next))
        (call $report (i64.const 2)))
    (func (export "receive with tag and timeout")
        (i64.store (i32.const 0x100) (i64.const 5))
        (call $report (i64.const 1))
        (drop (call $receive (i32.const 0x100) (i32.const 1) (i64.const 3600000)))
        (call $report (i64.const 2)))
    (func (export "send_receive_skip_search")
        (call $create_data (i64.const 0) (i64.const 0))
        (call $report (i64.const 1))
        (drop (call $send_receive_skip_search (call $process_id) (i64.const 5) (i64.const -1)))
        (call $report (i64.const 2)))
    (func (export "spawn")
        (call $set (i64.const 1))
        (drop (call $spawn_own (i64.const 7) @child))
        (call $report (i64.const 2)))
    (func (export "get_or_spawn")
        (call $set (i64.const 1))
        (drop (call $get_or_spawn @service (i64.const 7) (i64.const -1) (i64.const -1)
            @child (i32.const 0) (i32.const 0) (i32.const 0x100) (i32.const 0x108)))
        (call $report (i64.const 2)))
    (func (export "compile_module") (local $length i32)
        (local.set $length (call $given (i32.const 0x1000)))
        (call $report (i64.const 1))
        (drop (call $compile_module (i32.const 0x1000) (local.get $length) (i32.const 0x100)))
        (call $report (i64.const 2)))
    (func (export "catch")
        (call $report (i64.const 1))
        (drop (call $guarded (i32.const 0)))
        (call $report (i64.const 2)))
    (func (export "poll_oneoff")
        ;; An hour of the monotonic clock.
        (i32.store (i32.const 0x110) (i32.const 1))
        (i64.store (i32.const 0x118) (i64.const 3600000000000))
        (call $report (i64.const 1))
        (drop (call $poll_oneoff
            (i32.const 0x100) (i32.const 0x200) (i32.const 1) (i32.const 0x300)))
        (call $report (i64.const 2)))
    (func (export "sched_yield")
        (call $report (i64.const 1))
        (loop $again (drop (call $sched_yield)) (br $again)))
    (func (export "fd_read")
        (i32.store (i32.const 0x100) (i32.const 0x200))
        (i32.store (i32.const 0x104) (i32.const 1))
        (call $report (i64.const 1))
        (drop (call $fd_read (i32.const 0) (i32.const 0x100) (i32.const 1) (i32.const 0x300)))
        (call $report (i64.const 2)))
    (func (export "spinning")
        (call $report (i64.const 1))
        (call $spin))
    (func (export "calling")
        (call $report (i64.const 1))
        (loop $again (drop (call $process_id)) (br $again)))"#;

/// A standard input on which nothing ever comes.
struct Silence(mpsc::Receiver<()>);

impl Read for Silence {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        self.0.recv().ok();
        Ok(0)
    }
}

/// A module that takes a while to compile.
fn large_module() -> String {
    const FUNCTIONS: usize = 4000;
    let work = "(local.set 0 (i64.mul (local.get 0) (i64.add (local.get 0) (i64.const 3))))";
    let function = format!("(func (param i64) {})\n", work.repeat(10));
    format!("(module {})", function.repeat(FUNCTIONS))
}

/// Kills a process in this state and sees that it ends and that is told.
#[track_caller]
fn can_be_killed(export: &str) {
    // Long enough to be in the call; if it is not, it has to die all the same.
    const INTO_THE_CALL: Duration = Duration::from_millis(20);
    let (open, silence) = mpsc::channel();
    let world = World::new();
    world.give(large_module());
    let stdio = Stdio::default().with_input(Input::from_reader(Silence(silence)));
    let module = world.load(VICTIMS);
    let root = Root::new(export).stdio(stdio);
    let process = world.root(&module, root).unwrap();
    let observer = world.observer();
    observer.watch(&process, 5);
    assert_eq!(world.report(), 1);
    thread::sleep(INTO_THE_CALL);
    process.kill();
    assert_killed(&process);
    observer.is_told_of_failure(&process, 5);
    observer.process.kill();
    // A child that was waited for is gone too.
    world.wait_until_empty();
    world.no_more_reports();
    drop(open);
}

#[test]
fn a_process_can_be_killed_in_sleep_ms() {
    can_be_killed("sleep_ms");
}

#[test]
fn a_process_can_be_killed_in_receive() {
    can_be_killed("receive");
    can_be_killed("receive with tag and timeout");
}

#[test]
fn a_process_can_be_killed_in_send_receive_skip_search() {
    can_be_killed("send_receive_skip_search");
}

#[test]
fn a_process_can_be_killed_in_spawn() {
    can_be_killed("spawn");
}

#[test]
fn a_process_can_be_killed_in_get_or_spawn() {
    can_be_killed("get_or_spawn");
}

#[test]
fn a_process_can_be_killed_in_compile_module() {
    can_be_killed("compile_module");
}

#[test]
fn a_process_can_be_killed_in_catch() {
    can_be_killed("catch");
}

#[test]
fn a_process_can_be_killed_in_poll_oneoff() {
    can_be_killed("poll_oneoff");
}

#[test]
fn a_process_can_be_killed_in_sched_yield() {
    can_be_killed("sched_yield");
}

#[test]
fn a_process_can_be_killed_in_fd_read() {
    can_be_killed("fd_read");
}

#[test]
fn a_process_can_be_killed_while_it_spins() {
    can_be_killed("spinning");
}

#[test]
fn a_process_can_be_killed_while_it_calls_the_host_again_and_again() {
    can_be_killed("calling");
}

const PANICS: &str = r#"
    (func (export "main") (drop (call $next)) (call $panic) (call $report (i64.const 2)))"#;

// ABI §21 A2, §15.5
#[test]
fn a_host_function_that_panics_fails_the_process_and_that_is_told() {
    let world = World::new();
    let observer = world.observer();
    let process = world.spawn(&world.load(PANICS), "main");
    observer.watch(&process, 5);
    send(&process, 0, b"");
    assert_failed(&process, "the host panicked: a host function broke");
    let reason = process.exit_reason().unwrap();
    assert_eq!(reason.failure().unwrap().kind(), &FailureKind::Panicked);
    observer.is_told_of_failure(&process, 5);
    assert!(!world.runtime.environment().exists(process.id()));
    world.no_more_reports();
}

#[test]
fn a_guest_sees_the_panic_of_the_host_as_a_failure_of_its_child() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main") (local $child i64)
            (call $die_when_link_dies (i32.const 0))
            (local.set $child (call $spawn_own (i64.const 5) @child))
            (call $report (i64.extend_i32_u (call $next)))
            (call $report (call $get_tag))
            (call $report (i64.extend_i32_u (call $exists (local.get $child)))))
        (func (export "child") (call $panic))"#,
    );
    assert_eq!(world.reports(), [1, 5, 0]);
}

#[test]
fn a_panic_in_a_start_function_is_a_failed_start() {
    let world = World::new();
    let module = world.load(
        r#"(start $start) (func $start (call $panic))
        (func (export "main"))"#,
    );
    let failure = world.root(&module, Root::new("main")).unwrap_err();
    assert!(
        matches!(failure, RootError::Spawn(SpawnError::StartFailed(_))),
        "{failure}"
    );
    world.wait_until_empty();
}

#[test]
fn many_panics_cost_no_worker() {
    let world = World::new();
    let module = world.load(PANICS);
    let processes: Vec<_> = (0..200).map(|_| world.spawn(&module, "main")).collect();
    for process in &processes {
        send(process, 0, b"");
    }
    for process in &processes {
        assert_failed(process, "the host panicked");
    }
    world.wait_until_empty();
    world.run_main(r#"(func (export "main") (call $sleep_ms (i64.const 1)))"#);
}

#[test]
fn ten_thousand_linked_processes_die_of_one() {
    let world = World::new();
    let module = world.load(
        r#"(func (export "main") (local $rest i32)
            (local.set $rest (i32.const 10000))
            (loop $again
                (drop (call $spawn_own (i64.const 5) @child))
                (br_if $again (local.tee $rest (i32.sub (local.get $rest) (i32.const 1)))))
            (call $report (i64.const 1))
            (drop (call $next))
            unreachable)
        (func (export "child") (call $sleep))"#,
    );
    let process = world.spawn(&module, "main");
    assert_eq!(world.report(), 1);
    assert_eq!(world.runtime.environment().process_count(), 10_001);
    send(&process, 0, b"");
    world.wait_until_empty();
}

#[test]
fn a_monitor_hears_of_each_of_a_thousand_deaths() {
    let world = World::new();
    let observer = world.observer();
    let module = world.load(r#"(func (export "main") (drop (call $next)))"#);
    let mut expected: Vec<_> = (0..1000)
        .map(|_| {
            let process = world.spawn(&module, "main");
            observer.monitor(&process);
            send(&process, 0, b"");
            process.id().to_bits()
        })
        .collect();
    let mut told: Vec<_> = (0..1000)
        .map(|_| match observer.told() {
            Told::ProcessDied(process) => process,
            other => panic!("{other:?}"),
        })
        .collect();
    expected.sort_unstable();
    told.sort_unstable();
    assert_eq!(told, expected);
}
