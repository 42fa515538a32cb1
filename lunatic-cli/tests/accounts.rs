//! Accounts: limits of branches, and rights across them (ABI §26).
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::num::NonZeroUsize;
use std::time::Duration;

use harness::{World, assert_killed, assert_normal, send};
use lunatic_account::Kind;
use lunatic_cli::Root;
use lunatic_mailbox::Pid;
use lunatic_process::Process;
use lunatic_testkit::wait_until;
use lunatic_wasi::{Capture, Input, Stdio};

/// A module whose `main` makes config 0, which may spawn and has limits and rights as
/// `configure` says, and spawns `culprit` with it. Reports the result of the spawn.
fn host(configure: &str, rest: &str) -> String {
    format!(
        r#"(data (i32.const 100) "culprit")
        (func (export "main")
            (drop (call $create_config))
            (call $config_set_can_spawn_processes (i64.const 0) (i32.const 1))
            {configure}
            (call $report (i64.extend_i32_u (call $spawn
                (i64.const 0) (i64.const 0) (i64.const -1)
                (i32.const 100) (i32.const 7) (i32.const 0) (i32.const 0) (i32.const 8))))
            (call $report (i64.load (i32.const 8)))
            (call $sleep_ms (i64.const -1)))
        {rest}"#
    )
}

fn process(world: &World, id: i64) -> Option<Process> {
    let id = Pid::from_bits(id as u64);
    world.runtime.environment().process(id)
}

#[test]
fn limits_and_rights_of_a_config_can_be_read_back() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main")
            (drop (call $create_config))
            (call $report (call $config_get_limit (i64.const 0) (i32.const 0)))
            (call $config_set_limit (i64.const 0) (i32.const 0) (i64.const 1000000))
            (call $config_set_limit (i64.const 0) (i32.const 5) (i64.const 50000))
            (call $report (call $config_get_limit (i64.const 0) (i32.const 0)))
            (call $report (call $config_get_limit (i64.const 0) (i32.const 1)))
            (call $report (call $config_get_limit (i64.const 0) (i32.const 5)))
            (call $report (i64.extend_i32_u (call $config_has_right (i64.const 0) (i32.const 0))))
            (call $report (i64.extend_i32_u (call $config_has_right (i64.const 0) (i32.const 1))))
            (call $config_set_right (i64.const 0) (i32.const 0) (i32.const 1))
            (call $report (i64.extend_i32_u (call $config_has_right (i64.const 0) (i32.const 0))))
            (call $report (call $account_limit (i32.const 1))))"#,
    );
    assert_eq!(world.reports(), [-1, 1_000_000, -1, 50_000, 0, 1, 1, -1]);
}

#[test]
fn unknown_kinds_and_rights_trap() {
    for call in [
        "(call $config_set_limit (i64.const 0) (i32.const 12) (i64.const 1))",
        "(drop (call $config_get_limit (i64.const 0) (i32.const 12)))",
        "(call $config_set_right (i64.const 0) (i32.const 4) (i32.const 1))",
        "(drop (call $config_has_right (i64.const 0) (i32.const 4)))",
        "(drop (call $account_used (i32.const 5)))",
        "(drop (call $account_limit (i32.const 12)))",
        "(drop (call $account_used (i32.const 9)))",
        "(drop (call $account_used (i32.const 6)))",
        "(drop (call $account_used (i32.const 8)))",
    ] {
        let world = World::new();
        let body = format!(r#"(func (export "main") (drop (call $create_config)) {call})"#);
        world.fails(&world.load(&body), "main", "there is no");
    }
}

#[test]
fn a_branch_has_no_more_processes_than_its_limit() {
    let world = World::new();
    let module = world.load(&host(
        "(call $config_set_limit (i64.const 0) (i32.const 1) (i64.const 3))",
        r#"(data (i32.const 200) "sleep")
        (func $again (result i64)
            (i64.extend_i32_u (call $spawn
                (i64.const 0) (i64.const -1) (i64.const -1)
                (i32.const 200) (i32.const 5) (i32.const 0) (i32.const 0) (i32.const 16))))
        (func (export "sleep") (call $sleep_ms (i64.const -1)))
        (func (export "culprit")
            (call $report (call $again)) (call $report (call $again)) (call $report (call $again))
            (call $report (call $account_used (i32.const 1)))
            (call $sleep_ms (i64.const -1)))"#,
    ));
    let host = world.spawn(&module, "main");
    // What the host and the culprit report comes in any order.
    let mut reports: [i64; 6] = world.reports();
    reports.sort_unstable();
    // The second process of the world is the culprit.
    assert_eq!(reports, [0, 0, 0, 1, 2, 3]);
    assert!(host.is_alive());
}

#[test]
fn memory_does_not_grow_beyond_the_limit_of_a_branch() {
    let world = World::new();
    let module = world.load(&host(
        "(call $config_set_limit (i64.const 0) (i32.const 0) (i64.const 1000000))",
        r#"(func (export "culprit")
            (call $report (i64.extend_i32_s (memory.grow (i32.const 20))))
            (call $report (i64.extend_i32_u (i32.gt_s (memory.grow (i32.const 2)) (i32.const 0))))
            (call $report (i64.extend_i32_u (i64.lt_u
                (call $account_used (i32.const 0)) (i64.const 1000000)))))"#,
    ));
    world.spawn(&module, "main");
    let mut reports: Vec<_> = (0..5).map(|_| world.report()).collect();
    reports.retain(|report| [-1, 1].contains(report));
    assert_eq!(reports, [-1, 1, 1]);
}

