//! Budgets, and sharing the cores without one (ABI §15.6).
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use harness::{World, assert_failed, assert_killed, assert_normal};
use lunatic_process::{ProcessConfig, SpawnOptions};
use lunatic_testkit::wait_until;

fn budget(units: u64) -> ProcessConfig {
    ProcessConfig {
        max_fuel: NonZeroU64::new(units),
        ..ProcessConfig::trusted()
    }
}

#[test]
fn a_spinning_child_with_a_budget_traps_once() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main") (local $config i64) (local $child i64)
            (call $die_when_link_dies (i32.const 0))
            (local.set $config (call $create_config))
            (call $config_set_max_fuel (local.get $config) (i64.const 3))
            (local.set $child (call $spawn_with (i64.const 5) (local.get $config) @child))
            (call $monitor (local.get $child))
            (call $post (i64.const 0) (i64.const 0) (local.get $child))
            (call $report (i64.extend_i32_u (call $next)))
            (call $report (call $get_tag))
            (call $report (i64.extend_i32_u (call $next)))
            (call $report (i64.extend_i32_u
                (call $receive (i32.const 0) (i32.const 0) (i64.const 10)))))
        (func (export "child") (drop (call $next)) (call $spin))"#,
    );
    assert_eq!(world.reports(), [1, 5, 2, 9027]);
}

#[test]
fn a_root_can_have_a_budget() {
    let world = World::new();
    let module = world.load(
        r#"(func (export "main") (call $report (i64.const 1)) (call $spin))
        (func (export "short") (call $report (i64.const 2)))"#,
    );
    assert_failed(
        &world.spawn_with(&module, "main", budget(1)),
        "all fuel consumed",
    );
    assert_normal(&world.spawn_with(&module, "short", budget(1)));
    assert_eq!(world.reports(), [1, 2]);
}

/// Counts down from a number; a round takes some units of fuel.
const COUNTS: &str = r#"
    (func $count (param $rounds i64)
        (loop $again
            (br_if $again (i64.ne (i64.const 0)
                (local.tee $rounds (i64.sub (local.get $rounds) (i64.const 1)))))))"#;

#[test]
fn a_budget_is_about_an_instruction_for_a_unit_and_100_000_units_for_1() {
    let world = World::new();
    let module = world.load(&format!(
        r#"{COUNTS}
        (func (export "less") (call $count (i64.const 10000)))
        (func (export "more") (call $count (i64.const 100000)))"#
    ));
    assert_normal(&world.spawn_with(&module, "less", budget(1)));
    assert_failed(&world.spawn_with(&module, "more", budget(1)), "fuel");
    assert_normal(&world.spawn_with(&module, "more", budget(10)));
}

#[test]
fn a_childs_budget_is_its_own_and_not_its_parents() {
    // Each takes more than half of a budget; all share one config.
    let world = World::new();
    let module = world.load(&format!(
        r#"{COUNTS}
        (func (export "main")
            (call $await (call $spawn_own (i64.const 5) @child))
            (call $await (call $spawn_own (i64.const 5) @child))
            (call $count (i64.const 10000)))
        (func (export "child")
            (call $count (i64.const 10000))
            (call $report (i64.const 1)))"#
    ));
    assert_normal(&world.spawn_with(&module, "main", budget(1)));
    assert_eq!(world.reports(), [1, 1]);
}

#[test]
fn a_module_that_knows_of_no_budgets_can_be_given_one() {
    let world = World::new();
    world.give(harness::module(
        r#"(func (export "child") (call $report (i64.const 1)) (call $spin))"#,
    ));
    world.run_main(
        r#"(func (export "main") (local $config i64)
            (call $die_when_link_dies (i32.const 0))
            (local.set $config (call $create_config))
            (call $config_set_max_fuel (local.get $config) (i64.const 1))
            (call $ok (call $spawn (i64.const 5) (local.get $config) (call $compile_given)
                @child (i32.const 0) (i32.const 0) (i32.const 0x100)))
            (call $report (i64.extend_i32_u (call $next)))
            (call $report (call $get_tag)))"#,
    );
    assert_eq!(world.reports(), [1, 1, 5]);
}

#[test]
fn a_start_function_has_the_budget_too() {
    let world = World::new();
    world.give("(module (start $spin) (func $spin (loop (br 0))) (func (export \"child\")))");
    world.run_main(
        r#"(func (export "main") (local $config i64)
            (local.set $config (call $create_config))
            (call $config_set_max_fuel (local.get $config) (i64.const 1))
            (call $report (i64.extend_i32_u (call $spawn
                (i64.const 5) (local.get $config) (call $compile_given)
                @child (i32.const 0) (i32.const 0) (i32.const 0x100))))
            (call $say_error (i64.load (i32.const 0x100)))
            (call $sleep_ms (i64.const 2)))"#,
    );
    assert_eq!(world.report(), 1);
    assert!(world.text().contains("fuel"));
}

