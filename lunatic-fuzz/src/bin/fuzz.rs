//! `fuzz TARGET --seconds N`: gives a target random inputs until one fails.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool talks to whoever started it"
)]

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use lunatic_fuzz::{Driver, TARGETS};

#[derive(Debug, Parser)]
struct Options {
    /// The target: modules, manifest, admin, wire or calls
    target: String,
    /// How long
    #[arg(long, value_name = "N", default_value = "60")]
    seconds: u64,
    /// For random inputs; by default that is the time
    #[arg(long)]
    seed: Option<u64>,
    /// Tries this file and no other input
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let options = Options::parse();
    let target = TARGETS
        .into_iter()
        .find(|target| target.name == options.target)
        .ok_or_else(|| {
            let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            format!("there is no target of this name, only {}", names.join(", "))
        })?;
    if let Some(file) = &options.input {
        (target.run)(&fs::read(file)?);
        return Ok(ExitCode::SUCCESS);
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let seed = options.seed.unwrap_or(now.as_nanos() as u64);
    let folder = PathBuf::from("target/fuzz");
    fs::create_dir_all(&folder)?;
    let last = folder.join(format!("{}.last", target.name));
    let mut driver = Driver::new(target, seed)?;
    println!("{} with seed {seed}", target.name);
    let begin = Instant::now();
    let tried = driver.try_corpus().and_then(|stored| {
        let time = Duration::from_secs(options.seconds);
        let some = driver.try_some(u64::MAX, time, Some(&last))?;
        Ok(stored as u64 + some)
    });
    let time = begin.elapsed().as_secs();
    match tried {
        Ok(number) => {
            println!("{number} inputs in {time} s, and nothing was found");
            Ok(ExitCode::SUCCESS)
        }
        Err(finding) => {
            let file = folder.join(format!("{}.found", target.name));
            fs::write(&file, finding.input)?;
            eprintln!("after {time} s: see {}", file.display());
            Ok(ExitCode::FAILURE)
        }
    }
}
