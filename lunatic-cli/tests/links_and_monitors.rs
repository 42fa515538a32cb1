//! Who is told of a death, and what that does (ABI §3.5, §15.3, §15.5).
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use harness::{Told, World, assert_failed, assert_killed, assert_normal, send};
use lunatic_mailbox::Wanted;
use lunatic_process::{ExitReason, SpawnLink, SpawnOptions};
use lunatic_testkit::end_of;

/// Waits for a message, then ends in the way of its export.
const ENDINGS: &str = r#"
    (func (export "returns") (drop (call $next)))
    (func (export "traps") (drop (call $next)) unreachable)
    (func (export "refused") (drop (call $next)) (call $drop_module (i64.const 0)))
    (func (export "exits_0") (drop (call $next)) (call $proc_exit (i32.const 0)))
    (func (export "exits_1") (drop (call $next)) (call $proc_exit (i32.const 1)))
    (func (export "exits_125") (drop (call $next)) (call $proc_exit (i32.const 125)))
    (func (export "exits_126") (drop (call $next)) (call $proc_exit (i32.const 126)))
    (func (export "exits_huge") (drop (call $next)) (call $proc_exit (i32.const -1)))
    (func (export "overflows") (drop (call $next)) (call $deeper))
    (func $deeper (call $deeper) (call $deeper))"#;

#[test]
fn a_normal_end_is_silent_to_links_and_told_to_monitors() {
    let world = World::new();
    let module = world.load(ENDINGS);
    for export in ["returns", "exits_0"] {
        let observer = world.observer();
        let process = world.spawn(&module, export);
        observer.watch(&process, 5);
        send(&process, 0, b"");
        assert_normal(&process);
        observer.is_told_of_normal_end(&process);
        observer.is_told_nothing_more();
    }
}

#[test]
fn every_other_end_is_told_to_links_and_then_to_monitors() {
    let world = World::new();
    let module = world.load(ENDINGS);
    for (export, cause) in [
        ("traps", "unreachable"),
        ("refused", "no module with id 0"),
        ("exits_1", "exit code 1"),
        ("exits_125", "exit code 125"),
        ("exits_126", "exit code 126"),
        ("exits_huge", "exit code 4294967295"),
        ("overflows", "call stack exhausted"),
    ] {
        let observer = world.observer();
        let process = world.spawn(&module, export);
        observer.watch(&process, 5);
        send(&process, 0, b"");
        assert_failed(&process, cause);
        observer.is_told_of_failure(&process, 5);
        observer.is_told_nothing_more();
    }
}

#[test]
fn a_kill_is_a_failure_to_links() {
    let world = World::new();
    let module = world.load(ENDINGS);
    let observer = world.observer();
    let process = world.spawn(&module, "returns");
    observer.watch(&process, 5);
    process.kill();
    assert_killed(&process);
    observer.is_told_of_failure(&process, 5);
}

#[test]
fn a_guest_sees_a_normal_end_as_monitor_only() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main") (local $child i64)
            (call $die_when_link_dies (i32.const 0))
            (local.set $child (call $spawn_own (i64.const 5) @child))
            (call $monitor (local.get $child))
            (call $post (i64.const 0) (i64.const 0) (local.get $child))
            (call $report (i64.extend_i32_u (call $next)))
            (call $report (call $get_tag))
            (call $report (i64.sub (call $get_process_id) (local.get $child)))
            (call $report (i64.extend_i32_u (call $exists (local.get $child))))
            (call $report (i64.extend_i32_u (call $poll))))
        (func (export "child") (drop (call $next)))"#,
    );
    assert_eq!(world.reports(), [2, 0, 0, 0, 9027]);
}

