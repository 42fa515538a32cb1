//! What README.md tells a newcomer to paste works as it stands.
//!
//! Without the modules that `cargo xtask guests` builds, and without `bash` and `curl`, it is
//! skipped loudly.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use harness::program::lunatic;
use lunatic_testkit::built::rust_guests;
use lunatic_testkit::skipped;
use tempfile::TempDir;

/// The program of this name is there.
fn is_there(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdout(Stdio::null());
    let found = command.status().is_ok();
    if !found {
        skipped(&format!("there is no program `{program}`"));
    }
    found
}

/// The lines of the block of README.md that is for a shell and contains `word`.
fn block(word: &str) -> String {
    let readme = include_str!("../../README.md");
    let blocks = readme.split("```sh\n").skip(1);
    let mut blocks = blocks.filter_map(|block| block.split("```").next());
    let block = blocks.find(|block| block.contains(word)).unwrap();
    block.to_owned()
}

/// Pastes the block into a shell in the root of the repository, where the guests are
/// built, and returns what is printed. Instead of 8080, a port is taken that is free.
fn pasted(word: &str, modules: &[&str]) -> Option<String> {
    if !is_there("bash") || !is_there("curl") {
        return None;
    }
    let built = rust_guests(modules)?;
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let port = port.unwrap().port().to_string();
    let path = TempDir::new().unwrap();
    let program = lunatic().get_program().to_owned();
    std::os::unix::fs::symlink(program, path.path().join("lunatic")).unwrap();
    let written = "target/guests/wasm32-wasip1/release";
    let text = block(word)
        .replace("cargo xtask guests\n", "")
        .replace(written, built.to_str().unwrap())
        .replace("8080", &port);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let script = path.path().join("pasted.sh");
    fs::write(&script, text).unwrap();
    let paths = std::env::var("PATH").unwrap();
    let output = Command::new("timeout")
        .args(["60", "bash", "-m"])
        .arg(&script)
        .current_dir(root)
        .env("PATH", format!("{}:{paths}", path.path().display()))
        .env("DINER_ADDRESS", format!("127.0.0.1:{port}"))
        .env("XDG_RUNTIME_DIR", path.path())
        .env_remove("CARGO_MANIFEST_DIR")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn the_server_can_be_asked_at_once() {
    let Some(said) = pasted("http_server.wasm 127.0.0.1:8080 &", &["http_server.wasm"]) else {
        return;
    };
    // One connection is served by one process, whose id both answers are.
    let ids: Vec<_> = said
        .lines()
        .filter_map(|line| line.trim().parse::<u64>().ok())
        .collect();
    assert_eq!(ids.len(), 2, "{said}");
    assert_eq!(ids[0], ids[1], "{said}");
}

#[test]
fn the_diner_can_be_visited_at_once() {
    let Some(said) = pasted("examples/diner/app.toml &", &["waiter.wasm", "cook.wasm"]) else {
        return;
    };
    for part in ["is in order", "soup, by process ", "has died of it"] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
}
