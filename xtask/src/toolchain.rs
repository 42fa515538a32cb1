//! Finds what compiles guests to `wasm32-wasip1`.
//!
//! In this order, until one is there:
//!
//! 1. the target is installed for the active toolchain;
//! 2. an earlier run left Debian's Rust under `target/guest-toolchain/`;
//! 3. `rustup target add wasm32-wasip1` succeeds;
//! 4. apt fetches Debian's Rust into `target/guest-toolchain/`.

mod debian;

use std::env;
use std::fmt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};

use crate::command;
use debian::Debian;

/// The target guests are compiled for.
pub(crate) const TARGET: &str = "wasm32-wasip1";

/// Set to `debian`, it takes Debian's Rust wherever xtask runs, so that what
/// a machine without rustup's server does can be tried on one with it.
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

/// Finds a toolchain and says which.
pub(crate) fn main() -> Result<()> {
    ensure().map(drop)
}

/// Finds a toolchain, fetches one if there is none yet, and says which.
pub(crate) fn ensure() -> Result<Toolchain> {
    let toolchain = match env::var(CHOICE_VARIABLE).as_deref() {
        Ok("debian") => Toolchain::Debian(debian::ensure()?),
        Ok(other) => bail!("{CHOICE_VARIABLE} is `{other}`; it can be `debian` or unset"),
        Err(_) => find()?,
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

fn find() -> Result<Toolchain> {
    if active_has_target() {
        return Ok(Toolchain::Active);
    }
    if let Some(debian) = debian::unpacked() {
        return Ok(Toolchain::Debian(debian));
    }
    println!("{TARGET} isn't installed; asking rustup for it");
    let Err(from_rustup) = add_with_rustup() else {
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
             Install the target for `rustc` with rustup or your system's packages \
             (Debian: libstd-rust-dev-wasm32; Fedora: rust-std-static-wasm32-wasip1), \
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

fn add_with_rustup() -> Result<()> {
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
