//! The published package of the `lunatic` crate, made buildable.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cargo::{self, Artifact};
use crate::toolchain::Toolchain;
use crate::{guests, workspace};

const NAME: &str = "lunatic";
const VERSION: &str = "0.14.1";

/// The files of the published package that are not copied: its benches need another target, and its
/// lock file includes their dependencies.
const LEFT_OUT: [&str; 3] = ["benches", "Cargo.lock", ".cargo-ok"];

/// The tables of its manifest that belong to the benches.
const BENCH_TABLES: [&str; 2] = ["[[bench]]", "[dev-dependencies.criterion]"];

/// Publishing drops a development dependency on the package itself, which
/// enables what its tests need. The package lies in this repository's folder
/// and isn't part of its workspace.
const ADDED_TABLES: &str = r#"
[dev-dependencies.lunatic]
path = "."
features = ["json_serializer", "msgpack_serializer"]

[workspace]
"#;

/// A copy of the package.
#[derive(Debug)]
pub(super) struct Package {
    /// Its folder.
    pub(super) folder: PathBuf,
}

impl Package {
    /// Copies the package out of cargo's registry, unless an earlier run did,
    /// and makes it build.
    pub(super) fn unpack() -> Result<Self> {
        let folder = target_dir().join(format!("{NAME}-{VERSION}"));
        if !folder.exists() {
            copy_whole(&published()?, &folder)?;
        }
        Ok(Self { folder })
    }

    /// Builds all its tests and examples.
    pub(super) fn build(&self, toolchain: &Toolchain) -> Result<Vec<Artifact>> {
        let mut build = cargo::new("build");
        toolchain.configure(&mut build);
        build
            .current_dir(&self.folder)
            // Small modules: most of the suite's time is spent compiling them.
            .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
            .env("CARGO_PROFILE_DEV_DEBUG", "false")
            // Its tests have a function twice that is exported under one name, which only links
            // if the code is in as many pieces as this makes of it.
            .env("CARGO_INCREMENTAL", "1")
            .args(["--tests", "--examples", "--features=sqlite", "--target-dir"])
            .arg(target_dir().join("target"));
        cargo::build(&mut build)
            .with_context(|| format!("the package in {} doesn't build", self.folder.display()))
    }
}

fn target_dir() -> PathBuf {
    workspace::target_dir().join("compat")
}

/// The package in cargo's registry, which the guests depend on.
fn published() -> Result<PathBuf> {
    let guests = guests::workspace().join("Cargo.toml");
    let metadata = cargo::metadata(&guests)?;
    let manifest = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|package| package["name"] == NAME && package["version"] == VERSION)
        .and_then(|package| package["manifest_path"].as_str())
        .with_context(|| format!("{} depends on no {NAME} {VERSION}", guests.display()))?;
    Ok(Path::new(manifest)
        .parent()
        .context("a manifest lies in a folder")?
        .to_owned())
}

/// Copies the package so that `to` exists only once it is whole.
fn copy_whole(from: &Path, to: &Path) -> Result<()> {
    let unfinished = to.with_extension("unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    copy_folder(from, &unfinished)
        .and_then(|()| adapt(&unfinished))
        .and_then(|()| fs::rename(&unfinished, to))
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if LEFT_OUT.iter().any(|left_out| name == *left_out) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &to.join(name))?;
        } else {
            fs::copy(entry.path(), to.join(name))?;
        }
    }
    Ok(())
}

/// Makes the copy build, with the versions of the guests' lock file for the packages that both
/// need: a release of one of these does not change the result.
fn adapt(folder: &Path) -> io::Result<()> {
    let manifest = folder.join("Cargo.toml");
    let published = fs::read_to_string(&manifest)?;
    fs::write(&manifest, without_benches(&published) + ADDED_TABLES)?;
    let lock = guests::workspace().join("Cargo.lock");
    fs::copy(lock, folder.join("Cargo.lock")).map(drop)
}

/// The manifest without the tables of the benches.
fn without_benches(manifest: &str) -> String {
    let mut kept = String::new();
    let mut in_bench_table = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            in_bench_table = BENCH_TABLES.contains(&line.trim_end());
        }
        if !in_bench_table {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::without_benches;

    #[test]
    fn only_the_tables_of_benches_are_dropped() {
        let manifest = "[package]\nname = \"lunatic\"\n\n\
                        [[bench]]\nname = \"spawning\"\n\n\
                        [[test]]\nname = \"sqlite\"\n\n\
                        [dev-dependencies.criterion]\nversion = \"0.4\"\n\n\
                        [dev-dependencies.serde_bytes]\nversion = \"0.11\"\n";
        assert_eq!(
            without_benches(manifest),
            "[package]\nname = \"lunatic\"\n\n\
             [[test]]\nname = \"sqlite\"\n\n\
             [dev-dependencies.serde_bytes]\nversion = \"0.11\"\n"
        );
    }
}
