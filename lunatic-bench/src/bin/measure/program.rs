//! Runs programs, to their end or while they are looked at from outside.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// How often it is checked whether a program has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Runs `command` to its end and returns what it wrote to its standard output.
///
/// Fails if it ends badly.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| cannot_start(command.get_program()))?;
    text(output)
}

/// Like [`capture`], and kills the program and fails if it takes longer than
/// `limit`.
pub(crate) fn capture_within(command: &mut Command, limit: Duration) -> Result<String> {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| cannot_start(command.get_program()))?;
    let process = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
    let (sender, ended) = mpsc::channel();
    // The receiver is gone if the program is killed.
    thread::spawn(move || sender.send(child.wait_with_output()));
    match ended.recv_timeout(limit) {
        Ok(output) => text(output?),
        Err(_) => {
            pidfd_send_signal(process, Signal::KILL)?;
            bail!("stopped after {limit:?}");
        }
    }
}

fn text(output: Output) -> Result<String> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => String::from_utf8(output.stdout).context("it printed something else than text"),
        Some(code) => bail!("exit code {code}: {}", stderr.trim()),
        None => bail!("ended by a signal: {}", stderr.trim()),
    }
}

/// The next event of a running program.
#[derive(Debug)]
pub(crate) enum Next {
    /// It wrote this line.
    Line(String),
    /// It wrote nothing for as long as one waited.
    Silence,
    /// It has closed its output, and has ended.
    End(ExitStatus),
}

/// A running program, which is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Running {
    /// Starts `command`.
    pub(crate) fn start(command: &mut Command) -> Result<Running> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| cannot_start(command.get_program()))?;
        let stdout = child.stdout.take().context("the program has no output")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // The receiver is gone once enough of the program has been seen.
                let _ = sender.send(line);
            }
        });
        Ok(Running {
            stdin: child.stdin.take(),
            child,
            lines,
        })
    }

    /// The id of the operating system's process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its next line, but no longer than `limit`.
    pub(crate) fn next(&mut self, limit: Duration) -> Result<Next> {
        match self.lines.recv_timeout(limit) {
            Ok(line) => Ok(Next::Line(line)),
            Err(RecvTimeoutError::Timeout) => Ok(Next::Silence),
            Err(RecvTimeoutError::Disconnected) => Ok(Next::End(self.child.wait()?)),
        }
    }

    /// Closes its standard input, and waits until it has ended.
    ///
    /// Fails if it ends badly, or not within `limit`.
    pub(crate) fn end(mut self, limit: Duration) -> Result<()> {
        drop(self.stdin.take());
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return ended_well(status);
            }
            thread::sleep(POLL_INTERVAL);
        }
        bail!("didn't end within {limit:?}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It fails if the program has ended, and then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Fails unless `status` is that of a success.
pub(crate) fn ended_well(status: ExitStatus) -> Result<()> {
    ensure!(status.success(), "ended badly ({status})");
    Ok(())
}

fn cannot_start(program: &OsStr) -> String {
    format!("cannot start `{}`; is it installed?", program.display())
}
