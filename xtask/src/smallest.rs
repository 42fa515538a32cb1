//! The programs without all that can be left out of them.

use std::fs;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::{cargo, command, programs, workspace};

/// How long a small program may take.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// Checks them. With everything, they are checked with the workspace.
pub(crate) fn check() -> Result<()> {
    let mut clippy = cargo::new("clippy");
    clippy.args(["--package", "lunatic-cli", "--package", "lunatic-runtime"]);
    command::run(clippy.args(["--no-default-features", "--locked", "--", "--deny=warnings"]))
}

/// Builds `lunatic`, which compiles the engine with other features and takes minutes, and runs a
/// program in it.
pub(crate) fn main() -> Result<()> {
    let mut build = cargo::new("build");
    build.args(["--package", "lunatic-cli", "--bin", "lunatic"]);
    build.args(["--no-default-features", "--locked"]);
    let lunatic = programs::find(&mut build, "lunatic")?;
    let folder = workspace::target_dir().join("smallest");
    fs::create_dir_all(&folder)?;
    let run = |text: &str| {
        let module = folder.join("module.wat");
        fs::write(&module, text)?;
        let mut run = command::new(&lunatic);
        command::run_for(run.arg("run").arg(&module), TIME_LIMIT)
    };
    let ran = run(HELLO)?;
    if (ran.code, &*ran.stdout) != (Some(0), "hello\n") {
        bail!("the smallest build does not run a program: {ran:?}");
    }
    let ran = run(CONNECTS)?;
    if ran.code != Some(1) || !ran.stderr.contains("feature `net`") {
        bail!("the smallest build does not say what was left out of it: {ran:?}");
    }
    println!("the smallest build runs a program, and says what was left out of it");
    Ok(())
}

/// A program that prints a line.
const HELLO: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write"
        (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\08\00\00\00\06\00\00\00hello\0a")
    (func (export "_start")
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))))"#;

/// A program that needs what is left out.
const CONNECTS: &str = r#"(module
    (import "lunatic::networking" "resolve"
        (func (param i32 i32 i64 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start")))"#;
