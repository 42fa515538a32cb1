//! Runs a workload on all subjects, interleaved, and keeps what came of it.

use std::io::{self, Write};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::plan::{Method, Row, Workload};
use super::subject::Subject;
use super::{Options, live, measurement};
use crate::number::{self, Value};
use crate::program;

/// How long a program may run. The longest takes a few seconds.
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// How often a whole program is run: it is short, and its time varies.
const WHOLE_RUNS: usize = 20;

/// The name of plain wasmtime in the output of the program that computes.
const PLAIN: &str = "plain";

/// Memory varies little.
const IDLE_RUNS: usize = 1;

/// Named values, each of one run.
type Samples = Vec<(String, Value)>;

/// The results of one workload on each subject, in the order of the subjects.
#[derive(Debug)]
pub(super) struct Results {
    pub(super) workload: &'static Workload,
    /// The guest's second argument.
    pub(super) count: u64,
    /// The results; subjects at the end without such a workload are left out.
    pub(super) of_subjects: Vec<Result<Samples>>,
}

impl Results {
    /// Returns the result on the runtime of this tree.
    pub(super) fn ours(&self) -> &Result<Samples> {
        &self.of_subjects[0]
    }

    /// The median in `row` for each subject, unless it failed.
    pub(super) fn medians(&self, row: &Row) -> Vec<Option<Value>> {
        self.of_subjects
            .iter()
            .map(|samples| median_of(row.name, samples.as_ref().ok()?))
            .collect()
    }
}

fn median_of(name: &str, samples: &Samples) -> Option<Value> {
    let values: Vec<Value> = samples
        .iter()
        .filter(|(sample, _)| sample == name)
        .map(|(_, value)| *value)
        .collect();
    number::median(&values)
}

impl Workload {
    pub(super) fn run(&'static self, subjects: &[Subject], options: &Options) -> Results {
        let subjects = match self.method {
            Method::Beside => &subjects[..1],
            Method::Inside | Method::Whole | Method::Idle => subjects,
        };
        let mut results = Results {
            workload: self,
            count: match options.quick {
                true => self.quick_count,
                false => self.count,
            },
            of_subjects: subjects.iter().map(|_| Ok(Samples::new())).collect(),
        };
        for _ in 0..self.runs(options) {
            for (subject, samples) in subjects.iter().zip(&mut results.of_subjects) {
                self.run_once(subject, results.count, samples);
            }
        }
        results
    }

    fn runs(&self, options: &Options) -> usize {
        match self.method {
            Method::Whole if !options.quick => WHOLE_RUNS,
            Method::Inside | Method::Whole | Method::Beside => options.runs.get(),
            Method::Idle => IDLE_RUNS,
        }
    }

    /// Adds to the samples, or replaces them by a failure. A subject that has failed once is not
    /// run again.
    fn run_once(&self, subject: &Subject, count: u64, samples: &mut Result<Samples>) {
        let Ok(earlier) = samples else { return };
        print!(
            "{:<4} {} {count} on {}:",
            self.guest.name(),
            self.mode,
            subject.name
        );
        // Shows which subject is running.
        let _ = io::stdout().flush();
        match self.measure(subject, count) {
            Ok(new) => {
                self.print(&new);
                earlier.extend(new);
            }
            Err(error) => {
                println!(" {error:#}");
                *samples = Err(error);
            }
        }
    }

    fn print(&self, samples: &Samples) {
        for row in self.rows {
            if let Some(value) = median_of(row.name, samples) {
                print!(" {} {}", row.name, row.unit.show(value));
            }
        }
        println!();
    }

    fn measure(&self, subject: &Subject, count: u64) -> Result<Samples> {
        match self.method {
            Method::Inside => self.measure_inside(subject, count),
            Method::Whole => self.measure_whole(subject, count),
            Method::Idle => self.measure_idle(subject, count),
            Method::Beside => self.measure_beside(subject, count),
        }
    }

    fn measure_inside(&self, subject: &Subject, count: u64) -> Result<Samples> {
        measure(&mut subject.command(self.guest, self.mode, count)?)
    }

    /// How many times what it takes on plain wasmtime each kernel takes elsewhere.
    fn measure_beside(&self, subject: &Subject, count: u64) -> Result<Samples> {
        let mut command = subject
            .compute(count)
            .context("there is no such program for it")?;
        let samples = measure(&mut command)?;
        let ratio = |(name, value): &(String, Value)| {
            let (kernel, _) = name.split_once('-')?;
            let plain = median_of(&format!("{kernel}-{PLAIN}"), &samples)?;
            Some((name.clone(), number::ratio(*value, plain)?))
        };
        Ok(samples.iter().filter_map(ratio).collect())
    }

    fn measure_whole(&self, subject: &Subject, count: u64) -> Result<Samples> {
        let mut command = subject.command(self.guest, self.mode, count)?;
        let start = Instant::now();
        program::capture(&mut command)?;
        Ok(vec![(
            self.mode.to_owned(),
            number::seconds(start.elapsed()),
        )])
    }

    /// Measures processes that wait: the time until they are ready, their idle CPU time, and the
    /// memory of one, which is the difference to a program without processes, divided by their
    /// number.
    fn measure_idle(&self, subject: &Subject, count: u64) -> Result<Samples> {
        let none = live::look_at(&mut subject.command(self.guest, self.mode, 0)?)
            .context("with no process")?;
        let all = live::look_at(&mut subject.command(self.guest, self.mode, count)?)?;
        let each = (all.memory - none.memory) / count as f64;
        Ok(vec![
            ("ready".to_owned(), all.ready.each()),
            ("memory".to_owned(), each),
            ("idle".to_owned(), all.idle),
        ])
    }
}

/// Runs a program that measures itself.
fn measure(command: &mut Command) -> Result<Samples> {
    let measurements = measurement::all(&program::capture_within(command, TIME_LIMIT)?)?;
    Ok(measurements
        .into_iter()
        .map(|measurement| {
            let each = measurement.each();
            (measurement.name, each)
        })
        .collect())
}
