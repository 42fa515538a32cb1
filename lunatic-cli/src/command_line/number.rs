//! Numbers on the command line.

use std::str::FromStr;

/// Reads a whole number from 1 on.
///
/// - `N`: one of the types `NonZero…`.
pub(crate) fn at_least_one<N: FromStr>(text: &str) -> Result<N, String> {
    text.parse()
        .map_err(|_| "write a whole number from 1 on".to_owned())
}