#[test]
fn waiting_takes_no_fuel() {
    let world = World::new();
    let module = world.load(
        r#"(func (export "main") (call $sleep_ms (i64.const 50)) (call $report (i64.const 1)))"#,
    );
    assert_normal(&world.spawn_with(&module, "main", budget(1)));
    assert_eq!(world.report(), 1);
}

/// Others run on the one core beside a process that never waits.
#[track_caller]
fn shares_its_core(spinner: &str) {
    let world = World::with_workers(NonZeroUsize::MIN);
    let spinner = world.load(spinner);
    let other = world.load(r#"(func (export "main") (call $report (i64.const 2)))"#);
    let spinning = world.spawn(&spinner, "main");
    assert_eq!(world.report(), 1);
    world.run(&other, "main");
    assert_eq!(world.report(), 2);
    spinning.kill();
    assert_killed(&spinning);
}

#[test]
fn a_spinning_process_without_a_budget_shares_its_core() {
    shares_its_core(r#"(func (export "main") (call $report (i64.const 1)) (call $spin))"#);
}

#[test]
fn a_spinning_process_that_counts_fuel_shares_its_core() {
    shares_its_core(
        r#"(func (export "main") (call $report (i64.const 1)) (call $spin))
        (func (call $config_set_max_fuel (i64.const 0) (i64.const 0)))"#,
    );
}

#[test]
fn a_process_that_calls_the_host_for_ever_shares_its_core() {
    shares_its_core(
        r#"(func (export "main")
            (call $report (i64.const 1))
            (loop $again (drop (call $process_id)) (br $again)))"#,
    );
}

/// Calls a host function so often, and reports that it has.
fn calls(call: &str) -> String {
    format!(
        r#"(func (export "main") (local $left i64)
            (local.set $left (call $setting))
            (loop $again
                {call}
                (br_if $again (i64.ne (i64.const 0)
                    (local.tee $left (i64.sub (local.get $left) (i64.const 1))))))
            (call $report (i64.const 1)))"#
    )
}

#[test]
fn each_call_of_a_host_function_costs_fuel_where_that_is_limited() {
    // One that is over at once, one that may wait, and both.
    for call in [
        "(drop (call $process_id))",
        "(call $sleep_ms (i64.const 0))",
        "(drop (call $process_id)) (call $sleep_ms (i64.const 0))",
    ] {
        let world = World::new();
        let module = world.load(&calls(call));
        let set = world.load(
            r#"(func (export "few") (call $set (i64.const 200)))
            (func (export "many") (call $set (i64.const 3000)))"#,
        );
        world.run(&set, "few");
        assert_normal(&world.spawn_with(&module, "main", budget(1)));
        assert_eq!(world.report(), 1);
        world.run(&set, "many");
        let process = world.spawn_with(&module, "main", budget(1));
        assert_failed(&process, "all fuel consumed");
        // With more, and without a limit, as many are possible.
        assert_normal(&world.spawn_with(&module, "main", budget(10)));
        assert_eq!(world.report(), 1);
        assert_normal(&world.spawn(&module, "main"));
        assert_eq!(world.report(), 1);
    }
}

#[test]
fn a_process_that_calls_host_functions_without_end_and_counts_fuel_shares_its_core() {
    for call in [
        "(drop (call $process_id))",
        "(call $sleep_ms (i64.const 0))",
    ] {
        let world = World::with_workers(NonZeroUsize::MIN);
        let module = world.load(&format!(
            r#"(func (export "main") (call $report (i64.const 1)) (loop $again {call} (br $again)))
            (func (export "other") (call $report (i64.const 2)))"#
        ));
        let calling = world.spawn_with(&module, "main", budget(1 << 40));
        assert_eq!(world.report(), 1);
        world.run(&module, "other");
        assert_eq!(world.report(), 2);
        calling.kill();
        assert_killed(&calling);
    }
}

#[test]
fn bytes_that_host_functions_copy_cost_fuel_where_it_is_limited_and_nothing_elsewhere() {
    let world = World::new();
    let module = world.load(
        r#"(func $copy (param $times i32)
            (loop $again
                (call $create_data (i64.const 1) (i64.const 0))
                (drop (call $write_data (i32.const 0) (i32.const 64000)))
                (br_if $again
                    (local.tee $times (i32.sub (local.get $times) (i32.const 1))))))
        (func (export "little") (call $copy (i32.const 10)))
        (func (export "much") (call $copy (i32.const 20)))"#,
    );
    // 8000 for each.
    assert_normal(&world.spawn_with(&module, "little", budget(1)));
    assert_failed(&world.spawn_with(&module, "much", budget(1)), "fuel");
    assert_normal(&world.spawn_with(&module, "much", budget(2)));
    assert_normal(&world.spawn(&module, "much"));
}