#[test]
fn what_a_branch_used_is_released_when_it_ends() {
    let world = World::new();
    let account = world.runtime.environment().account().clone();
    let module = world.load(&host(
        "(call $config_set_limit (i64.const 0) (i32.const 0) (i64.const 100000000))
         (call $config_set_can_create_configs (i64.const 0) (i32.const 1))",
        r#"(func (export "culprit")
            (drop (memory.grow (i32.const 100)))
            (loop $more
                (drop (call $create_config))
                (br_if $more (i64.lt_u (call $account_used (i32.const 0)) (i64.const 8000000))))
            (call $report (i64.const 77)))"#,
    ));
    let host = world.spawn(&module, "main");
    while world.report() != 77 {}
    host.kill();
    wait_until("the accounts are empty", || {
        lunatic_account::Kind::ALL
            .iter()
            .all(|kind| account.used(*kind) == 0)
    });
}

#[test]
fn a_process_outside_of_the_branch_cannot_be_signalled_without_the_right() {
    for call in [
        "(call $kill (call $parent))",
        "(call $link (i64.const 1) (call $parent))",
        "(call $unlink (call $parent))",
        "(call $monitor (call $parent))",
        "(call $stop_monitoring (call $parent))",
        "(drop (call $supervisor_wait (call $parent) (i64.const 0) (i32.const 0)))",
    ] {
        let world = World::new();
        let rest = format!(
            r#"(func $parent (result i64) (i64.sub (call $process_id) (i64.const 1)))
            (func (export "culprit") {call} (call $report (i64.const 99)))"#
        );
        let module = world.load(&host(
            "(call $config_set_limit (i64.const 0) (i32.const 1) (i64.const 3))",
            &rest,
        ));
        let host = world.spawn(&module, "main");
        assert_eq!(world.report(), 0);
        let culprit = world.report();
        wait_until("the culprit has ended", || {
            process(&world, culprit).is_none()
        });
        assert!(host.is_alive(), "{call}");
        world.no_more_reports();
    }
}

#[test]
fn with_the_right_a_process_outside_of_the_branch_can_be_signalled() {
    let world = World::new();
    let module = world.load(&host(
        r#"(call $config_set_limit (i64.const 0) (i32.const 1) (i64.const 3))
           (call $config_set_right (i64.const 0) (i32.const 0) (i32.const 1))"#,
        r#"(func (export "culprit")
            (call $kill (i64.sub (call $process_id) (i64.const 1))))"#,
    ));
    let host = world.spawn(&module, "main");
    assert_killed(&host);
}

#[test]
fn who_may_be_permitted_to_signal_one_process_outside_of_its_branch() {
    let world = World::new();
    let module = world.load(&host(
        "(call $config_set_limit (i64.const 0) (i32.const 1) (i64.const 3))",
        r#"(func $parent (result i64) (i64.sub (call $process_id) (i64.const 1)))
        (func (export "culprit")
            (drop (call $receive (i32.const 0) (i32.const 0) (i64.const -1)))
            (call $kill (call $parent)))
        (func (export "permits")
            (drop (call $receive (i32.const 0) (i32.const 0) (i64.const -1)))
            (call $report (i64.extend_i32_u (call $permit_signals
                (call $parent) (i64.sub (call $parent) (i64.const 1)))))
            (call $report (i64.extend_i32_u (call $permit_signals
                (i64.const 1000) (call $parent)))))"#,
    ));
    let host = world.spawn(&module, "main");
    let [0, culprit] = world.reports() else {
        panic!("the culprit was not spawned");
    };
    // A process of the root has the right to give it.
    let permits = world.spawn(&module, "permits");
    send(&permits, 1, b"");
    assert_eq!(world.reports(), [0, 1]);
    send(&process(&world, culprit).unwrap(), 1, b"");
    assert_killed(&host);
}

#[test]
fn who_may_signal_a_stranger_gives_it_no_permissions() {
    let world = World::new();
    let module = world.load(&host(
        "(call $config_set_limit (i64.const 0) (i32.const 1) (i64.const 3))",
        r#"(func $parent (result i64) (i64.sub (call $process_id) (i64.const 1)))
        (func (export "culprit")
            (drop (call $receive (i32.const 0) (i32.const 0) (i64.const -1)))
            (drop (call $permit_signals (call $parent) (call $process_id)))
            (call $report (i64.const 99)))
        (func (export "permits")
            (drop (call $receive (i32.const 0) (i32.const 0) (i64.const -1)))
            (call $report (i64.extend_i32_u (call $permit_signals
                (i64.sub (call $process_id) (i64.const 1))
                (i64.sub (call $process_id) (i64.const 2))))))"#,
    ));
    let host = world.spawn(&module, "main");
    let [0, culprit] = world.reports() else {
        panic!("the culprit was not spawned");
    };
    let permits = world.spawn(&module, "permits");
    send(&permits, 1, b"");
    assert_eq!(world.reports(), [0]);
    let culprit = process(&world, culprit).unwrap();
    send(&culprit, 1, b"");
    wait_until("the culprit has ended", || !culprit.is_alive());
    let ended = culprit.exit_reason().unwrap().to_string();
    assert!(ended.contains("permission denied"), "{ended}");
    assert!(host.is_alive());
    world.no_more_reports();
}

