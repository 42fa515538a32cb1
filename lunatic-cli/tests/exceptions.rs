//! Exceptions of guests, and what becomes of those that nobody catches (ABI §11, §16.1).
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::num::NonZeroU64;

use harness::{World, assert_failed, assert_killed};
use lunatic_account::{AccountLimits, Kind};
use lunatic_process::ProcessConfig;
use lunatic_testkit::wait_until;

#[test]
fn an_exception_that_nobody_catches_fails_the_process_and_who_is_linked_to_it() {
    let world = World::new();
    let module = world.load(
        r#"(tag $t (param i32))
        (func $deep (param i32)
            (if (i32.eqz (local.get 0)) (then (throw $t (i32.const 1))))
            (call $deep (i32.sub (local.get 0) (i32.const 1))))
        (func (export "main") (call $deep (i32.const 2000)))"#,
    );
    world.fails(&module, "main", "uncaught exception");
    let budget = ProcessConfig {
        max_fuel: NonZeroU64::new(100),
        ..ProcessConfig::default()
    };
    let process = world.spawn_with(&module, "main", budget);
    assert_failed(&process, "uncaught exception");
}

#[test]
fn an_exception_out_of_the_start_function_is_why_there_is_no_process() {
    let world = World::new();
    let module =
        world.load(r#"(tag $t) (func $start (throw $t)) (start $start) (func (export "main"))"#);
    let error = world
        .root(&module, lunatic_cli::Root::new("main"))
        .unwrap_err();
    let error = lunatic_error::with_causes(&error).to_string();
    assert!(error.contains("uncaught exception"), "{error}");
}

/// A guest whose functions are called inside of `trap::catch`.
const CATCHES: &str = r#"
    (table funcref (elem $throws $nests $catches $deeper))
    (tag $t (param i64)) (global $depth (mut i64) (i64.const 0))
    (func $throws (result i32) (throw $t (i64.const 5)))
    ;; No exception comes out of a host function.
    (func $nests (result i32)
        (block $caught
            (try_table (catch_all $caught)
                (return (i32.add (i32.const 1) (call $guarded (i32.const 0))))))
        (i32.const 99))
    (func $catches (result i32)
        (i32.wrap_i64 (block $caught (result i64)
            (try_table (catch $t $caught) (throw $t (i64.const 6)))
            (unreachable))))
    (func $deeper (result i32)
        (global.set $depth (i64.add (global.get $depth) (i64.const 1)))
        (drop (call $guarded (i32.const 3)))
        (i32.const 1))
    (func $reports (param i32) (call $report (i64.extend_i32_u (call $guarded (local.get 0)))))"#;

#[test]
fn a_catch_of_traps_catches_exceptions_and_none_comes_out_of_it() {
    let world = World::new();
    world.run_main(&format!(
        r#"{CATCHES}
        (func (export "main") (local $left i32)
            (call $reports (i32.const 0)) (call $reports (i32.const 1)) (call $reports (i32.const 2))
            ;; What was caught is not kept.
            (local.set $left (i32.const 20_000))
            (loop $again
                (drop (call $guarded (i32.const 0)))
                (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
            (call $reports (i32.const 2)))"#
    ));
    assert_eq!(world.reports(), [0, 1, 6, 6]);
}

#[test]
fn no_more_than_sixteen_catches_are_open_inside_each_other_in_a_module_with_exceptions() {
    let world = World::new();
    world.run_main(&format!(
        r#"{CATCHES}
        (func (export "main") (call $reports (i32.const 3)) (call $report (global.get $depth)))"#
    ));
    assert_eq!(world.reports(), [1, 16]);
}

#[test]
fn what_is_no_exception_passes_by_the_handlers() {
    let world = World::new();
    let module = world.load(
        r#"(memory (export "memory") 1)
        (func (export "exits") (block $h (try_table (catch_all $h) (call $proc_exit (i32.const 3)))))
        (func (export "traps") (block $h (try_table (catch_all $h) (unreachable))))
        (func (export "misuses")
            (block $h (try_table (catch_all $h) (call $drop_config (i64.const 9)))))
        (func (export "waits")
            (block $h (try_table (catch_all $h) (call $report (i64.const 1)) (call $sleep))))"#,
    );
    for (export, cause) in [
        ("exits", "3"),
        ("traps", "unreachable"),
        ("misuses", "config"),
    ] {
        world.fails(&module, export, cause);
    }
    let process = world.spawn(&module, "waits");
    assert_eq!(world.report(), 1);
    process.kill();
    assert_killed(&process);
}

/// Throws for ever in the depth, and keeps some exceptions.
const BUSY: &str = r#"
    (tag $t) (table $kept 5000 exnref) (memory (export "memory") 1)
    (func $keep (param $left i32) (local $thrown exnref)
        (loop $next
            (local.set $thrown (block $caught (result exnref)
                (try_table (catch_all_ref $caught) (throw $t)) (unreachable)))
            (table.set $kept (local.get $left) (local.get $thrown))
            (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1))))))
    (func $down (param i32)
        (if (local.get 0)
            (then (call $down (i32.sub (local.get 0) (i32.const 1))) (return)))
        (loop $again (try_table (catch $t $again) (throw $t))))
    (func (export "few") (call $keep (i32.const 3000))
        (call $report (i64.const 1)) (call $down (i32.const 1000)))
    (func (export "many") (loop $again (call $keep (i32.const 4999)) (br $again)))
    (func (export "never") (call $report (i64.const 2)) (call $sleep))"#;

#[test]
fn who_throws_for_ever_can_be_killed_and_leaves_nothing() {
    let world = World::new();
    let module = world.load(BUSY);
    let account = world.runtime.environment().account();
    let before = account.used(Kind::Memory);
    for _ in 0..20 {
        let process = world.spawn(&module, "few");
        assert_eq!(world.report(), 1);
        process.kill();
        assert_killed(&process);
    }
    world.wait_until_empty();
    wait_until("memory to be given back", || {
        account.used(Kind::Memory) == before
    });
}

#[test]
fn a_heap_is_charged_to_who_throws_and_who_has_filled_it_fails() {
    let world = World::new();
    let module = world.load(BUSY);
    world.fails(&module, "many", "no room for another exception");
    let poor = || ProcessConfig {
        account: Some(AccountLimits {
            memory: 192 << 10,
            ..AccountLimits::UNLIMITED
        }),
        ..ProcessConfig::default()
    };
    // Who has exceptions and throws none has no heap.
    let process = world.spawn_with(&module, "never", poor());
    assert_eq!(world.report(), 2);
    process.kill();
    assert_killed(&process);
    let process = world.spawn_with(&module, "many", poor());
    assert_failed(&process, "no room for another exception");
}
