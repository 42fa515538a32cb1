//! The examples of the `lunatic` crate that need no network.
//!
//! They check themselves with assertions: a failed one shows in the exit
//! code or as a panic on standard error.

use anyhow::{Context, Result};

use super::{Report, Runner, ending, print_output, program};
use crate::cargo::Artifact;
use crate::command::Outcome;
use crate::tally::Tally;

/// The text that a guest writes to standard error when one of its processes panics.
const PANIC: &str = "panicked at";

/// An example, how it is started, and what it prints.
struct Example {
    name: &'static str,
    arguments: &'static [&'static str],
    variables: &'static [(&'static str, &'static str)],
    prints: &'static [&'static str],
    never_prints: &'static [&'static str],
}

/// An example that runs and prints nothing.
const SILENT: Example = Example {
    name: "",
    arguments: &[],
    variables: &[],
    prints: &[],
    never_prints: &[],
};

const EXAMPLES: [Example; 11] = [
    Example {
        name: "abstract_process",
        never_prints: &["Link trapped"],
        ..SILENT
    },
    Example {
        // Its two children run into their limits, and it doesn't mind.
        name: "configs",
        prints: &["trying to allocate 2MB", "going into infinite loop"],
        never_prints: &["Succeeded"],
        ..SILENT
    },
    Example {
        name: "metrics",
        ..SILENT
    },
    Example {
        name: "monitor",
        prints: &["Hello\n", " died\n"],
        ..SILENT
    },
    Example {
        name: "print_env",
        arguments: &["first", "--second"],
        variables: &[("LUNATIC_COMPAT", "from the host")],
        prints: &[
            "\"first\", \"--second\"]\n",
            "LUNATIC_COMPAT: from the host\n",
        ],
        ..SILENT
    },
    Example {
        name: "process_local",
        ..SILENT
    },
    Example {
        name: "process_name",
        prints: &["Received message!\n"],
        ..SILENT
    },
    Example {
        name: "request_response",
        ..SILENT
    },
    Example {
        name: "spawn_macro",
        prints: &["Hello! I'm a string.\n", "Hello non-capturing closure!\n"],
        ..SILENT
    },
    Example {
        name: "spawn_task",
        prints: &["Hello world from a process!\nHello world from a 2nd process!\n"],
        ..SILENT
    },
    Example {
        name: "supervised_abstract_process",
        never_prints: &["Link trapped"],
        ..SILENT
    },
];

/// The names of all examples.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    EXAMPLES.iter().map(|example| example.name)
}

/// Runs the selected examples and prints a line about each.
pub(super) fn run(
    runner: &Runner,
    artifacts: &[Artifact],
    selected: impl Fn(&str) -> bool,
) -> Result<Report> {
    println!("\nexample");
    let mut report = Report::default();
    for example in EXAMPLES.iter().filter(|example| selected(example.name)) {
        report += example.run(runner, artifacts)?;
    }
    Ok(report)
}

/// Prints whether an example passed, which it did if there are no problems.
pub(super) fn judged(name: &str, problems: &[String]) -> Report {
    let passed = problems.is_empty();
    println!("{name:<30}{}", if passed { "ok" } else { "FAILED" });
    for problem in problems {
        println!("    {problem}");
    }
    let tally = Tally {
        passed: usize::from(passed),
        failed: usize::from(!passed),
    };
    Report { tally, waiting: 0 }
}

/// Prints why an example is not run.
pub(super) fn not_run(name: &str, reason: &str) -> Report {
    println!("{name:<30}NOT RUN: {reason}");
    Report {
        tally: Tally::default(),
        waiting: 1,
    }
}

impl Example {
    fn run(&self, runner: &Runner, artifacts: &[Artifact]) -> Result<Report> {
        let program = program(artifacts, "example", self.name)
            .with_context(|| format!("cargo built no example `{}`", self.name))?;
        let outcome = runner.run(program, self.arguments, self.variables)?;
        let problems = self.problems(&outcome);
        let report = judged(self.name, &problems);
        if report.tally.failed > 0 {
            print_output(&outcome);
        }
        Ok(report)
    }

    /// Returns the problems of a run.
    fn problems(&self, outcome: &Outcome) -> Vec<String> {
        let mut problems = Vec::new();
        if outcome.code != Some(0) {
            problems.push(format!("{} instead of exit code 0", ending(outcome)));
        }
        for text in self.prints {
            if !outcome.stdout.contains(text) {
                problems.push(format!("it doesn't print {text:?}"));
            }
        }
        for text in self.never_prints {
            if outcome.stdout.contains(text) {
                problems.push(format!("it prints {text:?}"));
            }
        }
        if outcome.stderr.contains(PANIC) {
            problems.push("one of its processes panicked".to_owned());
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::{Example, SILENT};
    use crate::command::Outcome;

    const EXAMPLE: Example = Example {
        prints: &["done"],
        never_prints: &["oops"],
        ..SILENT
    };

    fn problems(code: i32, stdout: &str, stderr: &str) -> usize {
        let outcome = Outcome {
            code: Some(code),
            timed_out: false,
            stdout: stdout.to_owned(),
            stderr: stderr.to_owned(),
        };
        EXAMPLE.problems(&outcome).len()
    }

    #[test]
    fn only_the_right_output_with_exit_code_0_passes() {
        assert_eq!(problems(0, "done", ""), 0);
        assert_eq!(problems(1, "done", ""), 1);
        assert_eq!(problems(0, "", ""), 1);
        assert_eq!(problems(0, "done, oops", ""), 1);
        assert_eq!(problems(0, "done", "thread 'main' panicked at a.rs:1"), 1);
    }
}
