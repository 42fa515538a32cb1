//! Guests in C, compiled by clang with wasi-libc.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Language, cannot_write, target_dir};
use crate::command;

pub(super) const LANGUAGE: Language = Language {
    name: "C",
    variable: "LUNATIC_C_GUESTS",
    folder: "c",
    extension: "c",
    prepare: probe,
    compile,
    remedy: "On Debian: apt-get install clang lld wasi-libc libclang-rt-dev-wasm32",
};

/// Compiles and links the smallest program, for which all of the packages are
/// needed.
fn probe() -> Result<()> {
    let source = target_dir().join("probe.c");
    fs::create_dir_all(target_dir()).with_context(|| cannot_write(&target_dir()))?;
    fs::write(
        &source,
        "#include <stdio.h>\nint main(void) { return puts(\"\"); }\n",
    )
    .with_context(|| cannot_write(&source))?;
    command::capture(&mut clang(&source, &source.with_extension("wasm")))?;
    Ok(())
}

fn compile(source: &Path, module: &Path) -> Result<()> {
    command::run(&mut clang(source, module))
}

fn clang(source: &Path, module: &Path) -> Command {
    let mut clang = command::new("clang");
    clang
        .args(["--target=wasm32-wasi", "-std=gnu17", "-O2"])
        .args(["-Wall", "-Wextra", "-Wl,--strip-debug", "-o"])
        .args([module, source]);
    clang
}
