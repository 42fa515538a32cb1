//! Processes whose code is exchanged (ABI §27).
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::time::Duration;

use harness::{World, assert_failed, module, send};
use lunatic_cli::{ReloadFailure, Reloading, Root, State};
use lunatic_engine::Module;
use lunatic_process::{Process, SpawnOptions};
use lunatic_reload::{Outcome, ProcessReport, ReloadOptions, ReloadResult, Report};
use lunatic_testkit::{end_of, wait, wait_until};

/// A process that counts messages and reports `10 * count + version` for each. It moves
/// at its safe point, before it waits.
///
/// - `version`: a digit that tells the versions of the code apart.
/// - `entry`: what the entry does before it accepts, with the count in a global.
fn counter(version: u32, entry: &str) -> String {
    module(&counter_body(version, entry))
}

fn counter_body(version: u32, entry: &str) -> String {
    format!(
        r#"(memory (export "memory") 1)
        (global $count (mut i64) (i64.const 0))
        (data (i32.const 0) "counter")
        (func (export "main") (call $serve))
        (func (export "_lunatic_reload_1_counter")
            (global.set $count (call $value))
            {entry}
            (call $accept)
            (call $serve))
        (func $serve (local $kind i32)
            (call $offer (i32.const 0) (i32.const 7) (i64.const 1))
            (loop $again
                (call $move)
                (local.set $kind (call $receive (i32.const 0) (i32.const 0) (i64.const -1)))
                (if (i32.eqz (local.get $kind)) (then
                    (global.set $count (i64.add (global.get $count) (i64.const 1)))
                    (call $report (i64.add (i64.const {version})
                        (i64.mul (i64.const 10) (global.get $count))))))
                (br $again)))
        (func $move (local $version i64)
            (loop $until_armed
            (local.set $version (call $arm))
            (if (i64.ge_s (local.get $version) (i64.const 0)) (then
                (call $write (i64.const 5) (global.get $count))
                (if (i32.eq (i32.const 1)
                        (call $hand_over (local.get $version) (i32.const 0xff00)))
                    (then (call $say_error (i64.load (i32.const 0xff00)))))
                (br $until_armed)))))"#
    )
}

/// An application of one module, and its processes.
struct App {
    world: World,
    module: Module<State>,
}

fn how(options: ReloadOptions) -> Reloading {
    Reloading {
        options,
        ..Reloading::default()
    }
}

impl App {
    fn new(text: &str) -> App {
        let world = World::new();
        let loading = world.runtime.load_version("app", text.to_owned());
        let module = wait("compilation", loading).unwrap();
        App { world, module }
    }

    fn spawn(&self) -> Process {
        self.world.root(&self.module, Root::new("main")).unwrap()
    }

    fn reload_with(&self, text: &str, options: ReloadOptions) -> Result<Report, ReloadFailure> {
        let bytes = text.into();
        let reload = self.world.runtime.reload("app", bytes, how(options));
        wait("the reload", reload)
    }

    fn reload(&self, text: &str) -> Report {
        self.reload_with(text, ReloadOptions::default()).unwrap()
    }

    fn refuses(&self, text: &str, why: &str) {
        let error = self
            .reload_with(text, ReloadOptions::default())
            .unwrap_err();
        let error = lunatic_error::with_causes(&error).to_string();
        assert!(error.contains(why), "{error}");
    }

    /// The attempt of its only process fails for this reason.
    fn fails(&self, text: &str, why: &str) {
        let report = self.reload(text);
        assert_eq!(report.result, ReloadResult::Unchanged);
        match &report.processes[0].outcome {
            Outcome::Failed { why: told } => assert!(told.contains(why), "{told}"),
            other => panic!("{other:?}"),
        }
        assert!(self.world.text().contains(why));
    }

    fn count(&self, process: &Process) -> i64 {
        send(process, 1, b"");
        self.world.report()
    }
}

#[test]
fn a_waiting_process_moves_to_the_new_version_and_back_with_its_state() {
    let app = App::new(&counter(1, ""));
    let process = app.spawn();
    assert_eq!(app.count(&process), 11);
    let report = app.reload(&counter(2, ""));
    assert_eq!(report.result, ReloadResult::Moved);
    assert!(matches!(report.processes[0].outcome, Outcome::Moved { .. }));
    assert_eq!(app.count(&process), 22);
    assert_eq!(app.reload(&counter(1, "")).result, ReloadResult::Moved);
    assert_eq!(app.count(&process), 31);
}

