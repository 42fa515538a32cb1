//! What one Rust file must not contain.

use super::code;

/// Macros of code that isn't finished.
const UNFINISHED: [&str; 3] = ["dbg", "todo", "unimplemented"];

/// Macros that print, which is the business of programs and not of libraries.
const PRINTING: [&str; 4] = ["print", "println", "eprint", "eprintln"];

/// What may contain `unsafe`: the files that deal in memory, and those in which guests
/// import functions.
const UNSAFE: [&str; 12] = [
    "lunatic-engine/src/arena/accessible_ranges.rs",
    "lunatic-engine/src/arena/image.rs",
    "lunatic-engine/src/arena/memories.rs",
    "lunatic-engine/src/arena/memory.rs",
    "lunatic-engine/src/arena/memory_slot.rs",
    "lunatic-engine/src/arena/pagemap.rs",
    "lunatic-engine/src/arena/size_class.rs",
    "lunatic-engine/src/arena/slab.rs",
    "lunatic-engine/src/arena/stacks.rs",
    "lunatic-engine/src/arena/system.rs",
    "lunatic-guest/src/sys.rs",
    "lunatic-guest/src/sys/group.rs",
];

/// Programs, which may print.
const PROGRAMS: [&str; 2] = ["xtask/", "guests/"];

/// Folders of programs in any crate.
const PROGRAM_FOLDERS: [&str; 4] = ["/src/bin", "/examples/", "/tests/", "/benches/"];

/// All that is wrong with the file at `path`.
pub(super) fn problems(path: &str, source: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if !source.starts_with("//!") {
        problems.push(format!(
            "{path}:1: the first line must say in `//!` what this is"
        ));
    }
    for (number, line) in (1..).zip(code::only(source).lines()) {
        let found = problems_in_line(path, line);
        problems.extend(found.map(|problem| format!("{path}:{number}: {problem}")));
    }
    problems
}

fn problems_in_line(path: &str, line: &str) -> impl Iterator<Item = String> {
    let unfinished =
        calls(line, &UNFINISHED).map(|name| format!("`{name}!` is for unfinished code"));
    let printing = (!is_program(path))
        .then(|| calls(line, &PRINTING))
        .into_iter()
        .flatten()
        .map(|name| format!("`{name}!` in a library; use `tracing`"));
    let unsafe_code = (!UNSAFE.contains(&path) && words(line).any(|word| word == "unsafe"))
        .then(|| format!("`unsafe` in a file that {} doesn't name", file!()));
    unfinished.chain(printing).chain(unsafe_code)
}

fn is_program(path: &str) -> bool {
    path.ends_with("/main.rs")
        || PROGRAMS.iter().any(|program| path.starts_with(program))
        || PROGRAM_FOLDERS.iter().any(|folder| path.contains(folder))
}

/// The macros of `names` that `line` calls.
fn calls(line: &str, names: &'static [&'static str]) -> impl Iterator<Item = &'static str> {
    let called: Vec<_> = line
        .match_indices('!')
        .filter_map(|(position, _)| words(&line[..position]).next_back())
        .collect();
    names
        .iter()
        .copied()
        .filter(move |name| called.contains(name))
}

fn words(line: &str) -> impl DoubleEndedIterator<Item = &str> {
    line.split(|character: char| !(character.is_alphanumeric() || character == '_'))
}

#[cfg(test)]
mod tests {
    use super::{UNSAFE, problems, words};

    const LIBRARY: &str = "lunatic-abi/src/lib.rs";

    #[test]
    fn a_clean_file_has_no_problems() {
        let source = "//! A file.\nfn f() { write!(x); unsafe_code(\"unsafe\"); } // todo!()\n";
        assert!(problems(LIBRARY, source).is_empty());
    }

    #[test]
    fn a_file_says_what_it_is_first() {
        let problems = problems(LIBRARY, "use std::io;\n//! A file.\n");
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with("lunatic-abi/src/lib.rs:1:"));
    }

    #[test]
    fn unfinished_code_is_found_with_its_line_everywhere() {
        let source = "//! A file.\n\nfn f() { todo!() }\n";
        let problems = problems("xtask/src/main.rs", source);
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with("xtask/src/main.rs:3: `todo!`"));
    }

    #[test]
    fn only_programs_print() {
        let source = "//! A file.\nfn f() { eprintln!(\"x\") }\n";
        assert_eq!(problems(LIBRARY, source).len(), 1);
        for program in [
            "lunatic-cli/src/bin/lunatic.rs",
            "lunatic-cli/src/main.rs",
            "lunatic-abi/examples/a.rs",
            "guests/demo/src/links.rs",
        ] {
            assert!(problems(program, source).is_empty(), "{program}");
        }
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
            let mut words = source.lines().flat_map(words);
            assert!(words.any(|word| word == "unsafe"), "{path}");
        }
    }
}
