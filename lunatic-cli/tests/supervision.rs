//! `lunatic::supervisor` (ABI §23), for guests in any language.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use harness::{Told, World, assert_normal};
use lunatic_cli::{Config, NameScope, Root, State, Value};
use lunatic_engine::Module;
use lunatic_process::{ExitReason, Process, ProcessConfig};
use lunatic_supervisor::{ChildSpec, Spec, Strategy, Supervisor, SupervisorEvent};
use lunatic_testkit::{built, end_of, wait};

/// What the guests of this file share: `$spec` makes a specification named by a
/// letter, `$child` a child record at 0x100 for the export `worker`, whose
/// arguments are a number and the process id of whoever makes the record.
const PRELUDE: &str = r#"
    (func $spec (param $letter i32) (param $strategy i32) (param $restarts i32) (result i64)
        (i32.store8 (i32.const 0x80) (local.get $letter))
        (call $supervisor_create_spec (i32.const 0x80) (i32.const 1) (local.get $strategy)
            (local.get $restarts) (i64.const 5000) (i32.const 0)))
    (func $child (param $letter i32) (param $number i32) (param $shutdown i64) (param $restart i32) (result i32)
        (i32.store8 (i32.const 0x81) (local.get $letter))
        (i32.store (i32.const 0x100) (i32.const 0x81))
        (i32.store (i32.const 0x104) (i32.const 1))
        (i64.store (i32.const 0x108) (i64.const -1))
        (i64.store (i32.const 0x110) (i64.const -1))
        (call $pair (i32.const 0x118) @worker)
        (i32.store (i32.const 0x120) (i32.const 0x200))
        (i32.store (i32.const 0x124) (i32.const 34))
        (i64.store (i32.const 0x128) (local.get $shutdown))
        (i32.store (i32.const 0x130) (local.get $restart))
        (i32.store (i32.const 0x134) (i32.const 0))
        (i32.store8 (i32.const 0x200) (i32.const 0x7f))
        (i32.store (i32.const 0x201) (local.get $number))
        (i32.store8 (i32.const 0x211) (i32.const 0x7e))
        (i64.store (i32.const 0x212) (call $process_id))
        (i32.const 0x100))
    (func $pair (param $at i32) (param $one i32) (param $other i32)
        (i32.store (local.get $at) (local.get $one))
        (i32.store offset=4 (local.get $at) (local.get $other)))
    (func $add (param $spec i64) (param $child i32)
        (call $ok (call $supervisor_add_child (local.get $spec) (local.get $child) (i32.const 0))))
    (func $begin (param $spec i64) (result i64)
        (call $ok (call $supervisor_start (local.get $spec) (i64.const 7) (i32.const 0x90)))
        (i64.load (i32.const 0x90)))
    (func $end (param $supervisor i64) (result i64)
        (call $supervisor_stop (local.get $supervisor))
        (i64.extend_i32_u (call $supervisor_wait
            (local.get $supervisor) (i64.const -1) (i32.const 0x90))))
    ;; Reports its number, tells the parent its own id under that number as tag,
    ;; and traps at the first message.
    (func (export "worker") (param $number i32) (param $parent i64)
        (call $report (i64.extend_i32_u (local.get $number)))
        (call $post (i64.extend_i32_u (local.get $number)) (call $process_id) (local.get $parent))
        (drop (call $next))
        unreachable)
"#;

fn load(world: &World, body: &str) -> Module<State> {
    world.load(&format!("{PRELUDE}{body}"))
}

/// A tree of a worker 1 and a supervisor that restarts its workers 2 and 3
/// together and once. The guest lets 3 fail twice, each time when all are there:
/// the second time, the inner supervisor gives up and is restarted by the outer
/// one. Then the guest stops the tree and reports 100.
fn assert_nested_restarts(main: &Process, report: impl Fn() -> i64) {
    let sorted = |count| {
        let mut reports: Vec<i64> = (0..count).map(|_| report()).collect();
        reports.sort_unstable();
        reports
    };
    assert_eq!(sorted(3), [1, 2, 3]);
    assert_eq!(sorted(2), [2, 3]);
    assert_eq!(sorted(2), [2, 3]);
    assert_eq!(report(), 100);
    assert_normal(main);
}

