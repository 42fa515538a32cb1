//! Runs an attack in a program of its own, and watches that.

use std::env;
use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use lunatic_bench::attack::Attack;

use super::confinement::{Confinement, MEMORY};
use super::outcome::{Outcome, Seen};
use crate::proc;

/// How often it is looked how much memory the program has.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The time that the program may take in addition to the attack.
const EXTRA_TIME: Duration = Duration::from_secs(100);

/// Runs an attack for so many seconds.
pub(super) fn run(attack: Attack, seconds: u64) -> Result<Outcome> {
    let arguments = ["trial", &attack.name, &seconds.to_string()].map(str::to_owned);
    let watched = watch(&arguments, seconds, &Confinement::new(MEMORY))?;
    Ok(Outcome {
        attack,
        seen: watched.seen,
        peak: watched.peak,
        log: watched.log,
    })
}

/// The observations of a program from outside.
pub(super) struct Watched {
    /// Nothing if it ended without a word.
    pub(super) seen: Option<Seen>,
    /// Bytes of memory at most.
    pub(super) peak: u64,
    /// Bytes on standard error.
    pub(super) log: u64,
}

/// Runs this program with other arguments.
///
/// - `seconds`: the time of its attack.
pub(super) fn watch(
    arguments: &[String],
    seconds: u64,
    confinement: &Confinement,
) -> Result<Watched> {
    let own = env::current_exe().context("cannot tell where this program is")?;
    let mut program = Command::new(own)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start this program again")?;
    confinement.take(program.id());
    let log = program
        .stderr
        .take()
        .map(|pipe| thread::spawn(|| size(pipe)));
    let said = program
        .stdout
        .take()
        .map(|pipe| thread::spawn(|| seen(pipe)));
    let peak = peak(&mut program, EXTRA_TIME + Duration::from_secs(seconds))?;
    let log = log.and_then(|thread| thread.join().ok());
    let said = said.and_then(|thread| thread.join().ok());
    Ok(Watched {
        seen: said.flatten(),
        peak,
        log: log.unwrap_or_default(),
    })
}

/// Waits for the end of a program, and kills it if it takes too long. The most memory
/// that it had.
fn peak(program: &mut Child, limit: Duration) -> Result<u64> {
    let start = Instant::now();
    let mut peak = 0;
    while program.try_wait()?.is_none() {
        if start.elapsed() > limit {
            program.kill()?;
        }
        // The program may have ended.
        peak = proc::peak(program.id()).unwrap_or(peak);
        thread::sleep(POLL_INTERVAL);
    }
    Ok(peak)
}

fn size(pipe: impl Read) -> u64 {
    let mut pipe = pipe;
    // A pipe that breaks has ended.
    io::copy(&mut pipe, &mut io::sink()).unwrap_or_default()
}

/// Returns the line of a trial, among the output of its guests.
fn seen(pipe: impl Read) -> Option<Seen> {
    let lines = BufReader::new(pipe).split(b'\n').map_while(Result::ok);
    let seen = lines.filter_map(|line| Seen::from_line(&String::from_utf8_lossy(&line)));
    seen.last()
}
