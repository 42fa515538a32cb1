//! The scratch area, sending, and selective receive (ABI §4, §15.4).
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use harness::{Told, World, assert_failed, assert_normal, send};
use lunatic_cli::{Root, Value};
use lunatic_mailbox::MessageResource;
use lunatic_testkit::wait;

/// `9027` everywhere in the interface.
const TIMED_OUT: i64 = 9027;

#[test]
fn a_message_carries_tag_and_bytes() {
    let world = World::new();
    let observer = world.observer();
    let module = world.load(
        r#"(data (i32.const 0x100) "hello")
        (func (export "main") (param $to i64)
            (call $create_data (i64.const -5) (i64.const 0))
            (call $report (i64.extend_i32_u (call $write_data (i32.const 0x100) (i32.const 2))))
            (call $report (i64.extend_i32_u (call $write_data (i32.const 0) (i32.const 0))))
            (call $report (i64.extend_i32_u (call $write_data (i32.const 0x102) (i32.const 3))))
            (call $report (call $data_size))
            (call $report (call $get_tag))
            (call $report (call $get_process_id))
            (call $report (i64.extend_i32_u (call $send (local.get $to)))))"#,
    );
    let to = Value::I64(observer.process.id().to_bits() as i64);
    world.root(&module, Root::new("main").params([to])).unwrap();
    assert_eq!(world.reports(), [2, 0, 3, 5, -5, 0, 0]);
    assert_eq!(observer.told(), Told::Data(-5, b"hello".to_vec()));
}

#[test]
fn reading_goes_on_where_it_stopped_and_seeking_starts_anywhere() {
    let world = World::new();
    let module = world.load(
        r#"(func $read (param $length i32)
            (i32.store (i32.const 0x100) (i32.const 0))
            (call $report (i64.extend_i32_u (call $read_data (i32.const 0x100) (local.get $length))))
            (call $report (i64.load32_u (i32.const 0x100))))
        (func (export "main")
            (drop (call $next))
            (call $read (i32.const 2))
            (call $read (i32.const 4))
            (call $read (i32.const 4))
            (call $seek_data (i64.const 1))
            (call $read (i32.const 1))
            (call $seek_data (i64.const 3))
            (call $read (i32.const 1))
            (call $report (call $data_size)))"#,
    );
    let process = world.spawn(&module, "main");
    send(&process, 0, &[1, 2, 3]);
    assert_eq!(world.reports(), [2, 0x0201, 1, 3, 0, 0, 1, 2, 0, 0, 3],);
}

#[test]
fn reading_behind_the_end_traps_and_seeking_there_does_not() {
    let world = World::new();
    let module = world.load(
        r#"(func (export "main")
            (call $write (i64.const 0) (i64.const 0))
            (call $seek_data (i64.const 9))
            (call $report (i64.const 1))
            (drop (call $read_data (i32.const 0) (i32.const 0))))
        (func (export "far")
            (call $write (i64.const 0) (i64.const 0))
            (call $seek_data (i64.const -1))
            (drop (call $read_data (i32.const 0) (i32.const 1))))"#,
    );
    world.fails(&module, "main", "behind the end");
    assert_eq!(world.report(), 1);
    world.fails(&module, "far", "behind the end");
}

#[test]
fn addresses_outside_of_memory_trap() {
    let world = World::new();
    let module = world.load(
        r#"(func (export "write")
            (call $create_data (i64.const 0) (i64.const 0))
            (drop (call $write_data (i32.const 0xffff) (i32.const 2))))
        (func (export "write around the end")
            (call $create_data (i64.const 0) (i64.const 0))
            (drop (call $write_data (i32.const -1) (i32.const 2))))
        (func (export "read")
            (call $write (i64.const 0) (i64.const 0))
            (drop (call $read_data (i32.const 0xffff) (i32.const 2))))
        (func (export "tags")
            (drop (call $receive (i32.const 0xfff9) (i32.const 1) (i64.const 0))))"#,
    );
    for export in ["write", "write around the end", "read", "tags"] {
        world.fails(&module, export, "outside of the memory");
    }
}

// ABI §21 F1
#[test]
fn a_tag_list_that_overflows_32_bits_traps() {
    let world = World::new();
    let module = world.load(
        r#"(func (export "wraps to 0")
            (drop (call $receive (i32.const 0) (i32.const 0x20000000) (i64.const 0))))
        (func (export "wraps to 8")
            (drop (call $receive (i32.const 0) (i32.const 0x20000001) (i64.const 0))))
        (func (export "most")
            (drop (call $receive (i32.const 0) (i32.const -1) (i64.const 0))))"#,
    );
    for export in ["wraps to 0", "wraps to 8", "most"] {
        world.fails(&module, export, "outside of the memory");
    }
}

