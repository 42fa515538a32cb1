//! Processes that end at each step of a reload (ABI §27): whoever is to be told is told once, what
//! they had is given back, and the reload ends with a report.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::thread;
use std::time::Duration;

use futures_lite::future::{block_on, poll_once};
use harness::reloaded::{App, Counter};
use harness::{Observer, Told, send};
use lunatic_cli::Reloading;
use lunatic_engine::{Engine, EngineConfig, SlotUse};
use lunatic_process::Process;
use lunatic_reload::{Outcome, ReloadOptions, ReloadResult, Report};
use lunatic_testkit::{end_of, wait, wait_until};

/// The process that was chosen says that it has come here, and stays here while it is chosen.
const STAYS: &str = "(if (i64.eq (call $setting) (call $process_id)) (then
    (call $report (i64.const -1))
    (loop $still (br_if $still (i64.eq (call $setting) (call $process_id))))))";

/// The same in a start function.
const STAYS_AT_ITS_START: &str = "(start $begin)
    (func $begin (if (i64.eq (call $setting) (call $process_id)) (then
        (call $report (i64.const -1)) (call $spin))))";

/// Fails at a message with the tag 66, and stays at one with the tag 67.
const FAILS_OR_STAYS: &str = "(if (i64.eq (call $get_tag) (i64.const 66)) (then unreachable))
    (if (i64.eq (call $get_tag) (i64.const 67)) (then
        (call $report (i64.const -1)) (call $spin)))";

/// How a process ends.
#[derive(Debug, Clone, Copy)]
enum End {
    /// It is killed.
    Kill,
    /// A process ends that it is linked to.
    Link,
}

/// The victim has a name, and is in a group.
fn counter(version: u32) -> Counter {
    Counter {
        main: r#"(if (i64.eq (call $setting) (i64.const 1)) (then
            (call $registry_put @me (call $distributed_node_id) (call $process_id))
            (call $ok (i32.ne (i32.const 0) (call $group_join (i32.const 0) (i32.const 0) @us
                (call $process_id) (i32.const 0x800))))))"#,
        ..Counter::new(version)
    }
}

/// Slots of the arena that are in use; all runtimes of the program share them.
fn used_slots() -> usize {
    let engine = Engine::new(&EngineConfig::default()).unwrap();
    let Some(arena) = engine.stats().arena else {
        return 0;
    };
    let memories = arena.memories.into_iter().chain(arena.guarded);
    let slots = memories.chain([arena.stacks]);
    slots.map(|slots: SlotUse| slots.used).sum()
}

/// An application of some processes, one of which will end.
struct Stage {
    app: App,
    victim: Process,
    others: [Process; 2],
    /// Is linked to the victim and monitors it.
    observer: Observer,
    /// Is linked to the victim.
    partner: Process,
    /// What all had before the others were there.
    used: [u64; 7],
    slots: usize,
}

impl Stage {
    fn new(first: &Counter) -> Stage {
        let app = App::new(first);
        let observer = app.world.observer();
        let (used, slots) = (app.used(), used_slots());
        let others = [app.spawn_and_count(), app.spawn_and_count()];
        let partner = app.world.observer();
        app.set(1);
        let victim = app.spawn_and_count();
        app.set(0);
        observer.watch(&victim, 3);
        partner.link(&victim, 4);
        Stage {
            partner: partner.process,
            app,
            victim,
            others,
            observer,
            used,
            slots,
        }
    }

    /// The victim is to stay where it says that it has come to.
    fn choose(&self) {
        self.app.set(self.victim.id().to_bits() as i64);
    }

    /// It has come there.
    fn has_come(&self) {
        assert_eq!(self.app.world.report(), -1);
    }

    fn end(&self, how: End) {
        match how {
            End::Kill => self.victim.kill(),
            End::Link => self.partner.kill(),
        }
        end_of(&self.victim);
    }

    fn reload(&self, counter: &Counter, options: ReloadOptions) -> Report {
        let reload = self.app.try_reload(&counter.text(), options, false);
        reload.unwrap()
    }

    fn outcome<'a>(report: &'a Report, process: &Process) -> &'a Outcome {
        let mut told = report.processes.iter();
        let told = told.find(|told| told.pid == process.id());
        &told.unwrap().outcome
    }

    /// Nothing is left of the victim, and the others count on.
    fn leaves_nothing(self, others: &[Process], version: i64) {
        self.partner.kill();
        end_of(&self.partner);
        assert_eq!(self.observer.told(), Told::LinkDied(3));
        let id = self.victim.id().to_bits();
        assert_eq!(self.observer.told(), Told::ProcessDied(id));
        self.observer.is_told_nothing_more();
        for process in others {
            let before = self.app.count(process);
            assert_eq!(before % 10, version);
            assert_eq!(self.app.count(process), before + 10);
        }
        wait_until("the offers of the others", || {
            self.app.world.runtime.versions()[0].offering == others.len()
        });
        for process in self.others {
            process.kill();
        }
        // The observer is left.
        self.app.world.wait_for_count(1);
        self.app.is_used_again(self.used);
        wait_until("all slots are free", || used_slots() == self.slots);
    }
}

