//! Programs that are run to their end.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output};
use std::time::Duration;

use async_io::Timer;

use crate::{TIMEOUT, in_time};

/// How often it is looked whether a program has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// The result of a run of a program.
#[derive(Debug)]
pub struct Ran {
    /// The exit code, or nothing if a signal ended it.
    pub code: Option<i32>,
    /// The text of its standard output.
    pub out: String,
    /// The text of its standard error.
    pub err: String,
}

/// Runs a command to its end.
///
/// # Panics
///
/// Panics if the program cannot be started, or does not write UTF-8.
#[track_caller]
pub fn ran(command: &mut Command) -> Ran {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("a program that can be started");
    Ran {
        code: status.code(),
        out: String::from_utf8(stdout).expect("UTF-8"),
        err: String::from_utf8(stderr).expect("UTF-8"),
    }
}

impl Ran {
    /// Asserts that it ended with this exit code.
    ///
    /// # Panics
    ///
    /// Panics if it did not.
    #[track_caller]
    pub fn code(&self, code: i32) -> &Ran {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self
    }

    /// Asserts that all of `parts` are on standard error.
    ///
    /// # Panics
    ///
    /// Panics if one is not.
    #[track_caller]
    pub fn says(&self, parts: &[&str]) -> &Ran {
        for part in parts {
            assert!(self.err.contains(part), "no {part:?} in\n{}", self.err);
        }
        self
    }

    /// Asserts that `text` is on standard output.
    ///
    /// # Panics
    ///
    /// Panics if it is not.
    #[track_caller]
    pub fn prints(&self, text: &str) -> &Ran {
        assert!(self.out.contains(text), "no {text:?} in\n{}", self.out);
        self
    }

    /// Asserts that `text` is not on standard output.
    ///
    /// # Panics
    ///
    /// Panics if it is.
    #[track_caller]
    pub fn prints_not(&self, text: &str) -> &Ran {
        assert!(!self.out.contains(text), "{text:?} in\n{}", self.out);
        self
    }

    /// Asserts that it wrote nothing.
    ///
    /// # Panics
    ///
    /// Panics if it did.
    #[track_caller]
    pub fn is_silent(&self) -> &Ran {
        assert_eq!((self.out.as_str(), self.err.as_str()), ("", ""));
        self
    }

    /// Returns the position of `text` on standard output.
    ///
    /// # Panics
    ///
    /// Panics if it is not there.
    #[track_caller]
    pub fn position(&self, text: &str) -> usize {
        self.prints(text);
        self.out.find(text).expect("it is there")
    }
}

/// Reads the first line that a program writes to its standard output, a pipe, and
/// closes the pipe.
///
/// # Panics
///
/// Panics if the output is no pipe.
#[track_caller]
pub fn first_line(child: &mut Child) -> String {
    let stdout = child.stdout.take().expect("a pipe");
    let mut line = String::new();
    let read = BufReader::new(stdout).read_line(&mut line);
    read.expect("UTF-8");
    line
}

/// Waits for the end of a program, and returns its exit code, or nothing if a signal
/// ended it.
///
/// # Panics
///
/// Kills the program and panics if it runs longer than [`TIMEOUT`].
#[track_caller]
pub fn exit_code(child: &mut Child) -> Option<i32> {
    let end = async {
        loop {
            if let Some(status) = child.try_wait().expect("a child") {
                return status.code();
            }
            Timer::after(POLL_INTERVAL).await;
        }
    };
    in_time(end).unwrap_or_else(|| {
        child.kill().expect("a child");
        panic!("the program did not end within {TIMEOUT:?}");
    })
}

/// Sends a signal, `-TERM` for example, to a program.
///
/// # Panics
///
/// Panics if `kill` fails.
#[track_caller]
pub fn signal(child: &Child, signal: &str) {
    let killed = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(killed.expect("the program `kill`").success());
}
