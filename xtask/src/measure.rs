//! Starts the program of `lunatic-bench` that measures.

use std::process::ExitCode;

use anyhow::Result;

use crate::{command, guests, programs, toolchain};

/// The program, which finds the others beside it.
const PROGRAM: &str = "measure";

/// Starts its subcommand `task` with `arguments`, and returns its exit code.
///
/// Before that, all that it measures is built, unless it is only asked for help.
pub(crate) fn main(task: &str, arguments: &[String]) -> Result<ExitCode> {
    let asks_for_help = |argument: &String| ["-h", "--help"].contains(&argument.as_str());
    let program = match arguments.iter().any(asks_for_help) {
        true => programs::build(PROGRAM)?,
        false => {
            guests::build(&toolchain::ensure()?)?;
            programs::build_release()?.join(PROGRAM)
        }
    };
    let mut measure = command::new(program);
    guests::pass_to(&mut measure);
    // With it, each error of wasmtime looks up the functions of the host that led to it.
    measure.env_remove("RUST_BACKTRACE");
    command::exit_code(measure.arg(task).args(arguments))
}
