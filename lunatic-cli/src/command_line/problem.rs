//! What is said when something cannot be done: what, and what to do about it.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use lunatic_error::{MAX_LOGGED_BYTES, on_one_line};

use crate::command_line::log_writer;

/// A message for the user, who gets exit code 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    what: String,
    help: Option<String>,
}

impl Problem {
    pub(crate) fn new(what: impl fmt::Display) -> Problem {
        Problem {
            what: printable(&what.to_string()),
            help: None,
        }
    }

    /// Adds the next step.
    pub(crate) fn help(self, help: impl fmt::Display) -> Problem {
        Problem {
            help: Some(printable(&help.to_string())),
            ..self
        }
    }

    /// What it is, and what to do about it.
    pub(crate) fn into_parts(self) -> (String, Option<String>) {
        (self.what, self.help)
    }

    /// Tells the user, after what has been logged up to now. It is printed by the time
    /// [`log_writer::flush`] returns; if standard error fails, nobody is told.
    pub(crate) fn print(&self) -> ExitCode {
        log_writer::print(self.to_bytes(AutoStream::choice(&io::stderr())));
        ExitCode::FAILURE
    }

    fn to_bytes(&self, color: ColorChoice) -> Vec<u8> {
        const ERROR: Style = AnsiColor::Red.on_default().bold();
        const HELP: Style = AnsiColor::Cyan.on_default().bold();
        let mut text = format!("{ERROR}error{ERROR:#}: {}\n", self.what);
        if let Some(help) = &self.help {
            text.push_str(&format!("{HELP}help{HELP:#}: {help}\n"));
        }
        let mut to = AutoStream::new(Vec::new(), color);
        // A vector takes everything.
        to.write_all(text.as_bytes()).ok();
        to.into_inner()
    }
}

/// Returns a text whose lines are not too long and control no terminal: a guest may have
/// chosen some of it.
fn printable(text: &str) -> String {
    let lines = text.split_inclusive(['\n', '\t']);
    lines
        .map(|part| {
            let text = part.trim_end_matches(['\n', '\t']);
            let end = &part[text.len()..];
            format!("{}{end}", on_one_line(text, MAX_LOGGED_BYTES))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_tabs_stay_and_nothing_controls_a_terminal() {
        assert_eq!(printable("a\n\tb\n\nc"), "a\n\tb\n\nc");
        assert_eq!(printable("a\u{1b}[2J\rb"), r"a\u{1b}[2J\rb");
    }

    #[test]
    fn a_problem_is_printed_with_its_help() {
        let problem = Problem::new("it is broken").help("mend it");
        let text = problem.to_bytes(ColorChoice::Never);
        assert_eq!(text, b"error: it is broken\nhelp: mend it\n");
    }
}
