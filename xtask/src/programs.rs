//! Builds the programs of this tree.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{cargo, workspace};

/// The package in the root of the tree: its program is that of `lunatic-cli`, for `cargo
/// install --path .`.
const ROOT_PACKAGE: &str = "lunatic-runtime";

/// Builds the programs as tests have them, and returns the path of the one called
/// `name`.
pub(crate) fn build(name: &str) -> Result<PathBuf> {
    let mut build = cargo::new("build");
    // With the whole workspace and the examples, features are resolved as they are
    // for the tests, and nothing is compiled twice.
    build.args([
        "--workspace",
        "--exclude",
        ROOT_PACKAGE,
        "--bins",
        "--examples",
    ]);
    find(&mut build, name)
}

/// Builds one program and no other, and returns its path.
pub(crate) fn build_only(name: &str) -> Result<PathBuf> {
    let mut build = cargo::new("build");
    // With the whole workspace, features are resolved as they are for the tests.
    build.args(["--workspace", "--exclude", ROOT_PACKAGE, "--bin", name]);
    find(&mut build, name)
}

/// Runs a `cargo build`, and returns the path of the program called `name` that it made.
pub(crate) fn find(build: &mut Command, name: &str) -> Result<PathBuf> {
    cargo::build(build)?
        .into_iter()
        .find(|artifact| artifact.name == name)
        .map(|artifact| artifact.path)
        .with_context(|| format!("cargo built no program called `{name}`"))
}

/// Builds the programs as they are shipped, and returns the folder with copies of them, which do
/// not change if the tree is built again.
pub(crate) fn build_release() -> Result<PathBuf> {
    let mut build = cargo::new("build");
    build.args([
        "--release",
        "--workspace",
        "--exclude",
        ROOT_PACKAGE,
        "--bins",
    ]);
    let folder = workspace::target_dir().join("bench");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for program in cargo::build(&mut build)? {
        let copy = folder.join(&program.name);
        fs::copy(&program.path, &copy)
            .with_context(|| format!("cannot write {}", copy.display()))?;
    }
    Ok(folder)
}
