//! Programs that are replaced as a whole in a reload, and what is seen to later than the
//! reload that has kept it.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::time::Duration;

use futures_lite::future::{block_on, poll_once};
use harness::{World, assert_killed, module, send};
use lunatic_cli::{Others, Program, ReloadFailure, Reloading, ReplaceLimits, Root};
use lunatic_mailbox::Pid;
use lunatic_process::Process;
use lunatic_reload::{Outcome, ReloadError, ReloadOptions, ReloadResult, Report};
use lunatic_testkit::{end_of, wait, wait_until};

const REPLACE: Others = Others::Replace(ReplaceLimits {
    start: Duration::from_secs(30),
    drain: Duration::ZERO,
});

/// A root process that offers nothing: it reports the version and does something.
fn root(version: u32, then: &str) -> String {
    module(&format!(
        r#"(func (export "main") (call $report (i64.const {version})) {then})"#
    ))
}

fn idle(version: u32) -> String {
    root(version, "(call $sleep)")
}

/// A root process that offers nothing, with a child that counts messages and moves. It reports
/// the id of the child, which reports `10 * count + version` for each message.
fn with_a_child(version: u32) -> String {
    with_a_child_after(version, "")
}

/// The same, which does something first.
fn with_a_child_after(version: u32, first: &str) -> String {
    module(&format!(
        r#"(global $count (mut i64) (i64.const 0))
        (data (i32.const 0) "counter")
        (func (export "main")
            {first}
            (call $report (call $spawn_own (i64.const 0) @child))
            (call $sleep))
        (func (export "child") (call $serve))
        (func (export "_lunatic_reload_1_counter")
            (global.set $count (call $value)) (call $accept) (call $serve))
        (func $serve (local $version i64)
            (call $offer (i32.const 0) (i32.const 7) (i64.const 1))
            (loop $again
                (local.set $version (call $arm))
                (if (i64.ge_s (local.get $version) (i64.const 0)) (then
                    (call $write (i64.const 5) (global.get $count))
                    (drop (call $hand_over (local.get $version) (i32.const 0x90)))
                    (br $again)))
                (if (i32.eqz (call $next)) (then
                    (global.set $count (i64.add (global.get $count) (i64.const 1)))
                    (call $report (i64.add (i64.const {version})
                        (i64.mul (i64.const 10) (global.get $count))))))
                (br $again)))"#
    ))
}

/// What has become of each process, in the order of their ids.
fn outcomes(report: &Report) -> Vec<(Pid, Outcome)> {
    let processes = report.processes.iter();
    processes
        .map(|process| (process.pid, process.outcome.clone()))
        .collect()
}

struct App {
    world: World,
    program: Program,
}

impl App {
    fn new(text: &str) -> App {
        let world = World::new();
        let program = start(&world, "app", text);
        App { world, program }
    }

    fn try_reload(&self, text: &str, how: Reloading) -> Result<Report, ReloadFailure> {
        let reload = self.world.runtime.reload("app", text.into(), how);
        wait("the reload", reload)
    }

    fn reload(&self, text: &str, others: Others) -> Report {
        let how = Reloading {
            others,
            ..Reloading::default()
        };
        self.try_reload(text, how).unwrap()
    }

    /// What has become of the process of the program that offered nothing.
    fn root_outcome(report: &Report) -> &Outcome {
        let mut of_root = report.processes.iter().filter(|it| it.kind.is_empty());
        let outcome = &of_root.next().unwrap().outcome;
        assert!(of_root.next().is_none(), "{report:?}");
        outcome
    }

    /// The process whose id a guest reports.
    fn reported(&self) -> Process {
        let id = Pid::from_bits(self.world.report() as u64);
        self.program.environment().process(id).unwrap()
    }

