//! The test runner: runs the exports of a module that are tests (ABI §19), and the tests of
//! Rust's own test runner if that is linked into it.

mod execution;
mod harness;
mod json;
mod junit;
mod name;
mod options;
mod panic;
mod report;
mod shuffle;
mod verdict;

use std::cell::RefCell;
use std::fs;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use anstream::AutoStream;
use async_io::Timer;
use futures_lite::future;
use lunatic_engine::Module;

pub(crate) use self::harness::is_in as has_harness;
pub(crate) use self::options::Options;

use crate::command_line::place;
use crate::command_line::problem::Problem;
use crate::command_line::testing::execution::Execution;
use crate::command_line::testing::name::TestCase;
use crate::command_line::testing::report::{Finished, Report};
use crate::{Config, Runtime, State};

/// Whoever runs longer than this is told of, as Rust's test runner does.
const SLOW: Duration = Duration::from_secs(60);

/// Where the tests of a module are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    /// What reports name the module.
    pub(crate) name: &'a str,
    pub(crate) module: &'a Module<State>,
    /// Whether Rust's own test runner is linked into it; see [`has_harness`].
    pub(crate) has_harness: bool,
}

/// Whether any export of the module is a test.
pub(crate) fn has_tests(module: &Module<State>) -> bool {
    tests_of(module).next().is_some()
}

/// Runs the selected tests, or lists them, and prints how it goes. The result is
/// the exit code: 0, or 1 if a test failed or nobody took what was printed.
///
/// - `config`: what the first process of each test may do and is given.
///
/// # Errors
///
/// If the results cannot be written to a file, or the tests cannot be listed.
pub(crate) async fn run(
    runtime: &Runtime,
    source: Source<'_>,
    config: &Config,
    options: &Options,
) -> Result<u8, Problem> {
    if let Some(path) = &options.junit {
        place::check(path)?;
    }
    let execution = Execution {
        runtime,
        module: source.module,
        config,
        captured: !options.nocapture(),
        time_limit: options.time_limit,
    };
    let mut all: Vec<_> = tests_of(source.module).collect();
    if source.has_harness {
        let listed = execution.list_harness().await.map_err(|reason| {
            Problem::new(format!(
                "the tests of `{}` with #[test] cannot be listed: {reason}",
                source.name
            ))
        })?;
        all.extend(listed);
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    let total = all.len();
    all.retain(|test| options.select(test));
    let out = AutoStream::auto(io::stdout());
    let mut report = Report::new(out, source.name, options);
    if options.list {
        return Ok(u8::from(report.list(&all).is_err()));
    }
    let report = RefCell::new(report);
    let done = Tests {
        execution,
        options,
        report: &report,
    };
    let outcome = done.run(all, total).await;
    if let Some(path) = &options.junit {
        fs::write(path, report.borrow().junit())
            .map_err(|error| Problem::new(format!("cannot write `{}`: {error}", path.display())))?;
    }
    Ok(u8::from(!outcome.unwrap_or(false)))
}

/// What is run, and how.
struct Tests<'a, W> {
    execution: Execution<'a>,
    options: &'a Options,
    /// Borrowed only while a line is printed.
    report: &'a RefCell<Report<W>>,
}

impl<W: io::Write> Tests<'_, W> {
    /// Runs these tests. Tells whether all passed.
    ///
    /// - `total`: how many there are, those that are filtered out among them.
    async fn run(&self, selected: Vec<TestCase>, total: usize) -> io::Result<bool> {
        let filtered_out = total - selected.len();
        let seed = self.options.seed();
        self.report.borrow_mut().start(selected.len(), seed)?;
        let (ignored, mut chosen): (Vec<_>, Vec<_>) = selected
            .into_iter()
            .partition(|test| test.ignored && !self.options.run_ignored());
        for test in ignored {
            self.report.borrow_mut().ignored(test)?;
        }
        if let Some(seed) = seed {
            shuffle::shuffle(&mut chosen, seed);
        }
        self.run_side_by_side(chosen).await?;
        self.report.borrow_mut().finish(filtered_out)
    }

    /// Runs these tests, all at once or as many as may be.
    async fn run_side_by_side(&self, tests: Vec<TestCase>) -> io::Result<()> {
        let mut waiting = tests.into_iter().map(|test| Box::pin(self.run_one(test)));
        let at_once = self.options.at_once();
        let mut running: Vec<_> = waiting.by_ref().take(at_once).collect();
        while !running.is_empty() {
            let finished = first_of(&mut running).await?;
            self.report.borrow_mut().finished(finished)?;
            running.extend(waiting.next());
        }
        Ok(())
    }

    async fn run_one(&self, test: TestCase) -> io::Result<Finished> {
        self.report.borrow_mut().test_started(&test)?;
        let slow = async {
            Timer::after(SLOW).await;
            self.report.borrow_mut().slow(&test)?;
            future::pending().await
        };
        let finished = async { Ok(self.execution.run(test.clone()).await) };
        future::or(finished, slow).await
    }
}

/// All tests of a module that are exports, in their order.
fn tests_of(module: &Module<State>) -> impl Iterator<Item = TestCase> {
    module
        .exported_functions()
        .filter_map(|(export, _)| TestCase::parse(export))
}

/// Waits for whichever ends first, and takes it out.
async fn first_of<F: Future>(running: &mut Vec<Pin<Box<F>>>) -> F::Output {
    future::poll_fn(|context| {
        for index in 0..running.len() {
            if let Poll::Ready(output) = running[index].as_mut().poll(context) {
                drop(running.swap_remove(index));
                return Poll::Ready(output);
            }
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_to_end_is_taken_out() {
        let mut running: Vec<_> = [None, Some(2), None]
            .into_iter()
            .map(|ready| {
                Box::pin(async move {
                    match ready {
                        Some(value) => value,
                        None => future::pending().await,
                    }
                })
            })
            .collect();
        assert_eq!(future::block_on(first_of(&mut running)), 2);
        assert_eq!(running.len(), 2);
    }
}