#[test]
fn a_guest_sees_a_failure_as_link_with_its_tag_and_then_as_monitor() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main") (local $child i64)
            (call $die_when_link_dies (i32.const 0))
            (local.set $child (call $spawn_own (i64.const 5) @child))
            (call $monitor (local.get $child))
            (call $post (i64.const 0) (i64.const 0) (local.get $child))
            (call $report (i64.extend_i32_u (call $next)))
            (call $report (call $get_tag))
            (call $report (call $get_process_id))
            (call $report (i64.extend_i32_u (call $next)))
            (call $report (call $get_tag))
            (call $report (i64.sub (call $get_process_id) (local.get $child))))
        (func (export "child") (drop (call $next)) unreachable)"#,
    );
    assert_eq!(world.reports(), [1, 5, 0, 2, 0, 0]);
}

/// `a` links to `b`, which links to `c`, which fails when it is told to.
const CHAIN: &str = r#"
    (func (export "a") (drop (call $spawn_own (i64.const 1) @b)) (call $sleep))
    (func (export "b") (drop (call $spawn_own (i64.const 1) @c)) (call $sleep))
    (func (export "c") (call $report (call $process_id)) (drop (call $next)) unreachable)"#;

#[test]
fn a_failure_spreads_along_links_and_each_names_who_died_before() {
    let world = World::new();
    let a = world.spawn(&world.load(CHAIN), "a");
    let c = lunatic_mailbox::Pid::from_bits(world.report() as u64);
    let c = world.runtime.environment().process(c).unwrap();
    send(&c, 0, b"");
    assert_failed(&c, "unreachable");
    assert_failed(&a, "the linked process");
    world.wait_until_empty();
}

#[test]
fn linking_to_nobody_kills() {
    let world = World::new();
    let module = world.load(
        r#"(func (export "main")
            (call $link (i64.const 5) (i64.const 1000000))
            (call $sleep))"#,
    );
    world.fails(&module, "main", "the linked process 1000000 died");
}

#[test]
fn linking_to_nobody_is_a_message_to_who_traps_link_deaths() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main") (local $child i64)
            (call $die_when_link_dies (i32.const 0))
            (call $link (i64.const 5) (i64.const 1000000))
            (call $report (i64.extend_i32_u (call $poll)))
            (call $report (call $get_tag))
            ;; Even if it ended normally, there is nobody any more.
            (local.set $child (call $spawn_own (i64.const 0) @child))
            (call $monitor (local.get $child))
            (call $post (i64.const 0) (i64.const 0) (local.get $child))
            (drop (call $next))
            (call $link (i64.const 6) (local.get $child))
            (call $report (i64.extend_i32_u (call $poll)))
            (call $report (call $get_tag)))
        (func (export "child") (drop (call $next)))"#,
    );
    assert_eq!(world.reports(), [1, 5, 1, 6]);
}

#[test]
fn linking_again_replaces_the_tag() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main") (local $child i64)
            (call $die_when_link_dies (i32.const 0))
            (local.set $child (call $spawn_own (i64.const 5) @child))
            (call $link (i64.const 6) (local.get $child))
            (call $kill (local.get $child))
            (drop (call $next))
            (call $report (call $get_tag))
            (call $report (i64.extend_i32_u
                (call $receive (i32.const 0) (i32.const 0) (i64.const 5)))))
        (func (export "child") (call $sleep))"#,
    );
    assert_eq!(world.reports(), [6, 9027]);
}

#[test]
fn both_ends_of_a_link_are_told_its_tag() {
    let world = World::new();
    let module = world.load(ENDINGS);
    let (observer, other) = (world.observer(), world.observer());
    let process = world.spawn(&module, "traps");
    observer.link(&process, 5);
    // The end that did not ask for the link dies, or is told, all the same.
    observer.process.kill();
    assert_failed(&process, "the linked process");
    let process = world.spawn(&module, "returns");
    process.link(other.process.id(), lunatic_mailbox::Tag::new(9));
    process.kill();
    assert_eq!(other.told(), Told::LinkDied(9));
}

