//! `lunatic top` at a terminal, as `docs/operating-session.sh` uses it.
//!
//! Without `tmux` it is skipped loudly; with the modules that `cargo xtask guests` builds, the
//! session is that of `examples/diner`.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

mod harness;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use harness::program::Guests;
use harness::runtimes::Runtimes;
use lunatic_testkit::built::rust_guests;
use lunatic_testkit::program::ran;

fn has_tmux() -> bool {
    let found = Command::new("tmux")
        .arg("-V")
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        eprintln!("SKIPPED: there is no tmux, which is the terminal of this test");
    }
    found
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operating-session.sh")
}

/// Runs the session; its pictures by their numbers.
fn session(guests: &Guests, manifest: &str) -> Vec<String> {
    guests.file("app.toml", manifest);
    let mut command = Command::new(script());
    command
        .arg(env!("CARGO_BIN_EXE_lunatic"))
        .args(["app.toml", "pictures"])
        .current_dir(guests.path())
        .stdin(Stdio::null());
    ran(&mut command).code(0);
    let names = ["1-ps", "2-top", "3-question", "4-restarted", "5-inspect"];
    let read = |name: &str| {
        let path = guests.path().join(format!("pictures/{name}.txt"));
        fs::read_to_string(path).unwrap()
    };
    names.into_iter().map(read).collect()
}

fn check(pictures: &[String]) {
    let [ps, top, question, restarted, inspect] = pictures else {
        panic!("{pictures:?}");
    };
    assert!(ps.contains("cook-2"), "{ps}");
    for picture in [top, question, restarted] {
        assert!(picture.lines().count() <= 24, "{picture}");
        assert!(
            picture.lines().all(|line| line.chars().count() <= 80),
            "{picture}"
        );
        assert!(picture.starts_with("session  lunatic "), "{picture}");
    }
    for part in [
        "scheduler",
        "run queue",
        "messages/s",
        "app/kitchen",
        "  cook-1",
    ] {
        assert!(top.contains(part), "{part}\n{top}");
    }
    assert!(question.contains("kill process ") && question.contains("y / n"));
    assert!(restarted.contains("cook-2"), "{restarted}");
    assert!(inspect.contains("restarts      1\n"), "{inspect}");
}

#[test]
fn a_session_sees_a_killed_process_come_back() {
    if !has_tmux() {
        return;
    }
    let runtimes = Runtimes::new();
    let manifest = "[[children]]\nname = \"kitchen\"\nintensity = 10\nperiod = \"10s\"\n\
         [[children.children]]\nname = \"cook\"\ncount = 3\nmodule = \"sleeps.wat\"\n";
    check(&session(&runtimes.guests, manifest));
}

#[test]
fn the_session_of_the_diner_is_that_of_the_documents() {
    if !has_tmux() {
        return;
    }
    let Some(modules) = rust_guests(&["waiter.wasm", "cook.wasm"]) else {
        return;
    };
    let manifest = include_str!("../../examples/diner/app.toml");
    let written = "../../target/guests/wasm32-wasip1/release";
    let manifest = manifest.replace(written, modules.to_str().unwrap());
    let pictures = session(&Guests::new(), &manifest);
    check(&pictures);
    assert!(pictures[0].contains("waiter"), "{}", pictures[0]);
    let inspect = &pictures[4];
    assert!(
        inspect.contains("waits in lunatic::message::receive"),
        "{inspect}"
    );
    assert!(inspect.contains("cook::main"), "{inspect}");
}

#[test]
fn without_a_terminal_it_says_so() {
    let runtimes = Runtimes::new();
    let _sleeps = runtimes.start_named("sleeps");
    runtimes
        .run(&["top"])
        .code(1)
        .says(&["needs a terminal", "--json"]);
}