#[test]
fn failing_child_in_a_nested_tree_in_wat() {
    let world = World::new();
    let module = load(
        &world,
        r#"(func (export "main") (local $root i64) (local $inner i64)
            (local.set $root (call $spec (i32.const 114) (i32.const 0) (i32.const 3)))
            (local.set $inner (call $spec (i32.const 105) (i32.const 1) (i32.const 1)))
            (call $add (local.get $root)
                (call $child (i32.const 97) (i32.const 1) (i64.const 1000) (i32.const 0)))
            (call $add (local.get $inner)
                (call $child (i32.const 98) (i32.const 2) (i64.const 1000) (i32.const 0)))
            (call $add (local.get $inner)
                (call $child (i32.const 99) (i32.const 3) (i64.const -2) (i32.const 1)))
            (call $ok (call $supervisor_add_supervisor (local.get $root) (local.get $inner)
                (i32.const 0) (i64.const -1) (i32.const 0) (i32.const 0)))
            (local.set $root (call $begin (local.get $root)))
            (drop (call $next_tagged (i64.const 1)))
            (call $post (i64.const 0) (i64.const 0) (call $await_inner))
            (call $post (i64.const 0) (i64.const 0) (call $await_inner))
            (drop (call $await_inner))
            (call $report (i64.add (i64.const 100) (call $end (local.get $root)))))
        ;; Waits until both workers of the inner supervisor are there; the one
        ;; that is to fail.
        (func $await_inner (result i64)
            (drop (call $next_tagged (i64.const 2)))
            (drop (call $next_tagged (i64.const 3)))
            (call $value))"#,
    );
    let main = world.spawn(&module, "main");
    assert_nested_restarts(&main, || world.report());
    world.wait_until_empty();
}

/// Runs a guest that another compiler made, if it is in the folder that a
/// variable names; it reports in messages to the process it is given the id of.
fn failing_child_in_a_nested_tree(variable: &str) {
    let Some(path) = built::guest_in(variable, "supervision.wasm") else {
        return;
    };
    let world = World::new();
    let observer = world.observer();
    let bytes = std::fs::read(path).unwrap();
    let module = wait("compilation", world.runtime.load(bytes)).unwrap();
    let mut config = Config::trusted();
    for arg in ["supervision", &observer.process.id().to_string()] {
        config.wasi_mut().add_arg(arg).unwrap();
    }
    let main = world
        .root(&module, Root::new("_start").config(config))
        .unwrap();
    assert_nested_restarts(&main, || match observer.told() {
        Told::Data(number, _) => number,
        other => panic!("{other:?}"),
    });
    observer.process.kill();
    world.wait_until_empty();
}

#[test]
fn failing_child_in_a_nested_tree_in_rust() {
    failing_child_in_a_nested_tree("LUNATIC_GUESTS");
}

#[test]
fn failing_child_in_a_nested_tree_in_c() {
    failing_child_in_a_nested_tree("LUNATIC_C_GUESTS");
}

#[test]
fn without_the_right_to_spawn_nothing_is_started_but_can_be_specified() {
    let world = World::new();
    let module = load(
        &world,
        r#"(func (export "main") (local $spec i64)
            (local.set $spec (call $spec (i32.const 114) (i32.const 0) (i32.const 3)))
            (call $add (local.get $spec)
                (call $child (i32.const 97) (i32.const 1) (i64.const 1000) (i32.const 0)))
            (call $report (i64.const 5))
            (drop (call $begin (local.get $spec))))"#,
    );
    let main = world.spawn_with(&module, "main", ProcessConfig::default());
    harness::assert_failed(&main, "may not spawn processes");
    assert_eq!(world.report(), 5);
    world.no_more_reports();
}