#[test]
fn an_id_that_nobody_has_yet_is_that_of_a_stranger_and_one_of_the_dead_is_not() {
    let world = World::new();
    let next = |call: &str| {
        let rest = format!(
            r#"(func (export "ends"))
            (func (export "culprit") (local $child i64)
                (drop (call $receive (i32.const 0) (i32.const 0) (i64.const -1)))
                (drop (call $spawn (i64.const 0) (i64.const -1) (i64.const -1)
                    (i32.const 107) (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 8)))
                (local.set $child (i64.load (i32.const 8)))
                (loop $again
                    (br_if $again (call $exists (local.get $child))))
                (call $kill (local.get $child))
                (call $report (i64.const 1))
                (local.set $child (i64.add (local.get $child) (i64.const 1)))
                {call}
                (call $report (i64.const 99)))
            (data (i32.const 107) "ends")"#
        );
        let limit = "(call $config_set_limit (i64.const 0) (i32.const 1) (i64.const 3))";
        world.load(&host(limit, &rest))
    };
    for call in [
        "(call $kill (local.get $child))",
        "(call $link (i64.const 0) (local.get $child))",
        "(drop (call $permit_signals (call $process_id) (local.get $child)))",
    ] {
        let host = world.spawn(&next(call), "main");
        let [0, culprit] = world.reports() else {
            panic!("the culprit was not spawned");
        };
        send(&process(&world, culprit).unwrap(), 1, b"");
        assert_eq!(world.reports(), [1]);
        wait_until("the culprit has ended", || {
            process(&world, culprit).is_none()
        });
        host.kill();
        assert_killed(&host);
        world.no_more_reports();
    }
}

#[test]
fn of_a_group_that_is_shared_strangers_are_neither_sent_to_nor_taken_out() {
    let world = World::new();
    let module = world.load(&host(
        r#"(call $config_set_limit (i64.const 0) (i32.const 1) (i64.const 3))
        (call $config_set_right (i64.const 0) (i32.const 1) (i32.const 0))
        (call $config_set_right (i64.const 0) (i32.const 2) (i32.const 1))"#,
        r#"(data (i32.const 200) "g")
        (func $join (drop (call $group_join (i32.const 0) (i32.const 0)
            (i32.const 200) (i32.const 1) (call $process_id) (i32.const 0x800))))
        (func $dispatch
            (call $create_data (i64.const 7) (i64.const 0))
            (call $report (i64.extend_i32_u (call $group_dispatch (i32.const 0) (i32.const 0)
                (i32.const 200) (i32.const 1) (i32.const 0x100) (i32.const 0x108)))))
        (func $broadcast
            (call $create_data (i64.const 7) (i64.const 0))
            (call $report (i64.extend_i32_u (call $group_broadcast (i32.const 0) (i32.const 0)
                (i32.const 200) (i32.const 1)))))
        (func (export "member")
            (call $join)
            (call $report (call $process_id))
            (drop (call $receive (i32.const 0) (i32.const 0) (i64.const -1)))
            (call $report (i64.const 99)))
        (func (export "culprit")
            (drop (call $receive (i32.const 0) (i32.const 0) (i64.const -1)))
            (call $dispatch)
            (call $broadcast)
            (call $join)
            (call $dispatch)
            (call $broadcast)
            (drop (call $group_leave (i32.const 0) (i32.const 0)
                (i32.const 200) (i32.const 1) (i64.load (i32.const 0x108))))
            (drop (call $group_leave (i32.const 0) (i32.const 0)
                (i32.const 200) (i32.const 1) (i64.const MEMBER))))"#
            .replace("MEMBER", "3")
            .as_str(),
    ));
    let host = world.spawn(&module, "main");
    let [0, culprit] = world.reports() else {
        panic!("the culprit was not spawned");
    };
    let member = world.spawn(&module, "member");
    assert_eq!(world.reports(), [member.id().to_bits() as i64]);
    let culprit = process(&world, culprit).unwrap();
    send(&culprit, 1, b"");
    // The first time nobody is there whom it may send to, the second time it is itself.
    assert_eq!(world.reports(), [1, 0, 0, 1]);
    wait_until("the culprit has ended", || !culprit.is_alive());
    let ended = culprit.exit_reason().unwrap().to_string();
    assert!(ended.contains("permission denied"), "{ended}");
    assert!(member.is_alive() && host.is_alive());
    world.no_more_reports();
}

#[test]
fn nobody_permits_what_he_has_no_right_to() {
    let world = World::new();
    let module = world.load(&host(
        "(call $config_set_limit (i64.const 0) (i32.const 1) (i64.const 3))",
        r#"(func $parent (result i64) (i64.sub (call $process_id) (i64.const 1)))
        (func (export "culprit")
            (drop (call $permit_signals (call $process_id) (call $parent)))
            (call $report (i64.const 99)))"#,
    ));
    let host = world.spawn(&module, "main");
    let [0, culprit] = world.reports() else {
        panic!("the culprit was not spawned");
    };
    wait_until("the culprit has ended", || {
        process(&world, culprit).is_none()
    });
    assert!(host.is_alive());
    world.no_more_reports();
}

