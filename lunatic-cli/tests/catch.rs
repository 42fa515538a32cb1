//! Catching traps, and what is no trap (ABI §11).
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::num::{NonZeroU64, NonZeroUsize};

use harness::{World, assert_failed, assert_killed, assert_normal, send};
use lunatic_account::AccountLimits;
use lunatic_engine::STACK_BYTES;
use lunatic_process::ProcessConfig;
use lunatic_testkit::{end_of, wait};

#[test]
fn the_export_is_called_with_both_values_and_its_result_returned() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main")
            (call $report (i64.extend_i32_s (call $catch (i32.const -2) (i32.const 3)))))
        (func (export "_lunatic_catch_trap") (param i32 i32) (result i32)
            (call $report (i64.extend_i32_s (local.get 0)))
            (call $report (i64.extend_i32_s (local.get 1)))
            (i32.const 42))"#,
    );
    assert_eq!(world.reports(), [-2, 3, 42]);
}

#[test]
fn every_trap_is_caught_and_gives_0() {
    let world = World::new();
    world.run_main(
        r#"(memory (export "memory") 1)
        (table funcref (elem
            $unreachable $divides $reads_far $overflows $host $exits_0 $exits_1 $exits_far
            $indirect $rejected $tail))
        (func $unreachable (result i32) unreachable)
        (func $divides (result i32) (i32.div_u (i32.const 1) (i32.const 0)))
        (func $reads_far (result i32) (i32.load (i32.const -1)))
        (func $overflows (result i32) (call $overflows) (call $overflows) i32.add)
        (func $host (result i32) (call $drop_config (i64.const 9)) (i32.const 1))
        (func $exits_0 (result i32) (call $proc_exit (i32.const 0)) (i32.const 1))
        (func $exits_1 (result i32) (call $proc_exit (i32.const 1)) (i32.const 1))
        (func $exits_far (result i32) (call $proc_exit (i32.const -1)) (i32.const 1))
        (func $indirect (result i32) (call_indirect (param i64) (i64.const 0) (i32.const 0))
            (i32.const 1))
        (func $rejected (result i32) (drop (call $get_tag)) (i32.const 1))
        (func $tail (result i32) (i32.const 42))
        (func (export "main") (local $entry i32)
            (loop $again
                (call $report (i64.extend_i32_u (call $guarded (local.get $entry))))
                (local.set $entry (i32.add (local.get $entry) (i32.const 1)))
                (br_if $again (i32.lt_u (local.get $entry) (i32.const 11)))))"#,
    );
    assert_eq!(world.reports(), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 42]);
}

#[test]
fn nothing_is_rolled_back() {
    let world = World::new();
    world.run_main(
        r#"(memory (export "memory") 1)
        (table funcref (elem $traps)) (global $global (mut i64) (i64.const 0))
        (func $traps (result i32)
            (global.set $global (i64.const 1))
            (i64.store (i32.const 0x100) (i64.const 2))
            (drop (call $create_config))
            (call $write (i64.const 3) (i64.const 0))
            unreachable)
        (func (export "main")
            (drop (call $guarded (i32.const 0)))
            (call $report (global.get $global))
            (call $report (i64.load (i32.const 0x100)))
            (call $report (call $create_config))
            (call $report (call $get_tag)))"#,
    );
    assert_eq!(world.reports(), [1, 2, 1, 3]);
}

#[test]
fn catches_nest_and_the_inner_one_catches() {
    let world = World::new();
    world.run_main(
        r#"(table funcref (elem $outer $inner))
        (func $outer (result i32)
            (call $report (i64.extend_i32_u (call $guarded (i32.const 1))))
            (i32.const 7))
        (func $inner (result i32) unreachable)
        (func (export "main")
            (call $report (i64.extend_i32_u (call $guarded (i32.const 0)))))"#,
    );
    assert_eq!(world.reports(), [0, 7]);
}

#[test]
fn too_many_catches_inside_each_other_trap() {
    let world = World::new();
    world.run_main(
        r#"(table funcref (elem $deeper)) (global $depth (mut i64) (i64.const 0))
        (func $deeper (result i32)
            (global.set $depth (i64.add (global.get $depth) (i64.const 1)))
            (drop (call $guarded (i32.const 0)))
            (i32.const 1))
        (func (export "main")
            (call $report (i64.extend_i32_u (call $guarded (i32.const 0))))
            (call $report (global.get $depth))
            ;; All of them are closed again.
            (call $report (i64.extend_i32_u (call $guarded (i32.const 0)))))"#,
    );
    let [result, depth, again] = world.reports();
    assert_eq!([result, again, depth], [1, 1, 16]);
}