#[test]
fn every_use_of_an_empty_scratch_traps() {
    let world = World::new();
    let module = world.load(
        r#"(func (export "write") (drop (call $write_data (i32.const 0) (i32.const 0))))
        (func (export "read") (drop (call $read_data (i32.const 0) (i32.const 0))))
        (func (export "seek") (call $seek_data (i64.const 0)))
        (func (export "tag") (drop (call $get_tag)))
        (func (export "process") (drop (call $get_process_id)))
        (func (export "size") (drop (call $data_size)))
        (func (export "send") (drop (call $send (i64.const 1))))
        (func (export "send twice")
            (call $post (i64.const 0) (i64.const 0) (i64.const 1000000))
            (drop (call $send (i64.const 1000000))))
        (func (export "request")
            (drop (call $send_receive_skip_search (i64.const 1) (i64.const 1) (i64.const 0))))
        (func (export "push") (drop (call $push_module (i64.const -1))))
        (func (export "take") (drop (call $take_module (i64.const 0))))"#,
    );
    for export in [
        "write",
        "read",
        "seek",
        "tag",
        "process",
        "size",
        "send",
        "send twice",
        "request",
        "push",
        "take",
    ] {
        world.fails(&module, export, "no message in the scratch area");
    }
}

#[test]
fn the_message_of_a_death_has_no_data() {
    let world = World::new();
    let module = world.load(
        r#"(func $hears_of_a_death
            (call $die_when_link_dies (i32.const 0))
            (call $link (i64.const 5) (i64.const 1000000))
            (drop (call $next)))
        (func (export "write") (call $hears_of_a_death)
            (drop (call $write_data (i32.const 0) (i32.const 0))))
        (func (export "read") (call $hears_of_a_death)
            (drop (call $read_data (i32.const 0) (i32.const 0))))
        (func (export "seek") (call $hears_of_a_death) (call $seek_data (i64.const 0)))
        (func (export "size") (call $hears_of_a_death) (drop (call $data_size)))
        (func (export "push") (call $hears_of_a_death)
            (drop (call $push_module (i64.const -1))))
        (func (export "take") (call $hears_of_a_death)
            (drop (call $take_module (i64.const 0))))"#,
    );
    for export in ["write", "read", "seek", "size", "push", "take"] {
        world.fails(&module, export, "tells of a death");
    }
}

#[test]
fn sending_to_nobody_is_silent() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main")
            (call $create_data (i64.const 0) (i64.const 0))
            (call $report (i64.extend_i32_u (call $send (i64.const 1000000))))
            (call $create_data (i64.const 0) (i64.const 0))
            (call $report (i64.extend_i32_u (call $send (i64.const 0)))))"#,
    );
    assert_eq!(world.reports(), [0, 0]);
}

// ABI §21 A2, A3
#[test]
fn a_huge_capacity_is_a_hint_only() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main")
            (call $create_data (i64.const 5) (i64.const -1))
            (call $create_data (i64.const 6) (i64.const 0x7fffffffffffffff))
            (call $create_data (i64.const 7) (i64.const 0x100000000000))
            (call $report (call $get_tag))
            (call $report (call $data_size)))"#,
    );
    assert_eq!(world.reports(), [7, 0]);
}

#[test]
fn a_new_message_replaces_the_one_in_scratch() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main")
            (call $write (i64.const 5) (i64.const 1))
            (call $create_data (i64.const 0) (i64.const 0))
            (call $report (call $get_tag))
            (call $report (call $data_size)))"#,
    );
    assert_eq!(world.reports(), [0, 0]);
}

#[test]
fn messages_of_one_sender_arrive_in_order() {
    let world = World::new();
    world.run_main(
        r#"(global $seen (mut i64) (i64.const 0))
        (func (export "main") (local $child i64) (local $count i64)
            (local.set $child (call $spawn_own (i64.const 1) @child))
            (call $post (i64.const 0) (call $process_id) (local.get $child))
            (loop $again
                (local.set $count (i64.add (local.get $count) (i64.const 1)))
                (call $post (i64.const 0) (local.get $count) (local.get $child))
                (br_if $again (i64.lt_u (local.get $count) (i64.const 1000))))
            (drop (call $next)))
        (func (export "child") (local $parent i64)
            (drop (call $next))
            (local.set $parent (call $value))
            (loop $again
                (drop (call $next))
                (global.set $seen (i64.add (global.get $seen) (i64.const 1)))
                (if (i64.ne (call $value) (global.get $seen)) (then unreachable))
                (br_if $again (i64.lt_u (global.get $seen) (i64.const 1000))))
            (call $post (i64.const 0) (i64.const 0) (local.get $parent)))"#,
    );
}

