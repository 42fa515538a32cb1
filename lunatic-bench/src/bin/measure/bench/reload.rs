//! Measures how processes move to another version of their module, and writes a part of
//! BENCHMARKS.md of its own.
//!
//! It all happens in this program. The guest counts messages and is as small as can be, so
//! this is what the runtime takes; beside it two native processes exchange messages.

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use async_io::Timer;
use futures_lite::future::block_on;
use lunatic_cli::{Reloading, Root, Runtime};
use lunatic_mailbox::{DataMessage, Wanted};
use lunatic_process::{Context, Environment, Process, SpawnOptions};
use lunatic_reload::{Outcome, ProcessReport, ReloadOptions, ReloadResult, Report};
use parking_lot::Mutex;

use super::machine::Machine;
use crate::number::{Unit, Value, grouped, median, seconds};
use crate::{document, proc};

/// How much is done.
struct Plan {
    /// So many processes move there and back.
    processes: usize,
    /// So often that is done.
    runs: usize,
    /// So many processes are reloaded again and again, and how often.
    few: usize,
    reloads: usize,
}

const WHOLE: Plan = Plan {
    processes: 10_000,
    runs: 5,
    few: 1000,
    reloads: 1000,
};

/// To see that all works.
const QUICK: Plan = Plan {
    processes: 300,
    runs: 2,
    few: 30,
    reloads: 20,
};

/// The name of the module.
const NAME: &str = "counter";

/// How long processes may take that have to be there in the end.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long it is between two pings.
const PING_INTERVAL: Duration = Duration::from_micros(200);

/// A row of the table.
struct Row {
    title: String,
    value: String,
    target: &'static str,
}

/// Measures, and fails if a reload did.
pub(super) fn main(quick: bool) -> Result<()> {
    let plan = match quick {
        true => QUICK,
        false => WHOLE,
    };
    let machine = Machine::here()?;
    let mut rows = there_and_back(&plan)?;
    rows.extend(again_and_again(&plan)?);
    let table = markdown(&rows);
    println!("\n{table}");
    if !quick {
        document::RELOAD.write(&format!(
            "{machine}\nWritten by `cargo xtask bench --reload`. The guest is a small one in \
             text form; times are medians of {} runs.\n\n{table}",
            plan.runs
        ))?;
    }
    Ok(())
}

/// Many processes move to the new version and back.
fn there_and_back(plan: &Plan) -> Result<Vec<Row>> {
    let (mut there, mut back, mut pauses) = (Vec::new(), Vec::new(), Vec::new());
    let mut pings = Vec::new();
    let app = App::start(plan.processes)?;
    // The first time the memories for the second instances are made.
    app.reload(2)?;
    app.reload(1)?;
    let before = Pings::for_a_while(&app.runtime, Duration::from_millis(300))?;
    for _ in 0..plan.runs {
        let beside = Pings::start(app.runtime.environment())?;
        for (version, times) in [(2, &mut there), (1, &mut back)] {
            let begin = Instant::now();
            let report = app.reload(version)?;
            times.push(seconds(begin.elapsed()));
            pauses.extend(report.processes.iter().filter_map(pause));
        }
        pings.extend(beside.stop());
    }
    pings.sort_unstable();
    let processes = grouped(plan.processes as u64);
    pauses.sort_unstable();
    let row = |title: String, unit: Unit, value: Option<Value>, target| Row {
        title,
        value: value.map_or_else(String::new, |value| unit.show(value)),
        target,
    };
    let milliseconds = Unit::Milliseconds;
    Ok(vec![
        row(
            format!("{processes} processes move to a new version"),
            milliseconds,
            median(&there),
            "1000 ms",
        ),
        row(
            format!("{processes} processes move back"),
            milliseconds,
            median(&back),
            "1000 ms",
        ),
        row(
            "pause of a process, median".to_owned(),
            Unit::Microseconds,
            percentile(&pauses, 50),
            "",
        ),
        row(
            "pause of a process, p99".to_owned(),
            Unit::Microseconds,
            percentile(&pauses, 99),
            "",
        ),
        row(
            "pause of a process, longest".to_owned(),
            Unit::Microseconds,
            percentile(&pauses, 100),
            "1000 µs",
        ),
        row(
            "round trip of a ping before, p99".to_owned(),
            Unit::Microseconds,
            percentile(&before, 99),
            "",
        ),
        row(
            "round trip of a ping meanwhile, p99".to_owned(),
            Unit::Microseconds,
            percentile(&pings, 99),
            "5000 µs",
        ),
        row(
            "round trip of a ping meanwhile, longest".to_owned(),
            Unit::Microseconds,
            percentile(&pings, 100),
            "",
        ),
    ])
}

