//! Spawning processes (ABI §3.3) and handing them arguments (ABI §3.4).
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use harness::{Told, World, assert_failed, assert_killed, assert_normal, send};
use lunatic_cli::{Root, RootError};
use lunatic_process::{ProcessConfig, SpawnError};

#[test]
fn a_child_runs_and_its_id_is_written() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main") (call $report (call $spawn_own (i64.const 0) @child)))
        (func (export "child") (call $report (call $process_id)))"#,
    );
    let [first, second] = world.reports();
    assert_eq!(first, second);
}

#[test]
fn ids_and_results_are_written_to_address_0_and_unaligned() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main")
            (call $spawn_to (i32.const 0))
            (call $spawn_to (i32.const 13)))
        (func $spawn_to (param $ptr i32)
            (i64.store (local.get $ptr) (i64.const -1))
            (call $ok (call $spawn (i64.const 0) (i64.const -1) (i64.const -1)
                @child (i32.const 0) (i32.const 0) (local.get $ptr)))
            (call $report (i64.extend_i32_u (i64.gt_s (i64.load (local.get $ptr)) (i64.const 0)))))
        (func (export "child"))"#,
    );
    assert_eq!(world.reports(), [1, 1]);
}

#[test]
fn arguments_arrive_and_the_bytes_above_their_width_are_ignored() {
    let world = World::new();
    world.run_main(
        r#"(data (i32.const 0x100)
            "\7f" "\2a\00\00\00" "\ff\ff\ff\ff\de\ad\be\ef\01\02\03\04"
            "\7e" "\fe\ff\ff\ff\ff\ff\ff\ff" "\de\ad\be\ef\01\02\03\04"
            "\7b" "\01\00\00\00\00\00\00\00" "\02\00\00\00\00\00\00\00")
        (func (export "main")
            (call $ok (call $spawn (i64.const 0) (i64.const -1) (i64.const -1)
                @child (i32.const 0x100) (i32.const 51) (i32.const 0x200))))
        (func (export "child") (param i32 i64 v128)
            (call $report (i64.extend_i32_s (local.get 0)))
            (call $report (local.get 1))
            (call $report (i64x2.extract_lane 0 (local.get 2)))
            (call $report (i64x2.extract_lane 1 (local.get 2))))"#,
    );
    assert_eq!(world.reports(), [42, -2, 1, 2]);
}

#[test]
fn bad_records_trap() {
    let world = World::new();
    let module = world.load(
        r#"(data (i32.const 0x100) "\7d") (data (i32.const 0x200) "\7f")
        (func $with (param $params i32) (param $length i32)
            (drop (call $spawn (i64.const 0) (i64.const -1) (i64.const -1)
                @child (local.get $params) (local.get $length) (i32.const 0))))
        (func (export "float") (call $with (i32.const 0x100) (i32.const 17)))
        (func (export "short") (call $with (i32.const 0x200) (i32.const 16)))
        (func (export "long") (call $with (i32.const 0x200) (i32.const 18)))
        (func (export "many") (call $with (i32.const 0x200) (i32.const 17017)))
        (func (export "child") (call $report (i64.const 1)))"#,
    );
    world.fails(&module, "float", "type byte");
    world.fails(&module, "short", "17-byte records");
    world.fails(&module, "long", "17-byte records");
    world.fails(&module, "many", "1001 are more than the 1000");
    world.no_more_reports();
}

#[test]
fn a_name_of_an_export_that_is_too_long_traps_and_is_not_looked_at() {
    let world = World::new();
    let module = world.load(
        r#"(memory (export "memory") 1)
        (data (i32.const 4096) "\ff")
        (func (export "too long")
            (drop (call $spawn (i64.const 0) (i64.const -1) (i64.const -1)
                (i32.const 0) (i32.const 4097) (i32.const 0) (i32.const 0) (i32.const 0xff00))))"#,
    );
    world.fails(&module, "too long", "4097 bytes is longer than the 4096");
}

