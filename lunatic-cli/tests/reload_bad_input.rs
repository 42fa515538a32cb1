//! What can go wrong when the code of processes is exchanged (ABI §27): the old version
//! goes on, and nothing is left behind.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::num::{NonZeroU64, NonZeroUsize};
use std::thread;
use std::time::Duration;

use futures_lite::future::or;
use harness::reloaded::{App, Counter};
use harness::{World, assert_failed, module, send};
use lunatic_account::{AccountLimits, Kind};
use lunatic_cli::{Config, NameScope, ReloadFailure, Root};
use lunatic_engine::ModuleHash;
use lunatic_mailbox::{DataMessage, Limits, Pid};
use lunatic_process::guest::code_bits;
use lunatic_process::{Process, ProcessConfig};
use lunatic_reload::{Outcome, ReloadError, ReloadOptions, ReloadResult};
use lunatic_supervisor::{ChildSpec, Spec};
use lunatic_testkit::{end_of, wait, wait_until};

#[test]
fn a_start_function_that_traps_sends_or_loops() {
    let app = App::new(&Counter::new(1));
    let process = app.spawn_and_count();
    app.fails_once();
    let used = app.used();
    let start = |version, rest| Counter {
        rest,
        ..Counter::new(version)
    };
    app.fails(
        &start(2, "(start $begin) (func $begin unreachable)"),
        "unreachable",
    );
    app.fails(
        &start(
            3,
            "(start $begin) (func $begin (call $create_data (i64.const 1) (i64.const 1)))",
        ),
        "cannot call `lunatic::message::create_data` before it has accepted",
    );
    // Nor can it accept before there is an instance: nobody could run its entry.
    app.fails(
        &start(4, "(start $begin) (func $begin (call $spin))"),
        "within 5s",
    );
    assert_eq!(app.count(&process), 21);
    app.is_used_again(used);
}

#[test]
fn a_start_function_cannot_accept() {
    let app = App::new(&Counter::new(1));
    let process = app.spawn_and_count();
    let accepts = Counter {
        rest: "(start $begin) (func $begin (call $accept))",
        ..Counter::new(2)
    };
    app.fails(&accepts, "a start function cannot accept");
    assert_eq!(app.count(&process), 21);
}

#[test]
fn an_entry_that_wants_more_memory_than_the_process_may_have() {
    let app = App::new(&Counter::new(1));
    let process = app.spawn_with(ProcessConfig {
        max_memory: 16 << 16,
        ..ProcessConfig::trusted()
    });
    assert_eq!(app.count(&process), 11);
    app.fails_once();
    let used = app.used();
    let large = Counter {
        pages: 17,
        ..Counter::new(2)
    };
    app.fails(&large, "memory limits (1048576 bytes)");
    let grows = "(if (i32.eq (i32.const -1) (memory.grow (i32.const 16))) (then unreachable))";
    app.fails(&Counter::entry(3, grows), "unreachable");
    assert_eq!(app.count(&process), 21);
    app.is_used_again(used);
    // All that it may have, it may have beside the old one.
    let fills = "(if (i32.eq (i32.const -1) (memory.grow (i32.const 15))) (then unreachable))";
    app.moves(&Counter::entry(4, fills));
    assert_eq!(app.count(&process), 34);
}

#[test]
fn both_instances_are_charged_while_one_may_take_over_from_the_other() {
    let app = App::new(&Counter {
        pages: 10,
        ..Counter::new(1)
    });
    let branch = |memory| ProcessConfig {
        account: Some(AccountLimits {
            memory,
            ..AccountLimits::default()
        }),
        ..ProcessConfig::trusted()
    };
    let poor = app.spawn_with(branch(1_000_000));
    assert_eq!(app.count(&poor), 11);
    let same = |version, entry| Counter {
        pages: 10,
        ..Counter::entry(version, entry)
    };
    app.fails(&same(2, ""), "memory");
    assert_eq!(app.count(&poor), 21);
    let used = app.used();
    app.fails(&same(2, ""), "memory");
    assert_eq!(app.count(&poor), 31);
    app.is_used_again(used);
    poor.kill();
    end_of(&poor);

    let rich = app.spawn_with(branch(2_000_000));
    assert_eq!(app.count(&rich), 11);
    app.fails_once();
    let used = app.used();
    app.fails(&same(3, "unreachable"), "unreachable");
    app.is_used_again(used);
    for _ in 0..10 {
        app.moves(&same(2, ""));
        app.moves(&same(1, ""));
    }
    // Scratch has what it was moved with, which is not charged: it is small.
    app.is_used_again(used);
    let of_branch = rich.account().used(Kind::LinearMemory);
    assert!((655_360..2 * 655_360).contains(&of_branch), "{of_branch}");
}

#[test]
fn errors_that_instances_leave_do_not_add_up_in_the_account() {
    let app = App::new(&Counter::new(1));
    let process = app.spawn_and_count();
    // Each instance has an error of its own, and drops it; the first one is kept.
    let leaves = |version| {
        Counter {
        entry: "(call $ok (i32.ne (i32.const 1) (call $tcp_bind (i32.const 4) (i32.const 0x700) (i32.const 65536) (i32.const 0) (i32.const 0) (i32.const 0x800))))
            (call $error_drop (i64.load (i32.const 0x800)))",
        rest: r#"(data (i32.const 0x700) "\cb\00\71\01")"#,
        ..Counter::new(version)
    }
    };
    app.moves(&leaves(2));
    app.moves(&leaves(3));
    let used = app.used();
    for _ in 0..10 {
        app.moves(&leaves(2));
        app.moves(&leaves(3));
    }
    app.is_used_again(used);
    assert_eq!(app.count(&process), 23);
}

#[test]
fn a_state_of_many_mebibytes() {
    // 512 pages beside the count.
    const MORE: &str = r#"(i32.store (i32.const 0x900) (i32.const 512))
        (loop $page
            (drop (call $write_data (i32.const 0) (i32.const 65536)))
            (i32.store (i32.const 0x900) (i32.sub (i32.load (i32.const 0x900)) (i32.const 1)))
            (br_if $page (i32.load (i32.const 0x900))))"#;
    let large = |version, entry| Counter {
        more_state: MORE,
        ..Counter::entry(version, entry)
    };
    let whole = "(if (i64.ne (call $data_size) (i64.const 33554440)) (then unreachable))";
    let app = App::new(&large(1, whole));
    let process = app.spawn_and_count();
    app.moves(&large(2, whole));
    assert_eq!(app.count(&process), 22);
    app.fails(&large(3, "unreachable"), "unreachable");
    assert_eq!(app.count(&process), 32);
    app.moves(&large(1, whole));
    assert_eq!(app.count(&process), 41);
}

