//! What is said when something cannot be done: what, and what to do about it.

use std::fmt;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};

use crate::log_writer;

/// A message for the user, who gets exit code 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    what: String,
    help: Option<String>,
}

impl Problem {
    pub(crate) fn new(what: impl fmt::Display) -> Problem {
        Problem {
            what: what.to_string(),
            help: None,
        }
    }

    /// Adds the next step.
    pub(crate) fn help(self, help: impl fmt::Display) -> Problem {
        Problem {
            help: Some(help.to_string()),
            ..self
        }
    }

    /// What it is, and what to do about it.
    pub(crate) fn into_parts(self) -> (String, Option<String>) {
        (self.what, self.help)
    }

    /// Tells the user, after what has been logged up to now.
    pub(crate) fn print(&self) -> ExitCode {
        const ERROR: Style = AnsiColor::Red.on_default().bold();
        const HELP: Style = AnsiColor::Cyan.on_default().bold();
        log_writer::flush();
        anstream::eprintln!("{ERROR}error{ERROR:#}: {}", self.what);
        if let Some(help) = &self.help {
            anstream::eprintln!("{HELP}help{HELP:#}: {help}");
        }
        ExitCode::FAILURE
    }
}