#[test]
fn what_is_outside_of_memory_or_not_utf8_traps() {
    let world = World::new();
    let module = world.load(
        r#"(data (i32.const 0x100) "\ff\fe")
        (func $with (param i32 i32 i32 i32 i32)
            (drop (call $spawn (i64.const 0) (i64.const -1) (i64.const -1)
                (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4))))
        (func (export "name") (call $with
            (i32.const 0xffff) (i32.const 2) (i32.const 0) (i32.const 0) (i32.const 0)))
        (func (export "name around the end") (call $with
            (i32.const -1) (i32.const 2) (i32.const 0) (i32.const 0) (i32.const 0)))
        (func (export "params") (call $with
            @child (i32.const 0xffff) (i32.const 17) (i32.const 0)))
        (func (export "id") (call $with
            @child (i32.const 0) (i32.const 0) (i32.const 0xfff9)))
        (func (export "text") (call $with
            (i32.const 0x100) (i32.const 2) (i32.const 0) (i32.const 0) (i32.const 0)))
        (func (export "child") (call $report (i64.const 1)))"#,
    );
    for export in ["name", "name around the end", "params", "id"] {
        world.fails(&module, export, "outside of the memory");
    }
    world.fails(&module, "text", "not UTF-8");
    world.wait_until_empty();
    world.no_more_reports();
}

#[test]
fn without_the_right_to_spawn_it_traps() {
    let world = World::new();
    let module = world.load(
        r#"(func (export "main") (drop (call $spawn_own (i64.const 0) @child)))
        (func (export "child"))"#,
    );
    let process = world.spawn_with(&module, "main", ProcessConfig::default());
    assert_failed(&process, "permission denied");
}

#[test]
fn unknown_configs_and_modules_trap() {
    let world = World::new();
    let module = world.load(
        r#"(func $with (param $config i64) (param $module i64)
            (drop (call $spawn (i64.const 0) (local.get $config) (local.get $module)
                @child (i32.const 0) (i32.const 0) (i32.const 0))))
        (func (export "config") (call $with (i64.const 0) (i64.const -1)))
        (func (export "module") (call $with (i64.const -1) (i64.const 0)))
        (func (export "other negatives") (call $with (i64.const -2) (i64.const -1)))
        (func (export "child"))"#,
    );
    world.fails(&module, "config", "no config with id 0");
    world.fails(&module, "module", "no module with id 0");
    world.fails(&module, "other negatives", "no config with id");
}

#[test]
fn a_module_without_exported_memory_cannot_spawn() {
    let world = World::new();
    let module = world
        .try_load(
            r#"(module
            (import "lunatic::process" "spawn"
                (func $spawn (param i64 i64 i64 i32 i32 i32 i32 i32) (result i32)))
            (memory 1)
            (func (export "main") (drop (call $spawn (i64.const 0) (i64.const -1) (i64.const -1)
                (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))))"#,
        )
        .unwrap();
    world.fails(&module, "main", "no memory named `memory`");
}

/// An entry that cannot be called is the child's failure, not the parent's.
const BAD_ENTRIES: &str = r#"
    (func $with (param $name i32) (param $length i32)
        (call $die_when_link_dies (i32.const 0))
        (drop (call $spawn_own (i64.const 7) (local.get $name) (local.get $length)))
        (call $report (i64.extend_i32_u (call $next)))
        (call $report (call $get_tag)))
    (func (export "missing") (call $with @nowhere))
    (func (export "not a function") (call $with @memory))
    (func (export "arguments") (call $with @wants_arguments))
    (func (export "result") (call $with @has_result))
    (func (export "wants_arguments") (param i32))
    (func (export "has_result") (result i32) (i32.const 0))"#;

#[test]
fn a_child_whose_entry_cannot_be_called_is_spawned_and_fails() {
    let world = World::new();
    let module = world.load(BAD_ENTRIES);
    for export in ["missing", "not a function", "arguments", "result"] {
        world.run(&module, export);
        assert_eq!(world.reports(), [1, 7], "{export}");
    }
}

