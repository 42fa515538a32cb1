//! Where programs, guests and files are.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// Names the folder of the guests, as it does for tests.
const GUESTS_VARIABLE: &str = "LUNATIC_GUESTS";

/// The folder of the workspace's `Cargo.toml`.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("lunatic-bench is in a folder of the workspace")
}

/// The program of this tree called `name`: it is in the folder of this program.
pub(crate) fn program(name: &str) -> Result<PathBuf> {
    let own = env::current_exe().context("cannot tell where this program is")?;
    existing(own.with_file_name(name))
}

/// The module of the guest called `name`.
pub(crate) fn guest(name: &str) -> Result<PathBuf> {
    let folder = env::var_os(GUESTS_VARIABLE)
        .with_context(|| format!("{GUESTS_VARIABLE} is not set; `cargo xtask` sets it"))?;
    existing(Path::new(&folder).join(name).with_extension("wasm"))
}

/// A folder called `name` for what is needed or written while measuring.
pub(crate) fn folder(name: &str) -> Result<PathBuf> {
    let folder = root().join("target/bench").join(name);
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

fn existing(path: PathBuf) -> Result<PathBuf> {
    ensure!(path.is_file(), "there is no {}", path.display());
    Ok(path)
}
