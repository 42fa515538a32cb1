//! Computes everything on every ground in turns, and prints how long it took.
//!
//! `compute ROUNDS` prints a line `KERNEL-GROUND 1 NANOSECONDS` for each, with
//! the median of all rounds.
#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::env;
use std::error::Error;
use std::time::{Duration, Instant};

use lunatic_bench::compute::{Body, Ground, Kernel};

/// Measured once each, on one ground after the other, so that noise hits all alike.
type Round = Vec<(Kernel, Ground, Duration)>;

fn main() -> Result<(), Box<dyn Error>> {
    let rounds: usize = env::args()
        .nth(1)
        .ok_or("an argument is needed: ROUNDS")?
        .parse()?;
    let mut bodies = Vec::new();
    for ground in Ground::ALL {
        bodies.push((ground, Body::new(ground)?));
    }
    // The first is for pages and caches.
    round(&mut bodies)?;
    let rounds: Vec<Round> = (0..rounds.max(1))
        .map(|_| round(&mut bodies))
        .collect::<Result<_, _>>()?;
    for (index, (kernel, ground, _)) in rounds[0].iter().enumerate() {
        let times = rounds.iter().map(|round| round[index].2).collect();
        println!("{kernel}-{ground} 1 {}", median(times).as_nanos());
    }
    Ok(())
}

fn round(bodies: &mut [(Ground, Body)]) -> wasmtime::Result<Round> {
    let mut round = Round::new();
    for kernel in Kernel::ALL {
        for (ground, body) in &mut *bodies {
            let start = Instant::now();
            body.run(kernel, kernel.usual())?;
            round.push((kernel, *ground, start.elapsed()));
        }
    }
    Ok(round)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
