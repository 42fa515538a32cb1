//! Whether a runtime with a limit of memory lives through attacks on its memory, one after the
//! other and all at once.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use clap::Args;
use lunatic_account::AccountLimits;
use lunatic_bench::attack::{Attack, Trial};

use super::confinement::Confinement;
use super::outcome::Seen;
use super::watch::{self, Watched};

/// The attacks that take memory, or make the host take it.
const ATTACKS: &[&str] = &[
    "capacity_hints",
    "compile_br_table",
    "compile_functions",
    "compile_globals",
    "compile_locals",
    "compile_nesting",
    "compile_nops",
    "config_arguments",
    "config_environment",
    "configs",
    "deep_branches",
    "errors_kept",
    "errors_of_compiler",
    "fork_bomb",
    "group_again",
    "group_broadcast",
    "group_monitors",
    "groups",
    "growing_scratch",
    "large_messages",
    "links_at_death",
    "log_names",
    "mailbox_flood_empty",
    "mailbox_flood_host",
    "mailbox_flood_neighbour",
    "mailbox_flood_self",
    "memory_copy",
    "memory_fill",
    "memory_grow",
    "memory_grow_together",
    "modules_kept",
    "monitors_at_death",
    "names",
    "names_huge",
    "poll_many",
    "random_bytes",
    "recursion",
    "reload_hand_over",
    "selective_receive",
    "spawn_chain",
    "spawn_large_arguments",
    "spawn_large_names",
    "spawn_wait",
    "specification_children",
    "specifications",
    "specifications_doubled",
    "specifications_nested",
    "sql_connections",
    "sql_statements",
    "table_grow",
    "tag_lists",
    "timers",
    "timers_due",
    "timers_outlive",
];

/// Limits that the runtime's own is far below.
const HARDLY_ANY: AccountLimits = AccountLimits {
    memory: 1 << 40,
    processes: 100_000,
    descriptors: 1000,
    timers: 1 << 30,
    names: 1 << 30,
    ..AccountLimits::UNLIMITED
};

#[derive(Args, Debug)]
pub(crate) struct SiegeOptions {
    seconds: u64,
    /// Leaves the limits of branches out
    #[arg(long)]
    hardly_limited: bool,
    #[arg(required = true)]
    names: Vec<String>,
}

/// Reads a number of bytes, as `600M`.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let number = text.strip_suffix('M').and_then(|text| text.parse().ok());
    let size = number.and_then(|number: u64| number.checked_mul(1 << 20));
    size.ok_or_else(|| format!("`{text}` is no size like `600M`"))
}

/// Runs the attacks, and fails if the runtime does not survive one.
///
/// - `bytes`: the memory that the runtime may have.
/// - `seconds`: the time of each attack.
/// - `only`: the name of the only attack to run.
pub(super) fn main(bytes: u64, seconds: u64, only: Option<&str>) -> Result<()> {
    let confinement = Confinement::new(bytes);
    match confinement.version() {
        Some(version) => println!(
            "Each in a control group ({}) with {} MiB.",
            version.name(),
            bytes >> 20
        ),
        None => eprintln!(
            "THERE IS NO CONTROL GROUP: that needs root, and control groups that limit memory.\n\
             The memory of each program is only watched."
        ),
    }
    let names: Vec<_> = ATTACKS.iter().map(|name| (*name).to_owned()).collect();
    let alone = names.iter().map(|name| (name.as_str(), vec![name.clone()]));
    let mut runs: Vec<_> = alone.collect();
    runs.push(("all at once", names.clone()));
    runs.retain(|(name, _)| only.is_none_or(|only| only == *name));
    ensure!(!runs.is_empty(), "there is no such attack");
    let mut failed = 0;
    for (name, attacks) in runs {
        for flag in [None, Some("--hardly-limited")] {
            let mut arguments = vec!["siege".to_owned(), seconds.to_string()];
            arguments.extend(flag.map(str::to_owned));
            arguments.extend_from_slice(&attacks);
            let watched = watch::watch(&arguments, seconds + attacks.len() as u64, &confinement)?;
            let problems = problems(&watched, bytes);
            println!(
                "{name:<24} {:<16} {:>4} MiB {:>6} KiB log  {}  {}",
                flag.unwrap_or_default(),
                watched.peak >> 20,
                watched.log >> 10,
                watched.seen.as_ref().map_or("", Seen::end),
                problems.join("; ")
            );
            failed += usize::from(!problems.is_empty());
        }
    }
    match failed {
        0 => Ok(()),
        failed => bail!("the runtime does not live through {failed} of them"),
    }
}

fn problems(watched: &Watched, bytes: u64) -> Vec<String> {
    let mut problems = match &watched.seen {
        Some(seen) => seen.problems.clone(),
        None => vec!["THE RUNTIME ENDED".to_owned()],
    };
    if watched.peak > bytes {
        problems.push("TOO MUCH MEMORY".to_owned());
    }
    problems
}

/// Runs attacks at once here, and prints what was seen.
pub(crate) fn siege(options: &SiegeOptions) -> Result<()> {
    let mut attacks = Vec::new();
    for name in &options.names {
        let mut attack = Attack::named(name)?;
        if options.hardly_limited {
            attack.limits = HARDLY_ANY;
        }
        attacks.push(attack);
    }
    let mut attacks = attacks.into_iter();
    let Some(first) = attacks.next() else {
        bail!("no attack is named");
    };
    let trial = Trial::start(first)?;
    for attack in attacks {
        if let Err(refused) = trial.add(attack) {
            eprintln!("a culprit was not started: {refused:#}");
        }
    }
    let findings = trial.run(Duration::from_secs(options.seconds), false);
    println!("{}", Seen::of_runtime(&findings).to_line());
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use super::*;

    #[test]
    fn each_of_the_attacks_has_a_file() {
        for name in ATTACKS {
            Attack::named(name).unwrap();
        }
    }

    #[test]
    fn a_size_is_a_number_of_mebibytes() {
        assert_eq!(size("600M"), Ok(600 << 20));
        assert!(size("600").is_err() && size("M").is_err() && size("99999999999999999M").is_err());
    }
}