#[test]
fn a_process_that_ends_while_the_new_code_begins_or_has_just_accepted() {
    let new = |rest, entry, after| Counter {
        entry,
        after,
        rest,
        ..counter(2)
    };
    for end in [End::Kill, End::Link] {
        for (step, new, has_accepted) in [
            (
                "while the new instance is made",
                new(STAYS_AT_ITS_START, "", ""),
                false,
            ),
            ("before it accepts", new("", STAYS, ""), false),
            ("before it receives", new("", "", STAYS), true),
        ] {
            let stage = Stage::new(&counter(1));
            stage.choose();
            let report = thread::scope(|scope| {
                let reload = scope.spawn(|| stage.reload(&{ new }, ReloadOptions::default()));
                stage.has_come();
                stage.end(end);
                reload.join().unwrap()
            });
            assert_eq!(report.result, ReloadResult::Moved, "{step}: {report:?}");
            match Stage::outcome(&report, &stage.victim) {
                Outcome::Ended => {}
                // A reload is over when all have accepted.
                Outcome::Moved { .. } if has_accepted => {}
                other => panic!("{step}: {other:?}"),
            }
            for process in &stage.others {
                let outcome = Stage::outcome(&report, process);
                assert!(matches!(outcome, Outcome::Moved { .. }), "{outcome:?}");
            }
            let others = stage.others.clone();
            stage.leaves_nothing(&others, 2);
        }
    }
}

#[test]
fn a_process_that_ends_while_all_go_back() {
    let old = |entry, after| Counter {
        entry,
        after,
        ..counter(1)
    };
    let trial = ReloadOptions {
        trial: Duration::from_secs(600),
        ..ReloadOptions::default()
    };
    for end in [End::Kill, End::Link] {
        for (step, old) in [
            ("on the way to a safe point", old("", "")),
            ("before the old code accepts again", old(STAYS, "")),
            ("before the old code receives again", old("", STAYS)),
        ] {
            let new = Counter {
                message: FAILS_OR_STAYS,
                ..counter(2)
            };
            let is_late = old.entry.is_empty() && old.after.is_empty();
            let stage = Stage::new(&old);
            let [fails, goes_back] = stage.others.clone();
            let report = thread::scope(|scope| {
                let reload = scope.spawn(|| stage.reload(&new, trial));
                for process in stage.others.iter().chain([&stage.victim]) {
                    stage.app.wait_for_version(process, 2);
                }
                match is_late {
                    true => {
                        send(&stage.victim, 67, b"");
                        stage.has_come();
                        send(&fails, 66, b"");
                        wait_until("the way back", || {
                            let progress = stage.app.world.runtime.versions()[0].progress;
                            progress.is_some_and(|progress| progress.goes_back)
                        });
                    }
                    false => {
                        stage.choose();
                        send(&fails, 66, b"");
                        stage.has_come();
                    }
                }
                stage.end(end);
                reload.join().unwrap()
            });
            assert_eq!(report.result, ReloadResult::Unchanged, "{step}: {report:?}");
            assert_eq!(*Stage::outcome(&report, &fails), Outcome::Ended);
            assert_eq!(*Stage::outcome(&report, &goes_back), Outcome::WentBack);
            match Stage::outcome(&report, &stage.victim) {
                Outcome::Ended => {}
                // The reload is over when all have accepted.
                Outcome::WentBack if !is_late => {}
                other => panic!("{step}: {other:?}"),
            }
            stage.leaves_nothing(&[goes_back], 1);
        }
    }
}

#[test]
fn a_process_that_is_ended_by_others_within_the_trial_has_not_failed() {
    let trial = ReloadOptions {
        trial: Duration::from_secs(3),
        ..ReloadOptions::default()
    };
    for end in [End::Kill, End::Link] {
        let stage = Stage::new(&counter(1));
        let report = thread::scope(|scope| {
            let reload = scope.spawn(|| stage.reload(&counter(2), trial));
            stage.app.wait_for_version(&stage.victim, 2);
            stage.end(end);
            reload.join().unwrap()
        });
        assert_eq!(report.result, ReloadResult::Moved, "{report:?}");
        assert_eq!(
            *Stage::outcome(&report, &stage.victim),
            Outcome::Ended,
            "{report:?}"
        );
        let others = stage.others.clone();
        stage.leaves_nothing(&others, 2);
    }
}

#[test]
fn a_reload_that_nobody_waits_for_any_more_goes_on() {
    let stage = Stage::new(&counter(1));
    stage.choose();
    let new = Counter {
        entry: STAYS,
        ..counter(2)
    };
    let runtime = stage.app.world.runtime.clone();
    let reload = runtime.reload("app", new.text().into(), Reloading::default());
    let mut reload = Box::pin(reload);
    assert!(block_on(poll_once(&mut reload)).is_none());
    stage.has_come();
    // Whoever has asked for it is gone in the middle of an attempt.
    drop(reload);
    stage.app.set(0);
    for process in stage.others.iter().chain([&stage.victim]) {
        stage.app.wait_for_version(process, 2);
    }
    wait_until("the end of the reload", || {
        !runtime.versions()[0].is_reloading
    });
    let back = || {
        let back = stage
            .app
            .try_reload(&counter(1).text(), ReloadOptions::default(), false);
        back.is_ok_and(|report| report.moved() == 3)
    };
    wait_until("the next one", back);
    stage.end(End::Kill);
    let others = stage.others.clone();
    stage.leaves_nothing(&others, 1);
}

#[test]
fn a_runtime_that_ends_while_new_code_begins_ends_the_reload() {
    let stage = Stage::new(&counter(1));
    stage.choose();
    let new = Counter {
        entry: STAYS,
        ..counter(2)
    };
    let runtime = stage.app.world.runtime.clone();
    thread::scope(|scope| {
        let reload = scope.spawn(|| {
            stage
                .app
                .try_reload(&new.text(), ReloadOptions::default(), false)
        });
        stage.has_come();
        wait("the end of all processes", runtime.shut_down());
        // With a report of those that have ended, or the word that the runtime has.
        if let Ok(report) = reload.join().unwrap() {
            let outcome = Stage::outcome(&report, &stage.victim);
            assert_eq!(*outcome, Outcome::Ended);
        }
    });
    end_of(&stage.victim);
    wait_until("all slots are free", || used_slots() == stage.slots);
}
