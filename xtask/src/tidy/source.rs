//! Checks of one Rust file or manifest, which the lints of rustc and clippy do not make.

use std::collections::BTreeSet;

use proc_macro2::{LexError, TokenStream, TokenTree};

/// The files that may contain `unsafe`: those that handle memory, the one that runs kept code,
/// those that SQLite calls, the allocator, and those in which guests import functions.
const UNSAFE: [&str; 25] = [
    "lunatic-allocator/src/lib.rs",
    "lunatic-engine/src/arena/accessible_ranges.rs",
    "lunatic-engine/src/arena/collected_heap.rs",
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
    "lunatic-sqlite/src/full_text.rs",
];

/// Former names of types and functions, and the present ones: words that a reader from wasmtime,
/// tokio or OTP knows.
const REPLACED_NAMES: [(&str, &str); 22] = [
    ("Alarm", "ReusableTimer"),
    ("Book", "GroupTable"),
    ("Complaint", "Diagnostic"),
    ("Detached", "DropLater"),
    ("Estate", "Teardown"),
    ("Facts", "ModuleInfo or ModuleSummary"),
    ("Fences", "AccessibleRanges"),
    ("Forge", "TreeBuilder"),
    ("Geometry", "MemoryLayout"),
    ("Ground", "Backend"),
    ("Legacy", "ChildEnvironment"),
    ("Leftover", "ClosedQueue"),
    ("Outbox", "NotificationQueue"),
    ("Shelf", "FreeList"),
    ("Shelves", "FreeLists"),
    ("Surroundings", "Context"),
    ("Turn", "OperationLock or ActiveGeneration"),
    ("Turns", "TimeSlice or FairQueue"),
    ("doom", "request_exit"),
    ("furnish", "configure"),
    ("legacy", "child_environment"),
    ("sentence", "pending_exit"),
];

/// The lines by which a package inherits the lints of its workspace.
const INHERITANCE: &str = "\n[lints]\nworkspace = true\n";

/// Returns all problems of the Rust file at `path`.
pub(super) fn problems(path: &str, source: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if !source.starts_with("//!") {
        problems.push(format!(
            "{path}:1: the first line must say in `//!` what this is"
        ));
    }
    problems.extend(second_paths(source).map(|name| {
        format!(
            "{path}: what `{name}` has is public in it and at the root: make one of the two private"
        )
    }));
    match identifiers(source) {
        Ok(names) => {
            if names.contains("unsafe") && !UNSAFE.contains(&path) {
                problems.push(format!(
                    "{path}: `unsafe` in a file that {} doesn't name",
                    file!()
                ));
            }
            let replaced = REPLACED_NAMES
                .iter()
                .filter(|(old, _)| names.contains(*old));
            problems.extend(replaced.map(|(old, new)| {
                format!("{path}: `{old}` is not a name of this project any more: {new}")
            }));
        }
        Err(error) => problems.push(format!("{path}: {error}")),
    }
    problems
}

/// Returns the problem of the manifest at `path`, if it is that of a package.
pub(super) fn manifest_problem(path: &str, manifest: &str) -> Option<String> {
    let is_package = manifest.contains("[package]");
    let has_lints = manifest.contains(INHERITANCE);
    (is_package && !has_lints).then(|| {
        let lines = INHERITANCE.trim().replace('\n', " ");
        format!("{path}: has no `{lines}`")
    })
}

/// Returns public modules whose items are also public at the root.
fn second_paths(source: &str) -> impl Iterator<Item = &str> {
    let modules = source.lines().filter_map(|line| {
        let name = line.strip_prefix("pub mod ")?;
        name.strip_suffix(';')
    });
    modules.filter(|name| {
        let is_item = |line: &str| {
            let path = line.strip_prefix("pub use ")?;
            let path = path.strip_prefix("crate::").unwrap_or(path);
            let item = path.strip_prefix(name)?.strip_prefix("::")?;
            // Further modules are private, so that theirs is the only path.
            (item.starts_with('{') || !item.contains("::")).then_some(())
        };
        source.lines().any(|line| is_item(line).is_some())
    })
}

/// All keywords and names in `source`.
fn identifiers(source: &str) -> Result<BTreeSet<String>, LexError> {
    fn collect(tokens: TokenStream, names: &mut BTreeSet<String>) {
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    names.insert(name.to_string());
                }
                TokenTree::Group(group) => collect(group.stream(), names),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }
    let mut names = BTreeSet::new();
    collect(source.parse()?, &mut names);
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::{UNSAFE, identifiers, manifest_problem, problems};

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
            let names = identifiers(&source).expect("Rust");
            assert!(names.contains("unsafe"), "{path}");
        }
    }

    #[test]
    fn names_are_found_inside_of_blocks_and_macros() {
        for source in ["fn f() { if true { unsafe {} } }", "m! { [unsafe fn f()] }"] {
            let names = identifiers(source).expect("Rust");
            assert!(names.contains("unsafe"), "{source}");
        }
    }

    #[test]
    fn an_item_has_one_public_path() {
        let modules = "//! A crate.\npub mod a;\nmod b;\npub use b::B;\n";
        for (again, count) in [
            ("", 0),
            ("pub use a::A;", 1),
            ("pub use crate::a::{A, B};", 1),
            ("pub use a::inner::A;", 0),
            ("pub use ab::A;", 0),
        ] {
            let source = format!("{modules}{again}\n");
            assert_eq!(problems(LIBRARY, &source).len(), count, "{again}");
        }
    }

    #[test]
    fn a_name_that_was_replaced_does_not_come_back() {
        let problems = problems(LIBRARY, "//! A file.\nstruct Shelf;\n// Estate\n");
        assert_eq!(problems.len(), 1);
        assert!(problems[0].contains("`Shelf`") && problems[0].contains("FreeList"));
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
