//! Messages that arrive later (ABI §5).
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use harness::{Told, World, assert_normal};
use lunatic_cli::{Root, Value};

#[test]
fn a_timer_sends_the_message_with_its_tag() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main")
            (call $write (i64.const 5) (i64.const 42))
            (call $report (call $send_after (call $process_id) (i64.const 2)))
            (call $ok (call $next))
            (call $report (call $get_tag))
            (call $report (call $value)))"#,
    );
    assert_eq!(world.reports(), [0, 5, 42]);
}

#[test]
fn a_timer_takes_the_message_out_of_scratch() {
    let world = World::new();
    let module = world.load(
        r#"(func (export "main")
            (call $write (i64.const 5) (i64.const 42))
            (call $report (call $send_after (call $process_id) (i64.const -1)))
            (drop (call $get_tag)))
        (func (export "empty") (drop (call $send_after (i64.const 1) (i64.const 0))))"#,
    );
    world.fails(&module, "main", "no message in the scratch area");
    world.fails(&module, "empty", "no message in the scratch area");
}

#[test]
fn what_is_due_earlier_arrives_earlier() {
    let world = World::new();
    world.run_main(
        r#"(func $after (param $delay i64)
            (call $write (i64.const 0) (local.get $delay))
            (call $report (call $send_after (call $process_id) (local.get $delay))))
        (func (export "main")
            (call $after (i64.const 600))
            (call $after (i64.const 300))
            (call $after (i64.const 0))
            (drop (call $next)) (call $report (call $value))
            (drop (call $next)) (call $report (call $value))
            (drop (call $next)) (call $report (call $value)))"#,
    );
    assert_eq!(world.reports(), [0, 1, 2, 0, 300, 600]);
}

#[test]
fn a_cancelled_timer_sends_nothing_and_is_cancelled_once() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main")
            (call $write (i64.const 0) (i64.const 0))
            (drop (call $send_after (call $process_id) (i64.const 30)))
            (call $report (i64.extend_i32_u (call $cancel_timer (i64.const 0))))
            (call $report (i64.extend_i32_u (call $cancel_timer (i64.const 0))))
            (call $report (i64.extend_i32_u
                (call $receive (i32.const 0) (i32.const 0) (i64.const 60)))))"#,
    );
    assert_eq!(world.reports(), [1, 0, 9027]);
}

// ABI §21 C6
#[test]
fn a_timer_that_has_fired_cannot_be_cancelled() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main")
            (call $write (i64.const 0) (i64.const 0))
            (drop (call $send_after (call $process_id) (i64.const 1)))
            (drop (call $next))
            (call $report (i64.extend_i32_u (call $cancel_timer (i64.const 0)))))"#,
    );
    assert_eq!(world.report(), 0);
}

#[test]
fn cancelling_what_never_was_is_0_and_no_trap() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main")
            (call $report (i64.extend_i32_u (call $cancel_timer (i64.const 0))))
            (call $report (i64.extend_i32_u (call $cancel_timer (i64.const -1)))))"#,
    );
    assert_eq!(world.reports(), [0, 0]);
}

#[test]
fn a_timer_outlives_who_started_it() {
    let world = World::new();
    let observer = world.observer();
    let module = world.load(
        r#"(func (export "main") (param $to i64)
            (call $write (i64.const 5) (i64.const 0))
            (drop (call $send_after (local.get $to) (i64.const 20))))"#,
    );
    let to = Value::I64(observer.process.id().to_bits() as i64);
    let root = Root::new("main").params([to]);
    assert_normal(&world.root(&module, root).unwrap());
    assert_eq!(observer.told(), Told::Data(5, vec![0; 8]));
}

#[test]
fn a_timer_to_nobody_is_silent() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main")
            (call $write (i64.const 0) (i64.const 0))
            (drop (call $send_after (i64.const 1000000) (i64.const 1)))
            (call $sleep_ms (i64.const 3)))"#,
    );
}

#[test]
fn a_delay_beyond_the_clock_never_fires_and_can_be_cancelled() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main")
            (call $write (i64.const 0) (i64.const 0))
            (drop (call $send_after (call $process_id) (i64.const -1)))
            (call $report (i64.extend_i32_u
                (call $receive (i32.const 0) (i32.const 0) (i64.const 5))))
            (call $report (i64.extend_i32_u (call $cancel_timer (i64.const 0)))))"#,
    );
    assert_eq!(world.reports(), [9027, 1]);
}

#[test]
fn the_message_of_a_death_can_be_sent_later() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main")
            (call $die_when_link_dies (i32.const 0))
            (call $link (i64.const 5) (i64.const 1000000))
            (drop (call $next))
            (drop (call $send_after (call $process_id) (i64.const 1)))
            (call $report (i64.extend_i32_u (call $next)))
            (call $report (call $get_tag)))"#,
    );
    assert_eq!(world.reports(), [1, 5]);
}

#[test]
fn ten_thousand_timers_all_fire() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main") (local $count i64)
            (loop $again
                (call $write (i64.const 0) (i64.const 0))
                (if (i64.ne (local.get $count) (call $send_after
                        (call $process_id) (i64.rem_u (local.get $count) (i64.const 7))))
                    (then unreachable))
                (local.set $count (i64.add (local.get $count) (i64.const 1)))
                (br_if $again (i64.lt_u (local.get $count) (i64.const 10000))))
            (loop $again
                (call $ok (call $next))
                (local.set $count (i64.sub (local.get $count) (i64.const 1)))
                (br_if $again (i64.gt_u (local.get $count) (i64.const 0)))))"#,
    );
}
