//! Directories that processes with a config can use (ABI §13), which the `lunatic` crate
//! no longer offers.

use crate::sys;

/// Lets processes with a config use a directory, by the same name.
///
/// - `config`: its id.
/// - `dir`: a directory of the calling process, or one that lies below it.
///
/// # Panics
///
/// The process traps if there is no such config, and if it has no such directory.
pub fn preopen(config: u64, dir: &str) {
    sys::config_preopen_dir(config, dir);
}
