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
    let guest = guests::build(&toolchain)?
        .into_iter()
        .find(|guest| guest.name == GUEST)
        .with_context(|| format!("the workspace `guests/` has no program `{GUEST}`"))?;
    let mut lunatic = command::new(programs::build("lunatic")?);
    lunatic.arg("run").arg(guest.path).args(arguments);
    if env::var_os("RUST_LOG").is_none() {
        // Its crashes are deliberate; the guest itself tells of them.
        lunatic.env("RUST_LOG", "error");
    }
    command::exit_code(&mut lunatic)
}