/// Spawns what the world gives under a config with one page of memory, and tells
/// the result and the error.
const SPAWNS_WHAT_IS_GIVEN: &str = r#"
    (memory (export "memory") 1)
    (func (export "main") (local $config i64) (local $module i64)
        (local.set $module (call $compile_given))
        (local.set $config (call $create_config))
        (call $config_set_max_memory (local.get $config) (i64.const 65536))
        (call $report (i64.extend_i32_u (call $spawn
            (i64.const 7) (local.get $config) (local.get $module)
            @child (i32.const 0) (i32.const 0) (i32.const 0x200))))
        (call $say_error (i64.load (i32.const 0x200)))
        (call $sleep_ms (i64.const 5)))"#;

/// Spawning this module is reported as result 1 with this text, and the parent,
/// which is linked and does not trap link deaths, lives on.
#[track_caller]
fn does_not_start(given: &str, text: &str) {
    let world = World::new();
    world.give(given);
    world.run_main(SPAWNS_WHAT_IS_GIVEN);
    assert_eq!(world.report(), 1);
    let said = world.text();
    assert!(said.contains(text), "no {text:?} in {said:?}");
}

#[test]
fn more_memory_than_allowed_is_result_1() {
    does_not_start(
        r#"(module (memory (export "memory") 4) (func (export "child")))"#,
        "memory minimum size of 4 pages exceeds memory limits",
    );
}

#[test]
fn a_ninth_memory_is_result_1() {
    let memories = "(memory 0)".repeat(9);
    does_not_start(
        &format!(r#"(module {memories} (func (export "child")))"#),
        "9 memories",
    );
}

#[test]
fn a_second_table_is_result_1() {
    does_not_start(
        r#"(module (table 0 funcref) (table 0 funcref) (func (export "child")))"#,
        "2 tables",
    );
}

#[test]
fn a_table_of_100_000_elements_is_result_1() {
    does_not_start(
        r#"(module (table 100000 funcref) (func (export "child")))"#,
        "table",
    );
}

#[test]
fn a_trap_in_the_start_function_is_result_1() {
    does_not_start(
        r#"(module (start $start) (func $start unreachable) (func (export "child")))"#,
        "unreachable",
    );
}

#[test]
fn a_segment_that_does_not_fit_is_result_1() {
    does_not_start(
        r#"(module (memory 1) (data (i32.const 65535) "ab") (func (export "child")))"#,
        "out of bounds",
    );
    does_not_start(
        r#"(module (table 1 funcref) (elem (i32.const 1) $child)
            (func $child (export "child")))"#,
        "out of bounds",
    );
}

#[test]
fn no_link_is_made_to_a_child_that_did_not_start() {
    let world = World::new();
    world.give("(module (start $start) (func $start unreachable) (func (export \"child\")))");
    world.run_main(
        r#"(func (export "main") (local $module i64)
            (call $die_when_link_dies (i32.const 0))
            (local.set $module (call $compile_given))
            (call $report (i64.extend_i32_u (call $spawn
                (i64.const 7) (i64.const -1) (local.get $module)
                @child (i32.const 0) (i32.const 0) (i32.const 0x200))))
            (call $report (i64.extend_i32_u
                (call $receive (i32.const 0) (i32.const 0) (i64.const 10)))))"#,
    );
    assert_eq!(world.reports(), [1, 9027]);
}

#[test]
fn the_start_function_runs_in_every_process_before_its_entry() {
    let world = World::new();
    world.run_main(
        r#"(start $start)
        (func $start (call $report (i64.const 1)))
        (func (export "main")
            (call $report (i64.const 2))
            (drop (call $spawn_own (i64.const 0) @child)))
        (func (export "child") (call $report (i64.const 3)))"#,
    );
    assert_eq!(world.reports(), [1, 2, 1, 3]);
}

#[test]
fn host_functions_work_in_a_start_function() {
    let world = World::new();
    world.run_main(
        r#"(start $start) (global $child (mut i64) (i64.const 0))
        (func $start
            (call $post (i64.const 5) (i64.const 42) (call $process_id))
            (call $sleep_ms (i64.const 1))
            (call $ok (call $next))
            (call $report (call $value)))
        (func (export "main"))"#,
    );
    assert_eq!(world.report(), 42);
}

