//! Prints what comes of tests, as the test runner of Rust does.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use serde_json::Value;

use crate::command_line::testing::name::TestCase;
use crate::command_line::testing::options::Options;
use crate::command_line::testing::verdict::Verdict;
use crate::command_line::testing::{json, junit};

const OK: Style = AnsiColor::Green.on_default();
const FAILED: Style = AnsiColor::Red.on_default();
const IGNORED: Style = AnsiColor::Yellow.on_default();

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One line for each test.
    Pretty,
    /// One character for each test.
    Terse,
    /// One line of JSON for each thing that happens.
    Json,
    /// JUnit's XML, at the end.
    Junit,
}

/// A test that was run.
#[derive(Debug)]
pub(super) struct Finished {
    /// The test.
    pub(super) test: TestCase,
    /// Whether it passed.
    pub(super) verdict: Verdict,
    /// What it printed and nobody has seen yet.
    pub(super) output: String,
    /// How long it ran.
    pub(super) took: Duration,
}

/// How many tests came to what.
#[derive(Debug)]
pub(super) struct Counts {
    pub(super) passed: usize,
    pub(super) failed: usize,
    pub(super) ignored: usize,
    /// How long all took.
    pub(super) took: Duration,
}

/// Prints results as they come, and remembers them for the end.
#[derive(Debug)]
pub(super) struct Report<W> {
    out: W,
    /// What the module is called.
    suite: String,
    format: Format,
    /// Whether to show what tests printed that passed.
    show_output: bool,
    /// Whether what tests printed is shown at the end.
    captured: bool,
    shows_time: bool,
    started: Instant,
    total: usize,
    passed: Vec<Finished>,
    failed: Vec<Finished>,
    ignored: Vec<TestCase>,
}

impl<W: Write> Report<W> {
    pub(super) fn new(out: W, suite: &str, options: &Options) -> Report<W> {
        Report {
            out,
            suite: suite.to_owned(),
            format: options.format(),
            show_output: options.show_output,
            captured: !options.nocapture(),
            shows_time: options.shows_time(),
            started: Instant::now(),
            total: 0,
            passed: Vec::new(),
            failed: Vec::new(),
            ignored: Vec::new(),
        }
    }

    /// Lists tests; nothing is to be run.
    pub(super) fn list(&mut self, tests: &[TestCase]) -> io::Result<()> {
        if self.format == Format::Json {
            for line in json::list(tests) {
                writeln!(self.out, "{line}")?;
            }
            return self.out.flush();
        }
        for test in tests {
            writeln!(self.out, "{}: test", test.name)?;
        }
        if self.format == Format::Pretty {
            if !tests.is_empty() {
                writeln!(self.out)?;
            }
            writeln!(self.out, "{}, 0 benchmarks", count(tests.len()))?;
        }
        self.out.flush()
    }

    /// So many tests are about to be run or ignored.
    ///
    /// - `seed`: what their order comes from, if it is not that of their names.
    pub(super) fn start(&mut self, total: usize, seed: Option<u64>) -> io::Result<()> {
        self.started = Instant::now();
        self.total = total;
        match self.format {
            Format::Pretty | Format::Terse => {
                let seed = seed.map(|seed| format!(" (shuffle seed: {seed})"));
                let seed = seed.unwrap_or_default();
                writeln!(self.out, "\nrunning {}{seed}", count(total))?;
            }
            Format::Json => self.line(&json::suite_started(total, seed))?,
            Format::Junit => {}
        }
        self.out.flush()
    }

    /// This test begins.
    pub(super) fn test_started(&mut self, test: &TestCase) -> io::Result<()> {
        match self.format {
            Format::Json => self.line(&json::test_started(test)),
            _ => Ok(()),
        }
    }

    /// This test has run for a minute.
    pub(super) fn slow(&mut self, test: &TestCase) -> io::Result<()> {
        match self.format {
            Format::Pretty | Format::Terse => {
                let name = &test.name;
                writeln!(self.out, "test {name} has been running for over 60 seconds")?;
                self.out.flush()
            }
            Format::Json => self.line(&json::slow(test)),
            Format::Junit => Ok(()),
        }
    }