#[test]
fn a_child_has_no_more_rights_than_the_config_it_is_given() {
    let world = World::new();
    // The child would spawn, its config does not let it, and the supervisor
    // gives up at once.
    let module = load(
        &world,
        r#"(func (export "main") (local $spec i64)
            (call $die_when_link_dies (i32.const 0))
            (local.set $spec (call $spec (i32.const 114) (i32.const 0) (i32.const 0)))
            (drop (call $child (i32.const 97) (i32.const 1) (i64.const 1000) (i32.const 0)))
            (i64.store (i32.const 0x110) (call $create_config))
            (call $pair (i32.const 0x118) @spawner)
            (i32.store (i32.const 0x124) (i32.const 0))
            (call $add (local.get $spec) (i32.const 0x100))
            (local.set $spec (call $begin (local.get $spec)))
            (call $report (i64.extend_i32_u (call $next)))
            (call $report (call $get_tag)))
        (func (export "spawner")
            (drop (call $spawn_own (i64.const 0) @spawner))
            (call $report (i64.const -1)))"#,
    );
    assert_normal(&world.spawn(&module, "main"));
    // The link's death, with the tag it was started with.
    assert_eq!(world.reports(), [1, 7]);
    world.no_more_reports();
}

#[test]
fn a_supervisor_ends_with_the_guest_that_started_it_even_if_that_ends_normally() {
    let world = World::new();
    let module = load(
        &world,
        r#"(func (export "main") (local $spec i64)
            (local.set $spec (call $spec (i32.const 114) (i32.const 0) (i32.const 0)))
            (call $add (local.get $spec)
                (call $child (i32.const 97) (i32.const 1) (i64.const -2) (i32.const 0)))
            (drop (call $begin (local.get $spec)))
            (drop (call $next_tagged (i64.const 1))))"#,
    );
    assert_normal(&world.spawn(&module, "main"));
    assert_eq!(world.report(), 1);
    world.wait_until_empty();
}

#[test]
fn a_killed_supervisor_takes_wasm_children_along() {
    let world = World::new();
    let module = load(
        &world,
        r#"(func (export "main") (local $spec i64)
            (call $die_when_link_dies (i32.const 0))
            (local.set $spec (call $spec (i32.const 114) (i32.const 0) (i32.const 0)))
            (call $add (local.get $spec)
                (call $child (i32.const 97) (i32.const 1) (i64.const -1) (i32.const 0)))
            (local.set $spec (call $begin (local.get $spec)))
            (drop (call $next_tagged (i64.const 1)))
            (call $report (call $process_id))
            (call $kill (local.get $spec))
            (call $report (i64.extend_i32_u
                (call $supervisor_wait (local.get $spec) (i64.const -1) (i32.const 0))))
            (call $sleep))"#,
    );
    let main = world.spawn(&module, "main");
    let [_, _, how] = world.reports();
    // Killed, or gone already when it is asked for.
    assert!([2, 4].contains(&how), "{how}");
    world.wait_for_count(1);
    main.kill();
}

/// Starts a child that traps link deaths, stops it, and reports how its
/// supervisor ended.
///
/// - `time`: what the child has to end, as a record has it.
/// - `then`: what the child does when it is told to end.
fn stops_a_child_that_traps(world: &World, time: i64, then: &str) {
    let module = load(
        world,
        &format!(
            r#"(func (export "main") (local $spec i64)
                (local.set $spec (call $spec (i32.const 114) (i32.const 0) (i32.const 0)))
                (drop (call $child (i32.const 97) (i32.const 1) (i64.const {time}) (i32.const 0)))
                (call $pair (i32.const 0x118) @trapper)
                (call $add (local.get $spec) (i32.const 0x100))
                (local.set $spec (call $begin (local.get $spec)))
                (drop (call $next_tagged (i64.const 9)))
                (call $report (call $end (local.get $spec))))
            (func (export "trapper") (param i32) (param $parent i64) (local $kind i32)
                (call $die_when_link_dies (i32.const 0))
                (call $post (i64.const 9) (i64.const 0) (local.get $parent))
                (local.set $kind (call $next))
                {then})"#
        ),
    );
    assert_normal(&world.spawn(&module, "main"));
}

