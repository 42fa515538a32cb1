//! Guests that `cargo xtask guests` has built.

use std::env;
use std::path::{Path, PathBuf};

use crate::skipped;

/// Names the folder of the guests in Rust.
const RUST_VARIABLE: &str = "LUNATIC_GUESTS";

/// The folder of the guests in Rust, if all of `modules` are in it. If not, it says
/// that the test is skipped.
///
/// # Panics
///
/// Panics if `LUNATIC_GUESTS` names a folder that one of them is not in.
#[track_caller]
pub fn rust_guests(modules: &[&str]) -> Option<PathBuf> {
    let folder = rust_folder();
    let missing = modules.iter().find(|name| !folder.join(name).is_file());
    let Some(missing) = missing else {
        return Some(folder);
    };
    let is_named = env::var_os(RUST_VARIABLE).is_some();
    assert!(!is_named, "{RUST_VARIABLE} has no {missing}");
    skipped(&format!(
        "there is no {missing}; `cargo xtask guests` builds it"
    ));
    None
}

/// The module of the guest in Rust called `name`.
///
/// # Panics
///
/// Panics if it is not built.
#[track_caller]
pub fn rust_guest(name: &str) -> PathBuf {
    let module = rust_folder().join(name).with_extension("wasm");
    module.canonicalize().unwrap_or_else(|error| {
        let module = module.display();
        panic!("{module}: {error}; `cargo xtask guests` builds the guests")
    })
}

/// The module called `module` in the folder that `variable` names. If it is not
/// there, this says that the test is skipped.
pub fn guest_in(variable: &str, module: &str) -> Option<PathBuf> {
    let built = env::var_os(variable)
        .map(|folder| Path::new(&folder).join(module))
        .filter(|module| module.is_file());
    if built.is_none() {
        skipped(&format!(
            "there is no {module} in {variable}; `cargo xtask test` builds it"
        ));
    }
    built
}

/// Returns the folder that `LUNATIC_GUESTS` names, or else the one that `cargo xtask guests` builds
/// into.
fn rust_folder() -> PathBuf {
    env::var_os(RUST_VARIABLE).map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/guests/wasm32-wasip1/release"),
        PathBuf::from,
    )
}
