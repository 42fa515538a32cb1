//! `lunatic kill`, `lunatic exit` and `lunatic restart`.

use std::process::ExitCode;

use clap::Args;
use lunatic_admin::{ProcessId, Request, Response, Target};

use crate::command_line::admin::ask::{Which, ask, unexpected};
use crate::command_line::admin::shown;
use crate::command_line::output::print_line;
use crate::command_line::problem::Problem;

/// Which process is killed.
#[derive(Debug, Args)]
pub(crate) struct Kill {
    #[command(flatten)]
    which: Which,

    /// Print an object in JSON when it is done.
    #[arg(long)]
    json: bool,

    /// The id of the process, as `lunatic ps` lists it.
    pid: ProcessId,
}

/// Which process is asked to exit, and why.
#[derive(Debug, Args)]
pub(crate) struct Exit {
    #[command(flatten)]
    which: Which,

    /// Print an object in JSON when it is done.
    #[arg(long)]
    json: bool,

    /// The id of the process, as `lunatic ps` lists it.
    pid: ProcessId,

    /// `normal`, `shutdown`, or any other text, which is a failure.
    #[arg(default_value = "shutdown")]
    reason: String,
}

/// Which process is started again.
#[derive(Debug, Args)]
pub(crate) struct Restart {
    #[command(flatten)]
    which: Which,

    /// Print an object in JSON when it is done.
    #[arg(long)]
    json: bool,

    /// The id of the process, as `lunatic ps` lists it.
    pid: ProcessId,
}

/// Kills a process.
pub(crate) fn kill(options: &Kill) -> Result<ExitCode, Problem> {
    let request = Request::Kill(Target::new(options.pid));
    signal(&options.which, &request, options.json)
}

/// Has the supervisor of a process start it again.
pub(crate) fn restart(options: &Restart) -> Result<ExitCode, Problem> {
    let request = Request::Restart(Target::new(options.pid));
    signal(&options.which, &request, options.json)
}

/// Asks a process to exit.
pub(crate) fn exit(options: &Exit) -> Result<ExitCode, Problem> {
    let exit = lunatic_admin::Exit {
        process: Target::new(options.pid),
        reason: Some(options.reason.clone()),
    };
    signal(&options.which, &Request::Exit(exit), options.json)
}

fn signal(which: &Which, request: &Request, json: bool) -> Result<ExitCode, Problem> {
    let done = ask(which, async |runtime| {
        match runtime.request(request).await? {
            Response::Done => Ok(Response::Done),
            other => Err(unexpected(&other)),
        }
    })?;
    match json {
        true => print_line(shown::json(&done)?),
        false => Ok(ExitCode::SUCCESS),
    }
}