#[test]
fn a_state_that_is_too_large_for_its_account_is_refused() {
    // 15 pages beside the count: there is room to write them, but not for a copy.
    const MORE: &str = r#"(i32.store (i32.const 0x900) (i32.const 15))
        (loop $page
            (drop (call $write_data (i32.const 0) (i32.const 65536)))
            (i32.store (i32.const 0x900) (i32.sub (i32.load (i32.const 0x900)) (i32.const 1)))
            (br_if $page (i32.load (i32.const 0x900))))"#;
    let large = |version| Counter {
        more_state: MORE,
        ..Counter::new(version)
    };
    let app = App::new(&large(1));
    let process = app.spawn_with(ProcessConfig {
        account: Some(AccountLimits {
            memory: 1_850_000,
            ..AccountLimits::default()
        }),
        ..ProcessConfig::trusted()
    });
    assert_eq!(app.count(&process), 11);
    app.fails(&large(2), "memory");
    assert_eq!(app.count(&process), 21);
    app.fails(&large(2), "memory");
    assert_eq!(app.count(&process), 31);
}

/// A counter that adds something to its state by `$fill`, and declines if that traps.
fn filling(version: u32, entry: &'static str, fill: &'static str) -> Counter {
    Counter {
        more_state: "(if (i32.eqz (call $guarded (i32.const 0))) (then
            (call $refuse (i32.const 0x100) (i32.const 13))))",
        rest: fill,
        ..Counter::entry(version, entry)
    }
}

/// Moves two processes of which one has too small a mailbox for its state.
fn one_is_too_large(old: &Counter, new: &Counter, limit: usize) {
    let app = App::new(old);
    let with_limit = |bytes| {
        app.spawn_with(ProcessConfig {
            mailbox: Limits {
                bytes,
                ..Limits::default()
            },
            ..ProcessConfig::trusted()
        })
    };
    let (fits, too_large) = (with_limit(limit), with_limit(limit - 1));
    for process in [&fits, &too_large] {
        assert_eq!(app.count(process), 11);
    }
    let report = app.reload(new);
    assert_eq!(report.result, ReloadResult::Partly);
    let outcome = |process: &Process| {
        let mut told = report.processes.iter();
        &told.find(|told| told.pid == process.id()).unwrap().outcome
    };
    assert!(
        matches!(outcome(&fits), Outcome::Moved { .. }),
        "{report:?}"
    );
    let Outcome::Declined { why } = outcome(&too_large) else {
        panic!("{report:?}");
    };
    assert_eq!(why, "it traps here");
    assert_eq!((app.count(&fits), app.count(&too_large)), (22, 21));
    app.moves(old);
    assert_eq!((app.count(&fits), app.count(&too_large)), (31, 31));
    // Nothing is left of another one.
    let used = app.used();
    assert_eq!(app.reload(new).result, ReloadResult::Partly);
    app.moves(old);
    assert_eq!((app.count(&fits), app.count(&too_large)), (41, 41));
    app.is_used_again(used);
}

#[test]
fn a_state_may_be_as_large_as_a_mailbox_and_a_larger_one_is_declined() {
    const FILL: &str = r#"(table 1 funcref) (elem (i32.const 0) $fill)
        (data (i32.const 0x100) "it traps here")
        (func $fill (result i32)
            (drop (call $write_data (i32.const 0) (i32.const 65536)))
            (drop (call $write_data (i32.const 0) (i32.const 65536)))
            (i32.const 1))"#;
    let whole = "(if (i64.ne (call $data_size) (i64.const 131080)) (then unreachable))";
    one_is_too_large(
        &filling(1, "", FILL),
        &filling(2, whole, FILL),
        8 + 2 * 65536,
    );
}

