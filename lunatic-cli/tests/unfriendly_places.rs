//! The program where something is missing: a reader of what it prints, rights, a home.
//!
//! What needs another user than root is done by one that has no rights if root runs the test.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use harness::program::{Guests, lunatic};
use lunatic_testkit::program::{Ran, ran};
use lunatic_testkit::skipped;

/// A user and a group that own nothing.
const NOBODY: u32 = 65_534;
/// Another one, who runs no programs but those of one test: limits of threads are of users.
const LONELY: u32 = 65_533;

const SUITE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/guests/suite.wat");

/// Returns at once.
const RETURNS: &str = r#"(module (func (export "_start")))"#;

/// A place where anybody may read, with the program in it.
struct Place {
    guests: Guests,
    program: PathBuf,
}

impl Place {
    fn new() -> Place {
        let guests = Guests::new();
        fs::set_permissions(guests.path(), Permissions::from_mode(0o755)).unwrap();
        let program = guests.path().join("lunatic");
        let built = lunatic().get_program().to_owned();
        if fs::hard_link(&built, &program).is_err() {
            fs::copy(&built, &program).unwrap();
        }
        Place { guests, program }
    }

    /// The program, run by a user who is not root.
    fn as_stranger(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .current_dir(self.guests.path())
            .env_remove("CARGO_MANIFEST_DIR")
            .env_remove("RUST_LOG")
            .env_remove("XDG_CACHE_HOME")
            .env("XDG_RUNTIME_DIR", "/nonexistent")
            .env("HOME", "/nonexistent")
            .stdin(Stdio::null());
        if fs::metadata("/proc/self").unwrap().uid() == 0 {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    fn run(&self, words: &[&str]) -> Ran {
        ran(self.as_stranger().args(words))
    }
}

#[test]
fn another_user_than_root_runs_programs_and_tests() {
    let place = Place::new();
    place.guests.file("guest.wat", RETURNS);
    place.guests.file("suite.wat", fs::read(SUITE).unwrap());
    place.run(&["run", "guest.wat"]).code(0);
    place
        .run(&["test", "suite.wat", "ok::"])
        .code(0)
        .prints("test result: ok. 7 passed");
    place.run(&["doctor"]);
    place.run(&["ps"]).code(1);
}

#[test]
fn a_user_who_may_have_few_threads_runs_programs_or_is_told_of_that() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        skipped("to be another user, whose limit nobody else uses up, needs root");
        return;
    }
    let place = Place::new();
    place.guests.file("guest.wat", RETURNS);
    let mut ended = [0, 0];
    for threads in 2..24 {
        let mut limited = Command::new("timeout");
        limited
            .args(["--signal=KILL", "60", "prlimit"])
            .arg(format!("--nproc={threads}"))
            .arg(&place.program)
            .args(["run", "--no-cache", "guest.wat"])
            .current_dir(place.guests.path())
            .env_clear()
            .env("HOME", "/nonexistent")
            .stdin(Stdio::null())
            .uid(LONELY)
            .gid(LONELY);
        let ran = ran(&mut limited);
        match ran.code {
            Some(0) => ended[0] += 1,
            Some(1) => {
                let is_told = ran.err.contains("thread");
                assert!(is_told, "with {threads} threads: {}", ran.err);
                ended[1] += 1;
            }
            _ => panic!("with {threads} threads: {ran:?}"),
        }
    }
    // Both were seen.
    assert!(ended[0] > 0 && ended[1] > 0, "{ended:?}");
}

#[test]
fn a_file_that_may_not_be_read_is_named() {
    let place = Place::new();
    let file = place.guests.file("secret.wat", RETURNS);
    fs::set_permissions(&file, Permissions::from_mode(0o000)).unwrap();
    for command in ["run", "test", "describe", "check", "start"] {
        let ran = place.run(&[command, "secret.wat"]);
        let err = &ran.code(1).err;
        assert!(err.contains("cannot read `secret.wat`"), "{command}: {err}");
        assert!(err.contains("ermission denied"), "{command}: {err}");
    }
}