#[test]
fn the_oldest_message_with_a_tag_of_the_list_is_received() {
    let world = World::new();
    world.run_main(
        r#"(data (i32.const 0x100) "\06\00\00\00\00\00\00\00\05\00\00\00\00\00\00\00")
        (func $either
            (drop (call $receive (i32.const 0x100) (i32.const 2) (i64.const -1)))
            (call $report (call $value)))
        (func (export "main") (local $own i64)
            (local.set $own (call $process_id))
            (call $post (i64.const 0) (i64.const 1) (local.get $own))
            (call $post (i64.const 5) (i64.const 2) (local.get $own))
            (call $post (i64.const 7) (i64.const 3) (local.get $own))
            (call $post (i64.const 6) (i64.const 4) (local.get $own))
            (call $either)
            (call $either)
            (drop (call $next)) (call $report (call $value))
            (drop (call $next)) (call $report (call $value)))"#,
    );
    assert_eq!(world.reports(), [2, 4, 1, 3]);
}

// ABI §1.3 M11
#[test]
fn a_0_in_a_tag_list_matches_nothing() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main") (local $own i64)
            (local.set $own (call $process_id))
            (call $post (i64.const 0) (i64.const 1) (local.get $own))
            ;; The memory at 0x100 holds the tags 0 and 0.
            (call $report (i64.extend_i32_u
                (call $receive (i32.const 0x100) (i32.const 2) (i64.const 5))))
            (call $post (i64.const 5) (i64.const 2) (local.get $own))
            (i64.store (i32.const 0x108) (i64.const 5))
            (drop (call $receive (i32.const 0x100) (i32.const 2) (i64.const -1)))
            (call $report (call $value)))"#,
    );
    assert_eq!(world.reports(), [TIMED_OUT, 2]);
}

#[test]
fn a_list_without_tags_takes_any_message_and_reads_no_memory() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main")
            (call $post (i64.const 5) (i64.const 1) (call $process_id))
            (call $ok (call $receive (i32.const -1) (i32.const 0) (i64.const -1)))
            (call $report (call $value)))"#,
    );
    assert_eq!(world.report(), 1);
}

#[test]
fn a_timeout_of_0_takes_what_is_there() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main")
            (call $report (i64.extend_i32_u (call $poll)))
            (call $post (i64.const 0) (i64.const 1) (call $process_id))
            (call $report (i64.extend_i32_u (call $poll))))"#,
    );
    assert_eq!(world.reports(), [TIMED_OUT, 0]);
}

#[test]
fn a_receive_that_times_out_leaves_scratch_as_it_was() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main")
            (call $write (i64.const 5) (i64.const 42))
            (call $report (i64.extend_i32_u (call $poll)))
            (call $report (i64.extend_i32_u
                (call $receive (i32.const 0) (i32.const 0) (i64.const 3))))
            (call $report (call $get_tag))
            (call $report (call $value)))"#,
    );
    assert_eq!(world.reports(), [TIMED_OUT, TIMED_OUT, 5, 42]);
}

// ABI §21 C3
#[test]
fn arrival_order_survives_a_tagged_receive_that_timed_out() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main") (local $own i64)
            (local.set $own (call $process_id))
            (i64.store (i32.const 0x100) (i64.const 11))
            (call $report (i64.extend_i32_u
                (call $receive (i32.const 0x100) (i32.const 1) (i64.const 3))))
            (call $post (i64.const 11) (i64.const 11) (local.get $own))
            (call $post (i64.const 12) (i64.const 12) (local.get $own))
            (call $post (i64.const 13) (i64.const 13) (local.get $own))
            (drop (call $next)) (call $report (call $value))
            (drop (call $next)) (call $report (call $value))
            (drop (call $next)) (call $report (call $value)))"#,
    );
    assert_eq!(world.reports(), [TIMED_OUT, 11, 12, 13]);
}