#[test]
fn a_reload_to_what_runs_already_changes_nothing() {
    let app = App::new(&counter(1, ""));
    let process = app.spawn();
    assert_eq!(app.count(&process), 11);
    assert_eq!(app.reload(&counter(1, "")).result, ReloadResult::Unchanged);
    assert_eq!(app.count(&process), 21);
}

#[test]
fn a_process_that_is_spawned_later_as_the_old_version_moves_when_it_offers_itself() {
    let app = App::new(&counter(1, ""));
    let first = app.spawn();
    assert_eq!(app.count(&first), 11);
    app.reload(&counter(2, ""));
    let second = app.spawn();
    assert_eq!(app.count(&second), 12);
}

#[test]
fn the_old_instance_goes_on_if_the_new_one_does_not_take_over() {
    let app = App::new(&counter(1, ""));
    let process = app.spawn();
    assert_eq!(app.count(&process), 11);
    app.fails(&counter(2, "unreachable"), "unreachable");
    assert_eq!(app.count(&process), 21);
    app.fails(&counter(3, "(return)"), "returned without taking over");
    app.fails(
        &counter(4, "(i32.store (i32.const 0x100) (i32.const 0x21736579)) (call $refuse (i32.const 0x100) (i32.const 4))"),
        "yes!",
    );
    app.fails(&counter(5, "(call $proc_exit (i32.const 0))"), "exit");
    app.fails(
        &counter(6, "(call $die_when_link_dies (i32.const 1))"),
        "cannot call `lunatic::process::die_when_link_dies` before it has accepted",
    );
    app.fails(
        &counter(7, "(drop (call $send (i64.const 1)))"),
        "cannot call `lunatic::message::send` before it has accepted",
    );
    app.fails(
        &counter(8, "(drop (memory.grow (i32.const 1))) unreachable"),
        "unreachable",
    );
    assert_eq!(app.count(&process), 31);
    // The state that the failed ones have read is there for the next one.
    assert_eq!(app.reload(&counter(9, "")).result, ReloadResult::Moved);
    assert_eq!(app.count(&process), 49);
}

#[test]
fn an_entry_that_does_not_accept_in_time_is_ended() {
    let app = App::new(&counter(1, ""));
    let process = app.spawn();
    assert_eq!(app.count(&process), 11);
    app.fails(&counter(2, "(loop $ever (br $ever))"), "within 5s");
    assert_eq!(app.count(&process), 21);
}

#[test]
fn of_many_processes_few_try_an_entry_that_does_not_accept_and_all_answer_when_it_is_over() {
    const PROCESSES: usize = 40;
    let app = App::new(&counter(1, ""));
    let processes: Vec<_> = (0..PROCESSES).map(|_| app.spawn()).collect();
    for process in &processes {
        assert_eq!(app.count(process), 11);
    }
    // It is shorter than an entry may take.
    let options = ReloadOptions {
        timeout: Duration::from_millis(500),
        ..ReloadOptions::default()
    };
    let text = counter(2, "(loop $again (br $again))");
    let report = app.reload_with(&text, options).unwrap();
    assert_eq!(report.result, ReloadResult::Unchanged, "{report:?}");
    let failed = |process: &&ProcessReport| matches!(process.outcome, Outcome::Failed { .. });
    let failed = report.processes.iter().filter(failed).count();
    // The second one is asked if the first one does not come at once.
    assert!((1..PROCESSES / 4).contains(&failed), "{report:?}");
    let versions = app.world.runtime.versions();
    assert!(versions[0].old.is_empty(), "no instance is left");
    for process in &processes {
        assert_eq!(app.count(process), 21);
    }
}

