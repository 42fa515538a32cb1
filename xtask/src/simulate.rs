//! Runs clusters in virtual time: the simulation of `lunatic-distributed`.

use anyhow::Result;

use crate::{cargo, command};

/// The simulations to run.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Arguments {
    /// Runs this seed, and writes what happens in it to standard error
    seed: Option<u64>,
    /// Runs so many seeds
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// Runs the gossip of a thousand nodes
    #[arg(long)]
    thousand: bool,
}

/// The tests that run seeds: of whole clusters, and of nodes of one name that are started at once.
pub(crate) const SEEDED: [&str; 2] = [
    "simulation::clusters_keep_their_promises",
    "simulation::rivals::clusters_keep_one_of_several",
];

pub(crate) fn main(arguments: &Arguments) -> Result<()> {
    let mut test = cargo::new("test");
    test.args([
        "--release",
        "-p",
        "lunatic-distributed",
        "--no-default-features",
    ]);
    match arguments {
        Arguments { thousand: true, .. } => {
            test.args([
                "--lib",
                "--",
                "--ignored",
                "--nocapture",
                "a_death_is_known",
            ]);
        }
        Arguments { seed, seeds, .. } => {
            test.args(["--lib", "--", "--nocapture"]).args(SEEDED);
            if let Some(seed) = seed {
                test.env("LUNATIC_SEED", seed.to_string());
            }
            if let Some(seeds) = seeds {
                test.env("LUNATIC_SEEDS", seeds.to_string());
            }
        }
    }
    command::run(&mut test)
}