#[test]
fn a_wasm_child_that_traps_link_deaths_is_told_of_one_with_the_tag_0_and_has_time() {
    let world = World::new();
    let says_so_and_ends = "(call $report (i64.extend_i32_u (local.get $kind)))
        (call $report (call $get_tag))";
    stops_a_child_that_traps(&world, -1, says_so_and_ends);
    assert_eq!(world.reports(), [1, 0, 0]);
}

#[test]
fn a_wasm_child_that_traps_link_deaths_and_does_not_end_in_time_is_killed() {
    let world = World::new();
    stops_a_child_that_traps(&world, 1, "(call $sleep)");
    assert_eq!(world.report(), 0);
    world.wait_until_empty();
}

#[test]
fn a_child_that_leaves_its_supervisor_is_restarted_all_the_same() {
    let world = World::new();
    let module = load(
        &world,
        r#"(func (export "main") (local $spec i64)
            (local.set $spec (call $spec (i32.const 114) (i32.const 0) (i32.const 1)))
            (drop (call $child (i32.const 97) (i32.const 1) (i64.const 1000) (i32.const 0)))
            (call $pair (i32.const 0x118) @leaver)
            (call $add (local.get $spec) (i32.const 0x100))
            (local.set $spec (call $begin (local.get $spec)))
            (call $post (i64.const 0) (local.get $spec) (call $hear (i64.const 4)))
            (drop (call $hear (i64.const 4)))
            (call $report (call $end (local.get $spec))))
        (func $hear (param $tag i64) (result i64)
            (drop (call $next_tagged (local.get $tag)))
            (call $value))
        (func (export "leaver") (param i32) (param $parent i64)
            (call $post (i64.const 4) (call $process_id) (local.get $parent))
            (drop (call $next))
            (call $unlink (call $value))
            unreachable)"#,
    );
    assert_normal(&world.spawn(&module, "main"));
    assert_eq!(world.report(), 0);
}

#[test]
fn a_child_is_started_only_by_whose_limits_it_has() {
    let world = World::new();
    // The stranger has limits of its own, and the right to signal everybody.
    let module = load(
        &world,
        r#"(func $one (param $letter i32) (result i32)
            (call $child (local.get $letter) (i32.const 1) (i64.const -2) (i32.const 2)))
        (func (export "main") (local $own i64) (local $below i64)
            (local.set $own (call $begin (call $spec (i32.const 114) (i32.const 0) (i32.const 3))))
            (call $ok (call $supervisor_start_child (local.get $own)
                (call $one (i32.const 97)) (i32.const 0)))
            (drop (call $next_tagged (i64.const 1)))
            (drop (call $create_config))
            (call $config_set_can_spawn_processes (i64.const 0) (i32.const 1))
            (call $config_set_right (i64.const 0) (i32.const 0) (i32.const 1))
            (call $config_set_limit (i64.const 0) (i32.const 1) (i64.const 10))
            (call $post (i64.const 8) (local.get $own)
                (call $spawn_with (i64.const 0) (i64.const 0) @stranger))
            ;; Its supervisor is below the account of this process.
            (drop (call $next_tagged (i64.const 9)))
            (local.set $below (call $value))
            (call $ok (call $supervisor_start_child (local.get $below)
                (call $one (i32.const 98)) (i32.const 0)))
            (drop (call $next_tagged (i64.const 1)))
            (call $report (i64.const 100)))
        (func (export "stranger") (local $own i64)
            (drop (call $next_tagged (i64.const 8)))
            (local.set $own (call $value))
            (if (i32.ne (i32.const 1) (call $supervisor_start_child (local.get $own)
                (call $one (i32.const 99)) (i32.const 0)))
                (then unreachable))
            (call $say_error (i64.load (i32.const 0)))
            ;; What only runs code of the owner is not refused.
            (call $ok (call $supervisor_terminate_child (local.get $own) (call $letter (i32.const 97)) (i32.const 1) (i32.const 0)))
            (local.set $own (call $begin (call $spec (i32.const 115) (i32.const 0) (i32.const 3))))
            (call $post (i64.const 9) (local.get $own) (call $parent))
            (drop (call $next_tagged (i64.const 10))))
        (func $letter (param $letter i32) (result i32)
            (i32.store8 (i32.const 0x82) (local.get $letter))
            (i32.const 0x82))
        (func $parent (result i64) (i64.sub (call $process_id) (i64.const 3)))"#,
    );
    assert_normal(&world.spawn(&module, "main"));
    assert_eq!(world.report(), 1);
    let refused = world.text();
    assert!(
        refused.contains("permission denied: children of"),
        "{refused}"
    );
    assert_eq!(world.reports(), [1, 100]);
}