#[test]
fn a_state_may_have_as_many_resources_as_a_mailbox_has_room_for() {
    const FILL: &str = r#"(table 1 funcref) (elem (i32.const 0) $fill)
        (data (i32.const 0x100) "it traps here")
        (func $fill (result i32) (local $left i32)
            (local.set $left (i32.const 100))
            (loop $again
                (drop (call $push_module (i64.const -1)))
                (br_if $again
                    (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
            (i32.const 1))"#;
    let new = Counter {
        after: "(call $drop_module (call $take_module (i64.const 0)))
            (call $drop_module (call $take_module (i64.const 99)))",
        ..filling(2, "", FILL)
    };
    one_is_too_large(
        &filling(1, "", FILL),
        &new,
        8 + 100 * DataMessage::RESOURCE_BYTES,
    );
}

#[test]
fn when_the_first_one_fails_as_it_writes_its_state_no_other_one_tries() {
    let app = App::new(&Counter {
        more_state: "(drop (call $write_data (i32.const 0) (i32.const 1000)))",
        ..Counter::new(1)
    });
    let limits = Limits {
        bytes: 1000,
        ..Limits::default()
    };
    let small = ProcessConfig {
        mailbox: limits,
        ..ProcessConfig::trusted()
    };
    let processes: Vec<_> = (0..6).map(|_| app.spawn_with(small.clone())).collect();
    for process in &processes {
        assert_eq!(app.count(process), 11);
    }
    let report = app.reload(&Counter::new(2));
    assert_eq!(report.result, ReloadResult::Unchanged);
    let ended = report.processes.iter();
    let ended = ended.filter(|told| told.outcome == Outcome::Ended).count();
    assert_eq!(ended, 1, "{report:?}");
    assert_failed(&processes[0], "at most 1000 bytes");
    for process in &processes[1..] {
        assert_eq!(app.count(process), 21);
    }
}

#[test]
fn a_state_has_at_most_as_many_resources_as_a_message() {
    // The number that all processes share.
    const FILL: &str = r#"(table 1 funcref) (elem (i32.const 0) $fill)
        (data (i32.const 0x100) "it traps here")
        (func $fill (result i32) (local $left i64)
            (local.set $left (call $setting))
            (loop $again
                (drop (call $push_module (i64.const -1)))
                (br_if $again (i64.ne (i64.const 0)
                    (local.tee $left (i64.sub (local.get $left) (i64.const 1))))))
            (i32.const 1))"#;
    let counter = |version| Counter {
        after: "(call $drop_module (call $take_module (i64.sub (call $setting) (i64.const 1))))",
        ..filling(version, "", FILL)
    };
    let (old, new) = (counter(1), counter(2));
    let app = App::new(&old);
    let process = app.spawn_and_count();
    app.set(16_385);
    assert_eq!(app.reload(&new).result, ReloadResult::Partly);
    assert_eq!(app.count(&process), 21);
    app.moves(&old);
    app.set(16_384);
    app.moves(&new);
    assert_eq!(app.count(&process), 32);
    let used = app.used();
    app.moves(&old);
    app.moves(&new);
    assert_eq!(app.count(&process), 42);
    app.is_used_again(used);
}

#[test]
fn an_entry_may_ask_for_what_nobody_else_notices() {
    let app = App::new(&Counter::new(1));
    let process = app.spawn_and_count();
    let asks = "(call $ok (call $fd_filestat_get (i32.const 1) (i32.const 0x800)))";
    app.moves(&Counter::entry(2, asks));
    assert_eq!(app.count(&process), 22);
    for asks in [
        "(drop (call $get_tls_read_timeout (i64.const 0)))",
        "(drop (call $get_tls_write_timeout (i64.const 0)))",
    ] {
        app.fails(&Counter::entry(3, asks), "there is no TLS stream with id 0");
    }
}

#[test]
fn a_reload_during_a_reload_is_refused_and_ends_nobody() {
    // It reaches its safe point when it is told to.
    let waits = Counter {
        message: "(if (i64.eq (global.get $count) (i64.const 2)) (then
            (loop $wait (call $sleep_ms (i64.const 5)) (br_if $wait (i64.eqz (call $setting))))))",
        ..Counter::new(1)
    };
    let app = App::new(&waits);
    let process = app.spawn_and_count();
    send(&process, 1, b"");
    thread::scope(|scope| {
        let first = scope.spawn(|| app.reload(&Counter::new(2)));
        wait_until("the first one", || {
            app.world.runtime.versions()[0].is_reloading
        });
        for purge in [false, true] {
            let third = app.try_reload(&Counter::new(3).text(), ReloadOptions::default(), purge);
            let error = third.unwrap_err();
            let is_it = matches!(error, ReloadFailure::Reload(ReloadError::InProgress(_)));
            assert!(is_it, "{error}");
        }
        assert!(process.is_alive());
        app.set(1);
        assert_eq!(first.join().unwrap().result, ReloadResult::Moved);
    });
    assert_eq!(app.world.report(), 21);
    assert_eq!(app.count(&process), 32);
}

#[test]
fn a_process_that_withdraws_its_offer_for_a_moment_moves_in_the_same_reload() {
    // At a message with the tag 70 it withdraws its offer when it is told to, and makes it again;
    // at one with the tag 71 it does nothing until it is told to.
    let busy = |version| Counter {
        message: "(if (i64.eq (call $get_tag) (i64.const 70)) (then
                (call $report (i64.const -1))
                (loop $wait (br_if $wait (i64.lt_s (call $setting) (i64.const 1))))
                (call $offer (i32.const 0) (i32.const 0) (i64.const 1))
                (call $offer (i32.const 0) (i32.const 7) (i64.const 1))))
            (if (i64.eq (call $get_tag) (i64.const 71)) (then
                (call $report (i64.const -1))
                (loop $wait (br_if $wait (i64.lt_s (call $setting) (i64.const 2))))))",
        ..Counter::new(version)
    };
    let app = App::new(&busy(1));
    let (withdraws, holds_up) = (app.spawn_and_count(), app.spawn_and_count());
    send(&withdraws, 70, b"");
    send(&holds_up, 71, b"");
    assert_eq!(app.world.reports(), [-1, -1]);
    thread::scope(|scope| {
        let reload = scope.spawn(|| app.reload(&busy(2)));
        wait_until("the reload", || {
            app.world.runtime.versions()[0].progress.is_some()
        });
        app.set(1);
        assert_eq!(app.world.report(), 21);
        // The other one holds up the reload.
        app.wait_for_version(&withdraws, 2);
        app.set(2);
        let report = reload.join().unwrap();
        assert_eq!(report.result, ReloadResult::Moved, "{report:?}");
        assert_eq!(report.moved(), 2);
    });
    assert_eq!(app.world.report(), 21);
    app.wait_for_version(&holds_up, 2);
}

#[test]
fn an_entry_that_loops_is_not_tried_by_all_when_the_reload_ends() {
    let app = App::new(&Counter::new(1));
    let processes: Vec<_> = (0..5).map(|_| app.spawn_and_count()).collect();
    let loops = Counter::entry(2, "(call $report (i64.const -1)) (call $spin)");
    let options = ReloadOptions {
        timeout: Duration::from_millis(200),
        keep_going: true,
        ..ReloadOptions::default()
    };
    let report = app.try_reload(&loops.text(), options, false).unwrap();
    assert_eq!(report.result, ReloadResult::Partly);
    let of = |is: fn(&Outcome) -> bool| {
        let outcomes = report.processes.iter().map(|told| &told.outcome);
        outcomes.filter(|outcome| is(outcome)).count()
    };
    assert_eq!(of(|outcome| matches!(outcome, Outcome::Failed { .. })), 1);
    assert_eq!(of(|outcome| *outcome == Outcome::NotAsked), 4);
    // One has tried.
    assert_eq!(app.world.report(), -1);
    for process in &processes {
        assert_eq!(app.count(process), 21);
    }
}

#[test]
fn what_a_process_runs_is_known_without_asking_it() {
    let app = App::new(&Counter::new(1));
    let process = app.spawn_and_count();
    let bits = || code_bits(app.world.runtime.versions()[0].current.module.hash());
    let first = bits();
    assert_eq!(process.code_bits(), first);
    app.moves(&Counter::new(2));
    assert_ne!(bits(), first);
    assert_eq!(process.code_bits(), bits());
    let now = bits();
    app.fails(&Counter::entry(3, "unreachable"), "unreachable");
    assert_eq!(process.code_bits(), now);
    // A native one runs none.
    assert_eq!(app.world.observer().process.code_bits(), 0);
}

#[test]
fn a_process_with_a_budget_that_comes_after_the_reload_moves_too() {
    let app = App::new(&Counter::new(1));
    let process = app.spawn_and_count();
    app.moves(&Counter::new(2));
    assert_eq!(app.count(&process), 22);
    // Nobody had a budget, so the code for that is compiled when it hands over.
    let with_budget = app.spawn_with(ProcessConfig {
        max_fuel: NonZeroU64::new(1000),
        ..ProcessConfig::trusted()
    });
    app.wait_for_version(&with_budget, 2);
}

