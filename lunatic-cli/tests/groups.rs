//! Process groups of guests (ABI §24).
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use harness::World;
use harness::program::Guests;
use lunatic_testkit::built::rust_guests;

/// Joins `@group` of the default scope; the result.
const JOIN: &str = r#"
    (func $join (param $process i64) (result i32)
        (call $group_join (i32.const 0) (i32.const 0) @group (local.get $process) (i32.const 0x100)))
    (func $count (result i64)
        (i64.extend_i32_u (call $group_members (i32.const 0) (i32.const 0) @group
            (i32.const 0x200) (i32.const 16))))"#;

fn guest(parts: &[&str]) -> String {
    parts.concat()
}

#[test]
fn members_are_listed_while_they_live() {
    let world = World::new();
    world.run_main(&guest(&[
        JOIN,
        r#"(func (export "main") (local $child i64)
            (call $report (call $count))
            (local.set $child (call $spawn_own (i64.const 0) @child))
            (call $ok (call $join (local.get $child)))
            (call $report (call $count))
            ;; node and process
            (call $report (i64.load (i32.const 0x200)))
            (call $report (i64.sub (i64.load (i32.const 0x208)) (local.get $child)))
            (call $kill (local.get $child))
            (call $await (local.get $child))
            (loop $again
                (br_if $again (i32.wrap_i64 (call $count))))
            (call $report (i64.extend_i32_u (call $join (local.get $child))))
            (call $say_error (i64.load (i32.const 0x100))))
        (func (export "child") (call $sleep))"#,
    ]));
    assert_eq!(world.reports(), [0, 1, 0, 0, 1]);
    assert_eq!(world.text(), "there is no such process");
}

#[test]
fn who_joined_twice_leaves_twice() {
    let world = World::new();
    world.run_main(&guest(&[
        JOIN,
        r#"(func $leave
            (call $report (i64.extend_i32_u (call $group_leave
                (i32.const 0) (i32.const 0) @group (call $process_id)))))
        (func (export "main")
            (call $ok (call $join (call $process_id)))
            (call $ok (call $join (call $process_id)))
            (call $report (call $count))
            (call $leave) (call $leave) (call $leave)
            (call $report (call $count)))"#,
    ]));
    assert_eq!(world.reports(), [2, 0, 0, 1, 0]);
}

#[test]
fn a_list_that_does_not_fit_is_not_written() {
    let world = World::new();
    world.run_main(&guest(&[
        JOIN,
        r#"(func (export "main")
            (call $ok (call $join (call $process_id)))
            (call $ok (call $join (call $process_id)))
            (i64.store (i32.const 0x208) (i64.const 77))
            (call $report (i64.extend_i32_u (call $group_local_members
                (i32.const 0) (i32.const 0) @group (i32.const 0x200) (i32.const 1))))
            (call $report (i64.load (i32.const 0x208)))
            (i64.store (i32.const 0x300) (i64.const 78))
            (call $report (i64.extend_i32_u (call $group_groups
                (i32.const 0) (i32.const 0) (i32.const 0x300) (i32.const 8))))
            (call $report (i64.load (i32.const 0x300)))
            (call $report (i64.extend_i32_u (call $group_groups
                (i32.const 0) (i32.const 0) (i32.const 0x300) (i32.const 9))))
            (call $report (i64.load32_u (i32.const 0x300)))
            (call $say (i32.const 0x304) (i32.load (i32.const 0x300))))"#,
    ]));
    assert_eq!(world.reports(), [2, 77, 9, 78, 9, 5]);
    assert_eq!(world.text(), "group");
}

#[test]
fn scopes_are_told_apart_and_a_scope_that_is_only_asked_for_is_empty() {
    let world = World::new();
    world.run_main(&guest(&[
        JOIN,
        r#"(func (export "main")
            (call $ok (call $join (call $process_id)))
            (call $report (i64.extend_i32_u (call $group_members
                @scope @group (i32.const 0x200) (i32.const 16))))
            (call $report (i64.extend_i32_u (call $group_groups
                @scope (i32.const 0x200) (i32.const 16)))))"#,
    ]));
    assert_eq!(world.reports(), [0, 0]);
}

#[test]
fn a_message_to_a_group_goes_to_one_member_or_to_all() {
    let world = World::new();
    world.run_main(&guest(&[
        JOIN,
        r#"(func (export "child")
            (loop $again
                (drop (call $next))
                (call $report (call $value))
                (br $again)))
        (func $dispatch (result i64)
            (i64.extend_i32_u (call $group_dispatch (i32.const 0) (i32.const 0) @group
                (i32.const 0x100) (i32.const 0x108))))
        (func $broadcast (result i64)
            (i64.extend_i32_u (call $group_broadcast (i32.const 0) (i32.const 0) @group)))
        (func (export "main")
            (call $write (i64.const 0) (i64.const 5))
            (call $report (call $dispatch))
            ;; The message is still there.
            (call $report (i64.extend_i32_u (call $send (call $process_id))))
            (drop (call $next))
            (call $report (call $value))
            (call $ok (call $join (call $spawn_own (i64.const 0) @child)))
            (call $ok (call $join (call $spawn_own (i64.const 0) @child)))
            (call $write (i64.const 0) (i64.const 6))
            (call $report (call $dispatch))
            (call $write (i64.const 0) (i64.const 7))
            (call $report (i64.mul (call $broadcast) (i64.const 100))))"#,
    ]));
    assert_eq!(world.reports(), [1, 0, 5]);
    let mut rest: [i64; 5] = world.reports();
    rest.sort_unstable();
    assert_eq!(rest, [0, 6, 7, 7, 200]);
}

