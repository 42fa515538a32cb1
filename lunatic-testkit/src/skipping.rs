//! Tests that cannot run here.

/// Says on standard error that a test is skipped, and `why`.
#[allow(clippy::print_stderr, reason = "nobody must take it for passed")]
pub fn skipped(why: &str) {
    eprintln!("SKIPPED: {why}");
}