#[test]
fn nobody_is_ended_for_a_reload_that_is_refused() {
    let app = App::new(&Counter {
        main: "(call $quiet)",
        rest: "(func $quiet (if (call $setting_is_1) (then (call $sleep))))
            (func $setting_is_1 (result i32) (i64.eq (call $setting) (i64.const 1)))",
        ..Counter::new(1)
    });
    let process = app.spawn_and_count();
    app.set(1);
    let quiet = app.spawn();
    app.moves(&Counter::new(2));
    // The quiet one runs the version that a third one would replace.
    let without_entry = Counter {
        kind: "other".to_owned(),
        ..Counter::new(3)
    };
    let refused = app.try_reload(&without_entry.text(), ReloadOptions::default(), true);
    let error = refused.unwrap_err();
    let is_it = matches!(error, ReloadFailure::Reload(ReloadError::NoEntry(_)));
    assert!(is_it, "{error}");
    assert!(quiet.is_alive() && process.is_alive());
}

#[test]
fn a_version_older_than_the_old_one_stays_known_if_others_are_stuck_on_the_way_back() {
    let app = App::new(&Counter {
        main: "(if (i64.eq (call $setting) (i64.const 1)) (then (call $sleep)))",
        ..Counter::new(1)
    });
    let (fails, stays) = (app.spawn_and_count(), app.spawn_and_count());
    app.set(1);
    let quiet = app.spawn();
    // Nobody can go back to this one when it is told so.
    let second = Counter::entry(
        2,
        "(if (i64.eq (call $setting) (i64.const 2)) (then unreachable))",
    );
    app.moves(&second);
    app.set(2);
    let third = Counter {
        message: "(if (i64.eq (call $get_tag) (i64.const 66)) (then unreachable))",
        ..Counter::new(3)
    };
    let trial = ReloadOptions {
        trial: Duration::from_secs(600),
        ..ReloadOptions::default()
    };
    let report = thread::scope(|scope| {
        let reload = scope.spawn(|| app.try_reload(&third.text(), trial, true).unwrap());
        for process in [&fails, &stays] {
            app.wait_for_version(process, 3);
        }
        send(&fails, 66, b"");
        reload.join().unwrap()
    });
    assert_eq!(report.result, ReloadResult::Partly, "{report:?}");
    let outcome = |process: &Process| {
        let mut told = report.processes.iter();
        &told.find(|told| told.pid == process.id()).unwrap().outcome
    };
    assert_eq!(*outcome(&fails), Outcome::Ended);
    assert!(matches!(outcome(&stays), Outcome::Stuck { .. }));
    assert!(matches!(outcome(&quiet), Outcome::Kept { .. }));
    assert!(quiet.is_alive());
    assert_eq!(app.count(&stays) % 10, 3);
    // The second is current, the third is the old one, and the first is listed beside them.
    let hashes = |versions: Vec<lunatic_reload::Version<_>>| {
        let hashes = versions.into_iter().map(|version| version.hash);
        hashes.collect::<Vec<_>>()
    };
    let listed = app.world.runtime.versions().remove(0);
    let first = *app.module.hash().as_bytes();
    assert_eq!(listed.current.hash, hash_of(&second.text()));
    assert_eq!(hashes(listed.old), [hash_of(&third.text()), first]);
    // So a reload to a fourth is refused because of both.
    app.set(0);
    let fourth = Counter::new(4).text();
    let refused = app.try_reload(&fourth, ReloadOptions::default(), false);
    let Err(ReloadFailure::Reload(ReloadError::ThirdVersion { processes, .. })) = refused else {
        panic!("{refused:?}");
    };
    assert!(processes == [stays.id()] || processes == [quiet.id()]);
    let report = app
        .try_reload(&fourth, ReloadOptions::default(), true)
        .unwrap();
    assert_eq!(report.result, ReloadResult::Moved, "{report:?}");
    wait_until("the end", || !quiet.is_alive() && !stays.is_alive());
    let listed = app.world.runtime.versions().remove(0);
    assert_eq!(hashes(listed.old), [hash_of(&second.text())]);
}

#[test]
fn a_wait_that_ends_early_for_a_reload_that_goes_back_is_told_from_one_that_fails() {
    const PROCESSES: usize = 40;
    const RELOADS: usize = 40;
    /// The one that cannot be taken over is asked together with others.
    const FAILS: usize = 8;
    let first = Counter::new(1).text();
    let first = first
        .replace(
            "(call $receive (i32.const 0) (i32.const 0) (i64.const -1)))",
            "(call $receive (i32.const 0) (i32.const 0) (i64.const -1)))
            (global.set $early (i32.eq (local.get $kind) (i32.const 9027)))",
        )
        .replace(
            "(local.set $version (call $arm))",
            "(local.set $version (call $arm))
            ;; Its wait has ended, and it is not told why.
            (if (i32.and (global.get $early) (i64.eq (local.get $version) (i64.const -1)))
                (then (call $report (i64.const -1))))
            (global.set $early (i32.const 0))",
        )
        .replace(
            "(func (export \"main\")",
            "(global $early (mut i32) (i32.const 0)) (func (export \"main\")",
        );
    let app = App::of(&first);
    let processes: Vec<_> = (0..PROCESSES).map(|_| app.spawn_and_count()).collect();
    assert_eq!(app.count(&processes[FAILS]), 21);
    let second = Counter::entry(
        2,
        "(if (i64.eq (global.get $count) (i64.const 2)) (then unreachable))",
    );
    let mut called_off = 0;
    for _ in 0..RELOADS {
        let report = app.reload(&second);
        assert_eq!(report.result, ReloadResult::Unchanged, "{report:?}");
        let outcomes = report.processes.iter().map(|told| &told.outcome);
        called_off += outcomes
            .filter(|outcome| **outcome == Outcome::CalledOff)
            .count();
    }
    assert!(called_off > 0, "none was asked when all went back");
    for (number, process) in processes.iter().enumerate() {
        let before = if number == FAILS { 2 } else { 1 };
        assert_eq!(app.count(process), 10 * (before + 1) + 1);
    }
    app.world.no_more_reports();
}

fn hash_of(text: &str) -> [u8; 32] {
    *ModuleHash::of(text.as_bytes()).as_bytes()
}

