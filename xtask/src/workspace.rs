//! Where things lie in this repository.

use std::path::{Path, PathBuf};

/// The folder of the workspace's `Cargo.toml`.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in a folder of the workspace")
}

/// The folder of all that is built or fetched.
pub(crate) fn target_dir() -> PathBuf {
    root().join("target")
}
