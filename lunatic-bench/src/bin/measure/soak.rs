//! Has processes come and go at full speed, and sees from outside whether what
//! they occupied is given back.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::number::Value;
use crate::program::{Next, Running};
use crate::{bench, number, proc, program};

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// How long processes come and go
    #[arg(long, value_name = "N", default_value = "10", value_parser = minutes)]
    minutes: Duration,
}

/// How often the program is looked at while processes come and go, as a part of
/// the whole time, but no more often than it says how many there were.
const LOOKS: u32 = 120;
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How long after the death of all processes the program has come to rest. It is
/// at rest for longer than that.
const SETTLING: Duration = Duration::from_secs(1);

/// How much more memory there may be at the end: a part, and what an allocator
/// keeps for itself.
const GROWTH: f64 = 0.05;
const ALLOWANCE: Value = 4.0 * BYTES_PER_MIB;

/// How many more descriptors, threads and mappings there may be at the end.
/// Threads that wait for the disk come and go, and have mappings.
const MORE_DESCRIPTORS: usize = 8;
const MORE_THREADS: usize = 16;
const MORE_MAPPINGS: f64 = 0.25;

/// How long the program may say nothing.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);

const BYTES_PER_MIB: Value = 1024.0 * 1024.0;

/// The observations at one time.
#[derive(Debug, Clone)]
struct Look {
    after: Duration,
    churned: u64,
    memory: Value,
    descriptors: usize,
    threads: usize,
    mappings: usize,
}

/// Runs the soak, and fails if anything grew.
pub(crate) fn main(options: &Options) -> Result<()> {
    let time = options.minutes;
    let mut soak = Soak::start(time)?;
    let rests = soak.watch(LOOK_INTERVAL.max(time / LOOKS))?;
    let verdict = Verdict::of(&rests).context("the program never came to rest twice")?;
    println!("\n{verdict}");
    match verdict.problems()[..] {
        [] => Ok(()),
        ref problems => bail!("{}", problems.join(", ")),
    }
}

/// The program whose processes come and go.
struct Soak {
    program: Running,
    start: Instant,
    /// How many processes it says there were.
    churned: u64,
}

impl Soak {
    fn start(time: Duration) -> Result<Soak> {
        // Processes panic on purpose.
        let program = Running::start(bench::churn(time.as_secs())?.env("RUST_LOG", "error"))?;
        Ok(Soak {
            program,
            start: Instant::now(),
            churned: 0,
        })
    }

    /// Looks at the program again and again until it ends, and prints what it
    /// sees; returns what it saw at rest.
    fn watch(&mut self, interval: Duration) -> Result<Vec<Look>> {
        let mut rests = Vec::new();
        let mut looked = self.start;
        loop {
            let line = match self.program.next(SILENCE_LIMIT)? {
                Next::Line(line) => line,
                Next::Silence => bail!("it said nothing for {SILENCE_LIMIT:?}"),
                Next::End(status) => {
                    program::ended_well(status)?;
                    return Ok(rests);
                }
            };
            let said =
                Said::from_line(&line).with_context(|| format!("the program said `{line}`"))?;
            self.churned = said.churned;
            if said.at_rest {
                thread::sleep(SETTLING);
                let look = self.look()?;
                println!("{look}, at rest");
                rests.push(look);
            } else if looked.elapsed() >= interval {
                looked = Instant::now();
                println!("{}", self.look()?);
            }
        }
    }

    fn look(&self) -> Result<Look> {
        let id = self.program.id();
        Ok(Look {
            after: self.start.elapsed(),
            churned: self.churned,
            memory: proc::memory(id)?,
            descriptors: proc::descriptors(id)?,
            threads: proc::threads(id)?,
            mappings: proc::mappings(id)?,
        })
    }
}

/// The content of a line `churn COUNT NANOSECONDS` or `rest COUNT NANOSECONDS`.
#[derive(Debug, PartialEq)]
struct Said {
    churned: u64,
    at_rest: bool,
}

impl Said {
    fn from_line(line: &str) -> Option<Said> {
        let mut fields = line.split(' ');
        let at_rest = match fields.next()? {
            "churn" => false,
            "rest" => true,
            _ => return None,
        };
        Some(Said {
            churned: fields.next()?.parse().ok()?,
            at_rest,
        })
    }
}