#[test]
fn a_kill_at_any_step() {
    const PROCESSES: usize = 30;
    const ROUNDS: u32 = 12;
    // It takes a while, before it accepts and after.
    const WORK: &str = "(call $work)";
    const REST: &str = r#"(func $work (local $left i32)
        (local.set $left (i32.const 300000))
        (loop $again (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1))))))"#;
    let slow = |version| Counter {
        entry: WORK,
        after: WORK,
        rest: REST,
        ..Counter::new(version)
    };
    let app = App::new(&slow(1));
    let (mut random, mut version) = (7_u64, 1);
    let (empty, mut seen) = (app.used(), 0);
    for _ in 0..ROUNDS {
        let module = &app.world.runtime.versions()[0].current.module.clone();
        let processes: Vec<_> = (0..PROCESSES)
            .map(|_| app.world.spawn(module, "main"))
            .collect();
        wait_until("the offers", || {
            app.world.runtime.versions()[0].offering == PROCESSES
        });
        version = 3 - version;
        let report = thread::scope(|scope| {
            let next = slow(version);
            let reload = scope.spawn(|| app.reload(&{ next }));
            for process in &processes {
                random = random
                    .wrapping_mul(6364136223846793005)
                    .wrapping_add(1442695040888963407);
                thread::sleep(Duration::from_micros((random >> 33) % 1500));
                process.kill();
            }
            reload.join().unwrap()
        });
        // To be killed is no failure.
        assert_eq!(report.result, ReloadResult::Moved);
        seen += report.processes.len();
        app.world.wait_until_empty();
        app.is_used_again(empty);
        wait_until("the members to be gone", || {
            app.world.runtime.versions()[0].offering == 0
        });
    }
    assert!(seen > 0, "all were killed before a reload began");
    let process = app
        .world
        .spawn(&app.world.runtime.versions()[0].current.module, "main");
    assert_eq!(app.count(&process), 10 + i64::from(version));
}

/// Each message burns ten units of fuel, so that the 11th is too much.
const BURNS: &str = "(call $burn)";
const BURN: &str = r#"(func $burn (local $left i32)
    (local.set $left (i32.const 200000))
    (loop $again (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1))))))"#;

fn burning(version: u32, entry: &'static str) -> Counter {
    Counter {
        message: BURNS,
        rest: BURN,
        ..Counter::entry(version, entry)
    }
}

/// How many messages a process can handle with a budget, with so many reloads and failed
/// attempts after each.
fn messages_of_a_budget(reloads: u32, failures: u32) -> i64 {
    let app = App::new(&burning(1, ""));
    let process = app.spawn_with(ProcessConfig {
        max_fuel: NonZeroU64::new(100),
        ..ProcessConfig::trusted()
    });
    let (mut count, mut version) = (0, 1);
    loop {
        send(&process, 1, b"");
        // It reports, or ends.
        let end = async {
            process.wait().await;
            None
        };
        let report = async { Some(app.world.next_report().await) };
        let Some(report) = wait("a report", or(report, end)) else {
            assert_failed(&process, "all fuel consumed");
            return count;
        };
        count += 1;
        assert_eq!(report / 10, count);
        for _ in 0..reloads {
            version = 3 - version;
            app.moves(&burning(version, ""));
        }
        for _ in 0..failures {
            // There may not be enough left for that.
            app.fails(&burning(9, "(call $burn) unreachable"), "");
        }
    }
}

#[test]
fn used_fuel_stays_used() {
    let messages = messages_of_a_budget(0, 0);
    assert!(messages > 5, "{messages}");
    assert_eq!(messages_of_a_budget(1, 0), messages);
    assert_eq!(messages_of_a_budget(0, 2), messages);
}

#[test]
fn an_entry_that_uses_up_the_budget() {
    let app = App::new(&burning(1, ""));
    let process = app.spawn_with(ProcessConfig {
        max_fuel: NonZeroU64::new(35),
        ..ProcessConfig::trusted()
    });
    assert_eq!(app.count(&process), 11);
    app.fails(&burning(2, "(call $spin)"), "all fuel consumed");
    assert_eq!(app.count(&process), 21);
}

#[test]
fn strange_kinds_and_versions() {
    let long = "k".repeat(256);
    for kind in ["_", "__", "1", "_1_", "ünï ködé 🦀", &long] {
        for state in [0, i64::MAX] {
            let counter = |version| Counter {
                kind: kind.to_owned(),
                offers: state,
                takes: state,
                ..Counter::new(version)
            };
            let app = App::new(&counter(1));
            let process = app.spawn_and_count();
            let report = app.reload(&counter(2));
            assert_eq!(report.result, ReloadResult::Moved);
            assert_eq!(report.processes[0].kind, kind);
            assert_eq!(app.count(&process), 22);
        }
    }
}

