//! The test runner, from the command line.

#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::fs;
use std::path::Path;

use harness::program::lunatic;
use lunatic_testkit::program::{Ran, ran};

const SUITE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/guests/suite.wat");

/// Runs `lunatic test` on the suite.
fn test(args: &[&str]) -> Ran {
    let mut command = lunatic();
    command.args(["test", SUITE]).args(args);
    ran(&mut command)
}

#[test]
fn tests_that_pass_make_the_exit_code_0() {
    test(&["ok::"])
        .code(0)
        .prints("\nrunning 7 tests\n")
        .prints("test ok::returns ... ok\n")
        .prints("test ok::panics - should panic ... ok\n")
        .prints("test ok::panics_the_old_way - should panic ... ok\n")
        .prints("test ok::panics_the_new_way - should panic ... ok\n")
        .prints_not("said by the test")
        .prints(
            "\ntest result: ok. \
             7 passed; 0 failed; 0 ignored; 0 measured; 11 filtered out; finished in ",
        );
}

#[test]
fn a_test_is_process_1_of_environment_0() {
    test(&["is_process_1"]).code(0);
}

#[test]
fn what_a_test_leaves_behind_ends_with_it() {
    test(&["leaves_a_child_behind"]).code(0);
}

#[test]
fn a_test_that_fails_makes_the_exit_code_1() {
    test(&["ok::returns", "bad::traps"])
        .code(1)
        .prints("test ok::returns ... ok\n")
        .prints("test bad::traps ... FAILED\n")
        .prints("\ntest result: FAILED. 1 passed; 2 failed; 0 ignored; ");
}

#[test]
fn a_trap_is_shown_with_its_cause_and_the_output_before() {
    test(&["--exact", "bad::traps"])
        .code(1)
        .prints(
            "\nfailures:\n\n\
             ---- bad::traps stdout ----\n\
             said by the test\n\
             note: Process trapped or received kill signal: wasm trap: ",
        )
        .prints("wasm backtrace")
        .prints("\n\n\nfailures:\n    bad::traps\n\ntest result: FAILED. ");
}

#[test]
fn a_killed_test_fails() {
    test(&["bad::is_killed"])
        .code(1)
        .prints("note: Process trapped or received kill signal: killed\n");
}

#[test]
fn a_test_that_takes_arguments_fails() {
    test(&["bad::takes_an_argument"])
        .code(1)
        .prints("test bad::takes_an_argument ... FAILED\n");
}

#[test]
fn a_test_whose_instance_cannot_be_made_fails_even_if_it_should_panic() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("broken.wat");
    let broken = r##"(module
        (func $trap unreachable)
        (start $trap)
        (func (export "#lunatic_test_#panic_#starts")))"##;
    fs::write(&path, broken).unwrap();
    let mut command = lunatic();
    command.arg("test").arg(&path);
    ran(&mut command)
        .code(1)
        .prints("note: the test did not start: ");
}

#[test]
fn a_panic_is_shown_as_the_guest_printed_it() {
    test(&["--exact", "bad::panics"])
        .code(1)
        .prints("panicked at src/lib.rs:1:2:\nthe new boom\nof two lines\n")
        .prints_not("Process trapped");
}

#[test]
fn output_of_children_is_captured_and_shown_apart() {
    test(&["bad::has_a_child"])
        .code(1)
        .prints(
            "---- bad::has_a_child stdout ----\n \
             --- process 0 stdout ---\n\
             said by the test\n\
             thread '<unnamed>' panicked at ",
        )
        .prints(" --- process 1 stdout ---\nsaid by the child\n");
}

#[test]
fn a_test_that_should_panic_but_does_not_fails() {
    test(&["bad::does_not_panic"])
        .code(1)
        .prints("test bad::does_not_panic - should panic ... FAILED\n")
        .prints("---- bad::does_not_panic stdout ----\nnote: test did not panic as expected\n");
}

#[test]
fn a_test_that_panics_otherwise_fails_with_both_texts() {
    test(&["bad::panics_otherwise"])
        .code(1)
        .prints("panic message: \"the new boom\\nof two lines\"")
        .prints("expected substring: \"bang\"");
}

#[test]
fn a_trap_is_not_the_panic_that_was_expected() {
    test(&["bad::traps_without_a_panic"])
        .code(1)
        .prints("expected substring: \"boom\"");
}

