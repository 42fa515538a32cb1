//! A guest whose code is exchanged while it counts.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::time::Duration;

use async_io::Timer;
use futures_lite::future::{block_on, or};
use lunatic_account::Kind;
use lunatic_cli::{ReloadFailure, Reloading, State};
use lunatic_engine::Module;
use lunatic_process::{Process, ProcessConfig};
use lunatic_reload::{Outcome, ReloadOptions, ReloadResult, Report};
use lunatic_testkit::{wait, wait_until};

use super::{World, module, send};

/// A guest that counts messages and reports `10 * count + version` for each.
pub struct Counter {
    /// A digit that tells the versions of the code apart.
    pub version: u32,
    pub kind: String,
    /// The version in which it offers its state, and that of its entry.
    pub offers: i64,
    pub takes: i64,
    /// Pages of memory.
    pub pages: u32,
    /// What `main` does first.
    pub main: &'static str,
    /// What the entry does before and after it accepts.
    pub entry: &'static str,
    pub after: &'static str,
    /// What it does at each message, before it reports.
    pub message: &'static str,
    /// What it writes to scratch beside the count.
    pub more_state: &'static str,
    /// More functions.
    pub rest: &'static str,
}

impl Counter {
    pub fn new(version: u32) -> Counter {
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
    pub fn entry(version: u32, entry: &'static str) -> Counter {
        Counter {
            entry,
            ..Counter::new(version)
        }
    }

    pub fn text(&self) -> String {
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

pub struct App {
    pub world: World,
    pub module: Module<State>,
}

impl App {
    pub fn new(counter: &Counter) -> App {
        App::of(&counter.text())
    }

    pub fn of(text: &str) -> App {
        App::in_world(World::new(), text)
    }

    pub fn in_world(world: World, text: &str) -> App {
        let loading = world.runtime.load_version("app", text.to_owned());
        let module = wait("compilation", loading).unwrap();
        App { world, module }
    }

    pub fn spawn(&self) -> Process {
        self.spawn_with(ProcessConfig::trusted())
    }

    pub fn spawn_with(&self, process: ProcessConfig) -> Process {
        self.world.spawn_with(&self.module, "main", process)
    }

    pub fn spawn_and_count(&self) -> Process {
        let process = self.spawn();
        assert_eq!(self.count(&process), 11);
        process
    }

    pub fn try_reload(
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

    pub fn reload(&self, counter: &Counter) -> Report {
        let reload = self.try_reload(&counter.text(), ReloadOptions::default(), false);
        reload.unwrap()
    }

    pub fn moves(&self, counter: &Counter) {
        let report = self.reload(counter);
        assert_eq!(report.result, ReloadResult::Moved, "{report:?}");
    }

    /// The attempt of its only process fails for this reason.
    pub fn fails(&self, counter: &Counter, why: &str) {
        let report = self.reload(counter);
        assert_eq!(report.result, ReloadResult::Unchanged);
        match &report.processes[0].outcome {
            Outcome::Failed { why: told } => assert!(told.contains(why), "{told}"),
            other => panic!("{other:?}"),
        }
        // The version that was given up is not kept.
        assert!(self.world.runtime.versions()[0].old.is_empty());
    }

    pub fn count(&self, process: &Process) -> i64 {
        send(process, 1, b"");
        self.world.report()
    }

    /// Waits until a process runs this version.
    pub fn wait_for_version(&self, process: &Process, version: i64) {
        let runs_it = || self.count(process) % 10 == version;
        wait_until(&format!("version {version}"), runs_it);
    }

    /// Sets the number that all processes share.
    pub fn set(&self, value: i64) {
        let sets = format!(r#"(func (export "main") (call $set (i64.const {value})))"#);
        self.world.run_main(&sets);
    }

    /// A first attempt fails, after which the process has a table of errors.
    pub fn fails_once(&self) {
        self.fails(&Counter::entry(8, "unreachable"), "unreachable");
    }

    /// What all processes have.
    pub fn used(&self) -> [u64; 7] {
        let account = self.world.runtime.environment().account();
        Kind::ALL.map(|kind| account.used(kind))
    }

    /// Waits until all processes have what they had.
    pub fn is_used_again(&self, before: [u64; 7]) {
        let same = async {
            while !Self::is_same(self.used(), before) {
                Timer::after(Duration::from_millis(1)).await;
            }
        };
        let late = Timer::after(Duration::from_secs(10));
        block_on(or(same, async {
            late.await;
        }));
        let used = self.used();
        assert!(Self::is_same(used, before), "{used:?}, not {before:?}");
    }

    /// A stack is charged by the page, as it was measured last. So one may come to some pages
    /// more or less, which together are less than a page of an instance's memory.
    fn is_same(used: [u64; 7], before: [u64; 7]) -> bool {
        Kind::ALL
            .into_iter()
            .zip(used.into_iter().zip(before))
            .all(|(kind, (used, before))| {
                let differs = used.abs_diff(before);
                let may_be_of_stacks =
                    kind == Kind::LinearMemory && differs < 65_536 && differs.is_multiple_of(4096);
                differs == 0 || may_be_of_stacks
            })
    }
}
