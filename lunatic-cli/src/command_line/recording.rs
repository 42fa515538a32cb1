//! What is recorded while a program runs.

use std::path::PathBuf;

use clap::Args;

use crate::Builder;
use crate::command_line::logging;
use crate::command_line::problem::Problem;
use crate::command_line::timeline::Timeline;

/// What is recorded, and where it is written to.
#[derive(Debug, Args)]
pub(crate) struct Recording {
    /// Write a core dump of each process that traps into this directory: of the first 16,
    /// and of memories of 256 MiB at most.
    ///
    /// A core dump has all that the guest knew; it is readable for this user only.
    #[arg(long, value_name = "DIR")]
    coredump: Option<PathBuf>,

    /// Write what took how long to this file, for Perfetto (ui.perfetto.dev): spawns, calls of
    /// host functions that take a millisecond or more, calls of other nodes, reloads.
    #[arg(long, value_name = "FILE")]
    trace_out: Option<PathBuf>,
}

impl Recording {
    /// Begins to log and to record.
    ///
    /// - `default`: the filter of log lines if `RUST_LOG` is not set.
    pub(crate) fn start(&self, default: &str) -> Result<(), Problem> {
        if let Some(directory) = self.coredump.as_ref().filter(|it| !it.is_dir()) {
            let directory = directory.display();
            return Err(Problem::new(format!("`{directory}` is no directory"))
                .help("make it before: core dumps are written into it"));
        }
        let trace_out = self.trace_out.as_deref();
        let timeline = trace_out.map(Timeline::start).transpose()?;
        logging::start_with(default, timeline)
    }

    /// A runtime that records it.
    pub(crate) fn of(&self, builder: Builder) -> Builder {
        let builder = match &self.coredump {
            Some(directory) => builder.core_dumps(directory),
            None => builder,
        };
        match self.trace_out {
            Some(_) => builder.timeline(),
            None => builder,
        }
    }
}
