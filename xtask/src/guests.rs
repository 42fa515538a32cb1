//! Builds the guest programs in `guests/`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cargo::{self, Artifact};
use crate::toolchain::{self, TARGET, Toolchain};
use crate::workspace;

/// What divides bytes into the unit sizes are shown in.
const KIB: u64 = 1024;

/// Builds the guests and lists them.
pub(crate) fn main() -> Result<()> {
    for guest in build(&toolchain::ensure()?)? {
        println!(
            "{:>8} KiB  {}",
            size(&guest.path)? / KIB,
            guest.path.display()
        );
    }
    Ok(())
}

/// Builds the guests and returns their modules.
pub(crate) fn build(toolchain: &Toolchain) -> Result<Vec<Artifact>> {
    let mut build = cargo::new("build");
    toolchain.configure(&mut build);
    build
        .current_dir(workspace())
        .args(["--workspace", "--release", "--locked", "--target-dir"])
        .arg(target_dir());
    cargo::build(&mut build).context("the guests don't build")
}

/// The folder of the guests' own workspace.
pub(crate) fn workspace() -> PathBuf {
    workspace::root().join("guests")
}

/// The folder the modules are in after a build.
pub(crate) fn modules() -> PathBuf {
    target_dir().join(TARGET).join("release")
}

fn target_dir() -> PathBuf {
    workspace::target_dir().join("guests")
}

fn size(module: &Path) -> Result<u64> {
    let metadata = fs::metadata(module);
    Ok(metadata
        .with_context(|| format!("cannot read {}", module.display()))?
        .len())
}
