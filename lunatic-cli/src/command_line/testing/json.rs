//! Results as lines of JSON, as Rust's test runner prints them with `--format json`.

use serde_json::{Value, json};

use crate::command_line::testing::name::TestCase;
use crate::command_line::testing::report::{Counts, Finished};
use crate::command_line::testing::verdict::Verdict;

pub(super) fn suite_started(tests: usize, seed: Option<u64>) -> Value {
    let mut line = json!({ "type": "suite", "event": "started", "test_count": tests });
    if let Some(seed) = seed {
        line["shuffle_seed"] = json!(seed);
    }
    line
}

pub(super) fn test_started(test: &TestCase) -> Value {
    json!({ "type": "test", "event": "started", "name": test.name })
}

pub(super) fn slow(test: &TestCase) -> Value {
    json!({ "type": "test", "event": "timeout", "name": test.name })
}

pub(super) fn ignored(test: &TestCase) -> Value {
    json!({ "type": "test", "event": "ignored", "name": test.name })
}

/// - `show_output`: whether to tell what a test printed that passed.
pub(super) fn finished(finished: &Finished, show_output: bool) -> Value {
    let is_ok = finished.verdict == Verdict::Passed;
    let event = if is_ok { "ok" } else { "failed" };
    let mut line = json!({
        "type": "test",
        "event": event,
        "name": finished.test.name,
        "exec_time": finished.took.as_secs_f64(),
    });
    if !finished.output.is_empty() && (show_output || !is_ok) {
        line["stdout"] = json!(finished.output);
    }
    if let Verdict::Failed { note: Some(note) } = &finished.verdict {
        line["message"] = json!(note);
    }
    line
}

pub(super) fn suite_finished(counts: &Counts, filtered_out: usize) -> Value {
    json!({
        "type": "suite",
        "event": if counts.failed == 0 { "ok" } else { "failed" },
        "passed": counts.passed,
        "failed": counts.failed,
        "ignored": counts.ignored,
        "measured": 0,
        "filtered_out": filtered_out,
        "exec_time": counts.took.as_secs_f64(),
    })
}

/// The lines of a list.
pub(super) fn list(tests: &[TestCase]) -> Vec<Value> {
    let begin = json!({ "type": "suite", "event": "discovery" });
    let found = tests.iter().map(|test| {
        json!({
            "type": "test",
            "event": "discovered",
            "name": test.name,
            "ignore": test.ignored,
            "ignore_message": "",
            "source_path": "",
            "start_line": 0,
            "start_col": 0,
            "end_line": 0,
            "end_col": 0,
        })
    });
    let end = json!({
        "type": "suite",
        "event": "completed",
        "tests": tests.len(),
        "benchmarks": 0,
        "total": tests.len(),
        "ignored": tests.iter().filter(|test| test.ignored).count(),
    });
    std::iter::once(begin)
        .chain(found)
        .chain(std::iter::once(end))
        .collect()
}
