//! What can go wrong when the code of processes is exchanged (ABI §27): the old version
//! goes on, and nothing is left behind.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::num::{NonZeroU64, NonZeroUsize};
use std::thread;
use std::time::Duration;

use async_io::Timer;
use futures_lite::future::{block_on, or};
use harness::{World, assert_failed, module, send};
use lunatic_account::{AccountLimits, Kind};
use lunatic_cli::{Config, NameScope, ReloadFailure, Reloading, Root, State};
use lunatic_engine::Module;
use lunatic_mailbox::Pid;
use lunatic_process::{Process, ProcessConfig};
use lunatic_reload::{Outcome, ReloadError, ReloadOptions, ReloadResult, Report};
use lunatic_supervisor::{ChildSpec, Spec};
use lunatic_testkit::{end_of, wait, wait_until};

/// A guest that counts messages and reports `10 * count + version` for each.
struct Counter {
    /// A digit that tells the versions of the code apart.
    version: u32,
    kind: String,
    /// The version in which it offers its state, and that of its entry.
    offers: i64,
    takes: i64,
    /// Pages of memory.
    pages: u32,
    /// What `main` does first.
    main: &'static str,
    /// What the entry does before and after it accepts.
    entry: &'static str,
    after: &'static str,
    /// What it does at each message, before it reports.
    message: &'static str,
    /// What it writes to scratch beside the count.
    more_state: &'static str,
    /// More functions.
    rest: &'static str,
}

impl Counter {
    fn new(version: u32) -> Counter {
        Counter {
            version,
            kind: "counter".to_owned(),
            offers: 1,
            takes: 1,
            pages: 1,
            main: "",
            entry: "",
            after: "",
            message: "",
            more_state: "",
            rest: "",
        }
    }

    /// One whose entry does something before it accepts.
    fn entry(version: u32, entry: &'static str) -> Counter {
        Counter {
            entry,
            ..Counter::new(version)
        }
    }

    fn text(&self) -> String {
        let Counter {
            version,
            kind,
            offers,
            takes,
            pages,
            main,
            entry,
            after,
            message,
            more_state,
            rest,
        } = self;
        let length = kind.len();
        module(&format!(
            r#"(memory (export "memory") {pages})
            (global $count (mut i64) (i64.const 0))
            (data (i32.const 0) "{kind}")
            (func (export "main") {main} (call $serve))
            (func (export "_lunatic_reload_{takes}_{kind}")
                (global.set $count (call $value))
                {entry}
                (call $accept)
                {after}
                (call $serve))
            (func $serve (local $kind i32)
                (call $offer (i32.const 0) (i32.const {length}) (i64.const {offers}))
                (loop $again
                    (call $move)
                    (local.set $kind (call $receive (i32.const 0) (i32.const 0) (i64.const -1)))
                    (if (i32.eqz (local.get $kind)) (then
                        (global.set $count (i64.add (global.get $count) (i64.const 1)))
                        {message}
                        (call $report (i64.add (i64.const {version})
                            (i64.mul (i64.const 10) (global.get $count))))))
                    (br $again)))
            (func $move (local $version i64)
                (loop $until_armed
                (local.set $version (call $arm))
                (if (i64.ge_s (local.get $version) (i64.const 0)) (then
                    (call $write (i64.const 5) (global.get $count))
                    {more_state}
                    (if (i32.eq (i32.const 1)
                            (call $hand_over (local.get $version) (i32.const 0xff00)))
                        (then (call $error_drop (i64.load (i32.const 0xff00)))))
                    (br $until_armed)))))
            {rest}"#
        ))
    }
}

struct App {
    world: World,
    module: Module<State>,
}

impl App {
    fn new(counter: &Counter) -> App {
        App::of(&counter.text())
    }

    fn of(text: &str) -> App {
        App::in_world(World::new(), text)
    }

    fn in_world(world: World, text: &str) -> App {
        let loading = world.runtime.load_version("app", text.to_owned());
        let module = wait("compilation", loading).unwrap();
        App { world, module }
    }

    fn spawn(&self) -> Process {
        self.spawn_with(ProcessConfig::trusted())
    }

    fn spawn_with(&self, process: ProcessConfig) -> Process {
        self.world.spawn_with(&self.module, "main", process)
    }

    fn spawn_and_count(&self) -> Process {
        let process = self.spawn();
        assert_eq!(self.count(&process), 11);
        process
    }

    fn try_reload(
        &self,
        text: &str,
        options: ReloadOptions,
        purge: bool,
    ) -> Result<Report, ReloadFailure> {
        let bytes = text.into();
        let runtime = &self.world.runtime;
        let reload = runtime.reload(
            "app",
            bytes,
            Reloading {
                options,
                purge,
                ..Reloading::default()
            },
        );
        wait("the reload", reload)
    }

    fn reload(&self, counter: &Counter) -> Report {
        let reload = self.try_reload(&counter.text(), ReloadOptions::default(), false);
        reload.unwrap()
    }

    fn moves(&self, counter: &Counter) {
        let report = self.reload(counter);
        assert_eq!(report.result, ReloadResult::Moved, "{report:?}");
    }

    /// The attempt of its only process fails for this reason.
    fn fails(&self, counter: &Counter, why: &str) {
        let report = self.reload(counter);
        assert_eq!(report.result, ReloadResult::Unchanged);
        match &report.processes[0].outcome {
            Outcome::Failed { why: told } => assert!(told.contains(why), "{told}"),
            other => panic!("{other:?}"),
        }
        // The version that was given up is not kept.
        assert!(self.world.runtime.versions()[0].old.is_none());
    }

    fn count(&self, process: &Process) -> i64 {
        send(process, 1, b"");
        self.world.report()
    }

    /// A first attempt fails, after which the process has a table of errors.
    fn fails_once(&self) {
        self.fails(&Counter::entry(8, "unreachable"), "unreachable");
    }

    /// What all processes have.
    fn used(&self) -> [u64; 7] {
        let account = self.world.runtime.environment().account();
        Kind::ALL.map(|kind| account.used(kind))
    }

    fn is_used_again(&self, before: [u64; 7]) {
        let same = async {
            while self.used() != before {
                Timer::after(Duration::from_millis(1)).await;
            }
        };
        let late = Timer::after(Duration::from_secs(10));
        block_on(or(same, async {
            late.await;
        }));
        assert_eq!(self.used(), before);
    }
}

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
        entry: "(call $ok (i32.ne (i32.const 1) (call $tcp_bind (i32.const 4) (i32.const 0x700) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0x800))))
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
        app.world
            .run_main(r#"(func (export "main") (call $set (i64.const 1)))"#);
        assert_eq!(first.join().unwrap().result, ReloadResult::Moved);
    });
    assert_eq!(app.world.report(), 21);
    assert_eq!(app.count(&process), 32);
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
    app.world
        .run_main(r#"(func (export "main") (call $set (i64.const 1)))"#);
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