#[test]
fn offers_that_are_none_trap() {
    let world = World::new();
    for (offer, why) in [
        (
            "(call $offer (i32.const 0) (i32.const 257) (i64.const 1))",
            "256",
        ),
        (
            "(call $offer (i32.const 0) (i32.const 1) (i64.const -1))",
            "not negative",
        ),
        (
            "(call $offer (i32.const 65535) (i32.const 2) (i64.const 1))",
            "outside of the memory",
        ),
        (
            "(i32.store8 (i32.const 0) (i32.const 255)) (call $offer (i32.const 0) (i32.const 1) (i64.const 1))",
            "UTF-8",
        ),
        ("(call $accept)", "only an entry"),
        (
            "(drop (call $hand_over (i64.const 1) (i32.const 0)))",
            "scratch",
        ),
        (
            "(call $create_data (i64.const 1) (i64.const 1)) (drop (call $hand_over (i64.const 1) (i32.const 65533)))",
            "0xfffd",
        ),
        ("(call $refuse (i32.const 0) (i32.const 1025))", "1024"),
    ] {
        let text = module(&format!(r#"(func (export "main") {offer})"#));
        let module = wait("it", world.runtime.load_version("strange", text.to_owned())).unwrap();
        let process = world.spawn(&module, "main");
        let reason = end_of(&process).to_string();
        assert!(reason.contains(why), "{offer}: {reason}");
    }
}

#[test]
fn what_nobody_wants_changes_nothing() {
    let text = |_: u32| {
        r#"(data (i32.const 0) "kind")
        (func (export "main")
            (call $report (call $arm))
            (call $refuse (i32.const 0) (i32.const 4))
            (call $write (i64.const 3) (i64.const 42))
            (call $report (i64.extend_i32_s (call $hand_over (i64.const 1) (i32.const 0x800))))
            (call $offer (i32.const 0) (i32.const 4) (i64.const 1))
            (call $report (call $arm))
            (call $refuse (i32.const 0) (i32.const 4))
            (call $report (i64.extend_i32_s (call $hand_over (i64.const 1) (i32.const 0x800))))
            (call $offer (i32.const 0) (i32.const 0) (i64.const 1))
            (call $report (call $arm))
            (call $report (call $value)))"#
    };
    let expected = [-1, 0, -1, 0, -1, 42];
    // A version of a named module, and a module without a name.
    let app = App::of(&module(text(1)));
    app.world.run(&app.module, "main");
    assert_eq!(app.world.reports(), expected);
    let world = World::new();
    world.run_main(text(1));
    assert_eq!(world.reports(), expected);
}

#[test]
fn a_module_that_a_guest_compiles_is_no_version_though_it_has_the_same_bytes() {
    let app = App::new(&Counter::new(1));
    let process = app.spawn_and_count();
    app.world.give(Counter::new(1).text());
    let compiles = app.world.load(
        r#"(func (export "main")
            (call $report (call $compile_given))
            (call $ok (call $spawn (i64.const 0) (i64.const -1) (i64.const 0) @main
                (i32.const 0) (i32.const 0) (i32.const 0xff00)))
            (call $report (i64.load (i32.const 0xff00)))
            (call $sleep))"#,
    );
    app.world.spawn(&compiles, "main");
    assert_eq!(app.world.report(), 0);
    let id = Pid::from_bits(app.world.report() as u64);
    let stranger = app.world.runtime.environment().process(id).unwrap();
    assert_eq!(app.count(&stranger), 11);
    app.moves(&Counter::new(2));
    assert_eq!((app.count(&process), app.count(&stranger)), (22, 21));
}

#[test]
fn a_catch_is_open() {
    // The old one hands over inside of a catch: a trap, which is caught.
    let catching = Counter {
        message: "(if (i64.eq (global.get $count) (i64.const 2)) (then
            (loop $until (br_if $until (i64.lt_s (call $arm) (i64.const 0))))
            (call $report (i64.extend_i32_u (call $guarded (i32.const 0))))))",
        rest: r#"(table 1 funcref) (elem (i32.const 0) $inside)
            (func $inside (result i32)
                (call $write (i64.const 5) (global.get $count))
                (drop (call $hand_over (i64.const 1) (i32.const 0xff00)))
                (i32.const 7))"#,
        ..Counter::new(1)
    };
    let app = App::new(&catching);
    let process = app.spawn_and_count();
    send(&process, 1, b"");
    app.moves(&Counter::new(2));
    assert_eq!(app.world.reports(), [0, 21]);
    assert_eq!(app.count(&process), 32);
}

#[test]
fn an_entry_may_catch_traps_but_not_its_refusal() {
    let app = App::new(&Counter::new(1));
    let process = app.spawn_and_count();
    let catching = |version, inside| Counter {
        rest: inside,
        ..Counter::entry(version, "(drop (call $guarded (i32.const 0)))")
    };
    app.fails(
        &catching(
            2,
            r#"(table 1 funcref) (elem (i32.const 0) $inside)
            (data (i32.const 0x100) "I will not")
            (func $inside (result i32)
                (call $refuse (i32.const 0x100) (i32.const 10)) (i32.const 7))"#,
        ),
        "I will not",
    );
    assert_eq!(app.count(&process), 21);
    app.moves(&catching(
        3,
        r#"(table 1 funcref) (elem (i32.const 0) $inside)
        (func $inside (result i32)
            (drop (call $send (i64.const 1))) (i32.const 7))"#,
    ));
    assert_eq!(app.count(&process), 33);
}

#[test]
fn an_entry_that_accepts_twice_is_a_process_that_traps() {
    let app = App::new(&Counter::new(1));
    let process = app.spawn_and_count();
    app.moves(&Counter {
        after: "(call $accept)",
        ..Counter::new(2)
    });
    assert_failed(
        &process,
        "only an entry that has not accepted yet can accept",
    );
    app.world.wait_until_empty();
}

#[test]
fn a_process_that_ends_after_it_has_moved_tells_its_own_reason() {
    let app = App::new(&Counter::new(1));
    let observer = app.world.observer();
    let process = app.spawn_and_count();
    observer.watch(&process, 3);
    app.moves(&Counter {
        message: "unreachable",
        ..Counter::new(2)
    });
    send(&process, 1, b"");
    assert_failed(&process, "unreachable");
    observer.is_told_of_failure(&process, 3);
}

#[test]
fn an_attempt_is_inspected_as_the_old_version_and_others_go_on() {
    let world = World::with_workers(NonZeroUsize::MIN);
    let app = App::in_world(world, &Counter::new(1).text());
    let process = app.spawn_and_count();
    let other = app.world.spawn(
        &app.world.load(
            r#"(func (export "main") (loop $again (drop (call $next)) (call $report (i64.const 5)) (br $again)))"#,
        ),
        "main",
    );
    let own = app.module.hash().to_string();
    thread::scope(|scope| {
        let spins = Counter::entry(2, "(call $spin)");
        let reload = scope.spawn(|| app.fails(&{ spins }, "within 5s"));
        wait_until("the reload", || {
            app.world.runtime.versions()[0].is_reloading
        });
        let hand_over = Some("lunatic::reload::hand_over");
        wait_until("the attempt", || {
            let seen = wait("the inspection", process.inspect()).unwrap();
            assert_eq!(seen.module_hash, own);
            seen.waiting_in == hand_over
        });
        for _ in 0..20 {
            let seen = wait("the inspection", process.inspect()).unwrap();
            assert_eq!((&seen.module_hash, seen.waiting_in), (&own, hand_over));
            send(&other, 1, b"");
            assert_eq!(app.world.report(), 5);
        }
        reload.join().unwrap();
    });
    assert_eq!(app.count(&process), 21);
    app.moves(&Counter::new(3));
    let seen = wait("the inspection", process.inspect()).unwrap();
    assert_ne!(seen.module_hash, own);
}

#[test]
fn three_hundred_processes_there_and_back() {
    const PROCESSES: usize = 300;
    let app = App::new(&Counter::new(1));
    let processes: Vec<_> = (0..PROCESSES).map(|_| app.spawn_and_count()).collect();
    let used = app.used();
    for version in [2, 1, 2] {
        let report = app.reload(&Counter::new(version));
        assert_eq!(report.moved(), PROCESSES);
    }
    for process in &processes {
        assert_eq!(app.count(process), 22);
    }
    app.is_used_again(used);
}

/// The mappings of this program, and its resident memory in KiB.
fn memory() -> (usize, usize) {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let resident = resident.unwrap().trim().trim_end_matches(" kB");
    (maps.lines().count(), resident.parse().unwrap())
}