#[test]
fn a_link_that_is_undone_tells_nothing() {
    let world = World::new();
    let module = world.load(
        r#"(func (export "main") (local $child i64)
            (local.set $child (call $spawn_own (i64.const 5) @child))
            (call $unlink (local.get $child))
            (call $unlink (i64.const 1000000))
            (call $kill (local.get $child))
            (call $monitor (local.get $child))
            (drop (call $receive (i32.const 0) (i32.const 0) (i64.const 10))))
        (func (export "child") (call $sleep))"#,
    );
    world.run(&module, "main");

    let observer = world.observer();
    let process = world.spawn(&world.load(ENDINGS), "traps");
    observer.watch(&process, 5);
    process.unlink(observer.process.id());
    send(&process, 0, b"");
    assert_eq!(observer.told(), Told::ProcessDied(process.id().to_bits()));
    observer.is_told_nothing_more();
}

#[test]
fn monitoring_twice_tells_once() {
    let world = World::new();
    let observer = world.observer();
    let process = world.spawn(&world.load(ENDINGS), "returns");
    observer.monitor(&process);
    observer.monitor(&process);
    send(&process, 0, b"");
    observer.is_told_of_normal_end(&process);
    assert_normal(&process);
    observer.is_told_nothing_more();
}

#[test]
fn a_monitor_that_is_undone_tells_nothing() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main") (local $child i64)
            (local.set $child (call $spawn_own (i64.const 0) @child))
            (call $monitor (local.get $child))
            (call $stop_monitoring (local.get $child))
            (call $stop_monitoring (local.get $child))
            (call $stop_monitoring (i64.const 1000000))
            (call $kill (local.get $child))
            (loop $again (br_if $again (call $exists (local.get $child))))
            (call $report (i64.extend_i32_u
                (call $receive (i32.const 0) (i32.const 0) (i64.const 5)))))
        (func (export "child") (call $sleep))"#,
    );
    assert_eq!(world.report(), 9027);
}

// ABI §21 C10, kept
#[test]
fn monitoring_nobody_tells_nothing() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main")
            (call $monitor (i64.const 1000000))
            (call $report (i64.extend_i32_u
                (call $receive (i32.const 0) (i32.const 0) (i64.const 5)))))"#,
    );
    assert_eq!(world.report(), 9027);
}

#[test]
fn monitors_are_told_whatever_the_flag_says() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main") (local $child i64)
            (call $die_when_link_dies (i32.const 1))
            (local.set $child (call $spawn_own (i64.const 0) @child))
            (call $monitor (local.get $child))
            (call $post (i64.const 0) (i64.const 0) (local.get $child))
            (call $report (i64.extend_i32_u (call $next))))
        (func (export "child") (drop (call $next)) unreachable)"#,
    );
    assert_eq!(world.report(), 2);
}

#[test]
fn die_when_link_dies_can_be_set_both_ways() {
    let world = World::new();
    let module = world.load(
        r#"(func (export "traps them")
            (call $die_when_link_dies (i32.const 0))
            (drop (call $spawn_own (i64.const 5) @child))
            (call $report (i64.extend_i32_u (call $next))))
        (func (export "dies again")
            (call $die_when_link_dies (i32.const 0))
            (call $die_when_link_dies (i32.const 1))
            (drop (call $spawn_own (i64.const 5) @child))
            (call $sleep))
        (func (export "any number is yes")
            (call $die_when_link_dies (i32.const 0))
            (call $die_when_link_dies (i32.const 256))
            (drop (call $spawn_own (i64.const 5) @child))
            (call $sleep))
        (func (export "child") unreachable)"#,
    );
    world.run(&module, "traps them");
    assert_eq!(world.report(), 1);
    world.fails(&module, "dies again", "the linked process");
    world.fails(&module, "any number is yes", "the linked process");
}

