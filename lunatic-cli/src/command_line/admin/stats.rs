//! `lunatic stats`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use lunatic_admin::{Request, Response};

use crate::command_line::admin::ask::{Which, ask, unexpected};
use crate::command_line::admin::shown::{self, or_nothing};
use crate::command_line::output::print_line;
use crate::command_line::problem::Problem;

/// How it is told.
#[derive(Debug, Args)]
pub(crate) struct Stats {
    #[command(flatten)]
    which: Which,

    /// Print an object in JSON.
    #[arg(long)]
    json: bool,
}

/// Tells what there is of the runtime as a whole.
pub(crate) fn stats(options: &Stats) -> Result<ExitCode, Problem> {
    let stats = ask(&options.which, async |runtime| {
        match runtime.request(&Request::Stats).await? {
            Response::Stats(stats) => Ok(stats),
            other => Err(unexpected(&other)),
        }
    })?;
    match options.json {
        true => print_line(shown::json(&stats)?),
        false => print_line(text(&stats)),
    }
}

fn text(stats: &lunatic_admin::Stats) -> String {
    let runtime = &stats.runtime;
    let time = |ms: u64| shown::time(Duration::from_millis(ms));
    let version = shown::text(&runtime.version, 64);
    let mut lines = vec![format!(
        "lunatic {version}, process {} of the system",
        runtime.pid
    )];
    let mut field = |name: &str, value: String| lines.push(format!("  {name:<13} {value}"));
    field("running for", time(runtime.uptime_ms));
    field("CPU time", time(stats.cpu_ms));
    field("workers", stats.workers.to_string());
    field("run queue", stats.run_queue.to_string());
    field(
        "memory",
        or_nothing(stats.resident_memory.map(shown::bytes)),
    );
    for environment in &stats.environments {
        let (living, spawned) = (environment.processes, environment.spawned);
        let name = match stats.environments.len() {
            1 => "processes".to_owned(),
            _ => format!("environment {}", environment.id),
        };
        field(&name, format!("{living} alive, {spawned} spawned"));
    }
    field("messages", stats.messages.to_string());
    field("timers", stats.timers.to_string());
    let mut name = "charged";
    for usage in &stats.account {
        field(name, shown::usage(usage));
        name = "";
    }
    lines.join("\n")
}
