//! The tests of a module that Rust's own test runner (libtest) is linked into.
//!
//! They are not exports: the program itself lists them and runs the ones that it is told. A
//! test that panics ends its instance, and with it the runner inside. So each test is run in
//! a process of its own, which is told to run just that one, and what the runner prints around
//! it is taken off.

use crate::command_line::testing::name::TestCase;

/// What stands in every module with the runner, in its texts for `--help`.
const MARKS: [&[u8]; 3] = [
    b"Run ignored and not ignored tests",
    b"--include-ignored",
    b"test result: ",
];

/// Whether Rust's own test runner is linked into a module, as far as its texts tell.
pub(crate) fn is_in(wasm: &[u8]) -> bool {
    MARKS
        .iter()
        .all(|mark| memchr::memmem::find(wasm, mark).is_some())
}

/// The arguments with which the runner lists its tests.
///
/// - `ignored`: only those that are ignored.
pub(super) fn arguments_to_list(ignored: bool) -> Vec<String> {
    let ignored = ignored.then_some("--ignored");
    let words = ["tests", "--list", "--format", "terse"].into_iter();
    words.chain(ignored).map(str::to_owned).collect()
}

/// The arguments with which it runs just this test.
pub(super) fn arguments_to_run(test: &TestCase) -> Vec<String> {
    let ignored = test.ignored.then_some("--ignored");
    let words = ["tests", &test.name, "--exact", "--nocapture"].into_iter();
    words.chain(ignored).map(str::to_owned).collect()
}

/// The tests of two lists that it has printed: of all, and of the ignored ones.
pub(super) fn listed(all: &str, ignored: &str) -> Vec<TestCase> {
    let ignored: Vec<_> = names(ignored).collect();
    names(all)
        .map(|name| TestCase::of_harness(name, ignored.contains(&name)))
        .collect()
}

fn names(list: &str) -> impl Iterator<Item = &str> {
    list.lines().filter_map(|line| line.strip_suffix(": test"))
}

/// What the runner has said of its test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// It has passed.
    Ok,
    /// It was not run: tests that have to panic are not, where a panic ends the program.
    Ignored,
    /// It has failed without a panic: it has returned an error.
    Failed,
    /// Nothing: the program has ended before.
    Nothing,
}

/// What a test has printed, without what the runner has printed around it.
pub(super) fn strip(printed: &str, name: &str) -> (String, Said) {
    let rest = printed
        .strip_prefix("\nrunning 1 test\n")
        .unwrap_or(printed);
    let heads = [
        format!("test {name} - should panic ... "),
        format!("test {name} ... "),
    ];
    let rest = heads
        .iter()
        .find_map(|head| rest.strip_prefix(head.as_str()))
        .unwrap_or(rest);
    let Some(end) = rest.rfind("\ntest result: ") else {
        return (rest.to_owned(), Said::Nothing);
    };
    let told = rest[..end].trim_end_matches('\n');
    if let Some(at) = rest.rfind("FAILED\n\nfailures:\n") {
        return (rest[..at].to_owned(), Said::Failed);
    }
    if let Some(output) = told.strip_suffix("ok") {
        return (output.to_owned(), Said::Ok);
    }
    let is_ignored = told
        .rfind('\n')
        .map_or(told, |at| &told[at + 1..])
        .starts_with("ignored");
    match is_ignored {
        true => (String::new(), Said::Ignored),
        false => (rest.to_owned(), Said::Nothing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runner_is_known_by_its_texts() {
        let texts = MARKS.concat();
        assert!(is_in(&texts));
        assert!(!is_in(&texts[1..]));
    }

    #[test]
    fn ignored_tests_are_in_both_lists() {
        let tests = listed("a::b: test\nc: test\nd: benchmark\n", "c: test\n");
        let told: Vec<_> = tests
            .iter()
            .map(|test| (&*test.name, test.ignored))
            .collect();
        assert_eq!(told, [("a::b", false), ("c", true)]);
    }

    #[test]
    fn what_is_around_a_test_is_taken_off() {
        let result = "\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 3 filtered \
                      out; finished in 0.00s\n\n";
        let strip = |text: &str| strip(&format!("\nrunning 1 test\n{text}"), "a::b");
        let own = |text: &str, said| (text.to_owned(), said);
        assert_eq!(
            strip(&format!("test a::b ... ok\n{result}")),
            own("", Said::Ok)
        );
        assert_eq!(
            strip(&format!("test a::b ... one\ntwo\nok\n{result}")),
            own("one\ntwo\n", Said::Ok)
        );
        assert_eq!(
            strip(&format!("test a::b - should panic ... ignored\n{result}")),
            own("", Said::Ignored)
        );
        assert_eq!(
            strip("test a::b ... \nthread 'main' panicked at a.rs:1:2:\nboom\n"),
            own(
                "\nthread 'main' panicked at a.rs:1:2:\nboom\n",
                Said::Nothing
            )
        );
        assert_eq!(
            strip(
                "test a::b ... Error: 7\nFAILED\n\nfailures:\n\nfailures:\n    a::b\n\ntest result: FAILED. 0 passed\n\n"
            ),
            own("Error: 7\n", Said::Failed)
        );
    }
}