#[test]
fn a_process_that_hands_over_in_its_start_function_goes_on() {
    let main = r#"(func (export "main") (call $serve))"#;
    let starts = r#"(start $begin) (func $begin (call $serve)) (func (export "main"))"#;
    let app = App::new(&counter(1, "").replace(main, starts));
    let runtime = app.world.runtime.clone();
    let module = app.module.clone();
    // The parent waits for the start function.
    let started = std::thread::spawn(move || {
        let root = runtime.spawn(&module, Root::new("main"));
        futures_lite::future::block_on(root).is_ok()
    });
    let is_offered = || app.world.runtime.versions()[0].offering == 1;
    wait_until("the offer", is_offered);
    let environment = app.world.runtime.environment();
    let is_it = |process: &Process| process.answers_requests();
    let process = environment.processes().into_iter().find(is_it).unwrap();
    assert_eq!(app.count(&process), 11);
    app.fails(&counter(2, ""), "in its start function");
    assert_eq!(app.count(&process), 21);
    process.kill();
    assert!(!started.join().unwrap());
}

#[test]
fn a_purge_ends_nobody_if_all_go_back() {
    let quiet = |version| {
        counter(version, "").replace(
            r#"(func (export "main")"#,
            r#"(func (export "quiet") (call $report (i64.const 7))
                (drop (call $receive (i32.const 0) (i32.const 0) (i64.const -1))))
            (func (export "main")"#,
        )
    };
    let app = App::new(&quiet(1));
    let process = app.spawn();
    assert_eq!(app.count(&process), 11);
    let first = app.world.root(&app.module, Root::new("quiet")).unwrap();
    assert_eq!(app.world.report(), 7);
    assert_eq!(app.reload(&quiet(2)).result, ReloadResult::Moved);
    let purge = |text: &str| {
        let how = Reloading {
            purge: true,
            ..Reloading::default()
        };
        let reload = app.world.runtime.reload("app", text.into(), how);
        wait("the reload", reload).unwrap()
    };
    let first_version = app.world.runtime.versions()[0].old[0].hash;
    let report = purge(&quiet(3).replace("(call $accept)", "unreachable"));
    assert_eq!(report.result, ReloadResult::Unchanged);
    assert!(first.is_alive());
    let old = &app.world.runtime.versions()[0].old;
    assert_eq!(old.len(), 1);
    assert_eq!(old[0].hash, first_version);
    assert_eq!(app.count(&process), 22);
    // If they do not, it is told who was ended.
    let report = purge(&quiet(3));
    assert_eq!(report.result, ReloadResult::Moved);
    let mut ended = report.processes.iter().filter(|it| it.pid == first.id());
    assert_eq!(ended.next().unwrap().outcome, Outcome::Killed);
    assert!(!first.is_alive());
    assert_eq!(app.count(&process), 33);
}

#[test]
fn a_kind_without_an_entry_is_refused_before_anything_is_done() {
    let app = App::new(&counter(1, ""));
    let process = app.spawn();
    assert_eq!(app.count(&process), 11);
    app.refuses(
        r#"(module (func (export "main")))"#,
        "1 of the kind `counter` write their state in version 1, and it exports neither `_lunatic_reload_1_counter`",
    );
    app.refuses("(module", "cannot be loaded");
    app.refuses(
        r#"(module (import "lunatic::nothing" "at_all" (func)))"#,
        "at_all",
    );
    assert_eq!(app.count(&process), 21);
    let unknown = app
        .world
        .runtime
        .reload("ap", counter(2, "").into(), Reloading::default());
    let error = wait("the reload", unknown).unwrap_err().to_string();
    assert_eq!(error, "there is no module `ap`; there are `app`");
}

#[test]
fn a_dry_run_tells_who_would_move_and_moves_nobody() {
    let app = App::new(&counter(1, ""));
    let process = app.spawn();
    assert_eq!(app.count(&process), 11);
    let options = ReloadOptions {
        dry_run: true,
        ..ReloadOptions::default()
    };
    let report = app.reload_with(&counter(2, ""), options).unwrap();
    assert_eq!(report.result, ReloadResult::Unchanged);
    assert_eq!(report.processes[0].pid, process.id());
    assert_eq!(app.count(&process), 21);
}

