//! Measures the network guests under load, on loopback, and writes a part of
//! BENCHMARKS.md of its own.
//!
//! The load shares the machine's cores with the runtime. All of it is bounded, in
//! number and in time.

mod churn;
mod crowd;
mod http;
mod profile;
mod server;
mod slow;
mod table;
mod wrk;

use anyhow::{Result, bail};
use rustix::process::{Resource, getrlimit, setrlimit};

use super::machine::Machine;
use crate::document;
use crate::number::{Unit, Value};
use table::{Line, Outcome};

/// A row: the measured work, and its target.
struct Row {
    title: String,
    unit: Unit,
    target: Target,
}

#[derive(Clone, Copy)]
enum Target {
    None,
    AtLeast(f64),
    AtMost(f64),
}

/// A measurement: its rows, and the values for them, or why there are none.
struct Measurement {
    count: u64,
    rows: Vec<Row>,
    measure: Measure,
}

type Measure = Box<dyn Fn() -> Result<Measured>>;

enum Measured {
    /// One for each row.
    Values(Vec<Value>),
    /// A tool that isn't installed.
    Skipped(String),
}

/// Runs all measurements, and fails if one does.
pub(super) fn main(quick: bool) -> Result<()> {
    raise_limit_of_descriptors();
    let machine = Machine::here()?;
    let mut lines = Vec::new();
    for measurement in plan(quick) {
        println!("{} …", measurement.rows[0].title);
        let outcome = match (measurement.measure)() {
            Ok(Measured::Values(values)) => Outcome::Values(values),
            Ok(Measured::Skipped(reason)) => {
                println!("SKIPPED: {reason}");
                Outcome::Skipped(reason)
            }
            Err(error) => {
                println!("FAILED: {error:#}");
                Outcome::Failed(format!("{error:#}"))
            }
        };
        lines.push(Line {
            measurement,
            outcome,
        });
    }
    let table = table::markdown(&lines);
    println!("\n{table}");
    if !quick {
        document::NETWORK.write(&format!(
            "{machine}\nWritten by `cargo xtask bench --network`. The load generator shares the \
             cores; n is the number of connections; rows of `wrk` are medians of three runs; \
             memory is that of the program, without the kernel's buffers.\n\n{table}"
        ))?;
    }
    match lines.iter().filter(|line| line.has_failed()).count() {
        0 => Ok(()),
        number => bail!("{number} of the network measurements failed"),
    }
}

fn plan(quick: bool) -> Vec<Measurement> {
    let sized = |usual, small| if quick { small } else { usual };
    vec![
        wrk::keep_alive(32, quick, [Target::AtLeast(25_000.0), NONE, NONE, NONE]),
        wrk::keep_alive(
            500,
            quick,
            [NONE, NONE, Target::AtMost(60.0), Target::AtMost(250.0)],
        ),
        wrk::closing(32, quick),
        profile::shares(),
        crowd::open(sized(10_000, 200)),
        churn::one_after_another(sized(100_000, 500)),
        slow::loris(sized(1000, 50), quick),
    ]
}

const NONE: Target = Target::None;

/// This program has as many sockets as the one it looks at. Where the system does
/// not let us, the measurement fails and says why.
fn raise_limit_of_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}

fn row(title: impl Into<String>, unit: Unit, target: Target) -> Row {
    Row {
        title: title.into(),
        unit,
        target,
    }
}