#[test]
fn memory_and_mappings_stay_level_over_a_thousand_reloads() {
    let app = App::new(&Counter::new(1));
    let process = app.spawn_and_count();
    let texts = [2, 1].map(|version| Counter::new(version).text());
    let rounds = |rounds: usize| {
        for text in texts.iter().cycle().take(2 * rounds) {
            let report = app
                .try_reload(text, ReloadOptions::default(), false)
                .unwrap();
            assert_eq!(report.result, ReloadResult::Moved);
        }
    };
    rounds(50);
    let (before, used) = (memory(), app.used());
    rounds(500);
    let after = memory();
    assert!(
        after.0 <= before.0 + 16,
        "mappings: {} to {}",
        before.0,
        after.0
    );
    assert!(
        after.1 <= before.1 + 8 * 1024,
        "KiB: {} to {}",
        before.1,
        after.1
    );
    app.is_used_again(used);
    assert_eq!(app.count(&process), 21);
}

#[test]
fn new_versions_without_end_are_not_kept() {
    let app = App::new(&Counter::new(1));
    let process = app.spawn_and_count();
    let mut before = (0, 0);
    for version in 2..42 {
        app.moves(&Counter::new(version));
        if version == 12 {
            before = memory();
        }
    }
    let after = memory();
    assert!(
        after.0 <= before.0 + 32,
        "mappings: {} to {}",
        before.0,
        after.0
    );
    assert_eq!(app.count(&process), 20 + 41);
}

/// Uses half a mebibyte of memory first.
macro_rules! after_filling {
    ($then:literal) => {
        concat!(
            "(memory.fill (i32.const 0x20000) (i32.const 1) (i32.const 0x80000))",
            $then
        )
    };
}

/// Versions that cannot take over, each with half a mebibyte of data that no other one has.
fn bad_versions(number: u32) -> [String; 6] {
    let with_data = |entry: &'static str, rest: &str| {
        let counter = Counter {
            pages: 32,
            ..Counter::entry(2, entry)
        };
        let text = counter.text();
        let end = text.rfind(')').unwrap();
        let data = format!("{number:08}").repeat(0x80000 / 8);
        format!(
            r#"{}(data (i32.const 0x100000) "{data}"){rest})"#,
            &text[..end]
        )
    };
    let starts = after_filling!("unreachable");
    let nothing = r#"(module (import "lunatic::nothing" "nothing" (func))"#;
    [
        with_data(after_filling!("unreachable"), ""),
        with_data(after_filling!("return"), ""),
        with_data(
            after_filling!("(call $refuse (i32.const 0) (i32.const 0))"),
            "",
        ),
        with_data("", &format!("(start $begin) (func $begin {starts})")),
        with_data("", "").replacen("(module", nothing, 1),
        with_data("", "").replace("_lunatic_reload_1_counter", "_lunatic_reload_1_other"),
    ]
}

#[test]
fn memory_after_many_bad_versions_is_what_it_was() {
    /// In KiB. One module or instance that is kept of each version would be more than twice
    /// this.
    const MARGIN: usize = 8 * 1024;
    let app = App::new(&Counter::new(1));
    let process = app.spawn_and_count();
    let mut number = 0;
    let mut rounds = |rounds: u32| {
        for _ in 0..rounds {
            for text in bad_versions(number) {
                let reload = app.try_reload(&text, ReloadOptions::default(), false);
                let has_moved = reload.is_ok_and(|report| report.result != ReloadResult::Unchanged);
                assert!(!has_moved, "{}", &text[text.len() - 100..]);
            }
            number += 1;
        }
    };
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    rounds(3);
    let (before, used, open) = (memory(), app.used(), descriptors());
    rounds(16);
    app.is_used_again(used);
    wait_until("descriptors are closed", || descriptors() == open);
    let after = memory();
    assert!(
        after.0 <= before.0 + 16,
        "mappings: {} to {}",
        before.0,
        after.0
    );
    assert!(
        after.1 <= before.1 + MARGIN,
        "KiB: {} to {}",
        before.1,
        after.1
    );
    assert_eq!(app.count(&process), 21);
}

#[test]
fn names_groups_timers_and_children_stay() {
    let keeps = |version, after| Counter {
        main: r#"(call $registry_put @me (call $distributed_node_id) (call $process_id))
            (call $ok (i32.ne (i32.const 0) (call $group_join (i32.const 0) (i32.const 0) @us (call $process_id) (i32.const 0x800))))
            (i64.store (i32.const 0x900) (call $spawn_own (i64.const 0) @child))
            (call $write (i64.const 9) (i64.const 0))
            (drop (call $send_after (call $process_id) (i64.const 1500)))"#,
        after,
        rest: r#"(func (export "child") (call $sleep))"#,
        ..Counter::new(version)
    };
    let looks = r#"(drop (call $registry_get @me (i32.const 0x800) (i32.const 0x808)))
        (call $report (i64.sub (i64.load (i32.const 0x808)) (call $process_id)))"#;
    let app = App::new(&keeps(1, looks));
    let process = app.spawn_and_count();
    app.moves(&keeps(2, looks));
    assert_eq!(app.world.report(), 0);
    app.moves(&keeps(1, looks));
    assert_eq!(app.world.report(), 0);
    // The message of the timer comes, and once.
    assert_eq!(app.world.report(), 21);
    assert_eq!(app.count(&process), 31);
    app.world.wait_for_count(2);
}

#[test]
fn a_child_is_of_the_own_version_or_of_the_current_one() {
    // A process that stays with the first version spawns a child at each message.
    let text = |version: u32| {
        module(&format!(
            r#"(func (export "main")
                (loop $again
                    (drop (call $next))
                    (call $ok (call $spawn (i64.const 0) (i64.const -1) (call $get_tag)
                        @child (i32.const 0) (i32.const 0) (i32.const 0xff00)))
                    (br $again)))
            (func (export "child") (call $report (i64.const {version})))"#
        ))
    };
    let app = App::of(&text(1));
    let process = app.spawn();
    let child = |tag: i64| {
        send(&process, tag, b"");
        app.world.report()
    };
    assert_eq!((child(-1), child(-2)), (1, 1));
    let report = app
        .try_reload(&text(2), ReloadOptions::default(), false)
        .unwrap();
    assert_eq!(report.result, ReloadResult::Moved);
    assert_eq!((child(-1), child(-2)), (1, 2));
    app.try_reload(&text(1), ReloadOptions::default(), false)
        .unwrap();
    assert_eq!((child(-1), child(-2)), (1, 1));
    // A module without a name has one version.
    let world = World::new();
    let module = world.try_load(&text(7)).unwrap();
    let process = world.spawn(&module, "main");
    send(&process, -2, b"");
    assert_eq!(world.report(), 7);
}

