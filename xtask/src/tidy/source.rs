//! What one Rust file or manifest must have or must not have, so that the lints of
//! rustc and clippy do the rest.

/// The lint that denies `unsafe` everywhere.
const LINT: &str = concat!("unsafe", "_code");

/// What may allow `unsafe`: the crate that deals in memory, the file in which guests
/// import functions, and the guest that exports a function under a name of its own.
const UNSAFE: [&str; 4] = [
    "lunatic-engine/",
    "lunatic-guest/src/sys.rs",
    "lunatic-guest/src/sys/",
    "guests/supervision/",
];

/// What has a package inherit the lints of its workspace.
const INHERITANCE: &str = "\n[lints]\nworkspace = true\n";

/// All that is wrong with the Rust file at `path`.
pub(super) fn problems(path: &str, source: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if !source.starts_with("//!") {
        problems.push(format!(
            "{path}:1: the first line must say in `//!` what this is"
        ));
    }
    let may_allow = UNSAFE.iter().any(|place| path.starts_with(place));
    if !may_allow && source.contains(LINT) {
        let places = UNSAFE.join(" and ");
        problems.push(format!("{path}: names the lint `{LINT}` outside {places}"));
    }
    problems
}

/// What is wrong with the manifest at `path`, if it is that of a package.
pub(super) fn manifest_problem(path: &str, manifest: &str) -> Option<String> {
    let is_package = manifest.contains("[package]");
    let has_lints = manifest.contains(INHERITANCE);
    (is_package && !has_lints).then(|| {
        let lines = INHERITANCE.trim().replace('\n', " ");
        format!("{path}: has no `{lines}`")
    })
}

#[cfg(test)]
mod tests {
    use super::{LINT, manifest_problem, problems};

    const LIBRARY: &str = "lunatic-abi/src/lib.rs";

    #[test]
    fn a_file_says_what_it_is_first() {
        assert!(problems(LIBRARY, "//! A file.\nuse std::io;\n").is_empty());
        let problems = problems(LIBRARY, "use std::io;\n//! A file.\n");
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with("lunatic-abi/src/lib.rs:1:"));
    }

    #[test]
    fn one_crate_and_the_imports_of_guests_may_allow_what_is_unsafe() {
        let source = format!("//! A file.\n#![allow(dead_code, {LINT})]\nfn f() {{}}\n");
        for path in [LIBRARY, "lunatic-guest/src/lib.rs"] {
            assert_eq!(problems(path, &source).len(), 1);
        }
        for path in ["lunatic-engine/src/arena.rs", "lunatic-guest/src/sys.rs"] {
            assert!(problems(path, &source).is_empty());
        }
    }

    #[test]
    fn a_package_has_the_lints_of_its_workspace() {
        let package = "[package]\nname = \"a\"\n";
        assert!(manifest_problem("a/Cargo.toml", package).is_some());
        let inherits = format!("{package}\n[lints]\nworkspace = true\n");
        assert_eq!(manifest_problem("a/Cargo.toml", &inherits), None);
        assert_eq!(manifest_problem("Cargo.toml", "[workspace]\n"), None);
    }
}
