//! Counts tests, and reads the counts of other test runners.

use std::fmt;
use std::ops::AddAssign;

/// How many tests passed and how many failed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Tally {
    /// Tests that passed.
    pub(crate) passed: usize,
    /// Tests that failed, or that should have run and didn't.
    pub(crate) failed: usize,
}

impl Tally {
    /// Reads libtest's closing line,
    /// `test result: ok. 3 passed; 0 failed; 0 ignored; …`.
    pub(crate) fn from_libtest(line: &str) -> Option<Self> {
        let (_, counts) = line.split_once("test result:")?;
        Some(Self {
            passed: count(counts, "passed")?,
            failed: count(counts, "failed")?,
        })
    }

    /// Reads nextest's closing line,
    /// `Summary [ 0.4s] 4 tests run: 2 passed, 1 failed, 1 timed out, 0 skipped`.
    pub(crate) fn from_nextest(line: &str) -> Option<Self> {
        let (_, counts) = line.split_once("Summary [")?;
        let run = count(counts, "tests").or_else(|| count(counts, "test"))?;
        let passed = count(counts, "passed").unwrap_or(0);
        Some(Self {
            passed,
            failed: run.saturating_sub(passed),
        })
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// The number in front of `word`.
fn count(text: &str, word: &str) -> Option<usize> {
    let words: Vec<&str> = text
        .split(|character: char| !character.is_alphanumeric())
        .collect();
    words
        .windows(2)
        .find(|pair| pair[1] == word)
        .and_then(|pair| pair[0].parse().ok())
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn a_closing_line_of_libtest_is_read_in_colour_too() {
        let tally = Some(Tally {
            passed: 16,
            failed: 2,
        });
        let plain = "test result: FAILED. 16 passed; 2 failed; 0 ignored; 0 measured";
        let coloured = "test result: \x1b[31mFAILED\x1b[0m. 16 passed; 2 failed; 0 ignored";
        assert_eq!(Tally::from_libtest(plain), tally);
        assert_eq!(Tally::from_libtest(coloured), tally);
        assert_eq!(Tally::from_libtest("test a::b ... ok"), None);
    }

    #[test]
    fn whatever_nextest_ran_and_did_not_pass_failed() {
        let line = "     Summary [   0.409s] 6 tests run: 3 passed (1 slow), 1 failed, \
                    1 timed out, 1 exec failed, 4 skipped";
        assert_eq!(
            Tally::from_nextest(line),
            Some(Tally {
                passed: 3,
                failed: 3
            })
        );
    }

    #[test]
    fn a_single_test_is_read_too() {
        let line = "     Summary [   0.009s] 1 test run: 1 passed, 0 skipped";
        assert_eq!(
            Tally::from_nextest(line),
            Some(Tally {
                passed: 1,
                failed: 0
            })
        );
    }
}
