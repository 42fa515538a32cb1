//! Measures whole programs: `cargo xtask bench`, `soak` and `attack` build it and
//! start it.
//!
//! The programs of this tree lie in the folder of this one, and `LUNATIC_GUESTS`
//! names the folder of the guests.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it shows what it measures"
)]

mod attack;
mod bench;
mod document;
mod number;
mod place;
mod proc;
mod program;
mod soak;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// As the program `lunatic` has it: attacks run in this program.
#[global_allocator]
static ALLOCATOR: lunatic_allocator::Allocator = lunatic_allocator::Allocator;

#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", about)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Measures the runtime in whole programs and writes BENCHMARKS.md
    Bench(bench::Options),
    /// Starts and ends processes for a while, and checks that memory does not grow
    Soak(soak::Options),
    /// Has hostile guests attack others, and sees from outside what that does
    Attack(attack::Options),
    /// Runs one attack in this program and prints what was seen
    #[command(hide = true)]
    Trial(attack::TrialOptions),
    /// Runs attacks at once in this program and prints what was seen of the runtime
    #[command(hide = true)]
    Siege(attack::SiegeOptions),
}

fn main() -> ExitCode {
    lunatic_allocator::collect_rarely();
    lunatic_cli::when_memory_is_short(lunatic_allocator::give_back);
    let done = match Arguments::parse().task {
        Task::Bench(options) => bench::main(&options),
        Task::Soak(options) => soak::main(&options),
        Task::Attack(options) => attack::main(&options),
        Task::Trial(options) => attack::trial(&options),
        Task::Siege(options) => attack::siege(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