#[test]
fn a_branch_may_be_closed_to_messages_of_others_but_not_of_those_above_it() {
    let closes = "(call $config_set_right (i64.const 0) (i32.const 3) (i32.const 0))";
    for (configure, arrives) in [("", true), (closes, false)] {
        let world = World::new();
        let limit = "(call $config_set_limit (i64.const 0) (i32.const 1) (i64.const 3))";
        let module = world.load(&host(
            &format!("{limit} {configure}"),
            r#"(data (i32.const 300) "stranger")
            (func (export "culprit")
                (loop $again
                    (drop (call $receive (i32.const 0) (i32.const 0) (i64.const -1)))
                    (call $report (i64.add (i64.const 1000) (call $get_tag)))
                    (br $again)))
            (func (export "others") (local $culprit i64)
                (local.set $culprit (i64.sub (call $process_id) (i64.const 1)))
                (drop (call $create_config))
                (call $config_set_limit (i64.const 0) (i32.const 1) (i64.const 3))
                (if (call $spawn
                    (i64.const 0) (i64.const 0) (i64.const -1)
                    (i32.const 300) (i32.const 8) (i32.const 0) (i32.const 0) (i32.const 8))
                    (then unreachable))
                (call $await (i64.load (i32.const 8)))
                (call $post (i64.const 2) (i64.const 0) (local.get $culprit)))
            (func (export "stranger")
                (call $post (i64.const 1) (i64.const 0)
                    (i64.sub (call $process_id) (i64.const 2))))"#,
        ));
        world.spawn(&module, "main");
        let [0, _] = world.reports() else {
            panic!("the culprit was not spawned");
        };
        // It is of the root, and spawns another one in a branch beside that of the culprit.
        world.spawn(&module, "others");
        if arrives {
            assert_eq!(world.report(), 1001);
        }
        assert_eq!(world.report(), 1002);
        world.no_more_reports();
    }
}

#[test]
fn a_branch_has_names_of_its_own_unless_it_may_use_others() {
    let names = r#"(data (i32.const 300) "shared")
        (func (export "culprit")
            (call $report (i64.add (i64.const 500) (i64.extend_i32_u (call $registry_get
                (i32.const 300) (i32.const 6) (i32.const 16) (i32.const 24))))))"#;
    let own = "(call $registry_put (i32.const 300) (i32.const 6) (i64.const 0) (call $process_id))
        (call $config_set_limit (i64.const 0) (i32.const 1) (i64.const 3))";
    let allowed = "(call $config_set_right (i64.const 0) (i32.const 2) (i32.const 1))";
    for (configure, found) in [(own.to_owned(), 501), (format!("{own} {allowed}"), 500)] {
        let world = World::new();
        let module = world.load(&host(&configure, names));
        world.spawn(&module, "main");
        let reports: [i64; 3] = world.reports();
        assert!(reports.contains(&found), "{reports:?}");
    }
}

#[test]
fn a_branch_with_little_cpu_time_gets_on_slowly_and_others_go_on() {
    let world = World::new();
    let module = world.load(&host(
        "(call $config_set_limit (i64.const 0) (i32.const 5) (i64.const 20000))",
        r#"(global $rounds (mut i64) (i64.const 0))
        (func (export "culprit")
            (loop $spin
                (global.set $rounds (i64.add (global.get $rounds) (i64.const 1)))
                (br $spin)))
        (func (export "neighbour")
            (local $left i32)
            (local.set $left (i32.const 200))
            (loop $more
                (call $sleep_ms (i64.const 1))
                (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                (br_if $more (local.get $left))))"#,
    ));
    let host = world.spawn(&module, "main");
    assert_eq!(world.report(), 0);
    let culprit = process(&world, world.report()).unwrap();
    let neighbour = world.spawn(&module, "neighbour");
    assert_normal(&neighbour);
    let used = culprit.info().cpu_time;
    assert!(!used.is_zero());
    assert!(host.is_alive());
}

#[test]
fn many_processes_of_one_branch_leave_another_its_part_of_the_processors() {
    let world = World::with_workers(NonZeroUsize::MIN);
    let module = world.load(
        r#"(data (i32.const 100) "spin")
        (data (i32.const 104) "many")
        (func $start (param $config i64) (param $name i32)
            (if (call $spawn (i64.const 0) (local.get $config) (i64.const -1)
                (local.get $name) (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 8))
                (then unreachable)))
        (func $branch (param $name i32) (local $config i64)
            (local.set $config (call $create_config))
            (call $config_set_can_spawn_processes (local.get $config) (i32.const 1))
            (call $config_set_limit (local.get $config) (i32.const 6) (i64.const 100))
            (call $start (local.get $config) (local.get $name)))
        (func (export "main")
            (call $branch (i32.const 104))
            (call $branch (i32.const 100))
            (call $report (i64.load (i32.const 8)))
            (call $sleep_ms (i64.const -1)))
        (func (export "many") (local $left i32)
            (local.set $left (i32.const 40))
            (loop $more
                (call $start (i64.const -1) (i32.const 100))
                (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1))))))
        (func (export "spin") (loop $again (br $again)))"#,
    );
    let main = world.spawn(&module, "main");
    let single = process(&world, world.report()).unwrap();
    let environment = world.runtime.environment();
    // Those that spin, and the one that waits.
    wait_until("all spin", || environment.process_count() == 42);
    let of_one: Vec<_> = environment
        .processes()
        .into_iter()
        .filter(|process| process.id() != main.id() && process.id() != single.id())
        .collect();
    single.measure_cpu_time(true);
    of_one
        .iter()
        .for_each(|process| process.measure_cpu_time(true));
    let has_run = || single.info().cpu_time >= Duration::from_millis(200);
    wait_until("the neighbour has run", has_run);
    let (used, by_many) = (
        single.info().cpu_time,
        of_one
            .iter()
            .map(|process| process.info().cpu_time)
            .sum::<Duration>(),
    );
    // With a part for each process, and not for each branch, it would be forty times as much.
    assert!(by_many < used * 8, "{by_many:?} {used:?}");
}