#[test]
fn a_current_directory_that_may_not_be_read_is_told_with_what_to_do() {
    let place = Place::new();
    let guest = place.guests.file("guest.wat", RETURNS);
    let directory = place.guests.path().join("closed");
    fs::create_dir(&directory).unwrap();
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        std::os::unix::fs::chown(&directory, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    // It is closed by who is in it already.
    let run = |words: &[&str]| {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", "chmod 0 . && exec \"$0\" \"$@\""])
            .arg(&place.program)
            .args(words)
            .arg(&guest)
            .current_dir(&directory)
            .env_remove("CARGO_MANIFEST_DIR")
            .env_remove("RUST_LOG")
            .env("HOME", "/nonexistent")
            .stdin(Stdio::null());
        if fs::metadata("/proc/self").unwrap().uid() == 0 {
            shell.uid(NOBODY).gid(NOBODY);
        }
        let ran = ran(&mut shell);
        fs::set_permissions(&directory, Permissions::from_mode(0o755)).unwrap();
        ran
    };
    run(&["run"])
        .code(1)
        .says(&["cannot open the directory `.`", "--sandbox"]);
    run(&["run", "--sandbox"]).code(0);
    run(&["run", "--dir", "/"]).code(0);
}

#[test]
fn a_home_that_cannot_be_written_is_told_and_the_program_runs() {
    let place = Place::new();
    place.guests.file("guest.wat", RETURNS);
    let home = place.guests.path().join("home");
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, Permissions::from_mode(0o555)).unwrap();
    let run = |words: &[&str]| ran(place.as_stranger().env("HOME", &home).args(words));
    let told = run(&["run", "guest.wat"]);
    assert!(
        told.code(0).err.contains("compiled modules are not kept"),
        "{told:?}"
    );
    let quiet = run(&["run", "--no-cache", "guest.wat"]);
    assert_eq!(quiet.code(0).err, "");
    run(&["cache", "clear"]).code(0);
    run(&["doctor"]);
    assert_eq!(fs::read_dir(&home).unwrap().count(), 0);
}

#[test]
fn a_reader_that_has_gone_is_no_failure_of_the_program() {
    let guests = Guests::new();
    guests.file(
        "talks.wat",
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write"
                (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 8) "hello\n")
            (func (export "_start")
                (i32.store (i32.const 0) (i32.const 8))
                (i32.store (i32.const 4) (i32.const 6))
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))))"#,
    );
    for words in [
        &["--help"][..],
        &["help", "tests"],
        &["--version", "--verbose"],
        &["completions", "bash"],
        &["man"],
        &["doctor", "--json"],
        &["describe", "talks.wat"],
        &["run", "talks.wat"],
        &["test", SUITE, "ok::"],
        &["test", SUITE, "--list"],
    ] {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let output = guests
            .lunatic()
            .args(words)
            .stdout(Stdio::from(writer))
            .output()
            .unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.code().is_some(),
            "{words:?}: {}",
            output.status
        );
        assert!(!err.contains("panicked"), "{words:?}: {err}");
        assert!(!err.contains("roken pipe"), "{words:?}: {err}");
    }
}

#[test]
fn problems_are_told_though_nobody_reads_them() {
    let guests = Guests::new();
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let status = guests
        .lunatic()
        .args(["run", "nothing.wasm"])
        .stderr(Stdio::from(writer))
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(1));
}

/// Writes at 2^40, cuts a file off there and has space allocated up to there, and ends with the
/// sum of the results.
const MAKES_FILES_TOO_LARGE: &str = r#"
    (func (export "_start") (local $sum i32)
        (drop (call $path_open (i32.const 3) (i32.const 0) @file (i32.const 1)
            (i64.const -1) (i64.const -1) (i32.const 0) (i32.const 0x200)))
        (i32.store (i32.const 0x304) (i32.const 4))
        (local.set $sum (call $fd_pwrite (i32.load (i32.const 0x200))
            (i32.const 0x300) (i32.const 1) (i64.const 0x10000000000) (i32.const 0x210)))
        (local.set $sum (i32.add (local.get $sum) (call $fd_filestat_set_size
            (i32.load (i32.const 0x200)) (i64.const 0x10000000000))))
        (local.set $sum (i32.add (local.get $sum) (call $fd_allocate
            (i32.load (i32.const 0x200)) (i64.const 0x10000000000) (i64.const 1))))
        (call $proc_exit (local.get $sum)))"#;

#[test]
fn a_limit_of_the_size_of_files_fails_writes_and_ends_nothing() {
    const FILE_TOO_LARGE: i32 = 22;
    let guests = Guests::new();
    guests.file("guest.wat", harness::module(MAKES_FILES_TOO_LARGE));
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "ulimit -f 100000; exec \"$0\" run guest.wat"])
        .arg(lunatic().get_program())
        .env_remove("RUST_LOG")
        .env_remove("CARGO_MANIFEST_DIR")
        .current_dir(guests.path())
        .stdin(Stdio::null());
    ran(&mut limited).code(3 * FILE_TOO_LARGE);
    assert_eq!(guests.path().join("file").metadata().unwrap().len(), 0);
}
