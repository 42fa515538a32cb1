//! Nodes on a network that is cut, slow or loses packets, and nodes that are killed, stopped and
//! started again.
#![cfg(feature = "transport")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a failed expectation fails the test; programs say what happens"
)]

mod cuts;
mod deaf;
mod host;
mod namespaces;
mod pressure;
mod program;
mod restarts;

use std::time::{Duration, Instant};

/// What a test waits for at most.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LIMIT, "it takes too long: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
    begun.elapsed()
}