#[test]
fn a_process_can_wait_inside_a_catch() {
    let world = World::new();
    let module = world.load(
        r#"(table funcref (elem $waits))
        (func $waits (result i32)
            (call $report (i64.const 1))
            (call $sleep_ms (i64.const 1))
            (drop (call $next))
            (call $report (call $get_tag))
            (i32.const 2))
        (func (export "main")
            (call $report (i64.extend_i32_u (call $guarded (i32.const 0)))))"#,
    );
    let process = world.spawn(&module, "main");
    assert_eq!(world.report(), 1);
    send(&process, 5, b"");
    assert_normal(&process);
    assert_eq!(world.reports(), [5, 2]);
}

#[test]
fn a_process_can_spawn_inside_a_catch() {
    let world = World::new();
    world.run_main(
        r#"(table funcref (elem $spawns))
        (func $spawns (result i32)
            (call $await (call $spawn_own (i64.const 1) @child))
            (i32.const 2))
        (func (export "child") (call $report (i64.const 1)))
        (func (export "main")
            (call $report (i64.extend_i32_u (call $guarded (i32.const 0)))))"#,
    );
    assert_eq!(world.reports(), [1, 2]);
}

// ABI §21 A2
#[test]
fn an_export_that_is_missing_or_of_another_type_traps() {
    let world = World::new();
    for export in [
        "",
        r#"(func (export "_lunatic_catch_trap") (param i32 i32) (result i64) (i64.const 1))"#,
        r#"(func (export "_lunatic_catch_trap") (param i32 i32))"#,
        r#"(func (export "_lunatic_catch_trap") (param i32) (result i32) (i32.const 1))"#,
        r#"(global (export "_lunatic_catch_trap") i32 (i32.const 1))"#,
    ] {
        let module = world.load(&format!(
            r#"{export} (func (export "main") (drop (call $catch (i32.const 0) (i32.const 0))))"#
        ));
        let process = world.spawn(&module, "main");
        let reason = end_of(&process);
        assert!(reason.failure().is_some(), "{export}: {reason}");
    }
}

/// Ways to be inside of a catch.
const INSIDE: &str = r#"
    (table funcref (elem $sleeps $spins $kills_itself $receives $nests $links))
    (func $sleeps (result i32) (call $report (i64.const 1)) (call $sleep) (i32.const 1))
    (func $spins (result i32) (call $report (i64.const 1)) (call $spin) (i32.const 1))
    (func $kills_itself (result i32)
        (call $report (i64.const 1))
        (drop (call $next))
        (call $kill (call $process_id))
        (call $sleep_ms (i64.const 0))
        (call $sleep)
        (i32.const 1))
    (func $receives (result i32)
        (call $report (i64.const 1)) (drop (call $next_tagged (i64.const 77))) (i32.const 1))
    (func $nests (result i32) (call $guarded (i32.const 0)))
    (func $links (result i32)
        (call $report (i64.const 1))
        (call $link (i64.const 5) (i64.const 1000000))
        (call $sleep)
        (i32.const 1))
    (func $in_catch (param $entry i32)
        (drop (call $guarded (local.get $entry)))
        (call $report (i64.const 2)))
    (func (export "sleeps") (call $in_catch (i32.const 0)))
    (func (export "spins") (call $in_catch (i32.const 1)))
    (func (export "kills itself") (call $in_catch (i32.const 2)))
    (func (export "receives") (call $in_catch (i32.const 3)))
    (func (export "nests") (call $in_catch (i32.const 4)))
    (func (export "links") (call $in_catch (i32.const 5)))"#;

// ABI §21 A1
#[test]
fn a_process_that_is_killed_inside_a_catch_ends() {
    let world = World::new();
    let module = world.load(INSIDE);
    for export in ["sleeps", "spins", "kills itself", "receives", "nests"] {
        for _ in 0..5 {
            let observer = world.observer();
            let process = world.spawn(&module, export);
            observer.watch(&process, 5);
            assert_eq!(world.report(), 1);
            match export {
                "kills itself" => send(&process, 0, b""),
                _ => process.kill(),
            }
            assert_killed(&process);
            observer.is_told_of_failure(&process, 5);
        }
    }
    world.no_more_reports();
}

