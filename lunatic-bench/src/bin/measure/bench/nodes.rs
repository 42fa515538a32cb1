//! Measures two nodes on loopback, beside two of Erlang, plain and with TLS, and writes a part of
//! BENCHMARKS.md of its own.
//!
//! A program on one node gets the work to do with the other, and prints how long it took; deaths
//! and CPU time are observed from outside. All subjects do the same in turns, so that noise affects
//! all alike.

mod erlang;
mod pair;
mod runtime;

use std::fmt::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use self::erlang::Erlang;
use self::pair::{Nodes, Work};
use self::runtime::Lunatic;
use super::machine::Machine;
use super::table::cells;
use crate::number::{Unit, Value, grouped, median};
use crate::program::{Next, Running};
use crate::{document, proc};

/// How long a measurement may take.
const TIME_LIMIT: Duration = Duration::from_secs(180);

/// How long nodes are left alone before they count as idle.
const SETTLING: Duration = Duration::from_secs(3);

/// The text of a cell without a measurement.
const NOTHING: &str = "–";

/// A line of the table.
#[derive(Debug, Clone, Copy)]
struct Row {
    title: &'static str,
    unit: Unit,
    measure: Measure,
    /// How often it is done, and how often when it is only about whether it works.
    count: u64,
    quick_count: u64,
    target: Target,
}

#[derive(Debug, Clone, Copy)]
enum Measure {
    /// The time that one takes.
    Each(&'static str),
    /// The number of messages of this size in a second.
    Rate(u64),
    /// The time after which a process is reported dead whose node was killed.
    Killed,
    /// The CPU time of both nodes together, of one core, for so many seconds.
    Idle,
}

#[derive(Debug, Clone, Copy)]
enum Target {
    AtMost(f64),
    AtLeast(f64),
    /// Below Erlang with TLS, and below so many times plain Erlang.
    BelowTlsAndTimesPlain(f64),
    /// At least this share of plain Erlang.
    ShareOfPlain(f64),
}

const ROWS: [Row; 7] = [
    Row {
        title: "round trip",
        unit: Unit::Microseconds,
        measure: Measure::Each("ping"),
        count: 20_000,
        quick_count: 200,
        target: Target::BelowTlsAndTimesPlain(2.0),
    },
    Row {
        title: "one way, 64 B",
        unit: Unit::PerSecond,
        measure: Measure::Rate(64),
        count: 1_000_000,
        quick_count: 2_000,
        target: Target::AtLeast(500_000.0),
    },
    Row {
        title: "one way, 1 KiB",
        unit: Unit::PerSecond,
        measure: Measure::Rate(1024),
        count: 300_000,
        quick_count: 1_000,
        target: Target::AtLeast(100_000.0),
    },
    Row {
        title: "one way, 64 KiB",
        unit: Unit::PerSecond,
        measure: Measure::Rate(64 << 10),
        count: 10_000,
        quick_count: 100,
        target: Target::ShareOfPlain(0.5),
    },
    Row {
        title: "start a process there, which has the code",
        unit: Unit::Microseconds,
        measure: Measure::Each("spawn"),
        count: 3_000,
        quick_count: 50,
        target: Target::AtMost(300.0),
    },
    Row {
        title: "`kill -9` of a node until a linked process is told",
        unit: Unit::Milliseconds,
        measure: Measure::Killed,
        count: 1,
        quick_count: 1,
        target: Target::AtMost(1_500.0),
    },
    Row {
        title: "CPU of both nodes while nothing happens, of one core",
        unit: Unit::Percent,
        measure: Measure::Idle,
        count: 20,
        quick_count: 2,
        target: Target::AtMost(0.5),
    },
];

/// Runs all of it.
pub(super) fn main(quick: bool, rounds: usize) -> Result<()> {
    let machine = Machine::here()?;
    let rounds = if quick { 1 } else { rounds };
    let ours = Lunatic::prepare()?;
    let erlang = Erlang::prepare()?;
    let mut subjects: Vec<&dyn Nodes> = vec![&ours];
    subjects.extend(erlang.iter().map(|erlang| erlang as &dyn Nodes));
    let mut text = head(&subjects);
    let mut failures = Vec::new();
    for row in &ROWS {
        let values = row.measured(&subjects, quick, rounds, &mut failures);
        text += &row.line(quick, &values);
    }
    if !failures.is_empty() {
        write!(text, "\nWhat failed:\n\n{}", failures.concat())?;
    }
    println!("\n{text}");
    if !quick {
        document::NODES.write(&format!(
            "{machine}\nWritten by `cargo xtask bench --nodes`. Two nodes on loopback, a process \
             on each; medians of {rounds} runs, in turns. Lunatic always has TLS; Erlang with TLS \
             (`-proto_dist inet_tls`) does not check certificates here, which matters to the \
             handshake alone.\n\n{text}"
        ))?;
    }
    match failures.len() {
        0 => Ok(()),
        number => bail!("{number} of the measurements failed"),
    }
}

fn head(subjects: &[&dyn Nodes]) -> String {
    let mut titles = vec!["Between two nodes".to_owned(), "n".to_owned()];
    titles.extend(subjects.iter().map(|subject| subject.name()));
    titles.extend(["target".to_owned(), "reached".to_owned()]);
    let rules: Vec<&str> = (0..titles.len())
        .map(|column| if column == 0 { "---" } else { "--:" })
        .collect();
    cells(&titles) + &cells(&rules)
}

impl Row {
    fn count(&self, quick: bool) -> u64 {
        if quick { self.quick_count } else { self.count }
    }