/// Fewer processes are reloaded often, and memory is looked at from outside.
fn again_and_again(plan: &Plan) -> Result<Vec<Row>> {
    let app = App::start(plan.few)?;
    let settle = plan.reloads / 10;
    let reloads = |number: usize| -> Result<()> {
        for reload in 0..number {
            app.reload(2 - reload as u32 % 2)?;
        }
        Ok(())
    };
    // An even number, so that the version is the first one again.
    reloads(settle.next_multiple_of(2))?;
    let look = || -> Result<(Value, usize, usize)> {
        let own = process::id();
        Ok((
            proc::memory(own)?,
            proc::mappings(own)?,
            proc::descriptors(own)?,
        ))
    };
    let (memory, mappings, descriptors) = look()?;
    let begin = Instant::now();
    reloads(plan.reloads.next_multiple_of(2))?;
    let time = seconds(begin.elapsed()) / plan.reloads as f64;
    let after = look()?;
    let title = format!(
        "{} reloads of {} processes",
        grouped(plan.reloads as u64),
        grouped(plan.few as u64)
    );
    let row = |what: &str, value: String, target| Row {
        title: format!("{title}: {what}"),
        value,
        target,
    };
    let from_to =
        |unit: Unit, from: Value, to: Value| format!("{} → {}", unit.show(from), unit.show(to));
    let count = Unit::Count;
    Ok(vec![
        row("each", Unit::Milliseconds.show(time), ""),
        row("memory", from_to(Unit::Kibibytes, memory, after.0), "level"),
        row(
            "mappings",
            from_to(count, mappings as f64, after.1 as f64),
            "level",
        ),
        row(
            "descriptors",
            from_to(count, descriptors as f64, after.2 as f64),
            "level",
        ),
    ])
}

/// Processes of a module that has versions.
struct App {
    runtime: Runtime,
    processes: Vec<Process>,
}

impl App {
    fn start(processes: usize) -> Result<App> {
        let runtime = Runtime::builder().start()?;
        let module = block_on(runtime.load_version(NAME, guest(1).into()))?;
        let spawn = || block_on(runtime.spawn(&module, Root::new("main")));
        let processes: Vec<_> = (0..processes).map(|_| spawn()).collect::<Result<_, _>>()?;
        let app = App { runtime, processes };
        app.all_offer()?;
        Ok(app)
    }

