//! What becomes, in a reload, of processes that do not move by themselves: children that
//! are started again, those that are killed, and those that do not run (ABI §27).
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::time::Duration;

use harness::{World, assert_killed, module, send};
use lunatic_cli::{Config, NameScope, Others, Reloading, Root, State};
use lunatic_engine::Module;
use lunatic_mailbox::Pid;
use lunatic_process::Process;
use lunatic_reload::{Outcome, ReloadOptions, ReloadResult, Report};
use lunatic_supervisor::{ChildSpec, ChildStart, Restart, ShutdownPolicy, Spec, Supervisor};
use lunatic_testkit::{wait, wait_until};

/// An application of one module.
struct App {
    world: World,
    module: Module<State>,
}

impl App {
    fn new(text: &str) -> App {
        let world = World::new();
        let loading = world.runtime.load_version("app", text.to_owned());
        let module = wait("compilation", loading).unwrap();
        App { world, module }
    }

    fn reload(&self, text: &str, others: Others) -> Report {
        let how = Reloading {
            options: ReloadOptions {
                timeout: Duration::from_millis(300),
                ..ReloadOptions::default()
            },
            others,
            ..Reloading::default()
        };
        let reload = self.world.runtime.reload("app", text.into(), how);
        wait("the reload", reload).unwrap()
    }

    /// The process whose id a guest reports.
    fn reported(&self) -> Process {
        let id = Pid::from_bits(self.world.report() as u64);
        self.world.runtime.environment().process(id).unwrap()
    }

    /// How many processes run the old version.
    fn on_old(&self) -> usize {
        let versions = self.world.runtime.versions();
        let Some(old) = versions[0].old.first() else {
            return 0;
        };
        let hash = lunatic_engine::ModuleHash::from_bytes(old.hash).to_string();
        let processes = self.world.runtime.environment().processes();
        let runs_it = |process: &Process| {
            let described = wait("a description", process.describe());
            described.is_some_and(|described| described.module_hash == hash)
        };
        processes.iter().filter(|process| runs_it(process)).count()
    }
}

/// A guest that adds a child with a record for module -2 and supervises it. The child
/// reports the version of its code and its own id, and traps at the first message.
fn supervising(version: u32) -> String {
    module(&format!(
        r#"(data (i32.const 0x40) "worker")
        (func (export "main")
            (local $spec i64)
            (local.set $spec (call $supervisor_create_spec
                (i32.const 0x40) (i32.const 6) (i32.const 0) (i32.const 9) (i64.const 5000)
                (i32.const 0)))
            (i32.store (i32.const 0x100) (i32.const 0x40))
            (i32.store (i32.const 0x104) (i32.const 6))
            (i64.store (i32.const 0x108) (i64.const -2))
            (i64.store (i32.const 0x110) (i64.const -1))
            (i32.store (i32.const 0x118) (i32.const 0x40))
            (i32.store (i32.const 0x11c) (i32.const 6))
            (i64.store (i32.const 0x128) (i64.const -2))
            (call $ok (call $supervisor_add_child
                (local.get $spec) (i32.const 0x100) (i32.const 0x90)))
            (call $ok (call $supervisor_start
                (local.get $spec) (i64.const 7) (i32.const 0x90)))
            (call $sleep_ms (i64.const -1)))
        (func (export "worker")
            (call $report (i64.const {version}))
            (call $report (call $process_id))
            (drop (call $next))
            unreachable)"#
    ))
}

#[test]
fn a_child_whose_record_names_the_current_version_is_restarted_as_that() {
    let app = App::new(&supervising(1));
    app.world.spawn(&app.module, "main");
    assert_eq!(app.world.report(), 1);
    let first = app.reported();
    let report = app.reload(&supervising(2), Others::Keep);
    assert_eq!(report.result, ReloadResult::Moved);
    // Its code is the old one until it ends.
    assert!(first.is_alive());
    send(&first, 1, b"");
    assert_eq!(app.world.report(), 2);
    let second = app.reported();
    assert_ne!(first.id(), second.id());
    app.reload(&supervising(1), Others::Keep);
    send(&second, 1, b"");
    assert_eq!(app.world.report(), 1);
    app.reported();
}

