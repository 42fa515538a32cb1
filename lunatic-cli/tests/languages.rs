//! Programs in several languages use files as they do natively.
//!
//! The guests of `guests/` are built by `cargo xtask guests`, which needs their
//! compilers; a test whose guest is not there says so.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use harness::program::Guests;
use lunatic_testkit::built::guest_in;
use lunatic_testkit::program::{Ran, ran};
use lunatic_testkit::skipped;

/// What programs get as standard input.
const INPUT: &str = "To be, or not to be,\n  that is the question:\n\nno newline here";

/// The folder `guests/` of this repository.
fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .join("guests")
}

/// The native compiler of C.
fn cc() -> Command {
    let mut cc = Command::new("cc");
    cc.args(["-std=gnu17", "-O2"]);
    cc
}

/// Compiles a source natively, if there is a compiler.
fn natively(compiler: &mut Command, source: &str, guests: &Guests) -> Option<PathBuf> {
    let program = guests.path().join("native");
    let done = compiler
        .arg(sources().join(source))
        .arg("-o")
        .arg(&program)
        .status();
    let Ok(status) = done else {
        skipped(&format!("{compiler:?} cannot be started"));
        return None;
    };
    assert!(status.success(), "{source} does not compile natively");
    Some(program)
}

/// Runs a program with the input, in a new directory that it must leave empty.
fn in_new_dir(command: &mut Command, guests: &Guests, name: &str) -> Ran {
    let dir = guests.path().join(name);
    fs::create_dir(&dir).unwrap();
    let input = guests.file("input.txt", INPUT);
    command
        .current_dir(&dir)
        .env("GREETING", "good morning")
        .stdin(Stdio::from(fs::File::open(input).unwrap()));
    let ran = ran(command);
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0, "{ran:?}");
    ran
}

/// Runs both in the directory that they get as argument, and compares.
#[track_caller]
fn assert_same(native: &Path, module: &Path, guests: &Guests, code: i32) {
    let native = in_new_dir(Command::new(native).arg("."), guests, "natively");
    let mut lunatic = guests.lunatic();
    lunatic.args(["run", "--dir", ".", "--env", "GREETING"]);
    let lunatic = in_new_dir(lunatic.arg(module).arg("."), guests, "as a guest");
    assert_eq!(lunatic.out, native.out);
    assert_eq!(lunatic.err, native.err);
    native.code(code);
    lunatic.code(code);
}

#[test]
fn a_program_in_c_prints_the_same_as_natively() {
    let guests = Guests::new();
    let Some(module) = guest_in("LUNATIC_C_GUESTS", "files.wasm") else {
        return;
    };
    if let Some(native) = natively(&mut cc(), "c/files.c", &guests) {
        assert_same(&native, &module, &guests, 7);
    }
}

#[test]
fn random_calls_in_c_end_as_they_do_natively() {
    let guests = Guests::new();
    let Some(module) = guest_in("LUNATIC_C_GUESTS", "chaos.wasm") else {
        return;
    };
    let Some(native) = natively(&mut cc(), "c/chaos.c", &guests) else {
        return;
    };
    for seed in ["1", "2", "3", "4", "5"] {
        let arguments = [".", seed, "2000"];
        let run = |command: &mut Command, name: &str| {
            let dir = guests.path().join(format!("{name} {seed}"));
            fs::create_dir(&dir).unwrap();
            ran(command.args(arguments).current_dir(dir))
        };
        let native = run(&mut Command::new(&native), "natively");
        let mut lunatic = guests.lunatic();
        let lunatic = run(
            lunatic.args(["run", "--dir", "."]).arg(&module),
            "as a guest",
        );
        assert_eq!(native.code(0).out.lines().count(), 2000);
        for (guest, native) in lunatic.code(0).out.lines().zip(native.out.lines()) {
            assert_eq!(guest, native, "seed {seed}");
        }
    }
}

#[test]
fn a_program_in_rust_prints_the_same_as_natively() {
    let guests = Guests::new();
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into()));
    rustc.args(["--edition", "2021"]);
    let Some(module) = guest_in("LUNATIC_GUESTS", "files.wasm") else {
        return;
    };
    if let Some(native) = natively(&mut rustc, "files/src/main.rs", &guests) {
        assert_same(&native, &module, &guests, 0);
    }
}

#[test]
fn a_program_in_assemblyscript_uses_files() {
    let Some(module) = guest_in("LUNATIC_ASSEMBLYSCRIPT_GUESTS", "files.wasm") else {
        return;
    };
    let guests = Guests::new();
    let mut lunatic = guests.lunatic();
    lunatic.args(["run", "--dir", "."]);
    let ran = in_new_dir(lunatic.arg(module).arg("one"), &guests, "work");
    assert_eq!(
        ran.code(0).out,
        "poem-0.txt poem-1.txt poem-2.txt poem-3.txt poem-4.txt\n\
         verse 0: grüße\nand one line more\nverse 4: grüße\n\n\
         poem-0.txt poem-1.txt poem-2.txt poem-3.txt sub\n\
         NOTEMPTY\n\
         0 left, 2 arguments\n"
    );
}

#[test]
fn a_program_in_wat_uses_files() {
    let guests = Guests::new();
    let mut lunatic = guests.lunatic();
    lunatic.args(["run", "--dir", "."]);
    let ran = in_new_dir(
        lunatic.arg(sources().join("wat/files.wat")),
        &guests,
        "work",
    );
    assert_eq!(ran.code(0).out, "hello from WAT\n");
}
