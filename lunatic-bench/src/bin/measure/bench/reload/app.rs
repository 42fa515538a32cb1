//! Processes that move between two versions of a module.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures_lite::future::block_on;
use lunatic_cli::{Reloading, Root, Runtime};
use lunatic_process::Process;
use lunatic_reload::{ReloadResult, Report};

use crate::place;

/// The name of the module.
const NAME: &str = "counter";

/// The time limit for processes to start.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Two versions of a program that counts messages.
pub(super) struct Versions {
    bytes: [Vec<u8>; 2],
    export: &'static str,
}

impl Versions {
    /// As small as can be: what they take is what the runtime takes.
    pub(super) fn wat() -> Versions {
        Versions {
            bytes: [1, 2].map(|version| text(version).into()),
            export: "main",
        }
    }

    /// Servers of `lunatic_guest::reload`. The second version has another struct as its
    /// state, and reads and writes that of the first one.
    pub(super) fn rust() -> Result<Versions> {
        let read = |name| -> Result<Vec<u8>> {
            let path = place::guest(name)?;
            fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        Ok(Versions {
            bytes: [read("reload_counter_v1")?, read("reload_counter_v2")?],
            export: "_start",
        })
    }

    fn bytes(&self, version: usize) -> Vec<u8> {
        self.bytes[version - 1].clone()
    }
}

/// Processes of a module that has versions.
pub(super) struct App {
    pub(super) runtime: Runtime,
    versions: Versions,
    processes: Vec<Process>,
}

impl App {
    pub(super) fn start(versions: Versions, processes: usize) -> Result<App> {
        let runtime = Runtime::builder().start()?;
        let module = block_on(runtime.load_version(NAME, versions.bytes(1)))?;
        let spawn = || block_on(runtime.spawn(&module, Root::new(versions.export)));
        let processes: Vec<_> = (0..processes).map(|_| spawn()).collect::<Result<_, _>>()?;
        let app = App {
            runtime,
            versions,
            processes,
        };
        app.all_offer()?;
        Ok(app)
    }

    fn all_offer(&self) -> Result<()> {
        let begin = Instant::now();
        while self.runtime.versions()[0].offering < self.processes.len() {
            ensure!(
                begin.elapsed() < START_TIMEOUT,
                "the processes do not offer themselves"
            );
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Makes a version the current one; all have to move.
    pub(super) fn reload(&self, version: usize) -> Result<Report> {
        let bytes = self.versions.bytes(version);
        let reload = self.runtime.reload(NAME, bytes, Reloading::default());
        let report = block_on(reload)?;
        let moved = report.moved();
        ensure!(
            report.result == ReloadResult::Moved && moved == self.processes.len(),
            "{moved} of {} have moved",
            self.processes.len()
        );
        // A process that has accepted offers itself again at once, but not before the report.
        self.all_offer()?;
        Ok(report)
    }
}

impl Drop for App {
    fn drop(&mut self) {
        block_on(self.runtime.shut_down());
    }
}

/// A guest that counts messages.
fn text(version: u32) -> String {
    format!(
        r#"(module
    (import "lunatic::message" "create_data" (func $create_data (param i64 i64)))
    (import "lunatic::message" "write_data" (func $write_data (param i32 i32) (result i32)))
    (import "lunatic::message" "read_data" (func $read_data (param i32 i32) (result i32)))
    (import "lunatic::message" "receive" (func $receive (param i32 i32 i64) (result i32)))
    (import "lunatic::reload" "offer" (func $offer (param i32 i32 i64)))
    (import "lunatic::reload" "arm" (func $arm (result i64)))
    (import "lunatic::reload" "hand_over" (func $hand_over (param i64 i32) (result i32)))
    (import "lunatic::reload" "accept" (func $accept))
    (memory (export "memory") 1)
    (data (i32.const 0) "counter")
    ;; Tells the versions apart.
    (global $version i32 (i32.const {version}))
    (func (export "main") (call $serve))
    (func (export "_lunatic_reload_1_counter")
        (drop (call $read_data (i32.const 16) (i32.const 8)))
        (call $accept)
        (call $serve))
    (func $serve
        (local $state i64)
        (call $offer (i32.const 0) (i32.const 7) (i64.const 1))
        (loop $again
            (loop $until_armed
                (local.set $state (call $arm))
                (if (i64.ge_s (local.get $state) (i64.const 0)) (then
                    (call $create_data (i64.const 0) (i64.const 8))
                    (drop (call $write_data (i32.const 16) (i32.const 8)))
                    (drop (call $hand_over (local.get $state) (i32.const 32)))
                    (br $until_armed))))
            (if (i32.eqz (call $receive (i32.const 0) (i32.const 0) (i64.const -1))) (then
                (i64.store (i32.const 16) (i64.add (i64.load (i32.const 16)) (i64.const 1)))))
            (br $again))))"#
    )
}
