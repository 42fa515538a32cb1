//! The test files of the `lunatic` crate.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::network::namespace;
use super::{Report, Runner, ending, exports, print_output, program};
use crate::cargo::Artifact;
use crate::command::Outcome;
use crate::tally::Tally;

/// The prefix of exports that are tests.
const TEST_EXPORT: &str = "#lunatic_test_";

/// The name of the crate's own unit tests in the table.
const UNIT_TESTS: &str = "lib";

/// A test file, and how many tests it has.
struct File {
    name: &'static str,
    tests: usize,
    /// At which port they look for a public server.
    server_port: Option<u16>,
}

const fn runs(name: &'static str, tests: usize) -> File {
    File {
        name,
        tests,
        server_port: None,
    }
}

const fn asks_a_server(name: &'static str, tests: usize, port: u16) -> File {
    File {
        server_port: Some(port),
        ..runs(name, tests)
    }
}

const FILES: [File; 18] = [
    runs(UNIT_TESTS, 6),
    runs("abstract_process", 16),
    runs("abstract_process_macro", 16),
    runs("catch_panic", 3),
    runs("config", 9),
    runs("func_ref", 1),
    runs("macros", 8),
    runs("mailbox", 3),
    runs("messaging", 7),
    runs("process", 14),
    runs("process_local", 5),
    runs("protocol", 3),
    runs("supervisor", 10),
    runs("task", 5),
    runs("timer", 3),
    runs("udp", 8),
    asks_a_server("serializers", 3, 80),
    runs("sqlite", 3),
];

/// The names of all test files.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|file| file.name)
}

/// Runs the selected files and prints a line about each.
pub(super) fn run(
    runner: &Runner,
    artifacts: &[Artifact],
    selected: impl Fn(&str) -> bool,
) -> Result<Report> {
    println!(
        "\n{:<30}{:>8}{:>8}{:>8}",
        "test file", "tests", "passed", "failed"
    );
    let mut report = Report::default();
    for file in FILES.iter().filter(|file| selected(file.name)) {
        let program = file.program(artifacts)?;
        file.check_number_of_tests(program)?;
        report += file.run(runner, program)?;
    }
    Ok(report)
}

impl File {
    fn program<'a>(&self, artifacts: &'a [Artifact]) -> Result<&'a Path> {
        let program = match self.name {
            UNIT_TESTS => program(artifacts, "lib", "lunatic"),
            name => program(artifacts, "test", name),
        };
        program.with_context(|| format!("cargo built no tests `{}`", self.name))
    }

    /// Makes sure that the table is right, whatever the runner finds.
    fn check_number_of_tests(&self, program: &Path) -> Result<()> {
        let cannot_read = || format!("cannot read {}", program.display());
        let module = fs::read(program).with_context(cannot_read)?;
        let exports = exports::names(&module).with_context(cannot_read)?;
        let tests = exports
            .iter()
            .filter(|export| export.starts_with(TEST_EXPORT))
            .count();
        if tests != self.tests {
            bail!(
                "`{}` exports {tests} tests, and the table in {} says {}",
                self.name,
                file!(),
                self.tests
            );
        }
        Ok(())
    }

    /// Runs all tests at once, as cargo would. Some have deadlines of 5 and 10 ms, which a busy
    /// machine misses; tests that fail are reported, and run once more, one at a time.
    fn run(&self, runner: &Runner, program: &Path) -> Result<Report> {
        let run = |arguments: &[&str]| match self.server_port {
            None => runner.run(program, arguments, &[]).map(Some),
            Some(port) => namespace::run_with_server(runner, port, program, arguments),
        };
        let Some(mut outcome) = run(&[])? else {
            return Ok(self.wait(namespace::NEEDED));
        };
        if tally(&outcome, self.tests).failed > 0 {
            println!("{}: {}, tried once more", self.name, ending(&outcome));
            print_output(&outcome);
            outcome = run(&["--test-threads=1"])?.unwrap_or(outcome);
        }
        let tally = tally(&outcome, self.tests);
        println!(
            "{:<30}{:>8}{:>8}{:>8}",
            self.name, self.tests, tally.passed, tally.failed
        );
        if tally.failed > 0 {
            println!("    {}", ending(&outcome));
            print_output(&outcome);
        }
        Ok(Report { tally, waiting: 0 })
    }

    fn wait(&self, reason: &str) -> Report {
        println!(
            "{:<30}{:>8}{:>8}{:>8}  NOT RUN: {reason}",
            self.name, self.tests, "-", "-"
        );
        Report {
            tally: Tally::default(),
            waiting: self.tests,
        }
    }
}

/// Counts the tests of a file. A test of which nothing was heard failed, and
/// so did at least one if the file says they passed and the exit code doesn't.
fn tally(outcome: &Outcome, expected: usize) -> Tally {
    let passed = outcome
        .stdout
        .lines()
        .rev()
        .find_map(Tally::from_libtest)
        .map_or(0, |tally| tally.passed.min(expected));
    let missing = expected - passed;
    let failed_as_a_whole = usize::from(outcome.code != Some(0));
    Tally {
        passed,
        failed: missing.max(failed_as_a_whole),
    }
}

#[cfg(test)]
mod tests {
    use super::tally;
    use crate::command::Outcome;
    use crate::tally::Tally;

    fn outcome(code: i32, stdout: &str) -> Outcome {
        Outcome {
            code: Some(code),
            timed_out: false,
            stdout: stdout.to_owned(),
            stderr: String::new(),
        }
    }

    #[test]
    fn a_test_that_is_not_heard_of_failed() {
        let output = outcome(0, "test result: ok. 2 passed; 0 failed; 0 ignored\n");
        let tally = tally(&output, 3);
        assert_eq!((tally.passed, tally.failed), (2, 1));
    }

    #[test]
    fn a_file_without_a_closing_line_failed() {
        let failed = Tally {
            passed: 0,
            failed: 3,
        };
        assert_eq!(tally(&outcome(0, ""), 3), failed);
    }

    #[test]
    fn a_wrong_exit_code_is_a_failure() {
        let output = outcome(1, "test result: ok. 3 passed; 0 failed; 0 ignored\n");
        assert_eq!(tally(&output, 3).failed, 1);
    }
}
