//! Prints what comes of tests, as the test runner of Rust does.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Instant;

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;

use crate::command_line::testing::name::TestCase;
use crate::command_line::testing::verdict::Verdict;

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
}

/// Prints results as they come, and remembers them for the end.
#[derive(Debug)]
pub(super) struct Report<W> {
    out: W,
    format: Format,
    started: Instant,
    total: usize,
    passed: Vec<Finished>,
    failed: Vec<Finished>,
    ignored: usize,
}

impl<W: Write> Report<W> {
    pub(super) fn new(out: W, format: Format) -> Report<W> {
        Report {
            out,
            format,
            started: Instant::now(),
            total: 0,
            passed: Vec::new(),
            failed: Vec::new(),
            ignored: 0,
        }
    }

    /// Lists tests; nothing is to be run.
    pub(super) fn list(&mut self, tests: &[TestCase]) -> io::Result<()> {
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
    pub(super) fn start(&mut self, total: usize) -> io::Result<()> {
        self.started = Instant::now();
        self.total = total;
        writeln!(self.out, "\nrunning {}", count(total))?;
        self.out.flush()
    }

    /// This test is not run.
    pub(super) fn ignored(&mut self, test: &TestCase) -> io::Result<()> {
        self.ignored += 1;
        self.result(test, IGNORED, "ignored", 'i')
    }

    /// This test was run.
    pub(super) fn finished(&mut self, finished: Finished) -> io::Result<()> {
        let (tests, style, word, character) = match finished.verdict {
            Verdict::Passed => (&mut self.passed, OK, "ok", '.'),
            Verdict::Failed { .. } => (&mut self.failed, FAILED, "FAILED", 'F'),
        };
        let test = finished.test.clone();
        tests.push(finished);
        self.result(&test, style, word, character)
    }

    /// All tests were run. Tells whether all passed.
    ///
    /// - `show_output`: whether to show what tests printed that passed.
    pub(super) fn finish(&mut self, filtered_out: usize, show_output: bool) -> io::Result<bool> {
        let success = self.failed.is_empty();
        if show_output {
            write_section(&mut self.out, "successes", &mut self.passed)?;
        }
        if !success {
            write_section(&mut self.out, "failures", &mut self.failed)?;
        }
        let (style, word) = match success {
            true => (OK, "ok"),
            false => (FAILED, "FAILED"),
        };
        writeln!(
            self.out,
            "\ntest result: {style}{word}{style:#}. \
             {} passed; {} failed; {} ignored; 0 measured; {filtered_out} filtered out; \
             finished in {:.2}s\n",
            self.passed.len(),
            self.failed.len(),
            self.ignored,
            self.started.elapsed().as_secs_f64(),
        )?;
        self.out.flush()?;
        Ok(success)
    }

    fn result(
        &mut self,
        test: &TestCase,
        style: Style,
        word: &str,
        character: char,
    ) -> io::Result<()> {
        match self.format {
            Format::Pretty => {
                let mode = match test.should_panic {
                    Some(_) => " - should panic",
                    None => "",
                };
                writeln!(
                    self.out,
                    "test {}{mode} ... {style}{word}{style:#}",
                    test.name
                )?;
            }
            Format::Terse => {
                write!(self.out, "{style}{character}{style:#}")?;
                self.end_full_line()?;
            }
        }
        self.out.flush()
    }

    /// Ends a line of characters when it is full.
    fn end_full_line(&mut self) -> io::Result<()> {
        /// How many characters make a full line.
        const FULL: usize = 88;
        let printed = self.passed.len() + self.failed.len() + self.ignored;
        match printed.is_multiple_of(FULL) {
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
            Verdict::Passed => None,
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

    fn test(export: &str) -> TestCase {
        TestCase::parse(&format!("#lunatic_test_{export}")).unwrap()
    }

    fn passed(export: &str, output: &str) -> Finished {
        Finished {
            test: test(export),
            verdict: Verdict::Passed,
            output: output.into(),
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
    fn printed(format: Format, print: impl FnOnce(&mut Report<Vec<u8>>)) -> String {
        let mut report = Report::new(Vec::new(), format);
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
        let text = printed(Format::Pretty, |report| {
            report.start(3).unwrap();
            report.ignored(&test("#ignore_a::rests")).unwrap();
            report.finished(passed("a::works", "hidden")).unwrap();
            report.finished(passed("#panic_x#a::breaks", "")).unwrap();
            assert!(report.finish(4, false).unwrap());
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
        let text = printed(Format::Pretty, |report| {
            report.start(3).unwrap();
            report.finished(failed("c", "", None)).unwrap();
            report
                .finished(failed("b", "no newline", Some("why")))
                .unwrap();
            report.finished(failed("a", "said\n", None)).unwrap();
            assert!(!report.finish(0, false).unwrap());
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
        let text = printed(Format::Pretty, |report| {
            report.start(1).unwrap();
            report.finished(passed("a", "said\n")).unwrap();
            report.finish(0, true).unwrap();
        });
        let section = "\nsuccesses:\n\n---- a stdout ----\nsaid\n\n\nsuccesses:\n    a\n";
        assert!(text.contains(section), "{text}");
    }

    #[test]
    fn terse_results_are_characters_in_lines_of_equal_length() {
        let text = printed(Format::Terse, |report| {
            report.start(90).unwrap();
            report.finished(failed("a", "", None)).unwrap();
            report.ignored(&test("#ignore_b")).unwrap();
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
        assert_eq!(list(Format::Terse, &tests), "a: test\nb: test\n");
        assert_eq!(
            list(Format::Pretty, &tests),
            "a: test\nb: test\n\n2 tests, 0 benchmarks\n"
        );
        assert_eq!(
            list(Format::Pretty, &tests[..1]),
            "a: test\n\n1 test, 0 benchmarks\n"
        );
        assert_eq!(list(Format::Pretty, &[]), "0 tests, 0 benchmarks\n");
    }

    #[test]
    fn results_are_coloured() {
        let mut report = Report::new(Vec::new(), Format::Pretty);
        report.finished(passed("a", "")).unwrap();
        assert_eq!(report.out, b"test a ... \x1b[32mok\x1b[0m\n");
    }
}
