//! What README.md tells a newcomer to paste works as it stands.
//!
//! Without the modules that `cargo xtask guests` builds, and without `bash`, `timeout` and
//! `curl`, it is skipped loudly.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::net::TcpListener;
use std::path::Path;

use harness::document::blocks;
use harness::pasted::Shell;
use lunatic_testkit::built::rust_guests;

/// The block of README.md that is for a shell and contains `word`.
fn block(word: &str) -> &'static str {
    let readme = include_str!("../../README.md");
    let mut blocks = blocks(readme).into_iter();
    let block = blocks.find(|block| block.language == "sh" && block.text.contains(word));
    block.unwrap().text
}

/// Pastes the block into a shell in the root of the repository, where the guests are
/// built, and returns what is printed. Instead of 8080, a port is taken that is free.
fn pasted(word: &str, modules: &[&str]) -> Option<String> {
    let shell = Shell::new(&["curl"])?;
    let built = rust_guests(modules)?;
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let port = port.unwrap().port().to_string();
    let written = "target/guests/wasm32-wasip1/release";
    let text = block(word)
        .replace("cargo xtask guests\n", "")
        .replace(written, built.to_str().unwrap())
        .replace("8080", &port);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let address = format!("127.0.0.1:{port}");
    let ran = shell.paste(&text, root, &[("DINER_ADDRESS", &address)]);
    Some(ran.out)
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

#[test]
fn the_ticker_can_be_reloaded_at_once() {
    let Some(said) = pasted("ticker_v1.wat &", &[]) else {
        return;
    };
    assert_eq!(said.matches(": 1 moved").count(), 2, "{said}");
}