    /// This test is not run.
    pub(super) fn ignored(&mut self, test: TestCase) -> io::Result<()> {
        match self.format {
            Format::Json => self.line(&json::ignored(&test))?,
            _ => self.result(&test, IGNORED, "ignored", 'i', None)?,
        }
        self.ignored.push(test);
        self.end_full_line()
    }

    /// This test was run.
    pub(super) fn finished(&mut self, mut finished: Finished) -> io::Result<()> {
        if !self.captured && matches!(self.format, Format::Pretty | Format::Terse) {
            // Of a test whose output could not be passed on at once.
            let output = std::mem::take(&mut finished.output);
            self.out.write_all(output.as_bytes())?;
        }
        let (style, word, character) = match finished.verdict {
            Verdict::Passed => (OK, "ok", '.'),
            Verdict::Failed { .. } => (FAILED, "FAILED", 'F'),
            Verdict::Ignored => return self.ignored(finished.test),
        };
        match self.format {
            Format::Json => self.line(&json::finished(&finished, self.show_output))?,
            _ => self.result(&finished.test, style, word, character, Some(finished.took))?,
        }
        match finished.verdict {
            Verdict::Passed => self.passed.push(finished),
            _ => self.failed.push(finished),
        }
        self.end_full_line()
    }

    /// All tests were run. Tells whether all passed.
    pub(super) fn finish(&mut self, filtered_out: usize) -> io::Result<bool> {
        let success = self.failed.is_empty();
        match self.format {
            Format::Pretty | Format::Terse => self.finish_text(filtered_out)?,
            Format::Json => self.line(&json::suite_finished(&self.counts(), filtered_out))?,
            Format::Junit => write!(self.out, "{}", self.junit())?,
        }
        self.out.flush()?;
        Ok(success)
    }

    /// The results as JUnit's XML.
    pub(super) fn junit(&self) -> String {
        let mut finished: Vec<_> = self.passed.iter().chain(&self.failed).collect();
        finished.sort_by(|a, b| a.test.name.cmp(&b.test.name));
        let counts = self.counts();
        junit::document(&self.suite, &counts, finished.into_iter(), &self.ignored)
    }

    fn counts(&self) -> Counts {
        Counts {
            passed: self.passed.len(),
            failed: self.failed.len(),
            ignored: self.ignored.len(),
            took: self.started.elapsed(),
        }
    }

    fn finish_text(&mut self, filtered_out: usize) -> io::Result<()> {
        let success = self.failed.is_empty();
        if self.show_output {
            write_section(&mut self.out, "successes", &mut self.passed)?;
        }
        if !success {
            write_section(&mut self.out, "failures", &mut self.failed)?;
        }
        let (style, word) = match success {
            true => (OK, "ok"),
            false => (FAILED, "FAILED"),
        };
        let Counts {
            passed,
            failed,
            ignored,
            took,
        } = self.counts();
        writeln!(
            self.out,
            "\ntest result: {style}{word}{style:#}. \
             {passed} passed; {failed} failed; {ignored} ignored; 0 measured; \
             {filtered_out} filtered out; finished in {:.2}s\n",
            took.as_secs_f64(),
        )
    }

    fn line(&mut self, line: &Value) -> io::Result<()> {
        writeln!(self.out, "{line}")?;
        self.out.flush()
    }

    /// - `took`: how long it ran, if it did.
    fn result(
        &mut self,
        test: &TestCase,
        style: Style,
        word: &str,
        character: char,
        took: Option<Duration>,
    ) -> io::Result<()> {
        match self.format {
            Format::Pretty => {
                let mode = match test.should_panic {
                    Some(_) => " - should panic",
                    None => "",
                };
                let took = took.filter(|_| self.shows_time);
                let took = took.map(|took| format!(" <{:.3}s>", took.as_secs_f64()));
                writeln!(
                    self.out,
                    "test {}{mode} ... {style}{word}{style:#}{}",
                    test.name,
                    took.unwrap_or_default()
                )?;
            }
            Format::Terse => write!(self.out, "{style}{character}{style:#}")?,
            Format::Json | Format::Junit => {}
        }
        self.out.flush()
    }

