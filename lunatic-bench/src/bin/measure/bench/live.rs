//! Looks at a program from outside while all of its processes are idle.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use super::measurement::Measurement;
use crate::number::Value;
use crate::proc;
use crate::program::{Next, Running};

/// How long a program may take until its processes are there, and how long to
/// end.
const TIME_LIMIT: Duration = Duration::from_secs(600);

/// How often a program is looked at until then.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// How long a program gets to come to rest.
const SETTLING: Duration = Duration::from_secs(1);

/// How long it is looked at then.
const IDLENESS: Duration = Duration::from_secs(2);

/// A program that leaves less than this to the machine is stopped.
const RESERVE: Value = 1024.0 * 1024.0 * 1024.0;

/// The observations of a program.
#[derive(Debug)]
pub(super) struct Sight {
    /// The line that the program printed when its processes were ready.
    pub(super) ready: Measurement,
    /// The bytes of memory of all of it.
    pub(super) memory: Value,
    /// The seconds of CPU time it used while nothing happened.
    pub(super) idle: Value,
}

/// Starts `command`, looks at it while it is idle, and has it end.
pub(super) fn look_at(command: &mut Command) -> Result<Sight> {
    let mut program = Running::start(command)?;
    let ready = first_line(&mut program)?.parse()?;
    thread::sleep(SETTLING);
    let sight = Sight {
        ready,
        memory: proc::memory(program.id())?,
        idle: idle_time(&program)?,
    };
    program.end(TIME_LIMIT)?;
    Ok(sight)
}

/// Waits for the first line, and checks the memory of the machine at the same time.
fn first_line(program: &mut Running) -> Result<String> {
    let deadline = Instant::now() + TIME_LIMIT;
    while Instant::now() < deadline {
        match program.next(POLL_INTERVAL)? {
            Next::Line(line) => return Ok(line),
            Next::End(status) => bail!("ended before its processes were there ({status})"),
            Next::Silence => ensure!(
                proc::available_memory()? > RESERVE,
                "stopped when the machine had no memory left"
            ),
        }
    }
    bail!("stopped after {TIME_LIMIT:?}");
}

fn idle_time(program: &Running) -> Result<Value> {
    let before = proc::cpu_time(program.id())?;
    thread::sleep(IDLENESS);
    Ok(proc::cpu_time(program.id())? - before)
}
