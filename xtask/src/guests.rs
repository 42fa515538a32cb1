//! Builds the guest programs in `guests/`.

mod assemblyscript;
mod c;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::cargo::{self, Artifact};
use crate::toolchain::{self, TARGET, Toolchain};
use crate::workspace;

/// The bytes of the unit in which sizes are shown.
const KIB: u64 = 1024;

/// A language that is built where its compiler is.
#[derive(Debug)]
struct Language {
    name: &'static str,
    /// Tells tests where the modules are.
    variable: &'static str,
    /// The folder of `guests/`, and of the modules.
    folder: &'static str,
    /// How the file names of its programs end.
    extension: &'static str,
    /// Sees to it that there is a compiler.
    prepare: fn() -> Result<()>,
    compile: fn(source: &Path, module: &Path) -> Result<()>,
    /// The command that installs the compiler.
    remedy: &'static str,
}

const LANGUAGES: [Language; 2] = [c::LANGUAGE, assemblyscript::LANGUAGE];

/// Tells tests where the modules of the Rust guests are.
const RUST_VARIABLE: &str = "LUNATIC_GUESTS";

/// Builds the guests and lists them.
pub(crate) fn main() -> Result<()> {
    for guest in build(&toolchain::ensure()?)? {
        list(&guest.path)?;
    }
    for language in &LANGUAGES {
        language.build()?;
    }
    Ok(())
}

/// Builds the guests in Rust and returns their modules.
pub(crate) fn build(toolchain: &Toolchain) -> Result<Vec<Artifact>> {
    build_packages(toolchain, &["--workspace"])
}

/// Builds the guests of one package in Rust and returns their modules.
pub(crate) fn build_one(toolchain: &Toolchain, package: &str) -> Result<Vec<Artifact>> {
    build_packages(toolchain, &["--package", package])
}

fn build_packages(toolchain: &Toolchain, which: &[&str]) -> Result<Vec<Artifact>> {
    let mut build = cargo::new("build");
    toolchain.configure(&mut build);
    build
        .current_dir(workspace())
        .args(which)
        .args(["--release", "--locked", "--target-dir"])
        .arg(target_dir());
    cargo::build(&mut build).context("the guests don't build")
}

/// The folder of the guests' own workspace.
pub(crate) fn workspace() -> PathBuf {
    workspace::root().join("guests")
}

/// Tells `command` where the modules of the last build are.
pub(crate) fn pass_to(command: &mut Command) {
    command.env(RUST_VARIABLE, target_dir().join(TARGET).join("release"));
    for language in &LANGUAGES {
        match language.modules() {
            modules if modules.exists() => command.env(language.variable, modules),
            _ => command.env_remove(language.variable),
        };
    }
}

impl Language {
    /// Builds and lists the programs of this language, or says loudly that it
    /// cannot; a program that does not compile is an error.
    fn build(&self) -> Result<()> {
        remove_folder(&self.modules())?;
        if let Err(error) = (self.prepare)() {
            self.warn(&error);
            return Ok(());
        }
        let modules = self.modules();
        fs::create_dir_all(&modules).with_context(|| cannot_write(&modules))?;
        for source in self.sources()? {
            let name = source.file_name().unwrap_or_default();
            let module = modules.join(name).with_extension("wasm");
            (self.compile)(&source, &module)
                .with_context(|| format!("{} does not compile", source.display()))?;
            list(&module)?;
        }
        Ok(())
    }

    /// The programs: all files of the folder with the extension, in their order.
    fn sources(&self) -> Result<Vec<PathBuf>> {
        let folder = self.home();
        let unreadable = || format!("cannot list {}", folder.display());
        let mut sources = Vec::new();
        for entry in fs::read_dir(&folder).with_context(unreadable)? {
            let path = entry.with_context(unreadable)?.path();
            if path.extension().is_some_and(|is| is == self.extension) {
                sources.push(path);
            }
        }
        sources.sort();
        Ok(sources)
    }

    fn warn(&self, error: &anyhow::Error) {
        let name = self.name;
        println!("!!! SKIPPED: the guests in {name}, and the tests that need them, because:");
        println!("!!! {}", format!("{error:#}").replace('\n', "\n!!! "));
        println!("!!! {}", self.remedy);
    }

    fn home(&self) -> PathBuf {
        workspace().join(self.folder)
    }

    fn modules(&self) -> PathBuf {
        target_dir().join(self.folder)
    }
}

fn target_dir() -> PathBuf {
    workspace::target_dir().join("guests")
}

fn list(module: &Path) -> Result<()> {
    let metadata = fs::metadata(module);
    let size = metadata
        .with_context(|| format!("cannot read {}", module.display()))?
        .len();
    println!("{:>8} KiB  {}", size / KIB, module.display());
    Ok(())
}

fn remove_folder(folder: &Path) -> Result<()> {
    match folder.exists() {
        true => fs::remove_dir_all(folder).with_context(|| cannot_write(folder)),
        false => Ok(()),
    }
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}
