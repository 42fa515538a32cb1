//! Whether a file is the one that it was.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

/// What tells that a file was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
}

impl Stamp {
    /// `None` if there is no such file.
    pub(super) fn of(path: &Path) -> Option<Stamp> {
        fs::metadata(path)
            .ok()
            .map(|metadata| Stamp::new(&metadata))
    }

    pub(super) fn new(metadata: &fs::Metadata) -> Stamp {
        Stamp {
            modified: metadata.modified().ok(),
            length: metadata.len(),
        }
    }
}