/// A guest with one process that moves, and others that offer nothing.
fn mixed(version: u32) -> String {
    module(&format!(
        r#"(data (i32.const 0) "mover")
        (func (export "idle")
            (call $report (i64.const {version}))
            (call $sleep_ms (i64.const -1)))
        ;; Has used up its CPU time after its first millisecond.
        (func (export "spins")
            (call $report (call $process_id))
            (loop $again (br $again)))
        (func (export "spins_and_offers")
            (call $offer (i32.const 0) (i32.const 5) (i64.const 1))
            (call $report (call $process_id))
            (loop $again (br $again)))
        (data (i32.const 0x40) "spins_and_offers")
        ;; Spawns one of both with hardly any CPU time.
        (func (export "misers")
            (drop (call $create_config))
            (call $config_set_can_spawn_processes (i64.const 0) (i32.const 1))
            (call $config_set_limit (i64.const 0) (i32.const 5) (i64.const 1))
            (call $ok (call $spawn (i64.const 0) (i64.const 0) (i64.const -1)
                (i32.const 0x40) (i32.const 5) (i32.const 0) (i32.const 0) (i32.const 0x90)))
            (call $ok (call $spawn (i64.const 0) (i64.const 0) (i64.const -1)
                (i32.const 0x40) (i32.const 16) (i32.const 0) (i32.const 0) (i32.const 0x90)))
            (call $sleep_ms (i64.const -1)))
        (func (export "main") (call $serve))
        ;; Offers itself a while after its start.
        (func (export "slow")
            (call $report (i64.const {version}))
            (call $sleep_ms (i64.const 50))
            (call $serve))
        ;; Does not end when it is asked to.
        (func (export "stubborn")
            (call $die_when_link_dies (i32.const 0))
            (call $report (i64.const {version}))
            (loop $again
                (drop (call $receive (i32.const 0) (i32.const 0) (i64.const -1)))
                (br $again)))
        (func (export "_lunatic_reload_1_mover") (call $accept) (call $serve))
        (func $serve (local $state i64)
            (call $offer (i32.const 0) (i32.const 5) (i64.const 1))
            (loop $again
                (local.set $state (call $arm))
                (if (i64.ge_s (local.get $state) (i64.const 0)) (then
                    (call $create_data (i64.const 0) (i64.const 0))
                    (drop (call $hand_over (local.get $state) (i32.const 0x90)))
                    (br $again)))
                (if (i32.eqz (call $receive (i32.const 0) (i32.const 0) (i64.const -1)))
                    (then (call $report (i64.const {version}))))
                (br $again)))"#
    ))
}

fn is_moved(report: &Report, process: &Process) -> bool {
    let mut reported = report.processes.iter();
    let reported = reported.find(|reported| reported.pid == process.id());
    reported.is_some_and(|reported| matches!(reported.outcome, Outcome::Moved { .. }))
}

#[test]
fn processes_that_offer_nothing_are_killed_on_request_and_those_that_move_are_not() {
    let app = App::new(&mixed(1));
    let mover = app.world.spawn(&app.module, "main");
    let idle = app.world.spawn(&app.module, "idle");
    assert_eq!(app.world.report(), 1);
    send(&mover, 1, b"");
    assert_eq!(app.world.report(), 1);
    // By default they are kept.
    let report = app.reload(&mixed(2), Others::Keep);
    assert!(is_moved(&report, &mover), "{report:?}");
    assert!(idle.is_alive());
    assert_eq!(app.on_old(), 1);
    app.reload(&mixed(1), Others::Keep);
    let report = app.reload(&mixed(2), Others::Kill);
    assert!(is_moved(&report, &mover), "{report:?}");
    assert_killed(&idle);
    send(&mover, 1, b"");
    assert_eq!(app.world.report(), 2);
    wait_until("nobody runs the old version", || app.on_old() == 0);
}

