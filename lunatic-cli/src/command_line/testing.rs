//! The test runner: runs the exports of a module that are tests (ABI §19).

mod name;
mod panic;
mod report;
mod verdict;

use std::future::Future;
use std::io;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::Poll;

use anstream::AutoStream;
use clap::ColorChoice;
use futures_lite::future;
use lunatic_engine::Module;
use lunatic_process::{ExitReason, Failure};
use lunatic_wasi::{Capture, Stdio};

use crate::command_line::testing::name::TestCase;
use crate::command_line::testing::report::{Finished, Format, Report};
use crate::command_line::testing::verdict::{Ended, judge};
use crate::{Config, Root, Runtime, State};

/// Which tests to run, and how; named as the test runner of Rust names them.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Run only the tests whose names contain one of these.
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,

    /// Compare filters with whole names.
    #[arg(long)]
    exact: bool,

    /// Leave out the tests whose names contain this; can be given several times.
    #[arg(long, value_name = "FILTER")]
    skip: Vec<String>,

    /// Run only the ignored tests.
    #[arg(long, conflicts_with = "include_ignored")]
    ignored: bool,

    /// Run the ignored tests too.
    #[arg(long)]
    include_ignored: bool,

    /// Print what tests print while they run.
    #[arg(long, alias = "no-capture")]
    nocapture: bool,

    /// Show what successful tests printed too.
    #[arg(long)]
    show_output: bool,

    /// List the tests and run none.
    #[arg(long)]
    list: bool,

    /// Run so many tests at once at most; by default all.
    #[arg(long, value_name = "N")]
    test_threads: Option<NonZeroUsize>,

    /// How to print results.
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,

    /// The same as `--format terse`.
    #[arg(long, short)]
    quiet: bool,

    /// When to print in colour.
    #[arg(long, value_name = "WHEN", default_value_t = ColorChoice::Auto)]
    color: ColorChoice,
}

/// Whether any export of the module is a test.
pub(crate) fn has_tests(module: &Module<State>) -> bool {
    tests_of(module).next().is_some()
}

/// Runs the selected tests, or lists them, and prints how it goes. The result is
/// the exit code: 0, or 1 if a test failed or nobody took what was printed.
///
/// - `config`: what the first process of each test may do and is given.
pub(crate) async fn run(
    runtime: &Runtime,
    module: &Module<State>,
    config: &Config,
    options: &Options,
) -> u8 {
    let out = AutoStream::new(io::stdout(), options.color());
    let mut report = Report::new(out, options.format());
    let tests = Tests {
        runtime,
        module,
        config,
        options,
    };
    let outcome = match options.list {
        true => report.list(&tests.selected()).map(|()| true),
        false => tests.run(&mut report).await,
    };
    u8::from(!outcome.unwrap_or(false))
}

/// What is run, and how.
struct Tests<'a> {
    runtime: &'a Runtime,
    module: &'a Module<State>,
    config: &'a Config,
    options: &'a Options,
}

impl Tests<'_> {
    /// The tests that the options ask for, by name.
    fn selected(&self) -> Vec<TestCase> {
        let mut tests: Vec<_> = tests_of(self.module)
            .filter(|test| self.options.select(test))
            .collect();
        tests.sort_by(|a, b| a.name.cmp(&b.name));
        tests
    }

    /// Runs the selected tests. Tells whether all passed.
    async fn run<W: io::Write>(&self, report: &mut Report<W>) -> io::Result<bool> {
        let selected = self.selected();
        let filtered_out = tests_of(self.module).count() - selected.len();
        report.start(selected.len())?;
        let (ignored, chosen): (Vec<_>, Vec<_>) = selected
            .into_iter()
            .partition(|test| test.ignored && !self.options.run_ignored());
        for test in &ignored {
            report.ignored(test)?;
        }
        self.run_side_by_side(chosen, report).await?;
        report.finish(filtered_out, self.options.show_output)
    }

    /// Runs these tests, all at once or as many as may be.
    async fn run_side_by_side<W: io::Write>(
        &self,
        tests: Vec<TestCase>,
        report: &mut Report<W>,
    ) -> io::Result<()> {
        let at_once = self.options.test_threads.map_or(usize::MAX, usize::from);
        let mut waiting = tests.into_iter().map(|test| Box::pin(self.run_one(test)));
        let mut running: Vec<_> = waiting.by_ref().take(at_once).collect();
        while !running.is_empty() {
            report.finished(first_of(&mut running).await)?;
            running.extend(waiting.next());
        }
        Ok(())
    }

    /// Runs one test in an environment of its own. Its other processes end with
    /// the first one.
    async fn run_one(&self, test: TestCase) -> Finished {
        /// The id of every test's environment (ABI §15.1).
        const ENVIRONMENT: u64 = 0;

        let captured = !self.options.nocapture;
        let capture = match captured {
            true => Capture::root(),
            false => Capture::echoing_root(),
        };
        let environment = self.runtime.new_environment(ENVIRONMENT);
        let root = Root::new(&test.export)
            .config(self.config.clone())
            .stdio(Stdio::captured(capture.clone()))
            .environment(environment.clone());
        let ended = match self.runtime.spawn(self.module, root).await {
            Ok(process) => how_ended(&process.wait().await),
            Err(failure) => Ended::NeverStarted(failure.to_string()),
        };
        environment.shut_down().await;

        let should_panic = test.should_panic.as_deref();
        let verdict = judge(should_panic, &ended, &capture.text(), captured);
        let output = match captured {
            true => capture.render(),
            false => String::new(),
        };
        Finished {
            test,
            verdict,
            output,
        }
    }
}

