//! Checks the scheduler's protocol of sleeping and waking under every order in
//! which its steps can happen.

use anyhow::Result;

use crate::{cargo, command, workspace};

/// Compiles the protocol against loom's atomics and locks.
const MODEL: &str = "--cfg lunatic_loom";

/// Runs the model check.
pub(crate) fn main() -> Result<()> {
    command::run(
        cargo::new("test")
            .args([
                "--package",
                "lunatic-scheduler",
                "--test",
                "model",
                "--release",
            ])
            // The flag would otherwise have everything else compiled again.
            .arg("--target-dir")
            .arg(workspace::target_dir().join("loom"))
            .env("RUSTFLAGS", MODEL),
    )
}
