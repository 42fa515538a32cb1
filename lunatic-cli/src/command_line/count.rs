//! Counts on the command line.

use std::str::FromStr;

/// Reads a whole number that is not 0.
///
/// # Errors
///
/// A sentence for the user.
pub(crate) fn at_least_one<N: FromStr>(text: &str) -> Result<N, &'static str> {
    text.parse().map_err(|_| "write a whole number from 1 on")
}