#[test]
fn children_are_added_listed_counted_terminated_restarted_and_deleted() {
    let world = World::new();
    let module = load(
        &world,
        r#"(func (export "main") (local $root i64) (local $list i64)
            (local.set $root (call $begin (call $spec (i32.const 114) (i32.const 0) (i32.const 3))))
            (call $ok (call $supervisor_start_child (local.get $root)
                (call $child (i32.const 97) (i32.const 1) (i64.const -2) (i32.const 0)) (i32.const 0)))
            (call $ok (call $supervisor_start_child (local.get $root)
                (call $child (i32.const 98) (i32.const 2) (i64.const -2) (i32.const 1)) (i32.const 0)))
            ;; The name is taken.
            (if (i32.ne (i32.const 1) (call $supervisor_start_child (local.get $root)
                (call $child (i32.const 98) (i32.const 2) (i64.const -2) (i32.const 1)) (i32.const 0)))
                (then unreachable))
            (call $say_error (i64.load (i32.const 0)))
            (call $ok (call $supervisor_terminate_child (local.get $root) @a (i32.const 0)))
            (call $ok (call $supervisor_which_children (local.get $root) (i32.const 0)))
            (local.set $list (i64.load (i32.const 0)))
            (call $supervisor_list_read (local.get $list) (i32.const 0x800))
            (call $report (i64.extend_i32_u (call $supervisor_list_size (local.get $list))))
            (call $supervisor_list_drop (local.get $list))
            (call $say (i32.const 0x820) (i32.load (i32.const 0x81c)))
            (call $more (i64.const 10) (i64.load (i32.const 0x808)))
            (call $more (i64.const 0x100) (i64.extend_i32_u (i32.load (i32.const 0x818))))
            (call $more (i64.const 0x100) (i64.extend_i32_u (i32.load (i32.const 0x839))))
            (call $ok (call $supervisor_count_children (local.get $root) (i32.const 0x900) (i32.const 0)))
            (call $more (i64.const 10) (i64.load (i32.const 0x900)))
            (call $more (i64.const 10) (i64.load (i32.const 0x908)))
            (call $more (i64.const 10) (i64.load (i32.const 0x910)))
            (call $more (i64.const 10) (i64.load (i32.const 0x918)))
            (call $ok (call $supervisor_restart_child (local.get $root) @a (i32.const 0)))
            (call $report (i64.const 50))
            (call $ok (call $supervisor_terminate_process (local.get $root) (i64.load (i32.const 0)) (i32.const 0)))
            (call $ok (call $supervisor_delete_child (local.get $root) @a (i32.const 0)))
            (call $more (i64.const 10) (i64.extend_i32_u
                (call $supervisor_delete_child (local.get $root) @a (i32.const 0))))
            (call $say_error (i64.load (i32.const 0)))
            (call $more (i64.const 1000) (call $end (local.get $root))))
        ;; Reports a number that is told apart from those of the workers.
        (func $more (param $base i64) (param $number i64)
            (call $report (i64.add (local.get $base) (local.get $number))))"#,
    );
    assert_normal(&world.spawn(&module, "main"));
    let mut reports = Vec::new();
    // The workers report 1 and 2 at any time; all else is more.
    while reports.last() != Some(&1000) {
        reports.push(world.report());
    }
    reports.retain(|report| *report > 2);
    assert_eq!(world.text(), "there is a child of that name, and it runs");
    assert_eq!(world.text(), "a");
    assert_eq!(world.text(), "there is no such child");
    // Two records of 33 bytes; a is stopped, has no process, and is a permanent
    // worker, b is a running transient worker. There are two specifications, one
    // is active, none is a supervisor, two are workers.
    let listed = [66, 10, 0x100, 0x01_0001 + 0x100];
    let counted = [12, 11, 10, 12];
    assert_eq!(reports[..4], listed);
    assert_eq!(reports[4..8], counted);
    assert_eq!(reports[8..], [50, 11, 1000]);
}