#[test]
fn a_waiting_receive_is_ended_by_the_message_it_waits_for_only() {
    let world = World::new();
    let module = world.load(
        r#"(func (export "main")
            (call $report (i64.const 0))
            (drop (call $next_tagged (i64.const 5)))
            (call $report (call $value))
            (drop (call $next))
            (call $report (call $value)))"#,
    );
    let process = world.spawn(&module, "main");
    world.report();
    send(&process, 6, &1i64.to_le_bytes());
    send(&process, 0, &2i64.to_le_bytes());
    send(&process, 5, &3i64.to_le_bytes());
    assert_eq!(world.reports(), [3, 1]);
}

#[test]
fn a_request_waits_for_an_answer_that_arrives_after_it() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main") (local $child i64)
            ;; An older message with the tag of the answer is not the answer.
            (call $post (i64.const 5) (i64.const 1) (call $process_id))
            (local.set $child (call $spawn_own (i64.const 1) @child))
            (call $write (i64.const 9) (call $process_id))
            (call $report (i64.extend_i32_u (call $send_receive_skip_search
                (local.get $child) (i64.const 5) (i64.const -1))))
            (call $report (call $get_tag))
            (call $report (call $value))
            (drop (call $next))
            (call $report (call $value))
            (drop (call $next))
            (call $report (call $value)))
        (func (export "child") (local $parent i64)
            (drop (call $next))
            (local.set $parent (call $value))
            (call $post (i64.const 6) (i64.const 2) (local.get $parent))
            (call $post (i64.const 5) (i64.const 3) (local.get $parent)))"#,
    );
    assert_eq!(world.reports(), [0, 5, 3, 1, 2]);
}

#[test]
fn a_process_can_answer_its_own_request() {
    // The wait begins before the message leaves, so nothing is too fast.
    let world = World::new();
    world.run_main(
        r#"(func (export "main")
            (call $write (i64.const 5) (i64.const 42))
            (call $ok (call $send_receive_skip_search
                (call $process_id) (i64.const 5) (i64.const 0)))
            (call $report (call $value)))"#,
    );
    assert_eq!(world.report(), 42);
}

#[test]
fn a_request_that_times_out_leaves_scratch_empty() {
    let world = World::new();
    let module = world.load(
        r#"(func (export "main")
            (call $write (i64.const 0) (i64.const 0))
            (call $report (i64.extend_i32_u (call $send_receive_skip_search
                (i64.const 1000000) (i64.const 5) (i64.const 3))))
            (drop (call $get_tag)))"#,
    );
    world.fails(&module, "main", "no message in the scratch area");
    assert_eq!(world.report(), TIMED_OUT);
}

#[test]
fn an_answer_with_tag_0_never_comes() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main")
            (call $write (i64.const 0) (i64.const 42))
            (call $report (i64.extend_i32_u (call $send_receive_skip_search
                (call $process_id) (i64.const 0) (i64.const 5))))
            (call $ok (call $poll)))"#,
    );
    assert_eq!(world.report(), TIMED_OUT);
}

// ABI §21 C8
#[test]
fn a_link_death_with_the_tag_of_the_answer_is_not_the_answer() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main") (local $child i64)
            (call $die_when_link_dies (i32.const 0))
            (local.set $child (call $spawn_own (i64.const 5) @child))
            (call $write (i64.const 0) (i64.const 0))
            (call $report (i64.extend_i32_u (call $send_receive_skip_search
                (local.get $child) (i64.const 5) (i64.const 20))))
            (call $report (i64.extend_i32_u (call $next)))
            (call $report (call $get_tag)))
        (func (export "child") (drop (call $next)) unreachable)"#,
    );
    assert_eq!(world.reports(), [TIMED_OUT, 1, 5]);
}

#[test]
fn a_message_that_is_sent_on_keeps_its_cursor() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main")
            (call $create_data (i64.const 5) (i64.const 0))
            (i64.store (i32.const 0x100) (i64.const 1))
            (i64.store (i32.const 0x108) (i64.const 2))
            (drop (call $write_data (i32.const 0x100) (i32.const 16)))
            (drop (call $send (call $process_id)))
            (drop (call $next))
            (call $report (call $value))
            (drop (call $send (call $process_id)))
            (drop (call $next))
            (call $report (call $get_tag))
            (call $report (call $value))
            (call $seek_data (i64.const 0))
            (drop (call $send (call $process_id)))
            (drop (call $next))
            (call $report (call $value)))"#,
    );
    assert_eq!(world.reports(), [1, 5, 2, 1]);
}

