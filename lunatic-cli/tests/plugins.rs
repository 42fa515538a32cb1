//! The example `examples/plugins`, started as its manifest says: plugins misbehave one
//! after the other while a web front answers.
//!
//! Without the modules that `cargo xtask guests` builds, it is skipped loudly.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

use harness::program::Guests;
use lunatic_testkit::built::rust_guests;
use lunatic_testkit::program::{exit_code, first_line, signal};
use lunatic_testkit::{TIMEOUT, wait_until};

#[test]
fn plugins_misbehave_while_the_front_answers() {
    let Some(modules) = rust_guests(&["plugin_host.wasm", "plugin_front.wasm"]) else {
        return;
    };
    let manifest = include_str!("../../examples/plugins/app.toml");
    let written = "../../target/guests/wasm32-wasip1/release";
    assert_eq!(manifest.matches(written).count(), 2);
    let directory = Guests::new();
    let manifest = manifest.replace(written, modules.to_str().unwrap());
    directory.file("app.toml", manifest);
    fs::create_dir(directory.path().join("data")).unwrap();
    let mut child = directory
        .lunatic()
        .args(["start", "app.toml"])
        .env("PLUGINS_ADDRESS", "127.0.0.1:0")
        .env("PLUGINS_DIRECTORY", "data")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let address = address(&first_line(&mut child));

    wait_until("the first plugin of the second round", || {
        get(&address).contains("2. well behaved")
    });
    let report = get(&address);
    assert!(report.contains("1. well behaved has ended"), "{report}");
    assert!(report.contains("1. spinner was killed"), "{report}");
    assert!(report.contains("1. hoarder has failed"), "{report}");
    assert!(report.contains("1. killer has failed"), "{report}");
    signal(&child, "-TERM");
    assert_eq!(exit_code(&mut child), Some(0));
}

/// The address in the line that the front prints.
fn address(line: &str) -> String {
    let address = line.trim().strip_prefix("the report is at http://");
    let address = address.and_then(|rest| rest.strip_suffix('/'));
    address
        .unwrap_or_else(|| panic!("{line:?} names no address"))
        .to_owned()
}

/// What the front answers.
fn get(address: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    answer
}
