//! `lunatic inspect` shows the calls of a process that waits, in several languages.
//!
//! The guests of `guests/` are built by `cargo xtask guests`, which needs their
//! compilers; a test whose guest is not there says so.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::path::Path;

use harness::runtimes::Runtimes;
use lunatic_testkit::built::{guest_in, rust_guests};
use lunatic_testkit::wait_until;

/// Runs the module, which waits in `receive`, and looks at it.
fn assert_calls(module: &Path, functions: [&str; 3]) {
    let runtimes = Runtimes::new();
    let module = module.to_str().unwrap();
    let _running = runtimes.start(&["run", "--name", "calls", module]);
    wait_until("it to wait", || {
        let ran = runtimes.run(&["inspect", "--name", "calls", "1"]);
        ran.out.contains("waits in lunatic::message::receive")
    });
    let ran = runtimes.run(&["inspect", "1"]);
    let out = &ran.code(0).out;
    let names: Vec<&str> = out
        .lines()
        .skip_while(|line| !line.starts_with("backtrace"))
        .filter_map(|line| line.trim_start().split_once(": "))
        .map(|(_, name)| name)
        .collect();
    let first = names.iter().position(|name| *name == functions[0]);
    let first = first.unwrap_or_else(|| panic!("no {} in {out}", functions[0]));
    assert_eq!(names[first..first + 3], functions, "{out}");
}

#[test]
fn of_rust() {
    if let Some(folder) = rust_guests(&["calls.wasm"]) {
        let functions = ["calls::waits_here", "calls::between", "calls::outermost"];
        assert_calls(&folder.join("calls.wasm"), functions);
    }
}

#[test]
fn of_c() {
    if let Some(module) = guest_in("LUNATIC_C_GUESTS", "calls.wasm") {
        assert_calls(&module, ["waits_here", "between", "outermost"]);
    }
}

#[test]
fn of_assemblyscript() {
    if let Some(module) = guest_in("LUNATIC_ASSEMBLYSCRIPT_GUESTS", "calls.wasm") {
        let functions = ["calls/waits_here", "calls/between", "calls/outermost"];
        assert_calls(&module, functions);
    }
}