#[test]
fn ignored_tests_run_on_request() {
    test(&["returns", "--skip", "pace"])
        .code(0)
        .prints("test rest::returns ... ignored\n")
        .prints("1 passed; 0 failed; 1 ignored; ");
    test(&["returns", "--skip", "pace", "--ignored"])
        .code(0)
        .prints("running 1 test\n")
        .prints("test rest::returns ... ok\n");
    test(&["returns", "--skip", "pace", "--include-ignored"])
        .code(0)
        .prints("2 passed; 0 failed; 0 ignored; ");
}

#[test]
fn exact_compares_whole_names() {
    test(&["--exact", "ok::panics"])
        .code(0)
        .prints("running 1 test\n");
    test(&["--exact"]).code(0).prints("running 0 tests\n");
}

#[test]
fn output_is_printed_at_once_without_capture() {
    let ran = test(&["--exact", "ok::prints", "bad::traps", "--nocapture"]);
    ran.code(1)
        .prints("note: wasm trap: ")
        .prints_not("Process trapped");
    assert_eq!(ran.out.matches("said by the test\n").count(), 2);
    assert!(ran.position("said by the test") < ran.position("test ok::prints ... ok"));
}

#[test]
fn output_of_successes_is_shown_on_request() {
    test(&["ok::prints", "--show-output"]).code(0).prints(
        "\nsuccesses:\n\n---- ok::prints stdout ----\nsaid by the test\n\n\nsuccesses:\n    ok::prints\n",
    );
}

#[test]
fn tests_run_side_by_side_unless_limited() {
    let (slow, quick) = (
        "test pace::a_sleeps ... ok\n",
        "test pace::b_returns ... ok\n",
    );
    let ran = test(&["pace::"]);
    assert!(ran.code(0).position(quick) < ran.position(slow));
    let ran = test(&["pace::", "--test-threads", "1"]);
    assert!(ran.code(0).position(slow) < ran.position(quick));
}

#[test]
fn a_list_is_sorted_and_runs_nothing() {
    let pretty = test(&["--list", "ok::p"]);
    let names = "ok::panics: test\n\
                 ok::panics_the_new_way: test\n\
                 ok::panics_the_old_way: test\n\
                 ok::prints: test\n";
    assert_eq!(
        pretty.code(0).out,
        format!("{names}\n4 tests, 0 benchmarks\n")
    );
    let terse = test(&["--list", "--format", "terse", "ok::p"]);
    assert_eq!(terse.code(0).out, names);
}

#[test]
fn terse_results_are_characters() {
    test(&["-q", "returns"])
        .code(0)
        .prints("\ni..\ntest result: ok. ");
}

#[test]
fn colours_are_for_terminals_unless_wanted() {
    test(&["ok::returns"]).prints_not("\x1b");
    test(&["ok::returns", "--color", "always"]).prints("test ok::returns ... \x1b[32mok\x1b[0m\n");
}

#[test]
fn wrong_options_are_a_usage_error() {
    let ran = test(&["--no-such-option"]);
    assert!(ran.code(2).err.contains("--no-such-option"));
    test(&["--format", "json"]).code(2);
}

#[test]
fn cargo_runs_tests_with_run() {
    let target = tempfile::tempdir().unwrap();
    let deps = target.path().join("target/wasm32-wasip1/debug/deps");
    fs::create_dir_all(&deps).unwrap();
    let binary = deps.join("suite-0123456789abcdef.wasm");
    fs::copy(SUITE, &binary).unwrap();
    let run = |binary: &Path, args: &[&str]| {
        let mut command = lunatic();
        command.env("CARGO_MANIFEST_DIR", target.path());
        command.arg("run").arg(binary).args(args);
        ran(&mut command)
    };
    run(&binary, &["ok::", "--nocapture"])
        .code(0)
        .prints("test result: ok. 7 passed; ");
    run(&binary, &["bad::traps", "--exact"]).code(1);
    run(&binary, &["--no-such-option"]).code(2);
}

#[test]
fn a_module_with_tests_is_a_program_without_cargo() {
    let mut command = lunatic();
    command.args(["run", SUITE, "ok::"]);
    let ran = ran(&mut command);
    assert_eq!(ran.code(0).out, "said by the test\n");
}
