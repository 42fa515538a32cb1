//! Has hostile guests attack others, each in a program of its own, and sees from inside
//! and outside what that does.

mod confinement;
mod memory;
mod outcome;
mod watch;

use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use lunatic_bench::attack::{Attack, Trial};

use crate::document;
use outcome::{Outcome, Seen};

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Runs only the attack of this name
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// The time of each attack, in seconds
    #[arg(long, value_name = "N", default_value = "3")]
    seconds: u64,
    /// Prints a line of JSON for each attack instead of a table
    #[arg(long)]
    json: bool,
    /// Writes the table into SECURITY.md
    #[arg(long, conflicts_with = "only")]
    write: bool,
    /// Runs attacks on the memory of the runtime, each with the limits of its branch and with
    /// hardly any, and all at once, in a control group with so many MiB, as `600M`; fails if
    /// the runtime, which may have 512 MiB, ends
    #[arg(long, value_name = "SIZE", value_parser = memory::size, conflicts_with = "write")]
    cgroup: Option<u64>,
}

pub(crate) use memory::{SiegeOptions, siege};

#[derive(Args, Debug)]
pub(crate) struct TrialOptions {
    name: String,
    seconds: u64,
}

/// Runs the attacks, and fails if one hurts others.
pub(crate) fn main(options: &Options) -> Result<()> {
    if let Some(bytes) = options.cgroup {
        return memory::main(bytes, options.seconds, options.only.as_deref());
    }
    let mut attacks = Attack::all()?;
    if let Some(only) = &options.only {
        attacks.retain(|attack| attack.name == *only);
    }
    if attacks.is_empty() {
        bail!("there is no such attack");
    }
    let mut outcomes = Vec::new();
    for attack in attacks {
        let outcome = watch::run(attack, options.seconds)?;
        match options.json {
            true => println!("{}", outcome.json()),
            false => println!("{}", outcome.line()),
        }
        outcomes.push(outcome);
    }
    if options.write {
        document::ATTACKS.write(&table(&outcomes, options.seconds))?;
    }
    let hurtful = outcomes.iter().filter(|outcome| !outcome.is_harmless());
    match hurtful.count() {
        0 => Ok(()),
        number => bail!("{number} of {} attacks hurt others", outcomes.len()),
    }
}

/// Runs one attack here, and prints what was seen.
pub(crate) fn trial(options: &TrialOptions) -> Result<()> {
    let attack = Attack::named(&options.name)?;
    let expectation = attack.expectation.clone();
    let time = Duration::from_secs(options.seconds);
    let findings = Trial::start(attack)?.run(time, expectation.is_an_end());
    println!("{}", Seen::of(&findings, &expectation).to_line());
    Ok(())
}

fn table(outcomes: &[Outcome], seconds: u64) -> String {
    let confinement = confinement::Confinement::kind();
    let mut table = format!(
        "Each attack went on for {seconds} s, {confinement}.\n\n{}\n",
        Outcome::HEADINGS
    );
    for outcome in outcomes {
        table.push_str(&outcome.row());
        table.push('\n');
    }
    table
}
