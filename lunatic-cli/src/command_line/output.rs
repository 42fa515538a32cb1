//! What the commands of the program print.

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use clap::ColorChoice;

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
    match try_print(&line) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::FAILURE),
        Err(error) => Err(Problem::new(format!(
            "cannot print to standard output: {error}"
        ))),
    }
}

fn try_print(line: &impl fmt::Display) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
