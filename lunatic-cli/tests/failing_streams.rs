//! A standard error or output that is full, closed, or not read neither hangs nor ends the
//! program.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};

use harness::program::Guests;
use lunatic_testkit::program::{exit_code, signal};

/// Many processes that fail, and a first process that fails after them.
const FAILS: &str = r#"
    (func (export "fails") unreachable)
    (func (export "_start") (local $rest i32)
        (local.set $rest (i32.const 1000))
        (loop $again
            (call $await (call $spawn_own (i64.const 0) @fails))
            (br_if $again (local.tee $rest (i32.sub (local.get $rest) (i32.const 1)))))
        unreachable)"#;

/// Prints a line and fails.
const CRASHES: &str = r#"
    (data (i32.const 0x200) "crash\n")
    (data (i32.const 0x100) "\00\02\00\00\06\00\00\00")
    (func (export "_start")
        (drop (call $fd_write (i32.const 1) (i32.const 0x100) (i32.const 1) (i32.const 0x300)))
        unreachable)"#;

const CRASHING: &str = "intensity = 1000000\nperiod = \"10s\"\n\
    [[children]]\nname = \"one\"\nmodule = \"crashes.wat\"\n";

/// A standard error that cannot be written to.
#[derive(Debug, Clone, Copy)]
enum Broken {
    Full,
    Closed,
    /// Whoever read it has ended.
    Abandoned,
    /// Nobody reads it, and it takes no more.
    Unread,
}

const ALL: [Broken; 4] = [
    Broken::Full,
    Broken::Closed,
    Broken::Abandoned,
    Broken::Unread,
];

fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").unwrap()
}

fn guests() -> Guests {
    let guests = Guests::new();
    guests.file("fails.wat", harness::module(FAILS));
    guests.file("crashes.wat", harness::module(CRASHES));
    guests.file("app.toml", CRASHING);
    guests
}

/// Starts the program in this state. Dropping the second value ends a reader.
fn start(guests: &Guests, args: &[&str], broken: Broken) -> (Child, Option<ChildStderr>) {
    let mut command = guests.lunatic();
    command.args(args);
    let mut command = match broken {
        Broken::Closed => closed(&command, "2>&-"),
        Broken::Full | Broken::Abandoned | Broken::Unread => command,
    };
    match broken {
        Broken::Full => command.stderr(full()),
        Broken::Closed => command.stderr(Stdio::null()),
        Broken::Abandoned | Broken::Unread => command.stderr(Stdio::piped()),
    };
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let reader = child.stderr.take();
    match broken {
        Broken::Unread => (child, reader),
        Broken::Full | Broken::Closed | Broken::Abandoned => (child, None),
    }
}

/// The same program, started by a shell that closes a stream.
fn closed(command: &Command, stream: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("exec \"$0\" \"$@\" {stream}"));
    shell.arg(command.get_program()).args(command.get_args());
    if let Some(dir) = command.get_current_dir() {
        shell.current_dir(dir);
    }
    shell.stdin(Stdio::null()).env_remove("RUST_LOG");
    shell
}

#[test]
fn a_program_that_fails_ends_with_its_exit_code() {
    let guests = guests();
    for broken in ALL {
        // More lines than a pipe holds.
        let args = ["run", "--dir", ".", "fails.wat"];
        let (mut child, _reader) = start(&guests, &args, broken);
        assert_eq!(exit_code(&mut child), Some(1), "{broken:?}");
    }
}

#[test]
fn an_application_goes_on_when_a_worker_crashes() {
    let guests = guests();
    for broken in ALL {
        let (mut child, _reader) = start(&guests, &["start", "app.toml"], broken);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let crashes = lines
            .take(1000)
            .map(Result::unwrap)
            .filter(|line| line == "crash");
        assert_eq!(crashes.count(), 1000, "{broken:?}");
        signal(&child, "-TERM");
        assert_eq!(exit_code(&mut child), Some(0), "{broken:?}");
    }
}

#[test]
fn tests_are_run_without_a_standard_error() {
    let guests = guests();
    let suite = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/guests/suite.wat");
    for broken in ALL {
        let (mut child, _reader) = start(&guests, &["test", suite, "ok::"], broken);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let passed = lines
            .map(Result::unwrap)
            .filter(|line| line.ends_with("... ok"));
        assert_eq!(passed.count(), 7, "{broken:?}");
        assert_eq!(exit_code(&mut child), Some(0), "{broken:?}");
    }
}

/// Runs the program with a standard output that fails; its exit code, and what it says.
fn without_output(guests: &Guests, args: &[&str], stdout: Option<File>) -> (Option<i32>, String) {
    let mut command = guests.lunatic();
    command.args(args).env("XDG_CACHE_HOME", guests.path());
    match stdout {
        Some(file) => command.stdout(file),
        None => command.stdout(Stdio::piped()),
    };
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut said = String::new();
    let mut err = BufReader::new(child.stderr.take().unwrap());
    while err.read_line(&mut said).unwrap() > 0 {}
    (exit_code(&mut child), said)
}

#[test]
fn a_standard_output_that_is_full_is_an_error_and_one_that_is_closed_is_silent() {
    let guests = guests();
    let suite = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/guests/suite.wat");
    for args in [
        &["cache", "dir"][..],
        &["cache", "clear"],
        &["check", "app.toml"],
    ] {
        let (code, said) = without_output(&guests, args, Some(full()));
        assert_eq!(code, Some(1), "{args:?}");
        assert!(said.starts_with("error: cannot print"), "{args:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{args:?}: {said}");
    }
    for args in [&["test", suite, "ok::"][..], &["test", suite, "--list"]] {
        let (code, said) = without_output(&guests, args, Some(full()));
        assert_eq!(code, Some(1), "{args:?}: {said}");
        assert!(!said.contains("panicked"), "{args:?}: {said}");
    }
    for args in [&["--help"][..], &["--version"], &["help"]] {
        for stdout in [Some(full()), None] {
            let (_, said) = without_output(&guests, args, stdout);
            assert!(!said.contains("panicked"), "{args:?}: {said}");
        }
    }
}

#[test]
fn a_standard_output_that_nobody_reads_any_more_is_no_panic() {
    let guests = guests();
    let suite = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/guests/suite.wat");
    for args in [
        &["cache", "dir"][..],
        &["check", "app.toml"],
        &["test", suite, "ok::"],
        &["run", "crashes.wat"],
    ] {
        let (_, said) = without_output(&guests, args, None);
        assert!(!said.contains("panicked"), "{args:?}: {said}");
    }
}

#[test]
fn a_guest_forges_no_line_and_controls_no_terminal() {
    let guests = Guests::new();
    // There is no function of this name.
    let ran = guests.run_guest(
        r#"(memory (export "memory") 1)
        (data (i32.const 0x100) "x\1b[2J\0aerror: forged")
        (func (export "_start")
            (call $await (call $spawn_own (i64.const 0) (i32.const 0x100) (i32.const 19))))"#,
    );
    let said = &ran.code(0).err;
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        said.chars().all(|char| char == '\n' || !char.is_control()),
        "{said}"
    );
    assert!(said.contains("forged"), "{said}");
}