    /// Ends a line of characters when it is full.
    fn end_full_line(&mut self) -> io::Result<()> {
        /// How many characters make a full line.
        const FULL: usize = 88;
        let printed = self.passed.len() + self.failed.len() + self.ignored.len();
        match self.format == Format::Terse && printed.is_multiple_of(FULL) {
            true => writeln!(self.out, " {printed}/{}", self.total),
            false => Ok(()),
        }
    }
}

/// Writes what the tests have to show, then their names.
fn write_section(out: &mut impl Write, title: &str, tests: &mut [Finished]) -> io::Result<()> {
    tests.sort_by(|a, b| a.test.name.cmp(&b.test.name));
    let shown: String = tests.iter().map(Finished::shown).collect();
    writeln!(out, "\n{title}:")?;
    if !shown.is_empty() {
        write!(out, "\n{shown}")?;
    }
    writeln!(out, "\n{title}:")?;
    for finished in tests {
        writeln!(out, "    {}", finished.test.name)?;
    }
    Ok(())
}

impl Finished {
    /// The output and the note under a headline; nothing if there is neither.
    fn shown(&self) -> String {
        let note = match &self.verdict {
            Verdict::Failed { note } => note.as_deref(),
            Verdict::Passed | Verdict::Ignored => None,
        };
        if self.output.is_empty() && note.is_none() {
            return String::new();
        }
        let mut shown = format!("---- {} stdout ----\n{}", self.test.name, self.output);
        if let Some(note) = note {
            if !shown.ends_with('\n') {
                shown.push('\n');
            }
            let _ = writeln!(shown, "note: {note}");
        }
        shown.push('\n');
        shown
    }
}