#[test]
fn a_process_that_has_much_copied_again_and_again_lets_others_run_in_between() {
    const COPIES: usize = 512;
    let copying = format!(
        r#"(func (export "main") (local $left i32)
            (drop (memory.grow (i32.const 64)))
            (call $create_data (i64.const 0) (i64.const 0))
            (drop (call $write_data (i32.const 0) (i32.const 0x400000)))
            (local.set $left (i32.const {COPIES}))
            (loop $again
                (call $seek_data (i64.const 0))
                (drop (call $read_data (i32.const 0) (i32.const 0x400000)))
                (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
            (call $report (i64.const 1)))"#
    );
    let counting_fuel =
        format!("{copying} (func (call $config_set_max_fuel (i64.const 0) (i64.const 0)))");
    for (module, config) in [
        (&copying, ProcessConfig::trusted()),
        (&copying, budget(1 << 40)),
        (&counting_fuel, ProcessConfig::trusted()),
    ] {
        let between = turns_beside(module, config);
        // By the number of calls alone it would be one turn for 128 of them.
        assert!(between > COPIES / 50, "{between} turns");
    }
}

#[test]
fn a_process_whose_calls_each_take_some_microseconds_lets_others_run_after_a_tick() {
    // By a table, of which the compiler cannot know what it has. They take 20 ms or more together.
    let calling = r#"(type $fills (func (param i32 i32) (result i32)))
        (table funcref (elem $random_get))
        (func (export "main") (local $left i32)
            (local.set $left (i32.const 2000))
            (loop $again
                (drop (call_indirect (type $fills)
                    (i32.const 1024) (i32.const 16383) (i32.const 0)))
                (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
            (call $report (i64.const 1)))"#;
    let counting_fuel =
        format!("{calling} (func (call $config_set_max_fuel (i64.const 0) (i64.const 0)))");
    for module in [calling, &counting_fuel] {
        let between = turns_beside(module, ProcessConfig::trusted());
        // By their number alone it would be two or three.
        assert!(between > 6, "{between} turns");
    }
}

/// How often another process gets its turn while `main` of a module runs, on one thread.
fn turns_beside(module: &str, config: ProcessConfig) -> usize {
    let world = World::with_workers(NonZeroUsize::MIN);
    let module = world.load(module);
    let turns = Arc::new(AtomicUsize::new(0));
    let counted = turns.clone();
    let other = world
        .runtime
        .environment()
        .spawn(SpawnOptions::default(), move |_| async move {
            loop {
                counted.fetch_add(1, Ordering::Relaxed);
                futures_lite::future::yield_now().await;
            }
        })
        .unwrap();
    wait_until("the other one runs", || turns.load(Ordering::Relaxed) > 0);
    let process = world.spawn_with(&module, "main", config);
    let before = turns.load(Ordering::Relaxed);
    assert_normal(&process);
    let between = turns.load(Ordering::Relaxed) - before;
    other.kill();
    between
}

#[test]
fn a_config_that_is_copied_as_others_have_it_costs_fuel() {
    let world = World::new();
    // Children of a specification have the config, which is large.
    let module = world.load(
        r#"(data (i32.const 300) "g")
        (func $prepare (local $left i32)
            (memory.fill (i32.const 1024) (i32.const 97) (i32.const 20000))
            (drop (call $create_config))
            (local.set $left (i32.const 20))
            (loop $again
                (call $config_add_command_line_argument
                    (i64.const 0) (i32.const 1024) (i32.const 20000))
                (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
            (drop (call $supervisor_create_spec (i32.const 300) (i32.const 1) (i32.const 0)
                (i32.const 1) (i64.const 1000) (i32.const 0)))
            (i64.store (i32.const 512) (i64.const 0x10000012c))
            (i64.store (i32.const 520) (i64.const -1))
            (i64.store (i32.const 536) (i64.const 0x10000012c)))
        (func $share
            (call $ok (call $supervisor_add_child (i64.const 0) (i32.const 512) (i32.const 400))))
        (func $change
            (call $config_add_command_line_argument (i64.const 0) (i32.const 300) (i32.const 1)))
        (func (export "once") (local $left i32)
            (call $prepare)
            (local.set $left (i32.const 10))
            (loop $again
                (call $share)
                (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
            (local.set $left (i32.const 10))
            (loop $again
                (call $change)
                (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
            (call $sleep_ms (i64.const 0)))
        (func (export "always") (local $left i32)
            (call $prepare)
            (local.set $left (i32.const 10))
            (loop $again
                (call $share)
                (call $change)
                (call $sleep_ms (i64.const 0))
                (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1))))))"#,
    );
    assert_normal(&world.spawn_with(&module, "once", budget(4)));
    let always = world.spawn_with(&module, "always", budget(4));
    assert_failed(&always, "all fuel consumed");
}
