//! Finds what compiles guests to `wasm32-wasip1`.
//!
//! In this order, until one is there:
//!
//! 1. the target is installed for the active toolchain;
//! 2. an earlier run left Debian's Rust under `target/guest-toolchain/`;
//! 3. whoever runs xtask agrees that rustup adds the target, and it does;
//! 4. apt fetches Debian's Rust into `target/guest-toolchain/`.

mod debian;

use std::env;
use std::fmt;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};

use crate::command;
use debian::Debian;

/// The target guests are compiled for.
pub(crate) const TARGET: &str = "wasm32-wasip1";

/// Set to `debian`, it takes Debian's Rust wherever xtask runs, so that what
/// a machine without rustup's server does can be tried on one with it. Set to `rustup`, rustup
/// adds the target without a question.
const CHOICE_VARIABLE: &str = "LUNATIC_GUEST_TOOLCHAIN";

/// A rustup that cannot reach its server may take long to say so.
const RUSTUP_LIMIT: Duration = Duration::from_secs(180);

/// What a developer may have set for the host and what would change guests:
/// other flags, another compiler, another target or target folder.
/// `RUSTUP_TOOLCHAIN` isn't among it, as it says which toolchain is active.
const HOST_SETTINGS: [&str; 6] = [
    "CARGO_BUILD_",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_PROFILE_",
    "CARGO_TARGET_",
    "RUSTC",
    "RUSTFLAGS",
];

/// What compiles guests.
#[derive(Debug)]
pub(crate) enum Toolchain {
    /// The active toolchain, which has the target.
    Active,
    /// Debian's Rust, unpacked under `target/`.
    Debian(Debian),
}

/// Finds a toolchain and says which, and how other crates are built with it.
pub(crate) fn main() -> Result<()> {
    let toolchain = ensure()?;
    println!("to build a crate of your own with it: cargo build, with these variables");
    println!("  export CARGO_BUILD_TARGET={TARGET}");
    if let Toolchain::Debian(debian) = &toolchain {
        for (name, value) in debian.variables() {
            println!("  export {name}='{}'", value.to_string_lossy());
        }
    }
    Ok(())
}

/// Finds a toolchain, fetches one if there is none yet, and says which.
pub(crate) fn ensure() -> Result<Toolchain> {
    let toolchain = match env::var(CHOICE_VARIABLE).as_deref() {
        Ok("debian") => Toolchain::Debian(debian::ensure()?),
        Ok("rustup") => find(|| Ok(()))?,
        Ok(other) => bail!("{CHOICE_VARIABLE} is `{other}`; it can be `debian`, `rustup` or unset"),
        Err(_) => find(ask_for_rustup)?,
    };
    println!("guest toolchain: {toolchain}");
    Ok(toolchain)
}

impl Toolchain {
    /// Makes `cargo` build guests.
    pub(crate) fn configure(&self, cargo: &mut Command) {
        command::remove_inherited(cargo, &HOST_SETTINGS);
        cargo.env("CARGO_BUILD_TARGET", TARGET);
        if let Self::Debian(debian) = self {
            debian.configure(cargo);
        }
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Active => write!(f, "{TARGET} of the active toolchain"),
            Self::Debian(debian) => write!(f, "{debian}"),
        }
    }
}

/// Returns the compiler that a toolchain has which is there already.
pub(crate) fn rustc() -> Result<Command> {
    if active_has_target() {
        return Ok(command::new("rustc"));
    }
    let debian = debian::unpacked();
    let debian = debian.ok_or_else(|| anyhow!("no rustc here has the target {TARGET}"))?;
    Ok(debian.compiler())
}

/// Tells tests that build guests themselves what cargo needs for that, if the active
/// toolchain cannot: variables with this prefix.
pub(crate) fn pass_to(command: &mut Command) {
    const PREFIX: &str = "LUNATIC_GUEST_CARGO_";
    let is_wanted = env::var(CHOICE_VARIABLE).is_ok_and(|choice| choice == "debian");
    if !is_wanted && active_has_target() {
        return;
    }
    for (name, value) in debian::unpacked().iter().flat_map(Debian::variables) {
        command.env(format!("{PREFIX}{name}"), value);
    }
}

/// - `may_use_rustup`: an error if rustup is not to add the target.
fn find(may_use_rustup: fn() -> Result<()>) -> Result<Toolchain> {
    if active_has_target() {
        return Ok(Toolchain::Active);
    }
    if let Some(debian) = debian::unpacked() {
        return Ok(Toolchain::Debian(debian));
    }
    let Err(from_rustup) = may_use_rustup().and_then(|()| add_with_rustup()) else {
        return Ok(Toolchain::Active);
    };
    println!("{from_rustup:#}; asking apt for Debian's Rust");
    debian::ensure()
        .map(Toolchain::Debian)
        .map_err(|from_debian| {
            anyhow!(
                "nothing here compiles guests to {TARGET}.\n\
             - {from_rustup:#}\n\
             - {from_debian:#}\n\
             Install the target for `rustc` with `rustup target add {TARGET}` or your system's \
             packages (Debian: libstd-rust-dev-wasm32; Fedora: rust-std-static-wasm32-wasip1), \
             then run this again."
            )
        })
}

/// Whether the `rustc` that cargo would take can compile to the target.
fn active_has_target() -> bool {
    let mut rustc = command::new("rustc");
    rustc.args(["--print=target-libdir", "--target", TARGET]);
    command::capture(&mut rustc).is_ok_and(|folder| Path::new(folder.trim()).is_dir())
}

/// Asks whether rustup may change the user's toolchain; without a terminal, it may not.
fn ask_for_rustup() -> Result<()> {
    let by_rustup = command::capture(command::new("rustup").args(["show", "active-toolchain"]));
    let Some(name) = by_rustup
        .ok()
        .and_then(|text| Some(text.split(' ').next()?.to_owned()))
    else {
        bail!("there is no rustup");
    };
    let how = format!("`rustup target add {TARGET}`, or {CHOICE_VARIABLE}=rustup, adds it");
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        bail!(
            "rustup's toolchain {name} has no {TARGET}, and is not changed without a question; {how}"
        );
    }
    eprint!("rustup's toolchain {name} has no {TARGET}. Run `rustup target add {TARGET}`? [Y/n] ");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    match ["", "y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
        true => Ok(()),
        false => bail!("rustup's toolchain {name} stays as it is; {how}"),
    }
}

fn add_with_rustup() -> Result<()> {
    println!("running `rustup target add {TARGET}`");
    let mut rustup = command::new("rustup");
    rustup
        .args(["target", "add", TARGET])
        .env("RUSTUP_MAX_RETRIES", "0");
    let outcome = command::run_for(&mut rustup, RUSTUP_LIMIT)?;
    if outcome.timed_out {
        bail!("`rustup target add {TARGET}` took longer than {RUSTUP_LIMIT:?}");
    }
    if outcome.code != Some(0) {
        let said = outcome.stderr.lines().last().unwrap_or_default().trim();
        bail!("`rustup target add {TARGET}` failed: {said}");
    }
    if !active_has_target() {
        bail!("rustup added {TARGET} to another toolchain than `rustc`'s");
    }
    Ok(())
}