fn count(tests: usize) -> String {
    match tests {
        1 => "1 test".into(),
        tests => format!("{tests} tests"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn report(words: &[&str]) -> Report<Vec<u8>> {
        let line = std::iter::once(&"lunatic").chain(words);
        let line = <Line as clap::Parser>::try_parse_from(line).unwrap();
        Report::new(Vec::new(), "suite", &line.options)
    }

    fn test(export: &str) -> TestCase {
        TestCase::parse(&format!("#lunatic_test_{export}")).unwrap()
    }

    fn passed(export: &str, output: &str) -> Finished {
        Finished {
            test: test(export),
            verdict: Verdict::Passed,
            output: output.into(),
            took: Duration::from_millis(20),
        }
    }

    fn failed(export: &str, output: &str, note: Option<&str>) -> Finished {
        let note = note.map(Into::into);
        Finished {
            verdict: Verdict::Failed { note },
            ..passed(export, output)
        }
    }

    /// What is printed, without colours, and without the time it took.
    fn printed(format: &str, print: impl FnOnce(&mut Report<Vec<u8>>)) -> String {
        let mut report = report(&["--format", format]);
        print(&mut report);
        let text = String::from_utf8(report.out).unwrap();
        let text = anstream::adapter::strip_str(&text).to_string();
        match text.split_once("finished in ") {
            Some((text, _)) => text.into(),
            None => text,
        }
    }

    #[test]
    fn every_test_has_a_line_and_the_last_line_counts_them() {
        let text = printed("pretty", |report| {
            report.start(3, None).unwrap();
            report.ignored(test("#ignore_a::rests")).unwrap();
            report.finished(passed("a::works", "hidden")).unwrap();
            report.finished(passed("#panic_x#a::breaks", "")).unwrap();
            assert!(report.finish(4).unwrap());
        });
        assert_eq!(
            text,
            "\nrunning 3 tests\n\
             test a::rests ... ignored\n\
             test a::works ... ok\n\
             test a::breaks - should panic ... ok\n\
             \n\
             test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 4 filtered out; "
        );
    }

    #[test]
    fn failures_are_shown_by_name_with_their_output_and_note() {
        let text = printed("pretty", |report| {
            report.start(3, None).unwrap();
            report.finished(failed("c", "", None)).unwrap();
            report
                .finished(failed("b", "no newline", Some("why")))
                .unwrap();
            report.finished(failed("a", "said\n", None)).unwrap();
            assert!(!report.finish(0).unwrap());
        });
        let (_, failures) = text.split_once("\nfailures:\n").unwrap();
        assert_eq!(
            failures,
            "\n---- a stdout ----\nsaid\n\n\
             ---- b stdout ----\nno newline\nnote: why\n\n\
             \nfailures:\n    a\n    b\n    c\n\
             \n\
             test result: FAILED. 0 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; "
        );
    }

    #[test]
    fn output_of_successes_is_shown_on_request() {
        let mut report = report(&["--show-output"]);
        report.start(1, None).unwrap();
        report.finished(passed("a", "said\n")).unwrap();
        report.finish(0).unwrap();
        let text = String::from_utf8(report.out).unwrap();
        let section = "\nsuccesses:\n\n---- a stdout ----\nsaid\n\n\nsuccesses:\n    a\n";
        assert!(text.contains(section), "{text}");
    }

    #[test]
    fn terse_results_are_characters_in_lines_of_equal_length() {
        let text = printed("terse", |report| {
            report.start(90, None).unwrap();
            report.finished(failed("a", "", None)).unwrap();
            report.ignored(test("#ignore_b")).unwrap();
            for _ in 0..88 {
                report.finished(passed("c", "")).unwrap();
            }
        });
        let dots = ".".repeat(86);
        assert_eq!(text, format!("\nrunning 90 tests\nFi{dots} 88/90\n.."));
    }

    #[test]
    fn a_list_ends_with_a_count_unless_it_is_terse() {
        let tests = [test("a"), test("#panic_#b")];
        let list =
            |format, tests: &[TestCase]| printed(format, |report| report.list(tests).unwrap());
        assert_eq!(list("terse", &tests), "a: test\nb: test\n");
        assert_eq!(
            list("pretty", &tests),
            "a: test\nb: test\n\n2 tests, 0 benchmarks\n"
        );
        assert_eq!(
            list("pretty", &tests[..1]),
            "a: test\n\n1 test, 0 benchmarks\n"
        );
        assert_eq!(list("pretty", &[]), "0 tests, 0 benchmarks\n");
    }

    #[test]
    fn results_are_coloured() {
        let mut report = report(&[]);
        report.finished(passed("a", "")).unwrap();
        assert_eq!(report.out, b"test a ... \x1b[32mok\x1b[0m\n");
    }

    #[test]
    fn json_has_a_line_for_each_thing_that_happens() {
        let text = printed("json", |report| {
            report.start(2, Some(7)).unwrap();
            report.ignored(test("#ignore_c")).unwrap();
            report.test_started(&test("a")).unwrap();
            report.finished(failed("a", "said\n", Some("why"))).unwrap();
            report.finish(1).unwrap();
        });
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let told: Vec<_> = lines
            .iter()
            .map(|line| (line["type"].as_str(), line["event"].as_str()))
            .collect();
        let line = |kind, event| (Some(kind), Some(event));
        assert_eq!(
            told,
            [
                line("suite", "started"),
                line("test", "ignored"),
                line("test", "started"),
                line("test", "failed"),
                line("suite", "failed"),
            ]
        );
        assert_eq!(lines[0]["shuffle_seed"], 7);
        assert_eq!(lines[3]["stdout"], "said\n");
        assert_eq!(lines[3]["message"], "why");
        assert_eq!(lines[4]["failed"], 1);
        assert_eq!(lines[4]["filtered_out"], 1);
    }

    #[test]
    fn the_time_of_a_test_is_shown_on_request() {
        let mut report = report(&["--report-time"]);
        report.finished(passed("a", "")).unwrap();
        let text = String::from_utf8(report.out).unwrap();
        assert_eq!(text, "test a ... \x1b[32mok\x1b[0m <0.020s>\n");
    }
}