    /// Sets the number that all processes share.
    fn set(&self, value: i64) {
        let sets = format!(r#"(func (export "main") (call $set (i64.const {value})))"#);
        self.world.run_main(&sets);
    }

    /// Whether a version is known that is not the current one.
    fn has_old(&self) -> bool {
        !self.world.runtime.versions()[0].old.is_empty()
    }
}

fn start(world: &World, name: &str, text: &str) -> Program {
    let runtime = &world.runtime;
    let module = wait("compilation", runtime.load_version(name, text.to_owned())).unwrap();
    wait(
        "the start",
        runtime.start_program(&module, Root::new("main")),
    )
    .unwrap()
}

#[test]
fn what_a_reload_has_kept_is_replaced_by_a_later_one_to_the_same_version() {
    let app = App::new(&idle(1));
    assert_eq!(app.world.report(), 1);
    let first = app.program.process();
    assert_eq!(
        app.reload(&idle(2), Others::Keep).result,
        ReloadResult::Moved
    );
    assert!(first.is_alive());
    let report = app.reload(&idle(2), REPLACE);
    assert_eq!(report.result, ReloadResult::Moved);
    assert_eq!(*App::root_outcome(&report), Outcome::Replaced);
    assert_eq!(app.world.report(), 2);
    assert_killed(&first);
    // There is nothing left to do.
    let report = app.reload(&idle(2), REPLACE);
    assert_eq!(report.result, ReloadResult::Unchanged);
    assert_eq!(report.processes, []);
    app.world.no_more_reports();
}

#[test]
fn what_a_reload_has_kept_is_killed_by_a_later_one_to_the_same_version() {
    let app = App::new(&idle(1));
    assert_eq!(app.world.report(), 1);
    app.reload(&idle(2), Others::Keep);
    let report = app.reload(&idle(2), Others::Restart);
    assert_eq!(report.result, ReloadResult::Unchanged);
    assert!(matches!(App::root_outcome(&report), Outcome::Kept { .. }));
    let report = app.reload(&idle(2), Others::Kill);
    assert_eq!(report.result, ReloadResult::Moved);
    assert_eq!(*App::root_outcome(&report), Outcome::Killed);
    assert_killed(&app.program.process());
}

#[test]
fn a_program_that_runs_the_version_before_the_current_one_is_replaced_by_a_third_one() {
    for purge in [false, true] {
        let app = App::new(&idle(1));
        assert_eq!(app.world.report(), 1);
        let first = app.program.process();
        app.reload(&idle(2), Others::Keep);
        let how = Reloading {
            others: REPLACE,
            purge,
            ..Reloading::default()
        };
        let report = app.try_reload(&idle(3), how).unwrap();
        assert_eq!(report.result, ReloadResult::Moved);
        assert_eq!(*App::root_outcome(&report), Outcome::Replaced);
        assert_eq!(app.world.report(), 3);
        assert_killed(&first);
        // The program has not ended with its first root process.
        assert!(app.program.process().is_alive());
    }
}

#[test]
fn a_third_version_that_does_not_start_leaves_the_first_one_known() {
    let app = App::new(&idle(1));
    assert_eq!(app.world.report(), 1);
    let first = app.program.process();
    app.reload(&idle(2), Others::Keep);
    let report = app.reload(&root(3, "unreachable"), REPLACE);
    assert_eq!(report.result, ReloadResult::Unchanged);
    assert_eq!(app.world.report(), 3);
    assert!(first.is_alive());
    // It is found by what it runs.
    let report = app.reload(&idle(2), Others::Kill);
    assert_eq!(*App::root_outcome(&report), Outcome::Killed);
    assert_killed(&first);
}

#[test]
fn a_dry_run_checks_a_third_version_and_ends_nobody() {
    let app = App::new(&idle(1));
    app.reload(&idle(2), Others::Keep);
    let dry = |others, purge| {
        let options = ReloadOptions {
            dry_run: true,
            ..ReloadOptions::default()
        };
        let how = Reloading {
            options,
            others,
            purge,
        };
        app.try_reload(&idle(3), how)
    };
    let refused = dry(Others::Keep, false).unwrap_err();
    let is_third = matches!(
        refused,
        ReloadFailure::Reload(ReloadError::ThirdVersion { .. })
    );
    assert!(is_third, "{refused}");
    for (others, purge, expected) in [
        (Others::Keep, true, "would be killed (--purge)"),
        (
            REPLACE,
            false,
            "would be replaced with its program, if it is of one",
        ),
    ] {
        let report = dry(others, purge).unwrap();
        let [root] = report.processes.as_slice() else {
            panic!("{report:?}");
        };
        assert_eq!(root.pid, app.program.process().id());
        assert_eq!(root.outcome.to_string(), expected);
    }
    assert!(app.program.process().is_alive());
}

#[test]
fn a_root_process_below_which_others_have_moved_goes_on() {
    let app = App::new(&with_a_child(1));
    let child = app.reported();
    let first = app.program.process();
    send(&child, 1, b"");
    assert_eq!(app.world.report(), 11);
    let report = app.reload(&with_a_child(2), REPLACE);
    assert_eq!(report.result, ReloadResult::Partly);
    let Outcome::Kept { why } = App::root_outcome(&report) else {
        panic!("{report:?}");
    };
    assert!(why.contains("1 of its processes have moved"), "{why}");
    send(&child, 1, b"");
    assert_eq!(app.world.report(), 22);
    // Nor is it replaced later.
    let report = app.reload(&with_a_child(2), REPLACE);
    assert_eq!(report.result, ReloadResult::Unchanged);
    assert!(matches!(App::root_outcome(&report), Outcome::Kept { .. }));
    send(&child, 1, b"");
    assert_eq!(app.world.report(), 32);
    assert!(first.is_alive());
    // A third version would end it; with `purge` the program is replaced rather than killed.
    let how = Reloading {
        others: REPLACE,
        ..Reloading::default()
    };
    let refused = app.try_reload(&with_a_child(3), how).unwrap_err();
    let is_third = matches!(
        refused,
        ReloadFailure::Reload(ReloadError::ThirdVersion { .. })
    );
    assert!(is_third, "{refused}");
    let purging = Reloading { purge: true, ..how };
    let report = app.try_reload(&with_a_child(3), purging).unwrap();
    assert_eq!(*App::root_outcome(&report), Outcome::Replaced);
    let mut others = report.processes.iter().filter(|it| it.pid == child.id());
    assert_eq!(others.next().unwrap().outcome, Outcome::Ended);
    end_of(&child);
    assert_ne!(app.reported().id(), child.id());
}

#[test]
fn a_new_root_process_that_fails_at_once_replaces_nothing() {
    let app = App::new(&idle(1));
    assert_eq!(app.world.report(), 1);
    let fails = |text: &str, expected: &str| {
        let report = app.reload(text, REPLACE);
        assert_eq!(report.result, ReloadResult::Unchanged);
        let Outcome::Failed { why } = App::root_outcome(&report) else {
            panic!("{report:?}");
        };
        assert!(why.contains(expected), "{why}");
        assert!(!app.has_old());
        assert!(app.program.process().is_alive());
    };
    fails(&root(2, "unreachable"), "failed when it had started");
    assert_eq!(app.world.report(), 2);
    let other = module(r#"(func (export "other"))"#);
    fails(&other, "the new version exports no function `main`");
    app.world.no_more_reports();
    // One that has done what it was to do does not fail.
    let report = app.reload(&root(3, ""), REPLACE);
    assert_eq!(*App::root_outcome(&report), Outcome::Replaced);
    assert_eq!(app.world.report(), 3);
    assert!(wait("the end", app.program.wait()).is_normal());
}

#[test]
fn to_replace_one_of_several_programs_leaves_the_others_alone() {
    let app = App::new(&idle(1));
    let second = start(&app.world, "second", &idle(5));
    let plain = app.world.load(r#"(func (export "main") (call $sleep))"#);
    let mut others = vec![second.process()];
    // The first one lives where other root processes do.
    let beside = start(&app.world, "third", &idle(6));
    others.push(beside.process());
    let reload = app.world.runtime.reload(
        "second",
        idle(7).into(),
        Reloading {
            others: REPLACE,
            ..Reloading::default()
        },
    );
    let report = wait("the reload", reload).unwrap();
    assert_eq!(*App::root_outcome(&report), Outcome::Replaced);
    assert_killed(&others[0]);
    assert!(others[1].is_alive() && app.program.process().is_alive());
    let process = app.world.spawn(&plain, "main");
    assert!(process.is_alive());
}

#[test]
fn all_programs_of_a_module_are_replaced() {
    let app = App::new(&idle(1));
    let second = start(&app.world, "app", &idle(1));
    let third = start(&app.world, "app", &idle(1));
    let programs = [&app.program, &second, &third];
    assert_eq!(app.world.reports(), [1; 3]);
    let old = programs.map(Program::process);
    let mut expected: Vec<_> = old
        .iter()
        .map(|process| (process.id(), Outcome::Replaced))
        .collect();
    expected.sort_by_key(|(pid, _)| *pid);
    let report = app.reload(&idle(2), REPLACE);
    assert_eq!(report.result, ReloadResult::Moved);
    assert_eq!(outcomes(&report), expected);
    assert_eq!(app.world.reports(), [2; 3]);
    for (program, old) in programs.iter().zip(&old) {
        assert_killed(old);
        assert!(program.process().is_alive());
    }
    // Whoever runs the new version already is left alone.
    let report = app.reload(&idle(2), REPLACE);
    assert_eq!(report.result, ReloadResult::Unchanged);
    assert_eq!(report.processes, []);
    app.world.no_more_reports();
}

#[test]
fn no_program_of_a_module_is_replaced_if_one_of_them_cannot_be() {
    let app = App::new(&idle(1));
    let second = start(&app.world, "app", &idle(1));
    assert_eq!(app.world.reports(), [1; 2]);
    let old = [app.program.process(), second.process()];
    // The second one to start traps.
    let traps = root(
        2,
        "(if (i64.ne (call $setting) (i64.const 0)) (then unreachable))
        (call $set (i64.const 1)) (call $sleep)",
    );
    let report = app.reload(&traps, REPLACE);
    assert_eq!(report.result, ReloadResult::Unchanged);
    assert_eq!(app.world.reports(), [2; 2]);
    let [first, other] = [&report.processes[0].outcome, &report.processes[1].outcome];
    let why = |outcome: &Outcome| match outcome {
        Outcome::Failed { why } | Outcome::Kept { why } => why.clone(),
        other => panic!("{other:?}"),
    };
    assert!(why(first).contains("another program of the module"));
    assert!(why(other).contains("failed when it had started"));
    assert!(old.iter().all(Process::is_alive));
    assert_eq!(app.program.process().id(), old[0].id());
    assert_eq!(second.process().id(), old[1].id());
    assert!(!app.has_old());
    // What was begun has ended, and a later one can be made.
    wait_until("two processes are left", || {
        let environments = app.world.runtime.environments();
        let counts = environments.iter().map(|it| it.process_count());
        counts.sum::<usize>() == 2
    });
    let report = app.reload(&idle(3), REPLACE);
    assert_eq!(report.result, ReloadResult::Moved);
    assert_eq!(app.world.reports(), [3; 2]);
}

#[test]
fn of_several_programs_those_go_on_of_which_processes_have_moved() {
    // One that is told so has a child that moves.
    let text = |version| {
        let has_none = "(if (i64.eqz (call $setting)) (then
            (call $report (i64.const 0)) (call $sleep)))";
        with_a_child_after(version, has_none)
    };
    let app = App::new(&text(1));
    assert_eq!(app.world.report(), 0);
    app.set(1);
    let second = start(&app.world, "app", &text(1));
    let child = Pid::from_bits(app.world.report() as u64);
    let child = second.environment().process(child).unwrap();
    send(&child, 1, b"");
    assert_eq!(app.world.report(), 11);
    let old = [app.program.process(), second.process()];
    app.set(0);
    let report = app.reload(&text(2), REPLACE);
    assert_eq!(report.result, ReloadResult::Partly);
    assert_eq!(app.world.report(), 0);
    let of = |process: &Process| {
        let mut told = report.processes.iter();
        told.find(|told| told.pid == process.id()).unwrap()
    };
    assert_eq!(of(&old[0]).outcome, Outcome::Replaced);
    assert!(matches!(of(&old[1]).outcome, Outcome::Kept { .. }));
    assert!(matches!(of(&child).outcome, Outcome::Moved { .. }));
    assert_killed(&old[0]);
    assert!(old[1].is_alive());
    send(&child, 1, b"");
    assert_eq!(app.world.report(), 22);
}

#[test]
fn processes_of_another_module_with_the_same_bytes_are_left_alone() {
    let app = App::new(&idle(1));
    let same = start(&app.world, "same", &idle(1));
    let unnamed = app.world.try_load(&idle(1)).unwrap();
    let unnamed = app.world.spawn(&unnamed, "main");
    let report = app.reload(&idle(2), Others::Kill);
    assert_eq!(*App::root_outcome(&report), Outcome::Killed);
    assert_killed(&app.program.process());
    assert!(same.process().is_alive() && unnamed.is_alive());
    let count = |name: &str| {
        let reload = app.world.runtime.reload(
            name,
            idle(2).into(),
            Reloading {
                others: Others::Kill,
                ..Reloading::default()
            },
        );
        wait("the reload", reload).unwrap().processes.len()
    };
    assert_eq!(count("same"), 1);
}

#[test]
fn a_reload_that_nobody_waits_for_is_done_all_the_same() {
    let app = App::new(&idle(1));
    let first = app.program.process();
    let how = Reloading {
        others: REPLACE,
        ..Reloading::default()
    };
    let abandoned = app.world.runtime.reload("app", idle(2).into(), how);
    assert!(block_on(poll_once(abandoned)).is_none());
    assert_killed(&first);
    wait_until("the replacement", || app.program.process().is_alive());
    // And the next one can begin.
    wait_until("another one", || {
        let report = app.try_reload(&idle(3), how);
        report.is_ok_and(|report| report.result == ReloadResult::Moved)
    });
}

#[test]
fn what_cannot_be_replaced_is_told() {
    let world = World::new();
    let runtime = &world.runtime;
    let module = wait("compilation", runtime.load_version("app", idle(1))).unwrap();
    let process = world.spawn(&module, "main");
    for others in [REPLACE, Others::Restart] {
        let how = Reloading {
            others,
            ..Reloading::default()
        };
        let reload = runtime.reload("app", idle(2).into(), how);
        let report = wait("the reload", reload).unwrap();
        assert_eq!(report.result, ReloadResult::Partly);
        assert!(matches!(App::root_outcome(&report), Outcome::Kept { .. }));
        assert_eq!(report.processes[0].pid, process.id());
        assert!(process.is_alive());
        let back = runtime.reload("app", idle(1).into(), Reloading::default());
        wait("the way back", back).unwrap();
    }
}