#[test]
fn versions_of_children_are_what_they_are_while_a_reload_goes_on_and_goes_back() {
    // A process that stays with the first version spawns a child at each message, and another
    // one moves when it is told to, and not before.
    let text = |version: u32, entry: &str| {
        module(&format!(
            r#"(data (i32.const 0x600) "slow")
            (func (export "main")
                (loop $again
                    (drop (call $next))
                    (call $ok (call $spawn (i64.const 0) (i64.const -1) (call $get_tag)
                        @child (i32.const 0) (i32.const 0) (i32.const 0xff00)))
                    (br $again)))
            (func (export "child") (call $report (i64.const {version})))
            (func (export "slow")
                (call $offer (i32.const 0x600) (i32.const 4) (i64.const 1))
                (loop $again
                    (drop (call $next))
                    (call $write (i64.const 1) (i64.const 1))
                    (drop (call $hand_over (call $arm) (i32.const 0xff00)))
                    (call $report (i64.const {version}))
                    (br $again)))
            (func (export "_lunatic_reload_1_slow")
                {entry}
                (call $accept)
                (call $offer (i32.const 0x600) (i32.const 4) (i64.const 1))
                (call $report (i64.const {version}))
                (call $sleep))"#
        ))
    };
    let app = App::of(&text(1, ""));
    let (process, slow) = (app.spawn(), app.world.spawn(&app.module, "slow"));
    let is_offered = || app.world.runtime.versions()[0].offering == 1;
    wait_until("the offer", is_offered);
    let children = || {
        [-1, -2].map(|module| {
            send(&process, module, b"");
            app.world.report()
        })
    };
    let reload = |text: String, during: [i64; 2], reported: i64| {
        thread::scope(|scope| {
            let reload = scope.spawn(|| app.try_reload(&text, ReloadOptions::default(), false));
            wait_until("the reload", || {
                app.world.runtime.versions()[0].progress.is_some()
            });
            assert_eq!(children(), during);
            send(&slow, 1, b"");
            assert_eq!(app.world.report(), reported);
            reload.join().unwrap().unwrap().result
        })
    };
    assert_eq!(children(), [1, 1]);
    let back = reload(text(2, "unreachable"), [1, 2], 1);
    assert_eq!(back, ReloadResult::Unchanged);
    assert_eq!(children(), [1, 1]);
    let moved = reload(text(3, ""), [1, 3], 3);
    assert_eq!(moved, ReloadResult::Moved);
    assert_eq!(children(), [1, 3]);
}

#[test]
fn a_supervised_process_that_moves_and_fails_is_restarted_as_the_current_version() {
    let fragile = |version| Counter {
        message: "(if (i64.eq (call $get_tag) (i64.const 66)) (then unreachable))",
        ..Counter::new(version)
    };
    let app = App::new(&fragile(1));
    let runtime = &app.world.runtime;
    let names = NameScope::new(runtime.environment());
    let root = Root::new("main").config(Config::default());
    let start = wait("the child", runtime.child(&app.module, root, &names)).unwrap();
    let tree = Spec::new("root").child(ChildSpec::new("counter", start));
    let environment = runtime.environment().clone();
    let supervisor = wait("the start", tree.start(&environment, None)).unwrap();
    let child = || -> Process {
        let children = wait("the children", supervisor.which_children()).unwrap();
        children[0].process.clone().unwrap()
    };
    let first = child();
    assert_eq!(app.count(&first), 11);
    app.moves(&fragile(2));
    assert_eq!(app.count(&first), 22);
    assert_eq!(child().id(), first.id());
    send(&first, 66, b"");
    assert_failed(&first, "unreachable");
    wait_until("the restart", || {
        let children = wait("the children", supervisor.which_children()).unwrap();
        let process = children[0].process.as_ref();
        process.is_some_and(|process| process.id() != first.id())
    });
    assert_eq!(app.count(&child()), 12);
    wait("the end", supervisor.shut_down());
}

/// Guests of the same module that do all they can to disturb a reload.
#[test]
fn processes_that_flood_the_module_do_not_keep_others_from_moving() {
    let text = |version: u32| {
        let counter = Counter {
            rest: r#"(data (i32.const 0x600) "counter")
            (func (export "floods_offers")
                (loop $again
                    (call $offer (i32.const 0x600) (i32.const 7) (i64.const 1))
                    (call $offer (i32.const 0x600) (i32.const 7) (i64.const 9))
                    (call $offer (i32.const 0x600) (i32.const 3) (i64.const 1))
                    (call $offer (i32.const 0x600) (i32.const 0) (i64.const 1))
                    (br $again)))
            (func (export "floods_refusals")
                (call $write (i64.const 1) (i64.const 0))
                (loop $again
                    (call $offer (i32.const 0x600) (i32.const 7) (i64.const 1))
                    (drop (call $arm))
                    (call $refuse (i32.const 0x600) (i32.const 7))
                    (br $again)))
            (func (export "floods_processes")
                (loop $again
                    (drop (call $spawn (i64.const 0) (i64.const -1) (i64.const -1)
                        @comes_and_goes (i32.const 0) (i32.const 0) (i32.const 0xff00)))
                    (call $sleep_ms (i64.const 0))
                    (br $again)))
            (func (export "comes_and_goes")
                (call $offer (i32.const 0x600) (i32.const 7) (i64.const 1))
                (drop (call $arm)))"#,
            ..Counter::new(version)
        };
        counter.text()
    };
    let app = App::of(&text(1));
    let processes: Vec<_> = (0..20).map(|_| app.spawn_and_count()).collect();
    for flood in ["floods_offers", "floods_refusals", "floods_processes"] {
        app.world.spawn(&app.module, flood);
    }
    let options = ReloadOptions {
        timeout: Duration::from_millis(500),
        ..ReloadOptions::default()
    };
    // The kind `cou` that one of them offers now and then has no entry: the reload is
    // refused if that is seen. It is its own module, and tried again.
    let report = (0..1000).find_map(|_| app.try_reload(&text(2), options, false).ok());
    let report = report.unwrap();
    let moved = |process: &Process| {
        let mut told = report.processes.iter();
        let told = told.find(|told| told.pid == process.id()).unwrap();
        matches!(told.outcome, Outcome::Moved { .. })
    };
    assert!(processes.iter().all(moved), "{report:?}");
    for process in &processes {
        assert_eq!(app.count(process), 22);
    }
    assert!(report.processes.len() < 2000, "{}", report.processes.len());
}
