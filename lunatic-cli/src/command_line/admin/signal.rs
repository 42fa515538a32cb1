//! `lunatic kill` and `lunatic exit`.

use std::process::ExitCode;

use clap::Args;
use lunatic_admin::{ProcessId, Request, Response, Target};

use crate::command_line::admin::ask::{Which, ask, unexpected};
use crate::command_line::problem::Problem;

/// Which process is killed.
#[derive(Debug, Args)]
pub(crate) struct Kill {
    #[command(flatten)]
    which: Which,

    /// The id of the process, as `lunatic ps` lists it.
    pid: ProcessId,
}

/// Which process is asked to exit, and why.
#[derive(Debug, Args)]
pub(crate) struct Exit {
    #[command(flatten)]
    which: Which,

    /// The id of the process, as `lunatic ps` lists it.
    pid: ProcessId,

    /// `normal`, `shutdown`, or any other text, which is a failure.
    #[arg(default_value = "shutdown")]
    reason: String,
}

/// Kills a process.
pub(crate) fn kill(options: &Kill) -> Result<ExitCode, Problem> {
    signal(&options.which, &Request::Kill(Target::new(options.pid)))
}

/// Asks a process to exit.
pub(crate) fn exit(options: &Exit) -> Result<ExitCode, Problem> {
    let exit = lunatic_admin::Exit {
        process: Target::new(options.pid),
        reason: Some(options.reason.clone()),
    };
    signal(&options.which, &Request::Exit(exit))
}

fn signal(which: &Which, request: &Request) -> Result<ExitCode, Problem> {
    ask(which, async |runtime| {
        match runtime.request(request).await? {
            Response::Done => Ok(ExitCode::SUCCESS),
            other => Err(unexpected(&other)),
        }
    })
}
