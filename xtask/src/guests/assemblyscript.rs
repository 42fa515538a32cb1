//! Guests in AssemblyScript, compiled by the packages that npm's lock file names.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::{Language, workspace};
use crate::command;

pub(super) const LANGUAGE: Language = Language {
    name: "AssemblyScript",
    variable: "LUNATIC_ASSEMBLYSCRIPT_GUESTS",
    folder: "assemblyscript",
    extension: "ts",
    prepare: install,
    compile,
    remedy: "npm must be there and reach its registry. On Debian: apt-get install npm",
};

/// Installs the compiler that the lock file names, unless an earlier run did.
fn install() -> Result<()> {
    let folder = home();
    let installed = fs::metadata(folder.join("node_modules/.package-lock.json"));
    let wanted = fs::metadata(folder.join("package-lock.json"))?;
    if installed.is_ok_and(|installed| is_newer(&installed, &wanted)) {
        return Ok(());
    }
    command::capture(npm().args(["ci", "--no-audit", "--no-fund"]))?;
    Ok(())
}

fn is_newer(installed: &fs::Metadata, wanted: &fs::Metadata) -> bool {
    match (installed.modified(), wanted.modified()) {
        (Ok(installed), Ok(wanted)) => installed >= wanted,
        _ => false,
    }
}

fn compile(source: &Path, module: &Path) -> Result<()> {
    let mut compiler = npm();
    compiler
        .args(["exec", "--offline", "--", "asc"])
        .arg(source.file_name().unwrap_or_default())
        .args(["--config", "asconfig.json", "--outFile"])
        .arg(module);
    command::run(&mut compiler)
}

fn npm() -> Command {
    let mut npm = command::new("npm");
    npm.current_dir(home());
    npm
}

fn home() -> PathBuf {
    workspace().join(LANGUAGE.folder)
}