#[test]
fn messages_of_deaths_can_be_sent_on() {
    let world = World::new();
    let observer = world.observer();
    let module = world.load(
        r#"(func (export "main") (param $to i64) (local $child i64)
            (call $die_when_link_dies (i32.const 0))
            (local.set $child (call $spawn_own (i64.const 5) @child))
            (call $monitor (local.get $child))
            (call $post (i64.const 0) (i64.const 0) (local.get $child))
            (drop (call $next))
            (drop (call $send (local.get $to)))
            (drop (call $next))
            (drop (call $send (local.get $to)))
            (call $report (local.get $child)))
        (func (export "child") (drop (call $next)) unreachable)"#,
    );
    let to = Value::I64(observer.process.id().to_bits() as i64);
    world.root(&module, Root::new("main").params([to])).unwrap();
    let child = world.report() as u64;
    assert_eq!(observer.told(), Told::LinkDied(5));
    assert_eq!(observer.told(), Told::ProcessDied(child));
}

/// Sends a module to itself.
const MODULE_IN_A_MESSAGE: &str = r#"
    (func $sends_a_module (local $module i64)
        (local.set $module (call $compile_given))
        (call $create_data (i64.const 0) (i64.const 0))
        (call $report (call $push_module (local.get $module)))
        (call $report (call $push_module (i64.const -1)))
        ;; The sender keeps its handle, and the message its own.
        (call $drop_module (local.get $module))
        (drop (call $send (call $process_id)))
        (drop (call $next)))
    (func $run (param $module i64)
        (call $ok (call $spawn (i64.const 1) (i64.const -1) (local.get $module)
            @child (i32.const 0) (i32.const 0) (i32.const 0x200))))
    (func (export "takes both")
        (call $sends_a_module)
        (call $run (call $take_module (i64.const 1)))
        (call $run (call $take_module (i64.const 0)))
        (call $sleep_ms (i64.const 1)))
    (func (export "takes twice")
        (call $sends_a_module)
        (drop (call $take_module (i64.const 0)))
        (drop (call $take_module (i64.const 0))))
    (func (export "takes nothing")
        (call $sends_a_module)
        (drop (call $take_module (i64.const 2))))
    (func (export "takes far out")
        (call $sends_a_module)
        (drop (call $take_module (i64.const -1))))
    (func (export "sends it on")
        (call $sends_a_module)
        (drop (call $take_module (i64.const 0)))
        (drop (call $send (call $process_id)))
        (drop (call $next))
        (call $run (call $take_module (i64.const 1)))
        (call $sleep_ms (i64.const 1)))
    (func (export "pushes nothing")
        (call $create_data (i64.const 0) (i64.const 0))
        (drop (call $push_module (i64.const 0))))
    (func (export "child") (call $report (i64.const 11)))"#;

#[test]
fn a_module_travels_in_a_message() {
    let world = World::new();
    world.give(harness::module(
        r#"(func (export "child") (call $report (i64.const 12)))"#,
    ));
    let module = world.load(MODULE_IN_A_MESSAGE);
    world.run(&module, "takes both");
    assert_eq!(world.reports(), [0, 1]);
    let mut children: [i64; 2] = world.reports();
    children.sort_unstable();
    assert_eq!(children, [11, 12]);
}

#[test]
fn taking_a_module_leaves_a_hole_and_the_rest_where_it_is() {
    let world = World::new();
    world.give("(module)");
    let module = world.load(MODULE_IN_A_MESSAGE);
    world.run(&module, "sends it on");
    assert_eq!(world.reports(), [0, 1, 11]);
}

#[test]
fn taking_or_pushing_a_module_that_is_not_there_traps() {
    let world = World::new();
    world.give("(module)");
    let module = world.load(MODULE_IN_A_MESSAGE);
    for (export, cause) in [
        ("takes twice", "no module at index 0"),
        ("takes nothing", "no module at index 2"),
        ("takes far out", "no module at index"),
        ("pushes nothing", "no module with id 0"),
    ] {
        world.fails(&module, export, cause);
    }
}

