//! The program `lunatic`.

mod admin;
mod arguments;
mod cache;
mod check;
mod descriptors;
mod diagnosis;
mod grants;
mod interface;
mod log_format;
mod log_writer;
mod logging;
mod manifest;
mod origin;
mod output;
mod problem;
mod run;
mod signals;
mod similar;
mod start;
mod test;
mod testing;
mod watch;

use std::process::ExitCode;

use crate::arguments::{Arguments, Command};

/// The system's allocator calls the kernel for every 128 KiB that a thread's heap
/// grows by, which was a sixth of the time of spawning a hundred thousand
/// processes.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::from_command_line();
    log_writer::report_panics();
    descriptors::raise_limit();
    let done = match arguments.command {
        Command::Run(run) => run::run(run),
        Command::Test(test) => test::test(test),
        Command::Start(start) => start::start(&start),
        Command::Check(check) => check::check(&check),
        Command::Reload(arguments) => admin::reload(&arguments),
        Command::Versions(arguments) => admin::versions(&arguments),
        Command::Cache(cache) => cache::cache(&cache),
        Command::Ps(options) => admin::ps(&options),
        Command::Inspect(options) => admin::inspect(&options),
        Command::Stats(options) => admin::stats(&options),
        Command::Kill(options) => admin::kill(&options),
        Command::Exit(options) => admin::exit(&options),
    };
    let code = done.unwrap_or_else(|problem| problem.print());
    log_writer::flush();
    code
}
