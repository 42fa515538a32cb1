//! Checks what threads share without one lock around all of it under every order
//! in which its steps can happen.

use anyhow::Result;

use crate::{cargo, command, workspace};

/// Compiles what is checked against loom's atomics and locks.
const MODEL: &str = "--cfg lunatic_loom";

/// How workers sleep and wake, how readiness meets those that wait for it, how senders and receivers
/// meet, and how slots of the arena are taken and put back.
const PACKAGES: [&str; 4] = [
    "lunatic-scheduler",
    "lunatic-reactor",
    "lunatic-mailbox",
    "lunatic-engine",
];

/// Runs the model checks.
pub(crate) fn main() -> Result<()> {
    command::run(
        cargo::new("test")
            .args(PACKAGES.iter().flat_map(|package| ["--package", package]))
            // Without wasmtime.
            .arg("--no-default-features")
            .args(["--test", "model", "--release"])
            // The flag would otherwise have everything else compiled again.
            .arg("--target-dir")
            .arg(workspace::target_dir().join("loom"))
            .env("RUSTFLAGS", MODEL),
    )
}
