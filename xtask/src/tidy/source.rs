//! What one Rust file or manifest must have or must not have, so that the lints of
//! rustc and clippy do the rest.

use proc_macro2::{LexError, TokenStream, TokenTree};

/// What may contain `unsafe`: the files that deal in memory, the one that runs code which is
/// kept, those that SQLite calls, and those in which guests import functions.
const UNSAFE: [&str; 22] = [
    "lunatic-engine/src/arena/accessible_ranges.rs",
    "lunatic-engine/src/arena/file_mapping.rs",
    "lunatic-engine/src/arena/image.rs",
    "lunatic-engine/src/arena/memories.rs",
    "lunatic-engine/src/arena/memory.rs",
    "lunatic-engine/src/arena/memory_slot.rs",
    "lunatic-engine/src/arena/page_faults.rs",
    "lunatic-engine/src/arena/pagemap.rs",
    "lunatic-engine/src/arena/size_class.rs",
    "lunatic-engine/src/arena/slab.rs",
    "lunatic-engine/src/arena/stacks.rs",
    "lunatic-engine/src/arena/system.rs",
    "lunatic-engine/src/code_cache/mapped.rs",
    "lunatic-guest/src/sys.rs",
    "lunatic-guest/src/sys/account.rs",
    "lunatic-guest/src/sys/cluster.rs",
    "lunatic-guest/src/sys/group.rs",
    "lunatic-guest/src/sys/net.rs",
    "lunatic-guest/src/sys/reload.rs",
    "lunatic-guest/src/sys/sqlite.rs",
    "lunatic-sqlite/src/allocator.rs",
    "lunatic-sqlite/src/files.rs",
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
    match is_unsafe(source) {
        Ok(true) if !UNSAFE.contains(&path) => problems.push(format!(
            "{path}: `unsafe` in a file that {} doesn't name",
            file!()
        )),
        Ok(_) => {}
        Err(error) => problems.push(format!("{path}: {error}")),
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

/// Returns whether the keyword `unsafe` is anywhere in `source`.
fn is_unsafe(source: &str) -> Result<bool, LexError> {
    fn contains(tokens: TokenStream) -> bool {
        tokens.into_iter().any(|token| match token {
            TokenTree::Ident(name) => name == "unsafe",
            TokenTree::Group(group) => contains(group.stream()),
            TokenTree::Punct(_) | TokenTree::Literal(_) => false,
        })
    }
    source.parse().map(contains)
}

#[cfg(test)]
mod tests {
    use super::{UNSAFE, is_unsafe, manifest_problem, problems};

    const LIBRARY: &str = "lunatic-abi/src/lib.rs";

    #[test]
    fn a_clean_file_has_no_problems() {
        let source = "//! A file.\nfn f() { write!(x); unsafe_code(\"unsafe\"); } // unsafe\n";
        assert!(problems(LIBRARY, source).is_empty());
    }

    #[test]
    fn a_file_says_what_it_is_first() {
        let problems = problems(LIBRARY, "use std::io;\n//! A file.\n");
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with("lunatic-abi/src/lib.rs:1:"));
    }

    #[test]
    fn only_the_named_files_may_be_unsafe() {
        let source = "//! A file.\nunsafe fn f() {}\n";
        for path in [
            LIBRARY,
            "lunatic-engine/src/arena.rs",
            "lunatic-engine/src/arena/free_list.rs",
            "lunatic-guest/src/lib.rs",
        ] {
            assert_eq!(problems(path, source).len(), 1, "{path}");
        }
        for path in UNSAFE {
            assert!(problems(path, source).is_empty(), "{path}");
        }
    }

    #[test]
    fn the_files_that_may_be_unsafe_are() {
        for path in UNSAFE {
            let source = std::fs::read_to_string(crate::workspace::root().join(path));
            let source = source.expect("the file is there");
            assert!(is_unsafe(&source).expect("Rust"), "{path}");
        }
    }

    #[test]
    fn unsafe_code_is_found_inside_of_blocks_and_macros() {
        for source in ["fn f() { if true { unsafe {} } }", "m! { [unsafe fn f()] }"] {
            assert!(is_unsafe(source).expect("Rust"), "{source}");
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