#[test]
fn all_go_back_if_one_attempt_fails() {
    const PROCESSES: usize = 20;
    let app = App::new(&counter(1, ""));
    let processes: Vec<_> = (0..PROCESSES).map(|_| app.spawn()).collect();
    let processes: Vec<_> = processes.into_iter().collect();
    for process in &processes {
        app.count(process);
    }
    // The last one has counted further, and the new version does not like that.
    let last = &processes[PROCESSES - 1];
    assert_eq!(app.count(last), 21);
    let picky = "(if (i64.gt_s (global.get $count) (i64.const 1)) (then unreachable))";
    let report = app.reload(&counter(2, picky));
    assert_eq!(report.result, ReloadResult::Unchanged);
    let went_back = |report: &Report| {
        let outcomes = report.processes.iter().map(|process| &process.outcome);
        outcomes
            .filter(|outcome| **outcome == Outcome::WentBack)
            .count()
    };
    assert!(went_back(&report) > 0);
    for process in &processes[..PROCESSES - 1] {
        assert_eq!(app.count(process), 21);
    }
    assert_eq!(app.count(last), 31);

    let keep_going = ReloadOptions {
        keep_going: true,
        ..ReloadOptions::default()
    };
    let picky = "(if (i64.gt_s (global.get $count) (i64.const 2)) (then unreachable))";
    let report = app.reload_with(&counter(3, picky), keep_going).unwrap();
    assert_eq!(report.result, ReloadResult::Partly);
    assert_eq!(report.moved(), PROCESSES - 1);
    assert_eq!(app.count(&processes[0]), 33);
    assert_eq!(app.count(last), 41);
}

#[test]
fn all_go_back_if_a_process_fails_within_the_trial() {
    let app = App::new(&counter(1, ""));
    let (first, second) = (app.spawn(), app.spawn());
    assert_eq!((app.count(&first), app.count(&second)), (11, 11));
    // It takes over, and traps at its next message.
    let fails = counter(2, "").replace(
        "(call $report",
        "(if (i64.eq (global.get $count) (i64.const 2)) (then unreachable)) (call $report",
    );
    let options = ReloadOptions {
        trial: Duration::from_secs(60),
        ..ReloadOptions::default()
    };
    let (sender, report) = async_channel::bounded(1);
    let runtime = app.world.runtime.clone();
    let waiting = std::thread::spawn(move || {
        let reload = runtime.reload("app", fails.into(), how(options));
        sender.try_send(wait("the reload", reload).unwrap()).ok();
    });
    let moved = || app.world.runtime.versions()[0].is_reloading;
    wait_until("the reload to begin", moved);
    std::thread::sleep(Duration::from_millis(200));
    send(&first, 1, b"");
    assert_failed(&first, "unreachable");
    let report = wait("the report", report.recv()).unwrap();
    waiting.join().unwrap();
    assert_eq!(report.result, ReloadResult::Unchanged);
    assert_eq!(app.count(&second), 21);
}

#[test]
fn a_process_that_reaches_no_safe_point_is_reported_and_moves_later() {
    let waits = counter_body(1, "").replace(
        "(call $move)",
        "(call $sleep_ms (select (i64.const 0) (i64.const 1500) (i64.eqz (global.get $count)))) (call $move)",
    );
    let app = App::new(&module(&waits));
    let process = app.spawn();
    assert_eq!(app.count(&process), 11);
    let options = ReloadOptions {
        timeout: Duration::from_millis(100),
        ..ReloadOptions::default()
    };
    let report = app.reload_with(&counter(2, ""), options).unwrap();
    assert_eq!(report.processes[0].outcome, Outcome::Late);
    assert_eq!(report.result, ReloadResult::Partly);
    assert_eq!(app.count(&process), 22);
}

#[test]
fn an_unarmed_wait_does_not_end_early() {
    let app = App::new(&counter(1, ""));
    // It offers itself and waits once without arming.
    let text = counter(1, "").replace(
        "(loop $again",
        "(drop (call $receive (i32.const 0) (i32.const 0) (i64.const -1))) (call $report (i64.const 7)) (loop $again",
    );
    drop(app);
    let app = App::new(&text);
    let process = app.spawn();
    let options = ReloadOptions {
        timeout: Duration::from_millis(200),
        ..ReloadOptions::default()
    };
    let is_offered = || app.world.runtime.versions()[0].offering == 1;
    wait_until("the offer", is_offered);
    let report = app.reload_with(&counter(2, ""), options).unwrap();
    assert_eq!(report.processes[0].outcome, Outcome::Late);
    send(&process, 1, b"");
    assert_eq!(app.world.report(), 7);
    assert_eq!(app.count(&process), 12);
}