/// All tests of a module, in the order of its exports.
fn tests_of(module: &Module<State>) -> impl Iterator<Item = TestCase> {
    module
        .exported_functions()
        .filter_map(|(export, _)| TestCase::parse(export))
}

/// How a process ended, in words.
fn how_ended(reason: &ExitReason) -> Ended {
    if reason.is_normal() {
        return Ended::Returned;
    }
    Ended::Failed(match reason.failure().and_then(Failure::backtrace) {
        Some(backtrace) => format!("{reason}\n{}", backtrace.trim_end()),
        None => reason.to_string(),
    })
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

impl Options {
    /// Whether the test is among those that are run, or listed as ignored.
    fn select(&self, test: &TestCase) -> bool {
        // With --exact, no filter is no name to be equal to (ABI §19).
        let unfiltered = self.filters.is_empty() && !self.exact;
        (unfiltered || self.any_matches(&self.filters, test))
            && !self.any_matches(&self.skip, test)
            && (test.ignored || !self.ignored)
    }

    fn any_matches(&self, filters: &[String], test: &TestCase) -> bool {
        filters.iter().any(|filter| match self.exact {
            true => test.name == *filter,
            false => test.name.contains(filter),
        })
    }

    fn run_ignored(&self) -> bool {
        self.ignored || self.include_ignored
    }

    fn format(&self) -> Format {
        match self.format {
            Some(format) => format,
            None if self.quiet => Format::Terse,
            None => Format::Pretty,
        }
    }

    fn color(&self) -> anstream::ColorChoice {
        match self.color {
            ColorChoice::Auto => anstream::ColorChoice::Auto,
            ColorChoice::Always => anstream::ColorChoice::Always,
            ColorChoice::Never => anstream::ColorChoice::Never,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    const EXPORTS: [&str; 4] = [
        "#lunatic_test_a::one",
        "#lunatic_test_a::one_more",
        "#lunatic_test_b::two",
        "#lunatic_test_#ignore_b::three",
    ];

    fn options(words: &[&str]) -> Options {
        let line = std::iter::once(&"lunatic").chain(words);
        Line::try_parse_from(line).unwrap().options
    }

    fn selected(words: &[&str]) -> Vec<String> {
        let options = options(words);
        EXPORTS
            .iter()
            .filter_map(|export| TestCase::parse(export))
            .filter(|test| options.select(test))
            .map(|test| test.name)
            .collect()
    }

    #[test]
    fn without_a_filter_every_test_is_selected() {
        assert_eq!(
            selected(&[]),
            ["a::one", "a::one_more", "b::two", "b::three"]
        );
    }

    #[test]
    fn a_filter_is_a_part_of_the_name() {
        assert_eq!(selected(&["one"]), ["a::one", "a::one_more"]);
        assert_eq!(selected(&["more", "two"]), ["a::one_more", "b::two"]);
    }

    #[test]
    fn an_exact_filter_is_the_whole_name() {
        assert_eq!(selected(&["--exact", "a::one"]), ["a::one"]);
        assert_eq!(selected(&["--exact", "one"]), [""; 0]);
    }

    #[test]
    fn exact_without_a_filter_selects_nothing() {
        assert_eq!(selected(&["--exact"]), [""; 0]);
    }

    #[test]
    fn what_is_skipped_is_not_selected() {
        assert_eq!(selected(&["--skip", "b::", "--skip", "more"]), ["a::one"]);
        let exact = ["--exact", "a::one", "b::two", "--skip", "a::one"];
        assert_eq!(selected(&exact), ["b::two"]);
    }

    #[test]
    fn ignored_selects_only_what_is_ignored() {
        assert_eq!(selected(&["--ignored"]), ["b::three"]);
        assert!(options(&["--ignored"]).run_ignored());
        assert!(options(&["--include-ignored"]).run_ignored());
        assert!(!options(&[]).run_ignored());
    }

    #[test]
    fn quiet_is_terse_unless_a_format_is_named() {
        assert_eq!(options(&[]).format(), Format::Pretty);
        assert_eq!(options(&["-q"]).format(), Format::Terse);
        assert_eq!(
            options(&["-q", "--format", "pretty"]).format(),
            Format::Pretty
        );
    }

    #[test]
    fn contradictions_and_unknown_values_are_refused() {
        for words in [
            &["--ignored", "--include-ignored"][..],
            &["--test-threads", "0"],
            &["--format", "json"],
            &["--color", "sometimes"],
        ] {
            let line = std::iter::once(&"lunatic").chain(words);
            assert!(Line::try_parse_from(line).is_err(), "{words:?}");
        }
    }

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