#[test]
fn spawning_inside_a_start_function_traps() {
    let world = World::new();
    let module = world.load(
        r#"(start $start)
        (func $start (drop (call $spawn_own (i64.const 0) @child)))
        (func (export "main"))
        (func (export "child"))"#,
    );
    let failure = world.root(&module, Root::new("main")).unwrap_err();
    assert!(
        matches!(failure, RootError::Spawn(SpawnError::StartFailed(_))),
        "{failure}"
    );
    assert!(failure.to_string().contains("start function"), "{failure}");
    world.wait_until_empty();
}

#[test]
fn the_parent_sees_the_link_tag_and_the_child_none() {
    let world = World::new();
    let module = world.load(
        r#"(func (export "main")
            (call $die_when_link_dies (i32.const 0))
            (drop (call $spawn_own (i64.const 7) @fails))
            (drop (call $next_tagged (i64.const 7)))
            (call $report (call $get_tag))
            (drop (call $spawn_own (i64.const 7) @child))
            (drop (call $next))
            unreachable)
        (func (export "fails") unreachable)
        (func (export "child")
            (call $die_when_link_dies (i32.const 0))
            (call $report (call $process_id))
            (call $report (i64.extend_i32_u (call $next)))
            (call $report (call $get_tag)))"#,
    );
    let process = world.spawn(&module, "main");
    assert_eq!(world.report(), 7);
    world.report();
    send(&process, 0, b"");
    assert_eq!(world.reports(), [1, 0]);
}

#[test]
fn a_child_without_a_link_fails_alone() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main")
            (call $monitor (call $spawn_own (i64.const 0) @child))
            (drop (call $receive (i32.const 0) (i32.const 0) (i64.const 20)))
            (call $report (i64.const 1)))
        (func (export "child") (call $sleep_ms (i64.const 1)) unreachable)"#,
    );
    assert_eq!(world.report(), 1);
}

#[test]
fn a_negative_tag_is_a_link_too() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main")
            (call $die_when_link_dies (i32.const 0))
            (drop (call $spawn_own (i64.const -7) @child))
            (drop (call $next))
            (call $report (call $get_tag)))
        (func (export "child") unreachable)"#,
    );
    assert_eq!(world.report(), -7);
}

// ABI §21 C11
#[test]
fn a_child_that_never_started_ends_with_the_parent_that_waited_for_it() {
    let world = World::new();
    let module = world.load(
        r#"(start $start)
        (func $start
            (if (i64.eq (call $setting) (i64.const 1)) (then
                (call $report (call $process_id))
                (call $spin))))
        (func (export "main")
            (call $set (i64.const 1))
            (drop (call $spawn_own (i64.const 7) @child)))
        (func (export "child"))"#,
    );
    let parent = world.spawn(&module, "main");
    let child = world.report();
    let observer = world.observer();
    observer
        .process
        .monitor(lunatic_mailbox::Pid::from_bits(child as u64));
    parent.kill();
    assert_killed(&parent);
    assert_eq!(observer.told(), Told::ProcessDied(child as u64));
}

#[test]
fn ids_go_up_and_are_never_used_again() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main") (local $last i64) (local $id i64) (local $rest i32)
            (local.set $rest (i32.const 100))
            (loop $again
                (local.set $id (call $spawn_own (i64.const 0) @child))
                (if (i64.le_u (local.get $id) (local.get $last)) (then unreachable))
                (local.set $last (local.get $id))
                (br_if $again (local.tee $rest (i32.sub (local.get $rest) (i32.const 1))))))
        (func (export "child"))"#,
    );
}

#[test]
fn the_first_process_of_an_environment_is_process_1_of_environment_1() {
    let world = World::new();
    let module = world.load(
        r#"(func (export "main")
            (call $report (call $process_id))
            (call $report (call $environment_id)))"#,
    );
    assert_normal(&world.spawn(&module, "main"));
    assert_eq!(world.reports(), [1, 1]);
}
