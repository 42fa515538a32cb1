//! Computes everything on every backend, interleaved, and prints how long it took.
//!
//! `compute ROUNDS [PROGRAMS]` prints a line `WORK-BACKEND 1 NANOSECONDS` for each kernel, with the
//! median of all rounds. With the module of the guest `programs` it also prints a line for each of
//! these, and `programs-BACKEND` with their geometric mean.
#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::env;
use std::error::Error;
use std::fs;
use std::time::{Duration, Instant};

use lunatic_bench::compute::{Backend, Kernel, PROGRAMS, Program};

/// An instance for each backend.
type Instances = Vec<(Backend, Program)>;

/// Measured once each, on one backend after the other, so that noise hits all alike.
type Round = Vec<(String, Backend, Duration)>;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let rounds: usize = arguments
        .next()
        .ok_or("an argument is needed: ROUNDS")?
        .parse()?;
    let mut kernels = instances(Program::new)?;
    report(rounds, || kernel_round(&mut kernels))?;
    let Some(path) = arguments.next() else {
        return Ok(());
    };
    let module = fs::read(path)?;
    let mut programs = instances(|backend| Program::of(backend, &module))?;
    let medians = report(rounds, || program_round(&mut programs))?;
    for backend in Backend::ALL {
        let of_backend = medians.iter().filter(|(_, its, _)| *its == backend);
        let logarithms = of_backend.map(|(_, _, median)| (median.as_nanos() as f64).ln());
        let mean = logarithms.sum::<f64>() / PROGRAMS.len() as f64;
        println!("programs-{backend} 1 {}", mean.exp().round());
    }
    Ok(())
}

fn instances<E>(make: impl Fn(Backend) -> Result<Program, E>) -> Result<Instances, E> {
    let instances = Backend::ALL.into_iter();
    instances
        .map(|backend| Ok((backend, make(backend)?)))
        .collect()
}

/// Does so many rounds, prints the medians, and returns them.
fn report(
    rounds: usize,
    mut round: impl FnMut() -> wasmtime::Result<Round>,
) -> wasmtime::Result<Round> {
    // The first is for pages and caches.
    let mut medians = round()?;
    let rounds: Vec<Round> = (0..rounds.max(1))
        .map(|_| round())
        .collect::<Result<_, _>>()?;
    for (index, (work, backend, time)) in medians.iter_mut().enumerate() {
        *time = median(rounds.iter().map(|round| round[index].2).collect());
        println!("{work}-{backend} 1 {}", time.as_nanos());
    }
    Ok(medians)
}

fn kernel_round(instances: &mut Instances) -> wasmtime::Result<Round> {
    let mut round = Round::new();
    for kernel in Kernel::ALL {
        for (backend, program) in &mut *instances {
            let start = Instant::now();
            program.run(kernel, kernel.usual())?;
            round.push((kernel.to_string(), *backend, start.elapsed()));
        }
    }
    Ok(round)
}

fn program_round(instances: &mut Instances) -> wasmtime::Result<Round> {
    /// How often each is done.
    const TIMES: i32 = 3;
    let mut round = Round::new();
    for export in PROGRAMS {
        for (backend, program) in &mut *instances {
            let start = Instant::now();
            program.call(export, TIMES)?;
            round.push((export.to_owned(), *backend, start.elapsed()));
        }
    }
    Ok(round)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