#[test]
fn a_link_death_that_was_told_before_the_flag_is_set_still_kills() {
    let world = World::new();
    let module = world.load(
        r#"(func (export "main") (local $child i64)
            (local.set $child (call $spawn_own (i64.const 5) @child))
            (call $link (i64.const 5) (i64.const 1000000))
            (call $die_when_link_dies (i32.const 0))
            (call $sleep))
        (func (export "child") (call $sleep))"#,
    );
    world.fails(&module, "main", "the linked process 1000000");
    world.wait_until_empty();
}

#[test]
fn a_tagged_receive_takes_the_link_death_with_that_tag_only() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main") (local $child i64)
            (call $die_when_link_dies (i32.const 0))
            (local.set $child (call $spawn_own (i64.const 5) @child))
            (call $post (i64.const 0) (i64.const 0) (local.get $child))
            (local.set $child (call $spawn_own (i64.const 6) @child))
            (call $monitor (local.get $child))
            (call $post (i64.const 0) (i64.const 0) (local.get $child))
            (call $report (i64.extend_i32_u (call $next_tagged (i64.const 6))))
            (call $report (call $get_tag))
            (call $report (i64.extend_i32_u (call $next_tagged (i64.const 5))))
            (call $report (call $get_tag))
            (call $report (i64.extend_i32_u (call $next))))
        (func (export "child") (drop (call $next)) unreachable)"#,
    );
    // The death that is monitored has no tag, so it is left for the last receive.
    assert_eq!(world.reports(), [1, 6, 1, 5, 2]);
}

#[test]
fn a_kill_takes_effect_when_the_process_next_suspends() {
    let world = World::new();
    let module = world.load(
        r#"(func (export "main")
            (call $kill (call $process_id))
            (call $report (i64.const 1))
            (call $sleep)
            (call $report (i64.const 2)))"#,
    );
    assert_killed(&world.spawn(&module, "main"));
    assert_eq!(world.report(), 1);
    world.no_more_reports();
}

#[test]
fn nothing_here_traps_if_there_is_no_such_process() {
    let world = World::new();
    world.run_main(
        r#"(func $with (param $id i64)
            (call $unlink (local.get $id))
            (call $monitor (local.get $id))
            (call $stop_monitoring (local.get $id))
            (call $kill (local.get $id))
            (if (call $exists (local.get $id)) (then unreachable)))
        (func (export "main")
            (call $with (i64.const 0))
            (call $with (i64.const 1000000))
            (call $with (i64.const -1)))"#,
    );
}

#[test]
fn a_process_exists_to_itself() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main")
            (call $report (i64.extend_i32_u (call $exists (call $process_id)))))"#,
    );
    assert_eq!(world.report(), 1);
}

#[test]
fn a_process_that_links_to_itself_goes_on() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main")
            (call $link (i64.const 5) (call $process_id))
            (call $monitor (call $process_id))
            (call $sleep_ms (i64.const 1)))"#,
    );
}

#[test]
fn the_failure_of_a_native_process_kills_the_guest_linked_to_it() {
    let world = World::new();
    let guest = world.spawn(&world.load(ENDINGS), "returns");
    let spawn = SpawnOptions {
        link: Some(SpawnLink {
            parent: guest.clone(),
            tag: None,
        }),
        ..SpawnOptions::default()
    };
    let native = world
        .runtime
        .environment()
        .spawn(spawn, |mut own| async move {
            own.mailbox.receive(Wanted::Any).await;
            Err("it broke".into())
        })
        .unwrap();
    send(&native, 0, b"");
    assert_failed(&native, "it broke");
    let reason = end_of(&guest);
    assert_eq!(reason, ExitReason::link_death(native.id()));
}

#[test]
fn the_failure_of_a_guest_kills_the_native_process_linked_to_it() {
    let world = World::new();
    let observer = world.observer();
    observer.process.die_when_link_dies(true);
    let guest = world.spawn(&world.load(ENDINGS), "traps");
    observer.link(&guest, 5);
    send(&guest, 0, b"");
    assert_failed(&observer.process, "the linked process");
    assert!(matches!(
        observer.process.exit_reason(),
        Some(ExitReason::Failed(_))
    ));
}