#[test]
fn a_resource_of_another_kind_stays_in_its_place() {
    let world = World::new();
    let module = world.load(
        r#"(table funcref (elem $take))
        (func $take (result i32) (drop (call $take_module (i64.const 0))) (i32.const 1))
        (func (export "main") (param $to i64)
            (drop (call $next))
            (call $report (i64.extend_i32_u (call $guarded (i32.const 0))))
            (drop (call $send (local.get $to))))"#,
    );
    // Not a module, nor anything that a guest can name.
    struct Thing;
    impl MessageResource for Thing {
        fn kind(&self) -> &'static str {
            "thing"
        }
    }
    let (sender, back) = async_channel::bounded(1);
    let native = world
        .runtime
        .environment()
        .spawn(Default::default(), move |mut own| async move {
            let message = own.mailbox.receive(lunatic_mailbox::Wanted::Any).await;
            sender.send(message).await.ok();
            Ok(())
        })
        .unwrap();
    let to = Value::I64(native.id().to_bits() as i64);
    let process = world.root(&module, Root::new("main").params([to])).unwrap();
    let mut message = lunatic_mailbox::DataMessage::default();
    message.push(Thing);
    process.send(message.into()).unwrap();
    assert_eq!(world.report(), 0);
    let Ok(lunatic_mailbox::Message::Data(mut back)) = wait("the message", back.recv()) else {
        panic!("expected data");
    };
    assert!(back.take::<Thing>(0).is_some());
    assert_normal(&process);
}

// ABI §21 C15
#[test]
fn a_trap_leaves_the_message_in_scratch() {
    let world = World::new();
    world.run_main(
        r#"(table funcref (elem $write_far $read_far $push_unknown $take_unknown $bad_tags))
        (func $write_far (result i32) (call $write_data (i32.const -1) (i32.const 2)))
        (func $read_far (result i32) (call $read_data (i32.const -1) (i32.const 2)))
        (func $push_unknown (result i32) (i32.wrap_i64 (call $push_module (i64.const 0))))
        (func $take_unknown (result i32) (i32.wrap_i64 (call $take_module (i64.const 0))))
        (func $bad_tags (result i32) (call $receive (i32.const -1) (i32.const 1) (i64.const 0)))
        (func (export "main") (local $entry i32)
            (call $write (i64.const 5) (i64.const 42))
            (loop $again
                (if (call $guarded (local.get $entry)) (then unreachable))
                (local.set $entry (i32.add (local.get $entry) (i32.const 1)))
                (br_if $again (i32.lt_u (local.get $entry) (i32.const 5))))
            (call $report (call $get_tag))
            (call $report (call $data_size))
            (call $report (call $value)))"#,
    );
    assert_eq!(world.reports(), [5, 8, 42]);
}

#[test]
fn a_message_cannot_outgrow_a_mailbox() {
    let world = World::new();
    let module = world.load(
        r#"(memory (export "memory") 1024)
        (func (export "main") (local $count i32)
            (call $create_data (i64.const 0) (i64.const 0))
            (loop $again
                (drop (call $write_data (i32.const 0) (i32.const 0x3000000)))
                (local.set $count (i32.add (local.get $count) (i32.const 1)))
                (br_if $again (i32.lt_u (local.get $count) (i32.const 1000)))))"#,
    );
    let process = world.spawn_with(
        &module,
        "main",
        lunatic_process::ProcessConfig {
            mailbox: lunatic_mailbox::Limits {
                messages: 10,
                bytes: 100 << 20,
            },
            ..Default::default()
        },
    );
    assert_failed(&process, "the limit of a mailbox");
}

#[test]
fn many_queued_messages_do_not_slow_a_tagged_receive_down() {
    // Quadratic work over 20 000 messages would take minutes.
    let world = World::new();
    world.run_main(
        r#"(func (export "main") (local $tag i64)
            (loop $fill
                (local.set $tag (i64.add (local.get $tag) (i64.const 1)))
                (call $post (local.get $tag) (local.get $tag) (call $process_id))
                (br_if $fill (i64.lt_u (local.get $tag) (i64.const 20000))))
            (loop $drain
                (call $ok (call $next_tagged (local.get $tag)))
                (local.set $tag (i64.sub (local.get $tag) (i64.const 1)))
                (br_if $drain (i64.gt_u (local.get $tag) (i64.const 0))))
            (call $report (i64.extend_i32_u (call $poll))))"#,
    );
    assert_eq!(world.report(), TIMED_OUT);
}

#[test]
fn a_message_has_no_more_resources_than_can_be_dropped_at_once() {
    let world = World::new();
    let module = world.load(
        r#"(func (export "main")
            (call $create_data (i64.const 0) (i64.const 0))
            (loop $again
                (call $set (call $push_module (i64.const -1)))
                (br $again)))
        (func (export "count") (call $report (call $setting)))"#,
    );
    world.fails(&module, "main", "at most 16384 resources");
    world.run(&module, "count");
    assert_eq!(world.report(), 16_383);
}
