//! Programs that are watched while files change.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use lunatic_testkit::TIMEOUT;
use rustix::process::{Pid, Signal, kill_process};

use super::runtimes::Running;

/// A program that is watched, and what it and the runtime print, each line as it comes.
pub struct Watched {
    running: Running,
    out: Receiver<String>,
    err: Receiver<String>,
}

fn lines(of: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(of).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

impl Watched {
    pub fn start(mut command: Command) -> Watched {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        Watched {
            out: lines(child.stdout.take().unwrap()),
            err: lines(child.stderr.take().unwrap()),
            running: Running(child),
        }
    }

    /// The next line that it prints.
    #[track_caller]
    pub fn line(&self) -> String {
        self.out.recv_timeout(TIMEOUT).unwrap()
    }

    /// Waits until it prints this line, after others perhaps.
    #[track_caller]
    pub fn prints(&self, wanted: &str) {
        while self.line() != wanted {}
    }

    /// Waits until it prints a line that begins so, after others perhaps.
    #[track_caller]
    pub fn begins(&self, wanted: &str) {
        while !self.line().starts_with(wanted) {}
    }

    /// Waits until the runtime says something with this in it, and returns that line.
    #[track_caller]
    pub fn says(&self, wanted: &str) -> String {
        let mut said = Vec::new();
        loop {
            match self.err.recv_timeout(TIMEOUT) {
                Ok(line) if line.contains(wanted) => return line,
                Ok(line) => said.push(line),
                Err(error) => panic!("{error}: {wanted} is not in {said:#?}"),
            }
        }
    }

    /// Asks it to end as Ctrl-C does, and waits for that.
    ///
    /// - `code`: the exit code that it has then.
    #[track_caller]
    pub fn interrupt(mut self, code: i32) {
        let pid = Pid::from_child(&self.running.0);
        kill_process(pid, Signal::INT).unwrap();
        let status = self.running.0.wait().unwrap();
        assert_eq!(status.code(), Some(code));
    }
}
