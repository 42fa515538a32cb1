//! What the commands of the program print.

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use clap::ColorChoice;

use crate::command_line::log_writer;
use crate::command_line::problem::Problem;

/// Has everything that is printed from now on be in colour, or not.
pub(crate) fn choose_colors(when: ColorChoice) {
    match when {
        // What variables and the terminal say.
        ColorChoice::Auto => {}
        ColorChoice::Always => anstream::ColorChoice::Always.write_global(),
        ColorChoice::Never => anstream::ColorChoice::Never.write_global(),
    }
}

/// Prints a line to standard output. If nobody reads it any more, the exit code says so
/// and nothing else does.
pub(crate) fn print_line(line: impl fmt::Display) -> Result<ExitCode, Problem> {
    match write_line(line)? {
        Written::Yes => Ok(ExitCode::SUCCESS),
        Written::NobodyReads => Ok(ExitCode::FAILURE),
    }
}

/// Whether a line has reached somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// It has.
    Yes,
    /// Nobody reads standard output any more.
    NobodyReads,
}

/// Prints one of several lines to standard output.
pub(crate) fn write_line(line: impl fmt::Display) -> Result<Written, Problem> {
    match try_print(&line) {
        Ok(()) => Ok(Written::Yes),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Written::NobodyReads),
        Err(error) => Err(not_printed(&error)),
    }
}

/// Standard output cannot be written.
pub(crate) fn not_printed(error: &io::Error) -> Problem {
    Problem::new(format!("cannot print to standard output: {error}"))
}

/// Prints a line to standard error, behind what has been logged up to now.
pub(crate) fn print_notice(line: impl fmt::Display) {
    log_writer::print(format!("{line}\n").into_bytes());
}

fn try_print(line: &impl fmt::Display) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
