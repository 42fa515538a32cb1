//! The command line: what the program `lunatic` does.

mod admin;
mod arguments;
mod cache;
mod cargo_command;
mod check;
#[cfg(feature = "distribution")]
mod cluster;
mod completions;
mod count;
mod describe;
mod diagnosis;
mod doctor;
mod engine;
mod features;
mod from_manifest;
mod grants;
mod help;
mod init;
mod interface;
mod invoke;
mod leaving;
mod log_format;
mod log_writer;
mod logging;
mod manifest;
mod new;
#[cfg(not(feature = "distribution"))]
mod no_cluster;
#[cfg(feature = "distribution")]
mod node;
mod origin;
mod output;
mod place;
mod problem;
mod recording;
mod refused_line;
mod run;
mod shell;
mod signals;
mod similar;
mod start;
mod test;
mod testing;
mod time;
mod timeline;
mod version;
mod views;
mod watch;

pub use manifest::try_manifest;

use std::process::ExitCode;

use crate::command_line::arguments::Command;
use crate::command_line::problem::Problem;
#[cfg(not(feature = "distribution"))]
use crate::command_line::{no_cluster as cluster, no_cluster as node};

/// Does what the command line of this program says, as `lunatic` does, and returns the exit
/// code.
///
/// It ends the program by itself if the command line is wrong, or asks for help.
pub fn main() -> ExitCode {
    main_of_commit(None)
}

/// As [`main`], of a program that knows what it was built from.
///
/// - `commit`: what `lunatic --version --verbose` tells.
pub fn main_of_commit(commit: Option<&str>) -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    if version::is_asked_in_detail(&words) {
        let told = output::print_line(version::in_detail(commit));
        return told.unwrap_or_else(|problem| problem.print());
    }
    let color = arguments::color(&words);
    let line = refused_line::Line::new(&words);
    let arguments = arguments::parse(words);
    let arguments = arguments.unwrap_or_else(|error| refused_line::exit(&error, &line, color));
    output::choose_colors(arguments.color);
    log_writer::report_panics();
    crate::descriptors::raise_limit();
    if let Err(error) = crate::reactor::start() {
        let code = Problem::new(format!("cannot start threads: {error}")).print();
        log_writer::flush();
        return code;
    }
    signals::outlive_file_size_limit();
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
        Command::Help(words) => help::help(&words),
        Command::Completions(arguments) => completions::completions(&arguments),
        Command::Man(arguments) => completions::man(&arguments),
    };
    let written = timeline::finish().and(done);
    let code = written.unwrap_or_else(|problem| problem.print());
    log_writer::flush();
    code
}

/// Does what the command line of this program says, as `cargo lunatic` does, and returns the
/// exit code.
pub fn cargo_main() -> ExitCode {
    cargo_command::main()
}
