//! Runs the demo guest on the runtime of this tree.

use std::env;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::{command, guests, programs, toolchain};

/// The guest's package in `guests/`.
const GUEST: &str = "demo";

/// Builds the runtime and the guest, and runs it to its exit code.
pub(crate) fn main(arguments: &[String]) -> Result<ExitCode> {
    let toolchain = toolchain::ensure()?;
    eprintln!("building the demo");
    let guest = guests::build_one(&toolchain, GUEST)?
        .into_iter()
        .find(|guest| guest.name == GUEST)
        .with_context(|| format!("the workspace `guests/` has no program `{GUEST}`"))?;
    eprintln!("building the runtime; the first time that takes minutes");
    let mut lunatic = command::new(programs::build_only("lunatic")?);
    lunatic.arg("run").arg(guest.path).args(arguments);
    if env::var_os("RUST_LOG").is_none() {
        // Its crashes are deliberate; the guest itself reports them.
        lunatic.env("RUST_LOG", "error");
    }
    command::exit_code(&mut lunatic)
}