/// A process that sleeps at its safe point, and reports the version that has taken over.
fn sleeper(version: u32, millis: i64) -> String {
    module(&format!(
        r#"(data (i32.const 0) "sleeper")
        (func (export "main") (call $serve))
        (func (export "_lunatic_reload_1_sleeper")
            (call $accept) (call $report (i64.const {version})) (call $serve))
        (func $serve (local $version i64)
            (call $offer (i32.const 0) (i32.const 7) (i64.const 1))
            (loop $again
                (local.set $version (call $arm))
                (if (i64.ge_s (local.get $version) (i64.const 0)) (then
                    (call $write (i64.const 0) (i64.const 0))
                    (drop (call $hand_over (local.get $version) (i32.const 0xff00)))
                    (br $again)))
                (call $sleep_ms (i64.const {millis}))
                (br $again)))"#
    ))
}

#[test]
fn an_armed_sleep_ends_early() {
    const HOUR: i64 = 3_600_000;
    let app = App::new(&sleeper(1, -1));
    let process = app.spawn();
    let is_offered = || app.world.runtime.versions()[0].offering == 1;
    for (version, millis) in [(2, HOUR), (1, -1), (2, HOUR)] {
        wait_until("the offer", is_offered);
        let report = app.reload(&sleeper(version, millis));
        assert_eq!(report.result, ReloadResult::Moved);
        assert_eq!(app.world.report(), i64::from(version));
    }
    assert!(process.is_alive());
}

#[test]
fn links_monitors_and_the_pid_stay() {
    let app = App::new(&counter(1, ""));
    let process = app.spawn();
    let observer = app.world.observer();
    observer.watch(&process, 3);
    assert_eq!(app.count(&process), 11);
    app.reload(&counter(2, ""));
    assert_eq!(app.count(&process), 22);
    observer.is_told_nothing_more();
    process.kill();
    end_of(&process);
    observer.is_told_of_failure(&process, 3);
}

#[test]
fn a_third_version_waits_until_nobody_runs_the_first_one() {
    let app = App::new(&counter(1, ""));
    // This one never offers itself, and so keeps the first version.
    let first = counter(1, "").replace("(call $offer", "(call $offered");
    let first = first.replace(
        "(func $serve",
        "(func $offered (param i32 i32 i64)) (func $serve",
    );
    drop(app);
    let app = App::new(&first);
    let process = app.spawn();
    assert_eq!(app.count(&process), 11);
    assert_eq!(app.reload(&counter(2, "")).result, ReloadResult::Moved);
    app.refuses(&counter(3, ""), "processes still run the version");
    // Back to the first one is no third version.
    assert_eq!(app.reload(&first).result, ReloadResult::Moved);
    assert_eq!(app.reload(&counter(2, "")).result, ReloadResult::Moved);
    let bytes = counter(3, "").into();
    let options = ReloadOptions::default();
    let purge = app.world.runtime.reload(
        "app",
        bytes,
        Reloading {
            purge: true,
            ..how(options)
        },
    );
    assert_eq!(
        wait("the reload", purge).unwrap().result,
        ReloadResult::Moved
    );
    assert!(!process.is_alive());
}

#[test]
fn messages_are_neither_lost_nor_doubled_nor_out_of_order() {
    const MESSAGES: i64 = 3000;
    const RELOADS: u32 = 30;
    let app = App::new(&counter(1, ""));
    let process = app.spawn();
    let receiver = process.clone();
    let sender =
        app.world
            .runtime
            .environment()
            .spawn(SpawnOptions::default(), move |_| async move {
                for _ in 0..MESSAGES {
                    send(&receiver, 1, b"");
                    futures_lite::future::yield_now().await;
                }
                Ok(())
            });
    let sender = sender.unwrap();
    for reload in 0..RELOADS {
        let report = app.reload(&counter(2 - reload % 2, ""));
        assert_eq!(report.result, ReloadResult::Moved);
    }
    end_of(&sender);
    for count in 1..=MESSAGES {
        assert_eq!(app.world.report() / 10, count);
    }
    app.world.no_more_reports();
}
