//! The command line: what the program `lunatic` does.

mod admin;
mod arguments;
mod cache;
mod check;
mod cluster;
mod describe;
mod descriptors;
mod diagnosis;
mod doctor;
mod engine;
mod grants;
mod init;
mod interface;
mod invoke;
mod log_format;
mod log_writer;
mod logging;
mod manifest;
mod new;
mod node;
mod origin;
mod output;
mod problem;
mod recording;
mod run;
mod signals;
mod similar;
mod start;
mod test;
mod testing;
mod timeline;
mod views;
mod watch;

use std::process::ExitCode;

use crate::command_line::arguments::{Arguments, Command};

/// Does what the command line of this program says, as `lunatic` does, and returns the exit
/// code.
///
/// It ends the program by itself if the command line is wrong, or asks for help.
pub fn main() -> ExitCode {
    let arguments = Arguments::from_command_line();
    log_writer::report_panics();
    descriptors::raise_limit();
    let done = match arguments.command {
        Command::Run(run) if run.watch => watch::watch(&run),
        Command::Run(run) => run::run(run),
        Command::Test(test) => test::test(test),
        Command::Start(start) => start::start(&start),
        Command::Node(arguments) => node::node(&arguments),
        Command::Cluster(arguments) => cluster::cluster(&arguments),
        Command::Check(check) => check::check(&check),
        Command::Reload(arguments) => admin::reload(&arguments),
        Command::Versions(arguments) => admin::versions(&arguments),
        Command::New(arguments) => new::new(&arguments),
        Command::Init => init::init(),
        Command::Describe(arguments) => describe::describe(&arguments),
        Command::Doctor(options) => doctor::doctor(&options),
        Command::Cache(cache) => cache::cache(&cache),
        Command::Ps(options) => admin::ps(&options),
        Command::Inspect(options) => admin::inspect(&options),
        Command::Stats(options) => admin::stats(&options),
        Command::Nodes(options) => admin::nodes(&options),
        Command::Control(_) => Err(node::no_control_server()),
        Command::Kill(options) => admin::kill(&options),
        Command::Exit(options) => admin::exit(&options),
        Command::Top(options) => admin::top(&options),
        Command::Restart(options) => admin::restart(&options),
        Command::Logs(options) => admin::logs(&options),
        Command::Trace(options) => admin::trace(&options),
    };
    let written = timeline::finish().and(done);
    let code = written.unwrap_or_else(|problem| problem.print());
    log_writer::flush();
    code
}