/// A culprit that repeats a call which uses something up, and reports how often it
/// succeeded.
fn repeated(limit: &str, call: &str) -> i64 {
    let world = World::new();
    let module = world.load(&host(
        &format!("(call $config_set_limit (i64.const 0) {limit})"),
        &format!(
            r#"(data (i32.const 300) "name")
            (global $count (mut i64) (i64.const 0))
            (func (export "culprit")
                (loop $more
                    (i32.store8 (i32.const 300) (i32.wrap_i64 (i64.add (i64.const 97) (global.get $count))))
                    {call}
                    (call $set (global.get $count))
                    (global.set $count (i64.add (global.get $count) (i64.const 1)))
                    (br_if $more (i64.lt_u (global.get $count) (i64.const 20))))
                (call $set (global.get $count)))"#
        ),
    ));
    world.spawn(&module, "main");
    let [result, culprit] = world.reports();
    assert_eq!(result, 0);
    wait_until("the culprit has ended", || {
        process(&world, culprit).is_none()
    });
    let asks = world.load(r#"(func (export "main") (call $report (call $setting)))"#);
    world.run(&asks, "main");
    world.report()
}

#[test]
fn names_timers_and_sockets_have_limits_and_who_exceeds_one_traps() {
    let names =
        "(call $registry_put (i32.const 300) (i32.const 4) (i64.const 0) (call $process_id))";
    // The last call that succeeded had the number 2: it was the third.
    assert_eq!(repeated("(i32.const 4) (i64.const 3)", names), 2);
    let groups = "(if (call $group_join (i32.const 0) (i32.const 0) (i32.const 300) (i32.const 4)
        (call $process_id) (i32.const 400)) (then unreachable))";
    assert_eq!(repeated("(i32.const 4) (i64.const 3)", groups), 2);
    let timers = "(call $create_data (i64.const 0) (i64.const 0))
        (drop (call $send_after (call $process_id) (i64.const 1000000)))";
    assert_eq!(repeated("(i32.const 3) (i64.const 3)", timers), 2);
    let sockets = "(i32.store (i32.const 500) (i32.const 0x0100007f))
        (if (call $tcp_bind (i32.const 4) (i32.const 500) (i32.const 0) (i32.const 0)
        (i32.const 0) (i32.const 400)) (then unreachable))";
    assert_eq!(repeated("(i32.const 2) (i64.const 3)", sockets), 2);
    // A socket in a message counts until it is taken out.
    let sent = "(if (i64.eqz (global.get $count)) (then
            (call $create_data (i64.const 0) (i64.const 0))))
        (i32.store (i32.const 500) (i32.const 0x0100007f))
        (if (call $udp_bind (i32.const 4) (i32.const 500) (i32.const 0) (i32.const 0)
            (i32.const 0) (i32.const 400)) (then unreachable))
        (drop (call $push_udp_socket (i64.load (i32.const 400))))";
    assert_eq!(repeated("(i32.const 2) (i64.const 3)", sent), 2);
}

#[test]
fn what_is_received_is_charged_to_the_receiver_even_beyond_its_limit() {
    let world = World::new();
    let module = world.load(&host(
        "(call $config_set_limit (i64.const 0) (i32.const 0) (i64.const 1000000))",
        r#"(func (export "culprit")
            (drop (call $receive (i32.const 0) (i32.const 0) (i64.const -1)))
            (call $report (i64.extend_i32_u (i64.gt_u
                (call $account_used (i32.const 0)) (i64.const 2000000))))
            (call $create_data (i64.const 0) (i64.const 0))
            (call $report (i64.extend_i32_u (i64.gt_u
                (call $account_used (i32.const 0)) (i64.const 1000000)))))"#,
    ));
    world.spawn(&module, "main");
    let [0, culprit] = world.reports() else {
        panic!("the culprit was not spawned");
    };
    send(&process(&world, culprit).unwrap(), 1, &[7; 2_000_000]);
    assert_eq!(world.reports(), [1, 0]);
}

/// A process that has no memory left for a call of this kind traps; nobody else is hurt, and
/// nothing is charged in the end.
fn traps_in_the_end(setup: &str, call: &str, cause: &str) {
    let world = World::new();
    let account = world.runtime.environment().account().clone();
    let module = world.load(&host(
        "(call $config_set_limit (i64.const 0) (i32.const 0) (i64.const 400000))
         (call $config_set_can_create_configs (i64.const 0) (i32.const 1))",
        &format!(
            r#"(data (i32.const 300) "g")
            (global $added (mut i32) (i32.const 0))
            (func (export "culprit")
                ;; So that there is time to look who it is.
                (call $sleep_ms (i64.const 50))
                {setup}
                (loop $more {call} (br $more)))
            (func (export "sleeps") (call $sleep_ms (i64.const -1)))"#
        ),
    ));
    let neighbour = world.spawn(&module, "sleeps");
    let host = world.spawn(&module, "main");
    let [result, culprit] = world.reports();
    assert_eq!(result, 0);
    let culprit = process(&world, culprit);
    if let Some(culprit) = culprit {
        harness::assert_failed(&culprit, cause);
    }
    assert!(host.is_alive() && neighbour.is_alive(), "{call}");
    host.kill();
    neighbour.kill();
    wait_until("the accounts are empty", || {
        lunatic_account::Kind::ALL
            .iter()
            .all(|kind| account.used(*kind) == 0)
    });
}

