//! Runs the tests and examples of the published `lunatic` crate.
//!
//! The crate's package carries them. A copy of it is built under
//! `target/compat/`, and each program runs on the runtime of this tree.

mod distributed;
mod examples;
mod exports;
mod network;
mod package;
mod suite;

use std::fmt;
use std::ops::AddAssign;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::cargo::Artifact;
use crate::command::{self, Outcome};
use crate::tally::Tally;
use crate::{programs, toolchain};
use package::Package;

/// How long a program may run. The longest takes a few seconds.
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// The results of tests and examples.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Report {
    /// The tests that ran, or should have run.
    pub(crate) tally: Tally,
    /// The tests that wait for a part of the runtime.
    pub(crate) waiting: usize,
}

/// Runs what `filter` names, or all, and fails if any of it does.
pub(crate) fn main(filter: Option<&str>) -> Result<()> {
    let report = run(filter)?;
    if report.tally.failed > 0 {
        bail!(
            "{} of the `lunatic` crate's tests failed",
            report.tally.failed
        );
    }
    Ok(())
}

/// Runs what `filter` names, or all, and prints what came of it.
pub(crate) fn run(filter: Option<&str>) -> Result<Report> {
    check_filter(filter)?;
    let selected = |name: &str| filter.is_none_or(|filter| filter == name);
    let package = Package::unpack()?;
    let artifacts = package.build(&toolchain::ensure()?)?;
    let runner = Runner {
        lunatic: programs::build("lunatic")?,
        package: package.folder,
    };
    let mut report = suite::run(&runner, &artifacts, selected)?;
    report += examples::run(&runner, &artifacts, selected)?;
    report += network::run(&runner, &artifacts, selected)?;
    report += distributed::run(&runner, &artifacts, selected)?;
    println!("\ncompat: {report}");
    Ok(report)
}

fn check_filter(filter: Option<&str>) -> Result<()> {
    let names: Vec<&str> = suite::names()
        .chain(examples::names())
        .chain(network::names())
        .chain([distributed::NAME])
        .collect();
    match filter {
        Some(filter) if !names.contains(&filter) => bail!(
            "there is no test file or example `{filter}`; there are {}",
            names.join(", ")
        ),
        _ => Ok(()),
    }
}

/// Runs programs the way cargo does when its runner is `lunatic run`.
struct Runner {
    lunatic: PathBuf,
    package: PathBuf,
}

impl Runner {
    fn run(
        &self,
        program: &Path,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<Outcome> {
        let mut lunatic = command::new(&self.lunatic);
        lunatic.arg("run").arg(program).args(arguments);
        self.settle(&mut lunatic).envs(variables.iter().copied());
        command::run_for(&mut lunatic, TIME_LIMIT)
    }

    /// Gives a command that runs a program its folder and environment.
    fn settle<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .current_dir(&self.package)
            .env("CARGO_MANIFEST_DIR", &self.package)
            // The tests wait 10 ms for a child to panic and be started again; a
            // debug build takes that long for the backtrace alone.
            .env_remove("RUST_BACKTRACE")
    }
}

/// Describes how a program ended, if another end was expected.
fn ending(outcome: &Outcome) -> String {
    match outcome.code {
        _ if outcome.timed_out => format!("killed after {TIME_LIMIT:?}"),
        Some(code) => format!("exit code {code}"),
        None => "killed by a signal".to_owned(),
    }
}

/// Prints what a failed program wrote.
fn print_output(outcome: &Outcome) {
    for (stream, text) in [("stdout", &outcome.stdout), ("stderr", &outcome.stderr)] {
        for line in text.lines() {
            println!("    {stream}: {line}");
        }
    }
}

impl AddAssign for Report {
    fn add_assign(&mut self, other: Self) {
        self.tally += other.tally;
        self.waiting += other.waiting;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} waiting", self.tally, self.waiting)
    }
}

/// The program of one target, if cargo built it.
fn program<'a>(artifacts: &'a [Artifact], kind: &str, name: &str) -> Option<&'a Path> {
    artifacts
        .iter()
        .find(|artifact| artifact.kind == kind && artifact.name == name)
        .map(|artifact| artifact.path.as_path())
}
