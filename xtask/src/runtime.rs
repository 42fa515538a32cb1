//! Builds the runtime as it is in this tree.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::cargo;

/// Builds the `lunatic` binary and returns its path.
pub(crate) fn build() -> Result<PathBuf> {
    let mut build = cargo::new("build");
    // With the whole workspace and the examples, features are resolved as they are
    // for the tests, and nothing is compiled twice.
    build.args(["--workspace", "--bins", "--examples"]);
    cargo::build(&mut build)?
        .into_iter()
        .find(|artifact| artifact.name == "lunatic")
        .map(|artifact| artifact.path)
        .context("cargo built lunatic-cli but no program called `lunatic`")
}