#[test]
fn members_are_taken_in_turn() {
    let world = World::new();
    world.run_main(&guest(&[
        JOIN,
        r#"(func $next_member (result i64)
            (i64.store (i32.const 0x108) (i64.const -1))
            (call $report (i64.extend_i32_u (call $group_next (i32.const 0) (i32.const 0) @group
                (i32.const 0x100) (i32.const 0x108))))
            (i64.load (i32.const 0x108)))
        (func (export "child") (call $sleep))
        (func (export "main") (local $sum i64)
            (call $report (call $next_member))
            (call $ok (call $join (call $process_id)))
            (call $ok (call $join (call $spawn_own (i64.const 0) @child)))
            (local.set $sum (call $next_member))
            (local.set $sum (i64.add (local.get $sum) (call $next_member)))
            (call $report (local.get $sum)))"#,
    ]));
    assert_eq!(world.reports(), [1, -1, 0, 0, 1 + 2]);
}

#[test]
fn a_monitor_is_told_by_messages_with_its_tag() {
    let world = World::new();
    world.run_main(&guest(&[
        JOIN,
        r#"(func $event
            (drop (call $next_tagged (i64.const 9)))
            (drop (call $read_data (i32.const 0x400) (i32.const 256)))
            ;; change, length of the name, monitor, size
            (call $report (i64.load32_u (i32.const 0x400)))
            (call $report (i64.load32_u (i32.const 0x404)))
            (call $report (i64.load (i32.const 0x408)))
            (call $report (call $data_size)))
        (func (export "main") (local $child i64) (local $monitor i64)
            (call $ok (call $group_monitor (i32.const 0) (i32.const 0) @group
                (i64.const 9) (i32.const 0x100)))
            (local.set $monitor (i64.load (i32.const 0x100)))
            (call $event)
            (local.set $child (call $spawn_own (i64.const 0) @child))
            (call $ok (call $join (local.get $child)))
            (call $event)
            (call $report (i64.sub (i64.load (i32.const 0x41d)) (local.get $child)))
            (call $kill (local.get $child))
            (call $event)
            (call $report (i64.extend_i32_u (call $group_stop_monitoring
                (i32.const 0) (i32.const 0) (local.get $monitor))))
            (call $report (i64.extend_i32_u (call $group_stop_monitoring
                (i32.const 0) (i32.const 0) (local.get $monitor))))
            (call $ok (call $group_monitor_scope (i32.const 0) (i32.const 0)
                (i64.const 9) (i32.const 0x100)))
            (call $ok (call $join (call $process_id)))
            (call $event))
        (func (export "child") (call $sleep))"#,
    ]));
    assert_eq!(world.reports(), [0, 5, 1, 21, 1, 5, 1, 37, 0]);
    assert_eq!(world.reports(), [2, 5, 1, 37, 0, 1, 1, 5, 2, 37]);
}

#[test]
fn a_name_without_limit_is_an_error_and_a_bad_address_a_trap() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main")
            (call $report (i64.extend_i32_u (call $group_join (i32.const 0) (i32.const 0)
                (i32.const 0) (i32.const 256) (call $process_id) (i32.const 0x800))))
            (call $say_error (i64.load (i32.const 0x800)))
            (call $report (i64.extend_i32_u (call $group_monitor (i32.const 0) (i32.const 256)
                (i32.const 0) (i32.const 0) (i64.const 1) (i32.const 0x800)))))"#,
    );
    assert_eq!(world.reports(), [1, 1]);
    assert!(world.text().contains("256 bytes"));
    for call in [
        "(drop (call $group_join (i32.const 0) (i32.const 0) (i32.const 0xfffff) (i32.const 9) (i64.const 1) (i32.const 0)))",
        "(drop (call $group_members (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1)))",
        "(drop (call $group_groups (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0x10000)))",
    ] {
        let module = world.load(&format!(r#"(func (export "main") {call})"#));
        world.fails(&module, "main", "memory");
    }
}

#[test]
fn a_message_with_a_resource_is_not_broadcast() {
    let world = World::new();
    let module = world.load(
        r#"(func (export "main")
            (call $create_data (i64.const 0) (i64.const 0))
            (drop (call $push_module (i64.const -1)))
            (drop (call $group_broadcast (i32.const 0) (i32.const 0) @group)))
        (func (export "empty")
            (drop (call $group_broadcast (i32.const 0) (i32.const 0) @group)))"#,
    );
    world.fails(&module, "main", "one process only");
    world.fails(&module, "empty", "no message");
}

#[test]
fn rust_guests_have_all_of_it_through_lunatic_guest() {
    let Some(modules) = rust_guests(&["groups.wasm"]) else {
        return;
    };
    let module = modules.join("groups.wasm");
    let ran = Guests::new().run(&["run", module.to_str().unwrap()]);
    assert_eq!(ran.code(0).out, "all is well\n");
}
