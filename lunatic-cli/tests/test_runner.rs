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
    test(&["--format", "xml"]).code(2);
    test(&["--shuffle", "cards"]).code(2);
}

#[test]
fn wrong_options_behind_cargo_test_are_told_as_others() {
    let suite = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/guests/suite.wat");
    let mut command = lunatic();
    command
        .env("CARGO_MANIFEST_DIR", "/")
        .args(["run", suite, "--no-such-option"]);
    ran(&mut command)
        .code(2)
        .says(&["--no-such-option", "`cargo test -- --help`"]);
}

/// Tests that do not end by themselves.
const HANGING: &str = r##"(module
    (import "lunatic::message" "receive" (func $receive (param i32 i32 i64) (result i32)))
    (memory (export "memory") 1)
    (func $_ZN4work8for_ever17h0123456789abcdefE (loop $again (br $again)))
    (func $starts_working (call $_ZN4work8for_ever17h0123456789abcdefE))
    (func (export "#lunatic_test_works") (call $starts_working))
    (func (export "#lunatic_test_#panic_#waits")
        (drop (call $receive (i32.const 0) (i32.const 0) (i64.const -1))))
    (func (export "#lunatic_test_returns")))"##;

#[test]
fn a_test_whose_time_is_up_is_named_and_shows_what_it_did() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hanging.wat");
    fs::write(&path, HANGING).unwrap();
    let mut command = lunatic();
    command.args(["test", "--timeout", "500ms"]).arg(&path);
    ran(&mut command)
        .code(1)
        .prints("test returns ... ok\n")
        .prints("test waits - should panic ... FAILED\n")
        .prints("test works ... FAILED\n")
        .prints(
            "---- waits stdout ----\n\
             note: it took longer than 500ms, and was ended\n\
             it was waiting in lunatic::message::receive\n",
        )
        .prints(
            "---- works stdout ----\n\
             note: it took longer than 500ms, and was ended\n\
             it was running\n   0: work::for_ever\n   1: starts_working\n",
        )
        .prints("1 passed; 2 failed; ");
}

#[test]
fn a_seed_makes_the_same_order_again() {
    let order = |seed: &str| {
        let ran = test(&["ok::", "--test-threads", "1", "--shuffle", seed]);
        let names = ran.code(0).out.lines();
        let names = names.filter(|line| line.starts_with("test ok::"));
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    let first = order("1");
    assert_eq!(first.len(), 7);
    assert_eq!(first, order("1"));
    assert!((2..12).any(|seed: u8| order(&seed.to_string()) != first));
    test(&["ok::", "--shuffle", "7"]).prints("running 7 tests (shuffle seed: 7)\n");
    test(&["ok::", "--shuffle", "random"]).prints("(shuffle seed: ");
}

#[test]
fn results_are_json_on_request() {
    let ran = test(&[
        "--format",
        "json",
        "-Z",
        "unstable-options",
        "returns",
        "bad::traps",
    ]);
    let lines: Vec<serde_json::Value> = ran
        .code(1)
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["event"], "started");
    let named = |name: &str, event: &str| {
        let is_it = |line: &&serde_json::Value| line["name"] == name && line["event"] == event;
        lines.iter().find(is_it).unwrap()
    };
    named("ok::returns", "started");
    named("ok::returns", "ok");
    named("rest::returns", "ignored");
    let failed = named("bad::traps", "failed");
    assert_eq!(failed["stdout"], "said by the test\n");
    assert!(failed["message"].as_str().unwrap().contains("wasm trap"));
    let last = lines.last().unwrap();
    assert_eq!(
        (&last["type"], &last["event"]),
        (&"suite".into(), &"failed".into())
    );
    let listed = test(&["--list", "--format", "json", "rest::"]);
    listed
        .code(0)
        .prints(r#""event":"discovered""#)
        .prints(r#""ignore":true"#);
}

#[test]
fn results_are_written_as_junit() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("results.xml");
    let path = file.to_str().unwrap();
    test(&["returns", "bad::panics", "--junit", path])
        .code(1)
        .prints("test ok::returns ... ok\n");
    let written = fs::read_to_string(&file).unwrap();
    for part in [
        "<testsuite name=\"suite\" tests=\"",
        "<testcase classname=\"ok\" name=\"returns\"",
        "<testcase classname=\"rest\" name=\"returns\"><skipped/>",
        "<failure message=\"the new boom\">the new boom\nof two lines",
    ] {
        assert!(written.contains(part), "no {part:?} in {written}");
    }
    let printed = test(&["returns", "bad::panics", "--format", "junit"]);
    assert!(printed.code(1).out.starts_with("<?xml"), "{printed:?}");
    let into_nothing = test(&["returns", "--junit", "/no/such/folder/file"]);
    assert!(into_nothing.code(1).err.contains("cannot write"));
}

#[test]
fn variables_of_the_test_runner_of_rust_count() {
    let mut command = lunatic();
    command.args(["test", SUITE, "--exact", "ok::prints"]);
    command.env("RUST_TEST_NOCAPTURE", "1");
    ran(&mut command).code(0).prints("said by the test\n");
    let mut command = lunatic();
    command.args(["test", SUITE, "pace::"]);
    command.env("RUST_TEST_THREADS", "1");
    let ran = ran(&mut command);
    let position = |text: &str| ran.position(text);
    assert!(position("pace::a_sleeps ... ok") < position("pace::b_returns ... ok"));
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
