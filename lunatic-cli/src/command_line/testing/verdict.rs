//! Whether a test passed.

use crate::command_line::testing::harness::Said;
use crate::command_line::testing::panic;

/// How the first process of a test ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    /// It returned.
    Returned,
    /// It failed or was killed, for this reason.
    Failed(String),
    /// No code of the test ran, for this reason.
    NeverStarted(String),
    /// It was ended because its time was up; what it did then.
    TimedOut(String),
}

/// What is said of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It did what it should.
    Passed,
    /// The runner inside of the module did not run it.
    Ignored,
    /// It did not.
    Failed {
        /// What its output does not tell.
        note: Option<String>,
    },
}

/// Judges a test (ABI §19).
///
/// - `should_panic`: what its panic has to contain, if it has to panic.
/// - `output`: what the first process printed.
/// - `captured`: whether the output is shown with the verdict only.
pub(super) fn judge(
    should_panic: Option<&str>,
    ended: &Ended,
    output: &str,
    captured: bool,
) -> Verdict {
    match (ended, should_panic) {
        (Ended::NeverStarted(reason), _) => failed(format!("the test did not start: {reason}")),
        (Ended::TimedOut(what), _) => failed(what),
        (Ended::Returned, None) => Verdict::Passed,
        (Ended::Returned, Some(_)) => failed("test did not panic as expected"),
        (Ended::Failed(reason), None) => judge_failure(reason, output, captured),
        (Ended::Failed(reason), Some(expected)) => judge_panic(reason, output, expected),
    }
}

/// Judges a test of Rust's own test runner.
///
/// - `said`: what that has said of it.
/// - `output`, `captured`: as of [`judge`].
pub(super) fn judge_by_harness(said: Said, ended: &Ended, output: &str, captured: bool) -> Verdict {
    match (said, ended) {
        (Said::Ok, Ended::Returned) => Verdict::Passed,
        (Said::Ignored, Ended::Returned) => Verdict::Ignored,
        (Said::Failed, Ended::Failed(_)) => Verdict::Failed { note: None },
        (_, Ended::Returned) => failed("it ended the program before the result was told"),
        _ => judge(None, ended, output, captured),
    }
}

fn failed(note: impl Into<String>) -> Verdict {
    let note = Some(note.into());
    Verdict::Failed { note }
}

/// A panic has told what went wrong; anything else has not.
fn judge_failure(reason: &str, output: &str, captured: bool) -> Verdict {
    match (panic::first_message(output), captured) {
        (Some(_), _) => Verdict::Failed { note: None },
        (None, true) => failed(format!("Process trapped or received kill signal: {reason}")),
        (None, false) => failed(reason),
    }
}