#[test]
fn a_template_makes_children_with_further_arguments() {
    let world = World::new();
    let module = load(
        &world,
        r#"(func (export "main") (local $root i64)
            (local.set $root (call $spec (i32.const 114) (i32.const 3) (i32.const 3)))
            (drop (call $child (i32.const 97) (i32.const 1) (i64.const 1000) (i32.const 0)))
            ;; The number only; the parent comes later.
            (i32.store (i32.const 0x124) (i32.const 17))
            (call $add (local.get $root) (i32.const 0x100))
            (local.set $root (call $begin (local.get $root)))
            (call $ok (call $supervisor_start_from_template (local.get $root)
                (i32.const 0x211) (i32.const 17) (i32.const 0)))
            (drop (call $next_tagged (i64.const 1)))
            ;; The same arguments after a restart.
            (call $post (i64.const 0) (i64.const 0) (call $value))
            (drop (call $next_tagged (i64.const 1)))
            (call $report (call $end (local.get $root))))"#,
    );
    assert_normal(&world.spawn(&module, "main"));
    assert_eq!(world.reports(), [1, 1, 0]);
}

#[test]
fn a_child_that_does_not_start_is_told_and_the_caller_lives() {
    let world = World::new();
    world.give(r#"(module (memory 1) (func unreachable) (start 0))"#);
    let module = load(
        &world,
        r#"(func (export "main") (local $root i64)
            (local.set $root (call $spec (i32.const 114) (i32.const 0) (i32.const 3)))
            (call $add (local.get $root)
                (call $child (i32.const 97) (i32.const 5) (i64.const 1000) (i32.const 0)))
            (drop (call $child (i32.const 98) (i32.const 1) (i64.const 1000) (i32.const 0)))
            (i64.store (i32.const 0x108) (call $compile_given))
            (call $add (local.get $root) (i32.const 0x100))
            (call $report (i64.extend_i32_u
                (call $supervisor_start (local.get $root) (i64.const 7) (i32.const 0))))
            (call $say_error (i64.load (i32.const 0))))"#,
    );
    assert_normal(&world.spawn(&module, "main"));
    // The child that was started before is stopped, perhaps before it says 5.
    while world.report() != 1 {}
    let text = world.text();
    assert!(text.contains("the child `b` did not start"), "{text}");
    assert!(text.contains("unreachable"), "{text}");
    world.wait_until_empty();
}

#[test]
fn two_children_of_one_name_and_other_nonsense_are_told_when_the_supervisor_is_started() {
    let world = World::new();
    let module = load(
        &world,
        r#"(func (export "main") (local $root i64)
            (local.set $root (call $spec (i32.const 114) (i32.const 0) (i32.const 3)))
            (call $add (local.get $root)
                (call $child (i32.const 97) (i32.const 1) (i64.const 1000) (i32.const 0)))
            (call $add (local.get $root)
                (call $child (i32.const 97) (i32.const 1) (i64.const 1000) (i32.const 0)))
            (call $ok (i32.sub (i32.const 1)
                (call $supervisor_start (local.get $root) (i64.const 7) (i32.const 0))))
            (call $say_error (i64.load (i32.const 0)))
            ;; Who is no supervisor gets no strange message.
            (call $ok (i32.sub (i32.const 1)
                (call $supervisor_which_children (call $process_id) (i32.const 0))))
            (call $say_error (i64.load (i32.const 0)))
            (call $report (i64.extend_i32_u (call $poll))))"#,
    );
    let main = world.spawn(&module, "main");
    assert_normal(&main);
    assert_eq!(world.text(), "two children are named `a`");
    assert!(world.text().starts_with("there is no supervisor"));
    assert_eq!(world.report(), 9027);
}