#[test]
fn who_floods_a_group_traps() {
    let join = "(if (call $group_join (i32.const 0) (i32.const 0) (i32.const 300) (i32.const 1)
        (call $process_id) (i32.const 400)) (then unreachable))";
    let dispatch = "(call $create_data (i64.const 0) (i64.const 0))
        (drop (call $write_data (i32.const 0) (i32.const 1000)))
        (drop (call $group_dispatch (i32.const 0) (i32.const 0) (i32.const 300) (i32.const 1)
            (i32.const 408) (i32.const 416)))";
    traps_in_the_end(join, dispatch, "bytes of memory is reached");
    let broadcast = "(call $create_data (i64.const 0) (i64.const 0))
        (drop (call $write_data (i32.const 0) (i32.const 1000)))
        (drop (call $group_broadcast (i32.const 0) (i32.const 0) (i32.const 300) (i32.const 1)))";
    traps_in_the_end(join, broadcast, "bytes of memory is reached");
}

#[test]
fn a_timer_is_charged_for_all_the_room_that_its_message_has() {
    let timer = "(call $create_data (i64.const 0) (i64.const 30000))
        (drop (call $send_after (call $process_id) (i64.const 3600000)))
        (global.set $added (i32.add (global.get $added) (i32.const 1)))
        (if (i32.gt_u (global.get $added) (i32.const 100)) (then unreachable))";
    traps_in_the_end("", timer, "bytes of memory is reached");
}

#[test]
fn a_child_of_a_specification_is_charged_with_the_config_that_it_keeps() {
    let setup = "(memory.fill (i32.const 1024) (i32.const 97) (i32.const 20000))
        (drop (call $create_config))
        (call $config_add_command_line_argument (i64.const 0) (i32.const 1024) (i32.const 20000))
        (drop (call $supervisor_create_spec (i32.const 300) (i32.const 1) (i32.const 0)
            (i32.const 1) (i64.const 1000) (i32.const 0)))
        (i64.store (i32.const 512) (i64.const 0x10000012c))
        (i64.store (i32.const 520) (i64.const -1))
        (i64.store (i32.const 536) (i64.const 0x10000012c))
        (i64.store (i32.const 544) (i64.const 0))
        (i64.store (i32.const 552) (i64.const 0))
        (i64.store (i32.const 560) (i64.const 0))";
    // Each child keeps the config as it was, and with it an argument more than the one before.
    let child =
        "(call $config_add_command_line_argument (i64.const 0) (i32.const 300) (i32.const 1))
        (if (call $supervisor_add_child (i64.const 0) (i32.const 512) (i32.const 400))
            (then unreachable))
        (global.set $added (i32.add (global.get $added) (i32.const 1)))
        (if (i32.gt_u (global.get $added) (i32.const 100)) (then unreachable))";
    traps_in_the_end(setup, child, "bytes of memory is reached");
}

#[test]
fn nobody_has_a_process_of_others_join_and_pay() {
    let world = World::new();
    let rest = r#"(data (i32.const 300) "g")
        (func (export "culprit")
            (call $report (i64.add (i64.const 500) (i64.extend_i32_u (call $group_join
                (i32.const 0) (i32.const 0) (i32.const 300) (i32.const 1)
                (i64.sub (call $process_id) (i64.const 1)) (i32.const 400)))))
            (call $say_error (i64.load (i32.const 400))))"#;
    let module = world.load(&host(
        "(call $config_set_limit (i64.const 0) (i32.const 1) (i64.const 3))",
        rest,
    ));
    world.spawn(&module, "main");
    let reports: [i64; 3] = world.reports();
    assert!(reports.contains(&501), "{reports:?}");
    assert!(world.text().contains("permission denied"));
}

#[test]
fn nobody_gives_names_to_a_process_of_others_which_would_pay() {
    let world = World::new();
    let rest = r#"(data (i32.const 300) "forged")
        (func (export "culprit")
            (call $registry_put (i32.const 300) (i32.const 6) (i64.const 0)
                (i64.sub (call $process_id) (i64.const 1))))"#;
    let module = world.load(&host(
        "(call $config_set_limit (i64.const 0) (i32.const 1) (i64.const 3))",
        rest,
    ));
    let host = world.spawn(&module, "main");
    let [spawned, culprit] = world.reports();
    assert_eq!(spawned, 0);
    wait_until("the culprit has ended", || {
        process(&world, culprit).is_none()
    });
    assert_eq!(host.label(), None);
    assert_eq!(host.account().used(Kind::Names), 0);
    assert!(host.is_alive());
}

#[test]
fn modules_that_are_kept_are_charged_and_one_too_many_is_an_error() {
    let world = World::new();
    let module = world.load(&host(
        "(call $config_set_limit (i64.const 0) (i32.const 0) (i64.const 1000000))
         (call $config_set_can_compile_modules (i64.const 0) (i32.const 1))",
        r#"(data (i32.const 300) "(module (func))")
        (func (export "culprit") (local $count i64)
            (loop $more
                (if (i32.eqz (call $compile_module (i32.const 300) (i32.const 15) (i32.const 400)))
                    (then
                        (local.set $count (i64.add (local.get $count) (i64.const 1)))
                        (br_if $more (i64.lt_u (local.get $count) (i64.const 2000))))))
            (call $report (i64.add (i64.const 10000) (local.get $count)))
            (call $say_error (i64.load (i32.const 400)))
            (call $sleep_ms (i64.const -1)))"#,
    ));
    let host = world.spawn(&module, "main");
    let reports: [i64; 3] = world.reports();
    let count = reports.iter().max().unwrap() - 10_000;
    assert!((1..2000).contains(&count), "{count}");
    assert!(world.text().contains("bytes of memory is reached"));
    assert!(host.is_alive());
}

