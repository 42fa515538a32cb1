//! Texts of manifests.

use std::str;

/// Tries an input, if it is text.
pub fn run(input: &[u8]) {
    if let Ok(text) = str::from_utf8(input) {
        lunatic_cli::try_manifest(text);
    }
}