// ABI §21 A1
#[test]
fn a_link_death_inside_a_catch_is_not_caught() {
    let world = World::new();
    let module = world.load(INSIDE);
    world.fails(&module, "links", "the linked process 1000000 died");
    assert_eq!(world.report(), 1);
    world.no_more_reports();
}

// ABI §21 A1
#[test]
fn the_runtime_shuts_down_while_processes_are_inside_catches() {
    let world = World::new();
    let module = world.load(INSIDE);
    for export in ["sleeps", "spins", "receives", "nests"] {
        world.spawn(&module, export);
        assert_eq!(world.report(), 1);
    }
    wait("the end", world.runtime.shut_down());
    assert_eq!(world.runtime.environment().process_count(), 0);
}

#[test]
fn a_host_function_that_panics_inside_a_catch_fails_the_process() {
    let world = World::new();
    let module = world.load(
        r#"(table funcref (elem $panics))
        (func $panics (result i32) (call $panic) (i32.const 1))
        (func (export "main") (drop (call $next)) (drop (call $guarded (i32.const 0))))"#,
    );
    let observer = world.observer();
    let process = world.spawn(&module, "main");
    observer.watch(&process, 5);
    send(&process, 0, b"");
    assert_failed(&process, "the host panicked");
    observer.is_told_of_failure(&process, 5);
    world.run_main(r#"(func (export "main"))"#);
}

#[test]
fn running_out_of_fuel_is_caught_but_gives_no_new_fuel() {
    let world = World::new();
    let module = world.load(
        r#"(table funcref (elem $spins))
        (func $spins (result i32) (call $spin) (i32.const 1))
        (func (export "main")
            (call $report (i64.extend_i32_u (call $guarded (i32.const 0))))
            (call $spin))"#,
    );
    let budget = ProcessConfig {
        max_fuel: NonZeroU64::new(2),
        ..ProcessConfig::default()
    };
    let process = world.spawn_with(&module, "main", budget);
    assert_failed(&process, "fuel");
    assert_eq!(world.report(), 0);
}

#[test]
fn each_open_catch_is_charged_its_stack() {
    let world = World::new();
    let limits = AccountLimits {
        memory: 5 << 20,
        ..AccountLimits::UNLIMITED
    };
    let config = ProcessConfig {
        account: Some(limits),
        ..ProcessConfig::default()
    };
    let body = r#"(func (export "main")
            (drop (call $catch (i32.const 0) (i32.const 0)))
            (drop (call $catch (i32.const 0) (i32.const 0))))
        (func (export "_lunatic_catch_trap") (param $depth i32) (param i32) (result i32)
            (call $report (i64.extend_i32_u (local.get $depth)))
            (call $catch (i32.add (local.get $depth) (i32.const 1)) (i32.const 0)))"#;
    let process = world.spawn_with(&world.load(body), "main", config);
    assert_normal(&process);
    let stacks = (5 << 20) / STACK_BYTES as i64;
    for depth in (0..stacks).chain(0..stacks) {
        assert_eq!(world.report(), depth);
    }
    world.no_more_reports();
}

#[test]
fn others_run_after_a_trap_that_was_caught() {
    let world = World::with_workers(NonZeroUsize::MIN);
    world.run_main(
        r#"(table funcref (elem $traps))
        (func $traps (result i32) unreachable)
        (func (export "other") (call $report (i64.const 1)))
        (func (export "main")
            (drop (call $spawn_own (i64.const 0) @other))
            (drop (call $guarded (i32.const 0)))
            (call $report (i64.const 2)))"#,
    );
    assert_eq!(world.reports(), [1, 2]);
}

#[test]
fn without_memory_for_another_stack_nothing_is_called_and_the_process_goes_on() {
    let world = World::new();
    let module = world.load(
        r#"(memory (export "memory") 1)
        (table funcref (elem $called))
        (func $called (result i32) (call $report (i64.const 7)) (i32.const 42))
        (func (export "main")
            (call $report (i64.extend_i32_u (call $guarded (i32.const 0))))
            (call $report (i64.const 1)))"#,
    );
    let process = ProcessConfig {
        account: Some(AccountLimits {
            memory: STACK_BYTES as u64,
            ..AccountLimits::default()
        }),
        ..ProcessConfig::trusted()
    };
    let process = world.spawn_with(&module, "main", process);
    assert_eq!(world.reports(), [0, 1]);
    assert_normal(&process);
}