// A chain of 50 000 would be dropped recursively, and end the runtime.
#[test]
fn supervisors_are_not_nested_without_limit() {
    let world = World::new();
    let module = world.load(
        r#"(func $new (result i64)
            (call $supervisor_create_spec (i32.const 0) (i32.const 1)
                (i32.const 0) (i32.const 1) (i64.const 5000) (i32.const 0)))
        (func (export "main") (local $inner i64) (local $outer i64) (local $levels i64)
            (i32.store8 (i32.const 0) (i32.const 97))
            (local.set $inner (call $new))
            (loop $deeper
                (local.set $outer (call $new))
                (if (i32.eqz (call $supervisor_add_supervisor
                        (local.get $outer) (local.get $inner)
                        (i32.const 0) (i64.const -1) (i32.const 0) (i32.const 0x100)))
                    (then
                        (call $supervisor_drop_spec (local.get $inner))
                        (local.set $inner (local.get $outer))
                        (local.set $levels (i64.add (local.get $levels) (i64.const 1)))
                        (br_if $deeper (i64.lt_u (local.get $levels) (i64.const 50000))))))
            (call $report (local.get $levels))
            (call $say_error (i64.load (i32.const 0x100))))"#,
    );
    let main = world.spawn(&module, "main");
    assert_normal(&main);
    assert_eq!(world.report(), 64);
    let error = world.text();
    assert_eq!(
        error,
        "a supervisor has at most 64 levels of supervisors below it"
    );
}

#[test]
fn numbers_that_stand_for_nothing_trap() {
    let world = World::new();
    for (body, cause) in [
        (
            "(drop (call $spec (i32.const 97) (i32.const 4) (i32.const 1)))",
            "no strategy 4",
        ),
        (
            "(drop (call $supervisor_create_spec (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1) (i64.const -5) (i32.const 0)))",
            "-5 ms is no time",
        ),
        (
            "(drop (call $supervisor_create_spec (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1) (i64.const 5) (i32.const 3)))",
            "no kind of auto-shutdown 3",
        ),
        (
            "(call $add (call $spec (i32.const 97) (i32.const 0) (i32.const 1)) (call $child (i32.const 97) (i32.const 1) (i64.const -3) (i32.const 0)))",
            "-3 ms is no time",
        ),
        (
            "(call $add (call $spec (i32.const 97) (i32.const 0) (i32.const 1)) (call $child (i32.const 97) (i32.const 1) (i64.const 3) (i32.const 3)))",
            "no restart type 3",
        ),
        (
            "(call $add (i64.const 5) (call $child (i32.const 97) (i32.const 1) (i64.const 3) (i32.const 0)))",
            "no supervisor specification with id 5",
        ),
        (
            "(call $add (call $spec (i32.const 97) (i32.const 0) (i32.const 1)) (i32.const 0xffd0))",
            "outside of the memory",
        ),
        (
            "(call $supervisor_set_backoff (call $spec (i32.const 97) (i32.const 0) (i32.const 1)) (i64.const -1) (i64.const 1) (i32.const 0))",
            "-1 ms is no time",
        ),
        (
            "(call $supervisor_list_drop (i64.const 0))",
            "no list of children with id 0",
        ),
    ] {
        let module = load(&world, &format!("(func (export \"main\") {body})"));
        world.fails(&module, "main", cause);
    }
}