/// Processes with a budget of one unit each, of which each spawns the next.
fn respawning(limits: &str) -> String {
    host(
        &format!(
            "(call $config_set_max_fuel (i64.const 0) (i64.const 1))
             (call $config_set_can_create_configs (i64.const 0) (i32.const 1)) {limits}"
        ),
        r#"(data (i32.const 300) "next")
        (global $result (mut i32) (i32.const 0))
        (func $again (call $report (i64.const 7))
            (global.set $result (call $spawn (i64.const 0) (i64.const -1) (i64.const -1)
                (i32.const 300) (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 16)))
            (if (global.get $result) (then
                (call $report (call $account_used (i32.const 7)))
                (call $say_error (i64.load (i32.const 16))))))
        (func (export "culprit") (call $again))
        (func (export "next") (call $again))"#,
    )
}

#[test]
fn a_branch_with_a_limit_of_fuel_ends_however_its_processes_spawn_each_other() {
    let world = World::new();
    let module = world.load(&respawning(
        "(call $config_set_limit (i64.const 0) (i32.const 7) (i64.const 20))",
    ));
    let host = world.spawn(&module, "main");
    assert!(world.text().contains("20 units of fuel is reached"));
    let mut generations = 0;
    wait_until("all are told", || {
        generations += usize::from(world.report() == 7);
        generations == 20
    });
    world.wait_for_count(1);
    assert!(host.is_alive());
}

#[test]
fn a_process_without_a_budget_is_not_spawned_where_fuel_is_limited() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main")
            (drop (call $create_config))
            (call $config_set_limit (i64.const 0) (i32.const 7) (i64.const 20))
            (call $report (call $config_get_limit (i64.const 0) (i32.const 7)))
            (call $report (i64.extend_i32_u (call $spawn
                (i64.const 0) (i64.const 0) (i64.const -1)
                (i32.const 100) (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 8))))
            (call $say_error (i64.load (i32.const 8))))"#,
    );
    assert_eq!(world.reports(), [20, 1]);
    assert!(world.text().contains("limit of fuel"));
}

/// Functions that print: `emit` prints so many bytes, at most 4096, and must succeed.
const SAYS: &str = r#"
    (func $emit (param $bytes i32)
        (i32.store (i32.const 300) (i32.const 4096))
        (i32.store (i32.const 304) (local.get $bytes))
        (memory.fill (i32.const 4096) (i32.const 120) (local.get $bytes))
        (if (call $fd_write (i32.const 1) (i32.const 300) (i32.const 1) (i32.const 308))
            (then unreachable))
        (if (i32.ne (i32.load (i32.const 308)) (local.get $bytes)) (then unreachable)))"#;

fn printing_into(output: &Capture) -> Root {
    Root::new("main").stdio(Stdio::captured(output.clone()))
}

#[test]
fn a_branch_takes_nothing_of_the_input_of_the_program() {
    const READS: &str = r#"(func $read
        (i32.store (i32.const 300) (i32.const 4096))
        (i32.store (i32.const 304) (i32.const 16))
        (if (call $fd_read (i32.const 0) (i32.const 300) (i32.const 1) (i32.const 308))
            (then unreachable))
        (call $report (i64.extend_i32_u (i32.load (i32.const 308)))))"#;
    let world = World::new();
    let module = world.load(&host(
        "(call $config_set_limit (i64.const 0) (i32.const 1) (i64.const 3))",
        &format!(
            r#"{READS}
            (func (export "culprit")
                (drop (call $receive (i32.const 0) (i32.const 0) (i64.const -1)))
                (call $read))
            (func (export "trusted") (call $read))"#
        ),
    ));
    let input = Input::from_reader(&b"typed"[..]);
    let stdio = Stdio::default().with_input(input);
    let host = world.root(&module, Root::new("main").stdio(stdio.clone()));
    let host = host.unwrap();
    let [0, culprit] = world.reports() else {
        panic!("the culprit was not spawned");
    };
    send(&process(&world, culprit).unwrap(), 1, b"");
    assert_eq!(world.report(), 0);
    let trusted = world.root(&module, Root::new("trusted").stdio(stdio));
    assert_normal(&trusted.unwrap());
    assert_eq!(world.report(), 5);
    host.kill();
}

#[test]
fn who_prints_more_than_its_branch_may_waits_can_be_killed_and_nobody_else_waits() {
    let world = World::new();
    let module = world.load(&host(
        "(call $config_set_limit (i64.const 0) (i32.const 8) (i64.const 10))",
        &format!(
            r#"{SAYS}
            (func (export "culprit")
                (call $emit (i32.const 10))
                (call $report (i64.const 1))
                ;; That takes some minutes.
                (call $emit (i32.const 4096))
                (call $report (i64.const 2)))
            (func (export "neighbour")
                (local $left i32)
                (local.set $left (i32.const 100))
                (loop $more
                    (call $emit (i32.const 4096))
                    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                    (br_if $more (local.get $left)))
                (call $report (i64.const 3)))"#
        ),
    ));
    let output = Capture::root();
    let host = world.root(&module, printing_into(&output)).unwrap();
    let mut reports: [i64; 3] = world.reports();
    // That of the child may come first.
    reports.sort_unstable();
    assert_eq!(reports[..2], [0, 1]);
    let culprit = process(&world, reports[2]).unwrap();
    let others = Capture::root();
    let stdio = Stdio::captured(others.clone());
    let root = Root::new("neighbour").stdio(stdio);
    assert_normal(&world.root(&module, root).unwrap());
    assert_eq!(world.report(), 3);
    assert_eq!(others.text().len(), 100 * 4096);
    assert!(culprit.is_alive() && host.is_alive());
    culprit.kill();
    assert_killed(&culprit);
    world.no_more_reports();
}