    fn all_offer(&self) -> Result<()> {
        let begin = Instant::now();
        while self.runtime.versions()[0].offering < self.processes.len() {
            ensure!(
                begin.elapsed() < PATIENCE,
                "the processes do not offer themselves"
            );
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Makes a version the current one; all have to move.
    fn reload(&self, version: u32) -> Result<Report> {
        let (bytes, options) = (guest(version).into(), ReloadOptions::default());
        let reload = self.runtime.reload(
            NAME,
            bytes,
            Reloading {
                options,
                ..Reloading::default()
            },
        );
        let report = block_on(reload)?;
        let moved = report.moved();
        ensure!(
            report.result == ReloadResult::Moved && moved == self.processes.len(),
            "{moved} of {} have moved",
            self.processes.len()
        );
        // Who has accepted offers itself again at once, but not before the report.
        self.all_offer()?;
        Ok(report)
    }
}

impl Drop for App {
    fn drop(&mut self) {
        block_on(self.runtime.shut_down());
    }
}

/// Two processes that send a message to and fro, and measure how long that takes.
struct Pings {
    stop: Arc<AtomicBool>,
    times: Arc<Mutex<Vec<Duration>>>,
    ping: Process,
    pong: Process,
}

impl Pings {
    fn start(environment: &Environment) -> Result<Pings> {
        let (stop, times) = (
            Arc::<AtomicBool>::default(),
            Arc::<Mutex<Vec<_>>>::default(),
        );
        let answer_to = Arc::new(Mutex::new(None::<Process>));
        let asked_by = answer_to.clone();
        let pong = environment.spawn(SpawnOptions::default(), |mut own: Context| async move {
            loop {
                own.mailbox.receive(Wanted::Any).await;
                let asked_by = asked_by.lock().clone();
                if let Some(ping) = asked_by {
                    ping.send(DataMessage::default().into()).ok();
                }
            }
        })?;
        let (asked, stopped, noted) = (pong.clone(), stop.clone(), times.clone());
        let ping = environment.spawn(SpawnOptions::default(), |mut own: Context| async move {
            *answer_to.lock() = Some(own.process.clone());
            while !stopped.load(Ordering::Relaxed) {
                let begin = Instant::now();
                asked.send(DataMessage::default().into()).ok();
                own.mailbox.receive(Wanted::Any).await;
                noted.lock().push(begin.elapsed());
                Timer::after(PING_INTERVAL).await;
            }
            Ok(())
        })?;
        Ok(Pings {
            stop,
            times,
            ping,
            pong,
        })
    }

    fn stop(self) -> Vec<Duration> {
        self.stop.store(true, Ordering::Relaxed);
        block_on(self.ping.wait());
        self.pong.kill();
        std::mem::take(&mut self.times.lock())
    }

    /// Sorted.
    fn for_a_while(runtime: &Runtime, time: Duration) -> Result<Vec<Duration>> {
        let pings = Pings::start(runtime.environment()).context("no ping")?;
        thread::sleep(time);
        let mut times = pings.stop();
        times.sort_unstable();
        Ok(times)
    }
}

/// How long a process that has moved ran neither the one version nor the other.
fn pause(process: &ProcessReport) -> Option<Duration> {
    match process.outcome {
        Outcome::Moved { pause_us } => Some(Duration::from_micros(pause_us)),
        _ => None,
    }
}

/// The time that so many percent of sorted ones are not above.
fn percentile(sorted: &[Duration], percent: usize) -> Option<Value> {
    let index = (sorted.len() * percent).div_ceil(100).checked_sub(1)?;
    sorted.get(index).copied().map(seconds)
}

fn markdown(rows: &[Row]) -> String {
    let mut table = "| What | Measured | Aim |\n|---|--:|--:|\n".to_owned();
    for Row {
        title,
        value,
        target,
    } in rows
    {
        table.push_str(&format!("| {title} | {value} | {target} |\n"));
    }
    table
}

/// A guest that counts messages.
fn guest(version: u32) -> String {
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

#[cfg(test)]
mod tests {
    use super::{QUICK, again_and_again, percentile, there_and_back};
    use std::time::Duration;

    #[test]
    fn what_is_measured_works() {
        assert_eq!(there_and_back(&QUICK).expect("reloads").len(), 8);
        assert_eq!(again_and_again(&QUICK).expect("reloads").len(), 4);
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let times = [1, 2, 3, 4].map(Duration::from_secs);
        assert_eq!(percentile(&times, 50), Some(2.0));
        assert_eq!(percentile(&times, 99), Some(4.0));
        assert_eq!(percentile(&[], 99), None);
    }
}
