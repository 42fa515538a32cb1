//! Measures the runtime in whole programs and writes BENCHMARKS.md.
//!
//! A guest gets the work and the number of repetitions, and prints how long they took; memory and
//! idle CPU time are read from outside. Other subjects than the runtime of this tree do the same
//! interleaved with it, so that noise affects all alike.

mod databases;
mod live;
mod machine;
mod measurement;
mod network;
mod nodes;
mod plan;
mod reload;
mod results;
mod subject;
mod table;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};
use clap::Args;

use machine::Machine;
use plan::{Guest, PLAN, Size, Workload};
use results::Results;
use subject::Subject;

use crate::document;

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Also runs the guests on another binary that knows `run`
    #[arg(long, value_name = "PATH")]
    against: Option<PathBuf>,
    /// Also runs the same in Erlang, where `erl` is installed
    #[arg(long)]
    beam: bool,
    /// Uses small counts, to see that all works, and writes no file
    #[arg(long)]
    quick: bool,
    /// Also keeps as many processes alive as 24 GiB of memory hold
    #[arg(long, conflicts_with = "quick")]
    huge: bool,
    /// Runs only this mode, and writes no file
    #[arg(long, value_name = "MODE", value_parser = plan::modes())]
    only: Option<String>,
    /// Measures the network guests under load instead of all else
    #[arg(long, conflicts_with_all = ["against", "beam", "huge", "only", "runs"])]
    network: bool,
    /// Measures how processes move to another version of their module instead of all else
    #[arg(long, conflicts_with_all = ["against", "beam", "huge", "only", "runs", "network"])]
    reload: bool,
    /// Measures databases, beside `rusqlite` alone, instead of all else
    #[arg(long, conflicts_with_all = ["against", "beam", "huge", "only", "runs", "network"])]
    databases: bool,
    /// Measures two nodes of a cluster, beside two of Erlang, instead of all else
    #[arg(
        long,
        conflicts_with_all = ["against", "beam", "huge", "only", "network", "databases", "reload"]
    )]
    nodes: bool,
    /// How often all that is not memory is measured
    #[arg(long, value_name = "N", default_value = "5")]
    runs: NonZeroUsize,
}

/// Runs the plan, and fails if the runtime of this tree did anywhere.
pub(crate) fn main(options: &Options) -> Result<()> {
    if options.network {
        return network::main(options.quick);
    }
    if options.reload {
        return reload::main(options.quick);
    }
    if options.databases {
        return databases::main(options.quick);
    }
    if options.nodes {
        return nodes::main(options.quick, options.runs.get());
    }
    let machine = Machine::here()?;
    let subjects = subject::prepare(options.against.as_deref(), options.beam)?;
    let results: Vec<Results> = options
        .workloads()
        .map(|workload| workload.run(&subjects, options))
        .collect();

    let report = table::markdown(&results, &subjects);
    println!("\n{report}");
    if options.is_complete() {
        document::MAIN.write(&format!(
            "{machine}\nWritten by `{}`.\n\n{report}",
            options.command_line()
        ))?;
    }
    match failures(&results) {
        0 => Ok(()),
        number => bail!("{number} of the measurements of this tree failed"),
    }
}

/// The program of this tree whose processes come and go for so many seconds.
pub(crate) fn churn(seconds: u64) -> Result<Command> {
    Subject::this_tree()?.command(Guest::Rust, "churn", seconds)
}

fn failures(results: &[Results]) -> usize {
    results
        .iter()
        .filter(|results| results.ours().is_err())
        .count()
}

impl Options {
    fn workloads(&self) -> impl Iterator<Item = &'static Workload> {
        PLAN.iter().filter(|workload| {
            let wanted = self
                .only
                .as_deref()
                .is_none_or(|mode| mode == workload.mode);
            wanted && (workload.size == Size::Usual || self.huge)
        })
    }

    /// Whether all that goes into the file is measured.
    fn is_complete(&self) -> bool {
        !self.quick && self.only.is_none()
    }

    /// The command line for the same file.
    fn command_line(&self) -> String {
        let mut line = format!("cargo xtask bench --runs {}", self.runs);
        if let Some(binary) = &self.against {
            line.push_str(&format!(" --against {}", binary.display()));
        }
        for (flag, given) in [(" --beam", self.beam), (" --huge", self.huge)] {
            if given {
                line.push_str(flag);
            }
        }
        line
    }
}
