//! The program `lunatic`.

mod arguments;
mod diagnosis;
mod grants;
mod interface;
mod logging;
mod problem;
mod run;
mod test;
mod testing;

use std::process::ExitCode;

use crate::arguments::{Arguments, Command};

fn main() -> ExitCode {
    let arguments = Arguments::from_command_line();
    let done = match arguments.command {
        Command::Run(run) => run::run(run),
        Command::Test(test) => test::test(test),
    };
    done.unwrap_or_else(|problem| problem.print())
}
