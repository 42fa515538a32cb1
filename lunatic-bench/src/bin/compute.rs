//! Computes everything on every backend, interleaved, and prints how long it took.
//!
//! `compute ROUNDS` prints a line `KERNEL-BACKEND 1 NANOSECONDS` for each, with
//! the median of all rounds.
#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::env;
use std::error::Error;
use std::time::{Duration, Instant};

use lunatic_bench::compute::{Backend, Kernel, Program};

/// Measured once each, on one backend after the other, so that noise hits all alike.
type Round = Vec<(Kernel, Backend, Duration)>;

fn main() -> Result<(), Box<dyn Error>> {
    let rounds: usize = env::args()
        .nth(1)
        .ok_or("an argument is needed: ROUNDS")?
        .parse()?;
    let mut programs = Vec::new();
    for backend in Backend::ALL {
        programs.push((backend, Program::new(backend)?));
    }
    // The first is for pages and caches.
    round(&mut programs)?;
    let rounds: Vec<Round> = (0..rounds.max(1))
        .map(|_| round(&mut programs))
        .collect::<Result<_, _>>()?;
    for (index, (kernel, backend, _)) in rounds[0].iter().enumerate() {
        let times = rounds.iter().map(|round| round[index].2).collect();
        println!("{kernel}-{backend} 1 {}", median(times).as_nanos());
    }
    Ok(())
}

fn round(programs: &mut [(Backend, Program)]) -> wasmtime::Result<Round> {
    let mut round = Round::new();
    for kernel in Kernel::ALL {
        for (backend, program) in &mut *programs {
            let start = Instant::now();
            program.run(kernel, kernel.usual())?;
            round.push((kernel, *backend, start.elapsed()));
        }
    }
    Ok(round)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