#[test]
fn a_process_that_is_paused_for_its_share_of_cpu_time_is_found_and_holds_up_no_reload() {
    let app = App::new(&mixed(1));
    let mover = app.world.spawn(&app.module, "main");
    app.world.spawn(&app.module, "misers");
    let misers = [app.reported(), app.reported()];
    wait_until("they have used up their time", || {
        misers.iter().all(|miser| !miser.info().cpu_time.is_zero())
    });
    let report = app.reload(&mixed(2), Others::Kill);
    assert!(is_moved(&report, &mover), "{report:?}");
    let late = |process: &Process| {
        let mut reported = report.processes.iter();
        let reported = reported.find(|reported| reported.pid == process.id());
        reported.map(|reported| reported.outcome.clone())
    };
    // One of them has offered itself and reaches no safe point.
    let outcomes = misers.each_ref().map(late);
    assert!(outcomes.contains(&Some(Outcome::Late)), "{outcomes:?}");
    // The other one was found by what it runs.
    assert!(outcomes.contains(&Some(Outcome::Killed)), "{outcomes:?}");
    for (miser, outcome) in misers.iter().zip(&outcomes) {
        match outcome {
            Some(Outcome::Killed) => assert_killed(miser),
            _ => assert!(miser.is_alive()),
        }
    }
    assert_eq!(report.result, ReloadResult::Partly);
    send(&mover, 1, b"");
    assert_eq!(app.world.report(), 2);
}

/// Starts a supervisor of one child.
fn supervised(
    app: &App,
    export: &str,
    describe: impl FnOnce(ChildSpec<ChildStart>) -> ChildSpec<ChildStart>,
) -> (Supervisor, Process) {
    let runtime = &app.world.runtime;
    let names = NameScope::new(runtime.environment());
    let root = Root::new(export).config(Config::default());
    let start = wait("the child", runtime.child(&app.module, root, &names)).unwrap();
    let tree = Spec::new("root").child(describe(ChildSpec::new("child", start)));
    let environment = runtime.environment().clone();
    let supervisor = wait("the start", tree.start(&environment, None)).unwrap();
    let children = wait("the children", supervisor.which_children()).unwrap();
    let child = children[0].process.clone().unwrap();
    (supervisor, child)
}

#[track_caller]
fn kept_because(report: &Report, process: &Process) -> String {
    let mut told = report.processes.iter();
    let told = told.find(|told| told.pid == process.id()).unwrap();
    match &told.outcome {
        Outcome::Kept { why } => why.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_child_that_does_not_end_holds_up_no_reload_for_ever() {
    let app = App::new(&mixed(1));
    let (supervisor, child) = supervised(&app, "stubborn", |child| {
        child.shutdown(ShutdownPolicy::Infinity)
    });
    assert_eq!(app.world.report(), 1);
    let report = app.reload(&mixed(2), Others::Restart);
    let why = kept_because(&report, &child);
    assert!(why.contains("in time"), "{why}");
    assert_eq!(report.result, ReloadResult::Partly);
    // Another one can begin.
    let report = app.reload(&mixed(1), Others::Keep);
    assert_eq!(report.result, ReloadResult::Moved);
    // When the child has ended, it is started again.
    child.kill();
    assert_eq!(app.world.report(), 1);
    let others = wait("the children", supervisor.which_children()).unwrap();
    others[0].process.clone().unwrap().kill();
    assert_eq!(app.world.report(), 1);
    drop(supervisor);
}

#[test]
fn a_temporary_child_is_not_stopped_as_nobody_would_start_it_again() {
    let app = App::new(&mixed(1));
    let (supervisor, child) = supervised(&app, "idle", |child| child.restart(Restart::Temporary));
    assert_eq!(app.world.report(), 1);
    let report = app.reload(&mixed(2), Others::Restart);
    let why = kept_because(&report, &child);
    assert!(why.contains("temporary"), "{why}");
    assert!(child.is_alive());
    wait("the end", supervisor.shut_down());
}

#[test]
fn a_process_that_has_just_begun_is_given_the_time_to_offer_itself() {
    let app = App::new(&mixed(1));
    let slow = app.world.spawn(&app.module, "slow");
    assert_eq!(app.world.report(), 1);
    app.reload(&mixed(2), Others::Kill);
    send(&slow, 1, b"");
    assert_eq!(app.world.report(), 2);
}

#[test]
fn processes_that_are_kept_are_told_of() {
    let app = App::new(&mixed(1));
    let mover = app.world.spawn(&app.module, "main");
    send(&mover, 1, b"");
    assert_eq!(app.world.report(), 1);
    let idle = app.world.spawn(&app.module, "idle");
    assert_eq!(app.world.report(), 1);
    let report = app.reload(&mixed(2), Others::Keep);
    assert!(is_moved(&report, &mover));
    assert_eq!(kept_because(&report, &idle), "it offers nothing");
    assert_eq!(report.result, ReloadResult::Moved);
}
