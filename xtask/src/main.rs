//! `cargo xtask`: builds the guests, and drives demos, tests and checks.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool talks to whoever started it"
)]

mod cargo;
mod command;
mod compat;
mod demo;
mod deny;
mod dist;
mod fuzz;
mod guests;
mod languages;
mod loom;
mod measure;
mod package;
mod programs;
mod screenshot;
mod simulate;
mod smallest;
mod tally;
mod test;
mod tidy;
mod toolchain;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", about)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Finds or fetches what compiles guests to wasm32-wasip1
    Toolchain,
    /// Builds the guest programs in `guests/`
    Guests,
    /// Makes the archive for other machines: programs, manual pages, completions, licences
    Dist {
        /// Ship the programs as tests have them, which is sooner
        #[arg(long)]
        dev: bool,
    },
    /// Makes the packages for crates.io, and checks that nothing is missing that it asks for
    Package {
        /// Compile each as it lies in its package, which takes long
        #[arg(long)]
        verify: bool,
    },
    /// Builds and runs the same program in every language, and writes docs/languages.md
    Languages {
        /// Install the toolchains that registries have below `target/languages` first
        #[arg(long)]
        fetch: bool,
    },
    /// Builds the runtime and a demo guest, and runs it
    Demo {
        /// Arguments for the guest
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Measures the runtime in whole programs and writes BENCHMARKS.md
    #[command(disable_help_flag = true)]
    Bench {
        /// Arguments for the program that measures
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Starts and ends processes for a while, and checks that memory does not grow
    #[command(disable_help_flag = true)]
    Soak {
        /// Arguments for the program that measures
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Gives a part of the runtime random inputs until one fails
    #[command(disable_help_flag = true)]
    Fuzz {
        /// Arguments for the program: a target, and `--seconds N`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Has hostile guests attack others, and sees what that does
    #[command(disable_help_flag = true)]
    Attack {
        /// Arguments for the program that measures
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Model-checks what workers, mailboxes and the arena share between threads
    Loom,
    /// Builds the runtime without all that can be left out, and runs a program in it
    Smallest,
    /// Runs clusters of nodes in virtual time, with all that can happen to them
    Simulate(simulate::Arguments),
    /// Runs everything CI runs
    Test,
    /// Runs the tests and examples of the published `lunatic` crate
    Compat {
        /// Runs only the test file or example of this name
        #[arg(long, value_name = "NAME")]
        filter: Option<String>,
    },
    /// Makes the picture of the dashboard in docs, with a headless Chromium
    Screenshot,
    /// Checks what neither the compiler nor clippy checks
    Tidy,
    /// Checks licences, banned packages and sources of dependencies with cargo-deny, offline
    Deny,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Toolchain => toolchain::main(),
        Task::Guests => guests::main(),
        Task::Dist { dev } => dist::main(dev),
        Task::Package { verify } => package::main(verify),
        Task::Languages { fetch } => languages::main(fetch),
        Task::Demo { arguments } => return demo::main(&arguments).unwrap_or_else(report),
        Task::Bench { arguments } => {
            return measure::main("bench", &arguments).unwrap_or_else(report);
        }
        Task::Soak { arguments } => {
            return measure::main("soak", &arguments).unwrap_or_else(report);
        }
        Task::Attack { arguments } => {
            return measure::main("attack", &arguments).unwrap_or_else(report);
        }
        Task::Fuzz { arguments } => {
            return fuzz::main(&arguments).unwrap_or_else(report);
        }
        Task::Loom => loom::main(),
        Task::Smallest => smallest::main(),
        Task::Simulate(arguments) => simulate::main(&arguments),
        Task::Test => test::main(),
        Task::Compat { filter } => compat::main(filter.as_deref()),
        Task::Screenshot => screenshot::main(),
        Task::Tidy => tidy::main(),
        Task::Deny => deny::main(),
    };
    done.map_or_else(report, |()| ExitCode::SUCCESS)
}

fn report(error: anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}