#[test]
fn the_exit_reasons_of_processes_are_told_apart() {
    let world = World::new();
    let module = load(
        &world,
        r#"(func (export "main")
            (call $report (call $how (call $spawn_own (i64.const 0) @returns)))
            (call $report (call $how (call $spawn_own (i64.const 0) @traps)))
            (call $say_error (i64.load (i32.const 0x90)))
            (call $report (call $how (call $killed (call $spawn_own (i64.const 0) @waits))))
            (call $report (call $how (i64.const 1000000)))
            (call $report (i64.extend_i32_u (call $supervisor_wait
                (call $process_id) (i64.const 0) (i32.const 0x90)))))
        (func $how (param $process i64) (result i64)
            (call $post (i64.const 0) (i64.const 0) (local.get $process))
            (i64.extend_i32_u (call $supervisor_wait
                (local.get $process) (i64.const -1) (i32.const 0x90))))
        (func $killed (param $process i64) (result i64)
            (call $kill (local.get $process))
            (local.get $process))
        (func (export "returns") (drop (call $next)))
        (func (export "traps") (drop (call $next)) unreachable)
        (func (export "waits") (call $sleep))"#,
    );
    assert_normal(&world.spawn(&module, "main"));
    let [returned, trapped, killed, nobody, lives] = world.reports();
    // Who is killed may be gone before it is waited for.
    assert!([2, 4].contains(&killed), "{killed}");
    assert_eq!([returned, trapped, nobody, lives], [0, 1, 4, 9027]);
    assert!(world.text().contains("unreachable"));
}

#[test]
fn a_guest_that_is_killed_while_a_supervisor_starts_takes_it_along() {
    let world = World::new();
    world.give(r#"(module (memory 1) (func (loop (br 0))) (start 0))"#);
    let module = load(
        &world,
        r#"(func (export "main") (local $root i64)
            (local.set $root (call $spec (i32.const 114) (i32.const 0) (i32.const 3)))
            (drop (call $child (i32.const 98) (i32.const 1) (i64.const 0) (i32.const 0)))
            (i64.store (i32.const 0x108) (call $compile_given))
            (call $add (local.get $root) (i32.const 0x100))
            (call $report (i64.const 1))
            (drop (call $begin (local.get $root))))"#,
    );
    let main = world.spawn(&module, "main");
    assert_eq!(world.report(), 1);
    world.wait_for_count(3);
    main.kill();
    assert!(matches!(end_of(&main), ExitReason::Killed));
    world.wait_until_empty();
}

#[test]
fn a_native_tree_of_wasm_processes_is_built_from_data_restarted_and_stopped() {
    let world = World::new();
    let module = load(
        &world,
        r#"(func (export "main") (param $number i64)
            (call $report (local.get $number))
            (drop (call $next))
            unreachable)"#,
    );
    let names = NameScope::new(world.runtime.environment());
    let child = |name: &str, number: i64| {
        let root = Root::new("main").params([Value::I64(number)]);
        let start = wait("the child", world.runtime.child(&module, root, &names));
        ChildSpec::new(name, start.unwrap())
    };
    let (events, told) = async_channel::unbounded();
    let inner = Spec::new("inner")
        .strategy(Strategy::RestForOne)
        .child(child("second", 2))
        .child(child("third", 3));
    let tree = Spec::new("root")
        .child(child("first", 1))
        .child(inner.into_child())
        .observer(move |supervisor, event| {
            if let SupervisorEvent::Restarting { child, reason, .. } = event {
                let line = format!("{supervisor} restarts {child}: {reason}");
                events.try_send(line).unwrap();
            }
        });
    let environment = world.runtime.environment().clone();
    let root = wait("the start", tree.start(&environment, None)).unwrap();
    let mut reports: [i64; 3] = world.reports();
    reports.sort_unstable();
    assert_eq!(reports, [1, 2, 3]);

    let children = wait("the children", root.which_children()).unwrap();
    let inner = Supervisor::of(children[1].process.clone().unwrap()).unwrap();
    let children = wait("the children", inner.which_children()).unwrap();
    harness::send(children[0].process.as_ref().unwrap(), 0, b"");
    let mut reports: [i64; 2] = world.reports();
    reports.sort_unstable();
    assert_eq!(reports, [2, 3]);
    let line = wait("an event", told.recv()).unwrap();
    assert!(line.starts_with("root/inner restarts second: "), "{line}");
    assert!(line.contains("unreachable"), "{line}");

    assert!(wait("the end", root.shut_down()).is_normal());
    world.wait_until_empty();
    world.no_more_reports();
}
