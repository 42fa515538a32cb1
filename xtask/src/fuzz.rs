//! Starts the program of `lunatic-fuzz`.

use std::process::ExitCode;

use anyhow::Result;

use crate::{command, programs};

/// Starts it with `arguments`, and returns its exit code.
pub(crate) fn main(arguments: &[String]) -> Result<ExitCode> {
    let mut fuzz = command::new(programs::build_only("fuzz")?);
    command::exit_code(fuzz.args(arguments))
}
