//! `lunatic --version --verbose`.

use std::ffi::OsString;

use crate::command_line::features::Feature;

/// The version of the compiler of WebAssembly, which a test compares with the lock file.
const WASMTIME: &str = "48.0.8";

/// What else than the version was asked for, with `--version --verbose` or `-vV`.
pub(crate) fn is_asked_in_detail(words: &[OsString]) -> bool {
    let mut version = false;
    let mut verbose = false;
    for word in &words[1..] {
        match &*word.to_string_lossy() {
            "--version" | "-V" => version = true,
            "--verbose" | "-v" => verbose = true,
            "-vV" | "-Vv" => (version, verbose) = (true, true),
            _ => return false,
        }
    }
    version && verbose
}

/// The version in lines of keys and values, the program's own first.
///
/// - `commit`: what the program was built from, if that is known.
pub(crate) fn in_detail(commit: Option<&str>) -> String {
    let commit = commit.unwrap_or("unknown");
    let features: Vec<_> = features().collect();
    let features = match features.is_empty() {
        true => "none".to_owned(),
        false => features.join(" "),
    };
    format!(
        "lunatic {}\n\
         commit: {commit}\n\
         wasmtime: {WASMTIME}\n\
         guests: WASI preview 1, and the host interface of version 0.13\n\
         features: {features}\n\
         target: {} {}",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH,
        std::env::consts::OS,
    )
}

/// What was not left out of this build.
fn features() -> impl Iterator<Item = &'static str> {
    let included = Feature::ALL
        .into_iter()
        .filter(|feature| feature.is_included());
    included.map(Feature::name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use super::*;

    #[test]
    fn the_version_of_wasmtime_is_the_one_in_the_lock_file() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock");
        let lock = std::fs::read_to_string(path).unwrap();
        let entry = format!("name = \"wasmtime\"\nversion = \"{WASMTIME}\"\n");
        assert!(lock.contains(&entry));
    }

    #[test]
    fn details_are_asked_for_in_any_order() {
        let asks = |words: &[&str]| {
            let words: Vec<OsString> = words.iter().map(Into::into).collect();
            is_asked_in_detail(&words)
        };
        assert!(asks(&["lunatic", "--version", "--verbose"]));
        assert!(asks(&["lunatic", "-v", "-V"]));
        assert!(asks(&["lunatic", "-vV"]));
        assert!(!asks(&["lunatic", "--version"]));
        assert!(!asks(&["lunatic", "run", "-V", "-v"]));
    }
}
