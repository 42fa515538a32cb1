//! Asks cargo to build packages, and to describe them.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{command, workspace};

/// A program that cargo built.
#[derive(Debug)]
pub(crate) struct Artifact {
    /// The name of its target in `Cargo.toml`.
    pub(crate) name: String,
    /// The kind of target: `lib`, `bin`, `example`, `test` …
    pub(crate) kind: String,
    /// Where it lies.
    pub(crate) path: PathBuf,
}

/// The cargo that runs xtask, in the workspace's folder.
pub(crate) fn new(subcommand: &str) -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = command::new(program);
    command.current_dir(workspace::root()).arg(subcommand);
    command
}

/// Runs a `cargo build` and returns the programs it made.
pub(crate) fn build(build: &mut Command) -> Result<Vec<Artifact>> {
    build
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit());
    let mut artifacts = Vec::new();
    for line in command::capture(build)?.lines() {
        artifacts.extend(executable(&json(line)?));
    }
    Ok(artifacts)
}

/// Describes the packages of the workspace at `manifest` and all they need.
pub(crate) fn metadata(manifest: &Path) -> Result<Value> {
    let mut metadata = new("metadata");
    metadata
        .args(["--format-version=1", "--locked", "--manifest-path"])
        .arg(manifest);
    json(&command::capture(&mut metadata)?)
}

fn json(text: &str) -> Result<Value> {
    serde_json::from_str(text).context("cargo printed something else than JSON")
}

/// The program that one of cargo's messages announces, if it does.
fn executable(message: &Value) -> Option<Artifact> {
    let path = message["executable"].as_str()?;
    let target = &message["target"];
    Some(Artifact {
        name: target["name"].as_str()?.to_owned(),
        kind: target["kind"][0].as_str()?.to_owned(),
        path: PathBuf::from(path),
    })
}
