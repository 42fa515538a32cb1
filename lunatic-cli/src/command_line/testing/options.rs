//! Which tests are run, and how.

use std::env;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::ArgAction;

use crate::command_line::count::at_least_one;
use crate::command_line::testing::name::TestCase;
use crate::command_line::testing::report::Format;
use crate::command_line::testing::shuffle::Seed;
use crate::command_line::time::time_limit;

/// Which tests to run, and how; named as the test runner of Rust names them.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Tests")]
pub(crate) struct Options {
    /// Run only the tests whose names contain one of these.
    #[arg(value_name = "FILTER", help_heading = None)]
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

    /// Leave out the tests that have to panic.
    #[arg(long)]
    exclude_should_panic: bool,

    /// Print what tests print while they run.
    #[arg(long, alias = "no-capture")]
    nocapture: bool,

    /// Show what successful tests printed too.
    #[arg(long)]
    pub(super) show_output: bool,

    /// List the tests and run none.
    #[arg(long)]
    pub(super) list: bool,

    /// Run so many tests at once at most; by default all.
    #[arg(long, value_name = "N", value_parser = at_least_one::<NonZeroUsize>)]
    test_threads: Option<NonZeroUsize>,

    /// Start the tests in another order: the one that this number stands for, or
    /// `random`. With `--test-threads 1` they end in that order too.
    #[arg(long, alias = "shuffle-seed", value_name = "SEED")]
    shuffle: Option<Seed>,

    /// End a test after this time, for example 500ms, 5s or 2m; it has failed then, and
    /// what it was doing is shown.
    #[arg(long = "timeout", value_name = "TIME", value_parser = time_limit)]
    pub(super) time_limit: Option<Duration>,

    /// How to print results.
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,

    /// Write the results to a file too, as JUnit's XML.
    #[arg(long, value_name = "FILE")]
    pub(super) junit: Option<PathBuf>,

    /// Show how long each test took.
    #[arg(long)]
    report_time: bool,

    /// The same as `--format terse`.
    #[arg(long, short)]
    quiet: bool,

    /// What cargo and others pass to the test runner of Rust, and what changes nothing here.
    #[arg(short = 'Z', hide = true, action = ArgAction::Append)]
    unstable: Vec<String>,

    /// As `unstable`: tests are run anyway.
    #[arg(long = "test", hide = true)]
    test: bool,
}

impl Options {
    /// Whether the test is among those that are run, or listed as ignored.
    pub(super) fn select(&self, test: &TestCase) -> bool {
        // With --exact, no filter is no name to be equal to (ABI §19).
        let unfiltered = self.filters.is_empty() && !self.exact;
        (unfiltered || self.any_matches(&self.filters, test))
            && !self.any_matches(&self.skip, test)
            && (test.ignored || !self.ignored)
            && (test.should_panic.is_none() || !self.exclude_should_panic)
    }

    fn any_matches(&self, filters: &[String], test: &TestCase) -> bool {
        filters.iter().any(|filter| match self.exact {
            true => test.name == *filter,
            false => test.name.contains(filter),
        })
    }

    pub(super) fn run_ignored(&self) -> bool {
        self.ignored || self.include_ignored
    }

    pub(super) fn nocapture(&self) -> bool {
        let by_variable = || env::var("RUST_TEST_NOCAPTURE").is_ok_and(|value| value != "0");
        self.nocapture || by_variable()
    }

    /// How many tests run at once at most.
    pub(super) fn at_once(&self) -> usize {
        let by_variable = || env::var("RUST_TEST_THREADS").ok()?.parse().ok();
        let at_once = self.test_threads.or_else(by_variable);
        at_once.map_or(usize::MAX, NonZeroUsize::get)
    }

    /// The number that the order of the tests comes from, if it is not that of their names.
    pub(super) fn seed(&self) -> Option<u64> {
        self.shuffle.map(Seed::number)
    }

    pub(super) fn format(&self) -> Format {
        match self.format {
            Some(format) => format,
            None if self.quiet => Format::Terse,
            None => Format::Pretty,
        }
    }

    /// Whether the time of each test is shown.
    pub(super) fn shows_time(&self) -> bool {
        self.report_time
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

    const EXPORTS: [&str; 5] = [
        "#lunatic_test_a::one",
        "#lunatic_test_a::one_more",
        "#lunatic_test_b::two",
        "#lunatic_test_#ignore_b::three",
        "#lunatic_test_#panic_#c::four",
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
            ["a::one", "a::one_more", "b::two", "b::three", "c::four"]
        );
        assert_eq!(
            selected(&["--exclude-should-panic", "--skip", "a::"]),
            ["b::two", "b::three"]
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
        let skipping = ["--skip", "b::", "--skip", "more"];
        assert_eq!(selected(&skipping), ["a::one", "c::four"]);
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
            &["--format", "xml"],
            &["--shuffle", "cards"],
            &["--timeout", "soon"],
            &["--timeout", "0s"],
        ] {
            let line = std::iter::once(&"lunatic").chain(words);
            assert!(Line::try_parse_from(line).is_err(), "{words:?}");
        }
    }
}