#[test]
fn who_waits_to_print_loses_nothing() {
    let world = World::new();
    let module = world.load(&host(
        "(call $config_set_limit (i64.const 0) (i32.const 8) (i64.const 10000))",
        &format!(
            r#"{SAYS}
            (func (export "culprit")
                (local $left i32)
                (local.set $left (i32.const 4))
                (loop $more
                    (call $emit (i32.const 3000))
                    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                    (br_if $more (local.get $left)))
                (call $report (i64.const 7)))"#
        ),
    ));
    let output = Capture::root();
    world.root(&module, printing_into(&output)).unwrap();
    let reports: [i64; 3] = world.reports();
    assert!(reports.contains(&7));
    assert_eq!(output.render().matches('x').count(), 4 * 3000);
}

#[test]
fn a_branch_without_memory_for_the_compiler_is_told_so_and_one_with_it_is_served() {
    for (limit, result) in [(3_000_000, 1), (30_000_000, 0)] {
        let world = World::new();
        let module = world.load(&host(
            &format!(
                "(call $config_set_can_compile_modules (i64.const 0) (i32.const 1))
                (call $config_set_limit (i64.const 0) (i32.const 0) (i64.const {limit}))"
            ),
            r#"(data (i32.const 400) "(module)")
            (func (export "culprit")
                (local $result i32)
                (memory.fill (i32.const 408) (i32.const 32) (i32.const 40000))
                (local.set $result (call $compile_module
                    (i32.const 400) (i32.const 40008) (i32.const 60000)))
                (call $report (i64.add (i64.const 1000) (i64.extend_i32_u (local.get $result))))
                (if (local.get $result) (then (call $say_error (i64.load (i32.const 60000))))))"#,
        ));
        world.spawn(&module, "main");
        let reports: [i64; 3] = world.reports();
        assert!(reports.contains(&(1000 + result)), "{reports:?}");
        if result == 1 {
            assert!(
                world
                    .text()
                    .contains("the limit of 3000000 bytes of memory")
            );
        }
    }
}

#[test]
fn a_config_is_charged_until_the_last_process_that_has_it_has_ended() {
    const ARGUMENTS: u64 = 20 * 20_000;
    let world = World::new();
    let module = world.load(
        r#"(func (export "main") (local $left i32)
            (drop (call $create_config))
            (call $config_set_can_spawn_processes (i64.const 0) (i32.const 1))
            ;; One process has it before it becomes longer.
            (drop (call $spawn_with (i64.const 0) (i64.const 0) @ends))
            (call $report (i64.const 1))
            (drop (call $next))
            (memory.fill (i32.const 1024) (i32.const 97) (i32.const 20000))
            (local.set $left (i32.const 20))
            (loop $again
                (call $config_add_command_line_argument
                    (i64.const 0) (i32.const 1024) (i32.const 20000))
                (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
            (drop (call $spawn_with (i64.const 0) (i64.const 0) @first))
            (call $drop_config (i64.const 0))
            (call $sleep_ms (i64.const -1)))
        (func (export "ends"))
        (func (export "first") (drop (call $spawn_own (i64.const 0) @last)))
        (func (export "last")
            (call $report (call $process_id))
            (call $sleep_ms (i64.const -1)))"#,
    );
    let main = world.spawn(&module, "main");
    assert_eq!(world.report(), 1);
    world.wait_for_count(1);
    let used = || main.account().used(Kind::Memory);
    let before = used();
    send(&main, 1, b"");
    let last = process(&world, world.report()).unwrap();
    // The one that it was spawned with has ended.
    world.wait_for_count(2);
    assert!(used() > before + ARGUMENTS, "{before} {}", used());
    last.kill();
    wait_until("the config is gone", || used() < before + ARGUMENTS);
}

#[test]
fn a_spawn_is_charged_with_long_arguments() {
    let world = World::new();
    // Gives a branch as little memory as is enough for a short name, and tries a long one with that.
    world.run_main(
        r#"(global $limit (mut i64) (i64.const 65536))
        (func $try (param $length i32) (result i32)
            (call $config_set_limit (i64.const 0) (i32.const 0) (global.get $limit))
            (call $spawn (i64.const 0) (i64.const 0) (i64.const -1)
                (i32.const 1024) (local.get $length) (i32.const 0) (i32.const 0) (i32.const 8)))
        (func (export "main")
            (drop (call $create_config))
            (memory.fill (i32.const 1024) (i32.const 97) (i32.const 4096))
            (loop $more
                (global.set $limit (i64.add (global.get $limit) (i64.const 256)))
                (br_if $more (call $try (i32.const 10))))
            (call $report (i64.extend_i32_u (call $try (i32.const 4096))))
            (call $say_error (i64.load (i32.const 8)))
            (global.set $limit (i64.add (global.get $limit) (i64.const 5000)))
            (call $report (i64.extend_i32_u (call $try (i32.const 4096)))))"#,
    );
    assert_eq!(world.report(), 1);
    let refused = world.text();
    assert!(refused.contains("bytes of memory is reached"), "{refused}");
    assert_eq!(world.report(), 0);
}
