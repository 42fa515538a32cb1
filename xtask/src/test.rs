//! Runs everything CI runs, step by step.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::tally::Tally;
use crate::{
    cargo, command, compat, guests, languages, loom, package, simulate, smallest, tidy, toolchain,
    workspace,
};

/// The number of seeds for which the simulation of clusters is run.
const SEEDS: u64 = 10_000;

/// The number of seeds that the tests run.
const SEEDS_OF_THE_TESTS: u64 = 2000;

/// Runs all steps up to the first that fails, and sums up.
pub(crate) fn main() -> Result<()> {
    let mut run = Run::default();
    let result = run.all();
    run.print_summary();
    result
}

/// The steps done so far.
#[derive(Debug, Default)]
struct Run {
    steps: Vec<Step>,
    tally: Tally,
}

#[derive(Debug)]
struct Step {
    name: &'static str,
    passed: bool,
    took: Duration,
}

impl Run {
    fn all(&mut self) -> Result<()> {
        self.step("format", |_| format())?;
        self.step("clippy", |_| clippy())?;
        self.step("smallest", |_| smallest::check())?;
        self.step("tidy", |_| tidy::main())?;
        self.step("guests", |_| guests::main())?;
        if has_nextest() {
            self.step("tests", nextest)?;
            self.step("doc tests", |tally| libtest(&["--doc"], tally))?;
        } else {
            self.step("tests", |tally| libtest(&[], tally))?;
        }
        self.step("simulation", |_| simulate())?;
        self.step("packages", |_| package::main(false))?;
        self.step("examples", |_| examples())?;
        self.step("languages", |_| languages::try_those_that_can_be_built())?;
        self.step("loom", |_| loom::main())?;
        self.step("compat", compat)
    }

    fn step(
        &mut self,
        name: &'static str,
        work: impl FnOnce(&mut Tally) -> Result<()>,
    ) -> Result<()> {
        println!("\n=== {name}");
        let start = Instant::now();
        let result = work(&mut self.tally);
        let took = start.elapsed();
        let passed = result.is_ok();
        println!("=== {name}: {} after {took:.1?}", verdict(passed));
        self.steps.push(Step { name, passed, took });
        result.with_context(|| format!("the step `{name}` failed"))
    }

    fn print_summary(&self) {
        println!();
        for step in &self.steps {
            let verdict = verdict(step.passed);
            println!("{:<12}{verdict:<8}{:>8.1?}", step.name, step.took);
        }
        println!("\n{}", self.tally);
    }
}

fn verdict(passed: bool) -> &'static str {
    if passed { "ok" } else { "FAILED" }
}

fn format() -> Result<()> {
    let guests = guests::workspace().join("Cargo.toml");
    command::run(cargo::new("fmt").args(["--all", "--check"]))?;
    command::run(
        cargo::new("fmt")
            .args(["--all", "--check", "--manifest-path"])
            .arg(guests),
    )
}

/// Checks the guests too, for the host: a toolchain for guests may have no clippy.
fn clippy() -> Result<()> {
    let mut host = cargo::new("clippy");
    let mut guests = cargo::new("clippy");
    guests
        .current_dir(guests::workspace())
        .arg("--target-dir")
        .arg(workspace::target_dir().join("guests-check"));
    for clippy in [&mut host, &mut guests] {
        command::run(clippy.args([
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "--deny=warnings",
        ]))?;
    }
    Ok(())
}

fn has_nextest() -> bool {
    command::capture(cargo::new("nextest").arg("--version")).is_ok()
}

fn nextest(tally: &mut Tally) -> Result<()> {
    let mut nextest = with_guests(cargo::new("nextest"));
    // On a machine with other work a test can be too late once. A test that passes only when it is
    // run again is reported as flaky, and has to be mended.
    nextest.args(["run", "--workspace", "--no-fail-fast", "--retries", "1"]);
    command::watch(&mut nextest, |line| {
        *tally += Tally::from_nextest(line).unwrap_or_default();
    })
}

fn libtest(options: &[&str], tally: &mut Tally) -> Result<()> {
    let mut test = with_guests(cargo::new("test"));
    test.args(["--workspace", "--no-fail-fast"]).args(options);
    command::watch(&mut test, |line| {
        *tally += Tally::from_libtest(line).unwrap_or_default();
    })
}

/// Runs the seeds from [`SEEDS_OF_THE_TESTS`] to [`SEEDS`] of the simulations of clusters, on all
/// cores.
fn simulate() -> Result<()> {
    let mut test = cargo::new("test");
    test.args(["--workspace", "--lib", "--"]);
    test.args(simulate::SEEDED);
    test.env("LUNATIC_FIRST_SEED", SEEDS_OF_THE_TESTS.to_string());
    test.env("LUNATIC_SEEDS", (SEEDS - SEEDS_OF_THE_TESTS).to_string());
    command::run(&mut test)
}

/// Runs the examples of all packages, built with the features that the tests have.
fn examples() -> Result<()> {
    let mut build = cargo::new("build");
    build.args(["--workspace", "--examples"]);
    let examples = cargo::build(&mut build)?;
    for example in examples.iter().filter(|built| built.kind == "example") {
        println!("--- {}", example.name);
        command::run(&mut with_guests(command::new(&example.path)))?;
    }
    Ok(())
}

fn compat(tally: &mut Tally) -> Result<()> {
    let report = compat::run(None)?;
    *tally += report.tally;
    if report.tally.failed > 0 {
        bail!("tests of the published `lunatic` crate failed");
    }
    Ok(())
}

fn with_guests(mut command: Command) -> Command {
    guests::pass_to(&mut command);
    toolchain::pass_to(&mut command);
    command
}
