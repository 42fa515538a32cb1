//! Looks at a program from outside while all of its processes are idle.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::measurement::Measurement;
use super::number::Value;
use super::proc;

/// How long a program may take until its processes are there, and how long to
/// end.
const LIMIT: Duration = Duration::from_secs(600);

/// How often a program is looked at until then.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// How long a program gets to come to rest.
const SETTLING: Duration = Duration::from_secs(1);

/// How long it is looked at then.
const IDLENESS: Duration = Duration::from_secs(2);

/// A program that leaves less than this to the machine is stopped.
const RESERVE: Value = 1024.0 * 1024.0 * 1024.0;

/// What was seen.
#[derive(Debug)]
pub(super) struct Sight {
    /// What the program said when its processes were there.
    pub(super) ready: Measurement,
    /// The bytes of memory of all of it.
    pub(super) memory: Value,
    /// The seconds of CPU time it used while nothing happened.
    pub(super) idle: Value,
}

/// Starts `command`, looks at it while it is idle, and has it end.
pub(super) fn look_at(command: &mut Command) -> Result<Sight> {
    let mut program = Program::start(command)?;
    let ready = program.wait_until_ready()?.parse()?;
    thread::sleep(SETTLING);
    let sight = Sight {
        ready,
        memory: proc::memory(program.child.id())?,
        idle: program.idle_time()?,
    };
    program.end()?;
    Ok(sight)
}

/// A running program, which doesn't outlive this.
struct Program {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Program {
    fn start(command: &mut Command) -> Result<Program> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the program")?;
        let stdout = child.stdout.take().context("the program has no output")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // Nobody listens any more once the program has been seen.
                let _ = sender.send(line);
            }
        });
        Ok(Program {
            stdin: child.stdin.take(),
            child,
            lines,
        })
    }

    /// Waits for the first line, and watches the machine's memory meanwhile.
    fn wait_until_ready(&mut self) -> Result<String> {
        let deadline = Instant::now() + LIMIT;
        while Instant::now() < deadline {
            match self.lines.recv_timeout(POLL_INTERVAL) {
                Ok(line) => return Ok(line),
                Err(RecvTimeoutError::Disconnected) => {
                    let status = self.child.wait()?;
                    bail!("ended before its processes were there ({status})");
                }
                Err(RecvTimeoutError::Timeout) => ensure!(
                    proc::available_memory()? > RESERVE,
                    "stopped when the machine had no memory left"
                ),
            }
        }
        bail!("stopped after {LIMIT:?}");
    }

    fn idle_time(&self) -> Result<Value> {
        let before = proc::cpu_time(self.child.id())?;
        thread::sleep(IDLENESS);
        Ok(proc::cpu_time(self.child.id())? - before)
    }

    /// Ends its standard input, which it waits for.
    fn end(mut self) -> Result<()> {
        drop(self.stdin.take());
        let deadline = Instant::now() + LIMIT;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "ended badly ({status})");
                return Ok(());
            }
            thread::sleep(POLL_INTERVAL);
        }
        bail!("didn't end within {LIMIT:?}");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It fails if the program has ended, which is what this is for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