    /// The median of each subject; none for one that has failed.
    fn measured(
        &self,
        subjects: &[&dyn Nodes],
        quick: bool,
        rounds: usize,
        failures: &mut Vec<String>,
    ) -> Vec<Option<Value>> {
        let mut values: Vec<Result<Vec<Value>>> = subjects.iter().map(|_| Ok(Vec::new())).collect();
        for _ in 0..rounds {
            for (subject, values) in subjects.iter().zip(&mut values) {
                let Ok(earlier) = values else { continue };
                match self.measure.once(*subject, self.count(quick)) {
                    Ok(value) => {
                        println!(
                            "{}, {}: {}",
                            self.title,
                            subject.name(),
                            self.unit.show(value)
                        );
                        earlier.push(value);
                    }
                    Err(error) => {
                        failures.push(format!("- {}, {}: {error:#}\n", self.title, subject.name()));
                        *values = Err(error);
                    }
                }
            }
        }
        let medians = values.iter().map(|values| median(values.as_ref().ok()?));
        medians.collect()
    }

    fn line(&self, quick: bool, values: &[Option<Value>]) -> String {
        let mut columns = vec![self.title.to_owned(), grouped(self.count(quick))];
        let shown = values.iter();
        columns.extend(shown.map(|value| value.map_or("failed".into(), |it| self.unit.show(it))));
        columns.extend(self.target(values));
        cells(&columns)
    }

    /// The target, and whether it is reached.
    fn target(&self, values: &[Option<Value>]) -> [String; 2] {
        let value = |index: usize| values.get(index).copied().flatten();
        let [ours, plain, tls] = [0, 1, 2].map(value);
        let (title, is_reached) = match self.target {
            Target::AtMost(most) => {
                let most = self.unit.value(most);
                (
                    format!("≤ {}", self.unit.show(most)),
                    ours.map(|it| it <= most),
                )
            }
            Target::AtLeast(least) => {
                let least = self.unit.value(least);
                (
                    format!("≥ {}", self.unit.show(least)),
                    ours.map(|it| it >= least),
                )
            }
            Target::BelowTlsAndTimesPlain(times) => (
                format!("< TLS, < {times} × plain"),
                ours.zip(plain.zip(tls))
                    .map(|(ours, (plain, tls))| ours < tls && ours < times * plain),
            ),
            Target::ShareOfPlain(share) => (
                format!("≥ {share} × plain"),
                ours.zip(plain).map(|(ours, plain)| ours >= share * plain),
            ),
        };
        let reached = match is_reached {
            Some(true) => "yes",
            Some(false) => "no",
            None => NOTHING,
        };
        [title, reached.to_owned()]
    }
}

impl Measure {
    fn once(self, nodes: &dyn Nodes, count: u64) -> Result<Value> {
        match self {
            Measure::Each(mode) => each(nodes, Work::new(mode, count, 0)),
            Measure::Rate(bytes) => {
                let each = each(nodes, Work::new("flood", count, bytes))?;
                Ok(1.0 / each)
            }
            Measure::Killed => killed(nodes),
            Measure::Idle => idle(nodes, Duration::from_secs(count)),
        }
    }
}

/// Returns the value of one repetition.
fn each(nodes: &dyn Nodes, work: Work) -> Result<Value> {
    let (_one, mut two) = nodes.start(Some(work))?;
    let measured = line(&mut two)?;
    ensure!(measured.starts_with(work.mode), "it says {measured:?}");
    let measured: super::measurement::Measurement = measured.parse()?;
    Ok(measured.each())
}

fn killed(nodes: &dyn Nodes) -> Result<Value> {
    let (one, mut two) = nodes.start(Some(Work::new("watch", 1, 0)))?;
    ensure!(line(&mut two)?.starts_with("ready"), "it is not ready");
    // All that is of the beginning is over.
    thread::sleep(Duration::from_secs(1));
    let begun = Instant::now();
    drop(one);
    ensure!(line(&mut two)?.starts_with("told"), "it is not told");
    Ok(begun.elapsed().as_secs_f64())
}

fn idle(nodes: &dyn Nodes, time: Duration) -> Result<Value> {
    let (one, two) = nodes.start(None)?;
    thread::sleep(SETTLING);
    let used = || Ok::<_, anyhow::Error>(proc::cpu_time(one.id())? + proc::cpu_time(two.id())?);
    let before = used()?;
    thread::sleep(time);
    Ok((used()? - before) / time.as_secs_f64())
}

fn line(running: &mut Running) -> Result<String> {
    match running.next(TIME_LIMIT)? {
        Next::Line(line) => Ok(line),
        Next::Silence => bail!("nothing is heard of it"),
        Next::End(status) => {
            Err(anyhow::anyhow!("it has ended ({status})")).context("before it has told anything")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ROWS;

    #[test]
    fn targets_are_of_our_own_number_or_beside_erlang() {
        let reached = |row: usize, values: &[Option<f64>]| {
            let [_, reached] = ROWS[row].target(values);
            reached
        };
        assert_eq!(reached(0, &[Some(40e-6), Some(30e-6), Some(50e-6)]), "yes");
        assert_eq!(reached(0, &[Some(61e-6), Some(30e-6), Some(70e-6)]), "no");
        assert_eq!(reached(0, &[Some(40e-6), None, None]), "–");
        assert_eq!(reached(1, &[Some(500_000.0)]), "yes");
        assert_eq!(reached(3, &[Some(4_000.0), Some(9_000.0)]), "no");
        assert_eq!(reached(4, &[Some(299e-6)]), "yes");
        assert_eq!(reached(6, &[Some(0.006)]), "no");
    }
}
