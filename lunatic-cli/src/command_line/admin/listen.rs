//! Listens at the admin socket while a program runs.

use clap::Args;
use lunatic_admin::{Directory, Limits, RuntimeName, Server, StartError};

use crate::command_line::problem::Problem;
use crate::{Admin, Runtime};

/// By what name a runtime is found, if at all.
#[derive(Debug, Args)]
#[command(next_help_heading = "For other commands")]
pub(crate) struct Naming {
    /// The name by which `lunatic ps` and others find this runtime; by default
    /// `lunatic-PID`.
    #[arg(long, conflicts_with = "no_admin")]
    name: Option<RuntimeName>,

    /// Do not listen for `lunatic ps` and others.
    #[arg(long)]
    no_admin: bool,
}

impl Naming {
    /// The name, if one was given.
    pub(crate) fn name(&self) -> Option<&RuntimeName> {
        self.name.as_ref()
    }
}

/// Listens at the admin socket of this program until the result is dropped. If that fails,
/// only a runtime that was given a name does not run.
pub(crate) fn listen(runtime: &Runtime, naming: &Naming) -> Result<Option<Server>, Problem> {
    if naming.no_admin {
        return Ok(None);
    }
    let default = RuntimeName::of_this_program();
    let name = naming.name.as_ref().unwrap_or(&default);
    let started = Directory::of_user()
        .map_err(StartError::Directory)
        .and_then(|directory| {
            Server::start(&directory, name, Limits::default(), Admin::new(runtime))
        });
    match started {
        Ok(server) => {
            tracing::debug!("`lunatic ps` finds this runtime as {name}");
            Ok(Some(server))
        }
        Err(error) if naming.name.is_none() => {
            tracing::debug!("`lunatic ps` does not find this runtime: {error}");
            Ok(None)
        }
        Err(error) => Err(Problem::new(error).help("take another --name, or leave it out")),
    }
}