fn judge_panic(reason: &str, output: &str, expected: &str) -> Verdict {
    match panic::first_message(output) {
        Some(message) if message.contains(expected) => Verdict::Passed,
        Some(message) => failed(format!(
            "panic did not contain expected string\n      \
             panic message: {message:?}\n \
             expected substring: {expected:?}"
        )),
        None if expected.is_empty() => Verdict::Passed,
        None => failed(format!(
            "there was no panic message\n \
             expected substring: {expected:?}\n            \
             failure: {reason}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD_PANIC: &str = "thread 'main' panicked at 'the old boom', src/lib.rs:1:2\n";
    const NEW_PANIC: &str = "thread 'main' panicked at src/lib.rs:1:2:\nthe new boom\n";

    fn trapped() -> Ended {
        Ended::Failed("wasm trap: unreachable".into())
    }

    fn note(verdict: Verdict) -> String {
        match verdict {
            Verdict::Failed { note: Some(note) } => note,
            other => panic!("expected a failure with a note, got {other:?}"),
        }
    }

    #[test]
    fn a_plain_test_that_returns_passes() {
        assert_eq!(judge(None, &Ended::Returned, "", true), Verdict::Passed);
        assert_eq!(
            judge(None, &Ended::Returned, OLD_PANIC, true),
            Verdict::Passed
        );
    }

    #[test]
    fn a_plain_test_that_panics_fails_and_its_output_tells_why() {
        for output in [OLD_PANIC, NEW_PANIC] {
            let verdict = judge(None, &trapped(), output, true);
            assert_eq!(verdict, Verdict::Failed { note: None });
        }
    }

    #[test]
    fn a_plain_test_that_traps_fails_with_the_cause() {
        assert_eq!(
            note(judge(None, &trapped(), "hello", true)),
            "Process trapped or received kill signal: wasm trap: unreachable"
        );
        let echoed = note(judge(None, &trapped(), "hello", false));
        assert_eq!(echoed, "wasm trap: unreachable");
    }

    #[test]
    fn a_test_that_should_panic_but_returns_fails() {
        let verdict = judge(Some(""), &Ended::Returned, "", true);
        assert_eq!(note(verdict), "test did not panic as expected");
    }

    #[test]
    fn a_test_that_panics_as_expected_passes() {
        for (output, expected) in [
            (OLD_PANIC, "old boom"),
            (NEW_PANIC, "new boom"),
            (OLD_PANIC, ""),
            (NEW_PANIC, ""),
        ] {
            let verdict = judge(Some(expected), &trapped(), output, true);
            assert_eq!(verdict, Verdict::Passed, "{expected:?}");
        }
    }

    #[test]
    fn a_test_that_panics_otherwise_fails_with_both_texts() {
        assert_eq!(
            note(judge(Some("bang"), &trapped(), NEW_PANIC, true)),
            "panic did not contain expected string\n      \
             panic message: \"the new boom\"\n \
             expected substring: \"bang\""
        );
    }

    #[test]
    fn where_the_panic_happened_is_not_its_message() {
        let verdict = judge(Some("src/lib.rs"), &trapped(), NEW_PANIC, true);
        assert_ne!(verdict, Verdict::Passed);
    }

    #[test]
    fn a_trap_is_a_panic_only_if_no_message_is_expected() {
        assert_eq!(judge(Some(""), &trapped(), "", true), Verdict::Passed);
        let text = note(judge(Some("boom"), &trapped(), "boom", true));
        assert!(text.contains("\"boom\""), "{text}");
        assert!(text.contains("wasm trap: unreachable"), "{text}");
    }

    #[test]
    fn a_test_whose_time_is_up_fails_even_if_it_should_panic() {
        let ended = Ended::TimedOut("it took longer than 1s".into());
        for should_panic in [None, Some("")] {
            let text = note(judge(should_panic, &ended, NEW_PANIC, true));
            assert_eq!(text, "it took longer than 1s");
        }
    }

    #[test]
    fn the_runner_inside_is_believed_if_the_program_ended_as_it_should() {
        let judge = |said, ended: &Ended, output| judge_by_harness(said, ended, output, true);
        let exit = Ended::Failed("it exited with status 101".into());
        assert_eq!(judge(Said::Ok, &Ended::Returned, ""), Verdict::Passed);
        assert_eq!(judge(Said::Ignored, &Ended::Returned, ""), Verdict::Ignored);
        let quiet = Verdict::Failed { note: None };
        assert_eq!(judge(Said::Failed, &exit, ""), quiet);
        assert_eq!(judge(Said::Nothing, &trapped(), NEW_PANIC), quiet);
        note(judge(Said::Nothing, &Ended::Returned, ""));
        note(judge(Said::Ok, &trapped(), ""));
    }

    #[test]
    fn a_test_that_never_started_fails_even_if_it_should_panic() {
        let ended = Ended::NeverStarted("no memory".into());
        for should_panic in [None, Some("")] {
            let text = note(judge(should_panic, &ended, "", true));
            assert_eq!(text, "the test did not start: no memory");
        }
    }
}