fn minutes(text: &str) -> Result<Duration, String> {
    /// Less has no first tenth to speak of.
    const MIN_MINUTES: f64 = 0.1;
    const MAX_MINUTES: f64 = 24.0 * 60.0;
    let minutes: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    match (MIN_MINUTES..=MAX_MINUTES).contains(&minutes) {
        true => Ok(Duration::from_secs_f64((minutes * 60.0).round())),
        false => Err(format!("not between {MIN_MINUTES} and {MAX_MINUTES}")),
    }
}

/// The program at rest, after the first minute or tenth and in the end.
#[derive(Debug)]
struct Verdict {
    first: Look,
    last: Look,
}

impl Verdict {
    fn of(rests: &[Look]) -> Option<Verdict> {
        let [first, .., last] = rests else {
            return None;
        };
        Some(Verdict {
            first: first.clone(),
            last: last.clone(),
        })
    }

    fn problems(&self) -> Vec<&'static str> {
        let Verdict { first, last } = self;
        let most_mappings = first.mappings as f64 * (1.0 + MORE_MAPPINGS);
        let tests = [
            (
                last.memory > first.memory * (1.0 + GROWTH) + ALLOWANCE,
                "memory grew",
            ),
            (
                last.descriptors > first.descriptors + MORE_DESCRIPTORS,
                "descriptors were not closed",
            ),
            (
                last.threads > first.threads + MORE_THREADS,
                "threads did not end",
            ),
            (last.mappings as f64 > most_mappings, "mappings were left"),
        ];
        tests
            .into_iter()
            .filter_map(|(failed, what)| failed.then_some(what))
            .collect()
    }
}

impl std::fmt::Display for Look {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:>6.1} s {:>12} processes {:>8.1} MiB {:>4} descriptors {:>3} threads {:>6} mappings",
            self.after.as_secs_f64(),
            number::grouped(self.churned),
            self.memory / BYTES_PER_MIB,
            self.descriptors,
            self.threads,
            self.mappings
        )
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let change = (self.last.memory / self.first.memory - 1.0) * 100.0;
        write!(
            f,
            "{} processes came and went.\n\
             At first   {}\nIn the end {}\nThat is {change:+.1} % of memory.",
            number::grouped(self.last.churned),
            self.first,
            self.last
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{BYTES_PER_MIB, Look, Said, Verdict, minutes};

    fn look(minute: u64, mebibytes: u64) -> Look {
        Look {
            after: Duration::from_secs(minute * 60),
            churned: minute,
            memory: mebibytes as f64 * BYTES_PER_MIB,
            descriptors: 10,
            threads: 4,
            mappings: 200,
        }
    }

    fn problems(rests: &[Look]) -> Vec<&'static str> {
        Verdict::of(rests).expect("there were two rests").problems()
    }

    #[test]
    fn the_first_rest_and_the_last_count() {
        let fine = vec![look(1, 500), look(2, 900), look(3, 510)];
        assert!(problems(&fine).is_empty());
        let grown = vec![look(1, 500), look(2, 500), look(3, 600)];
        assert_eq!(problems(&grown), ["memory grew"]);
    }

    #[test]
    fn what_is_not_closed_is_a_problem() {
        let full = Look {
            descriptors: 100,
            threads: 100,
            mappings: 290,
            ..look(2, 500)
        };
        assert_eq!(problems(&[look(1, 500), full]).len(), 3);
    }

    #[test]
    fn there_is_no_verdict_before_the_second_rest() {
        assert!(Verdict::of(&[]).is_none());
        assert!(Verdict::of(&[look(1, 500)]).is_none());
    }

    #[test]
    fn the_guest_says_how_many_there_were_and_when_all_are_dead() {
        let said = |churned, at_rest| Some(Said { churned, at_rest });
        assert_eq!(Said::from_line("churn 12 34"), said(12, false));
        assert_eq!(Said::from_line("rest 12 34"), said(12, true));
        assert_eq!(Said::from_line("spawn 12 34"), None);
    }

    #[test]
    fn minutes_are_turned_into_whole_seconds() {
        assert_eq!(minutes("0.2"), Ok(Duration::from_secs(12)));
        assert!(minutes("0").is_err() && minutes("ten").is_err());
    }
}
