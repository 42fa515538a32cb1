//! Paths of the host below which no guest changes anything.

use std::fs::read_link;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use crate::file_systems::refused;

/// The paths, as they are written and as they are without symbolic links.
static PATHS: RwLock<Vec<Arc<Path>>> = RwLock::new(Vec::new());

/// From now on no [`Dir`](crate::Dir) that is opened changes anything at this path or
/// below it, nor replaces a directory that leads to it; all of that fails with
/// [`PermissionDenied`](io::ErrorKind::PermissionDenied). The path need not exist yet.
///
/// It is for what a program trusts itself, such as its compiled code, where it may give
/// others access to a directory around it. A bind mount of the path elsewhere is not
/// recognised.
///
/// - `path`: absolute.
pub fn protect(path: &Path) {
    let mut paths = PATHS
        .write()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let as_written = path.to_owned();
    for path in [without_links(path), as_written] {
        if !paths.iter().any(|known| **known == *path) {
            paths.push(path.into());
        }
    }
}

/// The path without symbolic links, as far as it exists.
fn without_links(path: &Path) -> PathBuf {
    let existing = path.ancestors().find_map(|above| {
        let resolved = above.canonicalize().ok()?;
        let rest = path.strip_prefix(above).ok()?;
        Some(resolved.join(rest))
    });
    existing.unwrap_or_else(|| path.to_owned())
}

/// The protected paths that a directory has something to do with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Protected(Arc<[Arc<Path>]>);

/// What is about to be done at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// A directory is created where there is nothing, or what is there is written to.
    Within,
    /// What is there gets another name, is removed, or is replaced.
    Entry,
}

impl Protected {
    /// Those that are below a directory.
    ///
    /// # Errors
    ///
    /// Fails if the directory is one of them, or is below one.
    pub(crate) fn below(dir: BorrowedFd<'_>) -> io::Result<Protected> {
        let paths = PATHS
            .read()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if paths.is_empty() {
            return Ok(Protected::default());
        }
        let dir = path_of(dir)?;
        if paths.iter().any(|path| dir.starts_with(path)) {
            return Err(refused("guests have no access to this directory"));
        }
        let below = paths.iter().filter(|path| path.starts_with(&dir));
        Ok(Protected(below.cloned().collect()))
    }

    /// Checks that an open file or directory may be written to.
    pub(crate) fn check_open(&self, file: impl AsFd) -> io::Result<()> {
        match self.0.is_empty() {
            true => Ok(()),
            false => self.check(&path_of(file.as_fd())?, Change::Within),
        }
    }

    /// Checks that something may be changed.
    ///
    /// - `dir`, `name`: where; the last component of the path is a name, or the directory
    ///   itself is meant.
    pub(crate) fn check_change(
        &self,
        dir: impl AsFd,
        name: &Path,
        change: Change,
    ) -> io::Result<()> {
        match self.0.is_empty() {
            true => Ok(()),
            false => self.check(&path_of(dir.as_fd())?.join(name), change),
        }
    }

    fn check(&self, path: &Path, change: Change) -> io::Result<()> {
        let is_inside = |protected: &Arc<Path>| path.starts_with(protected);
        let leads_to =
            |protected: &Arc<Path>| change == Change::Entry && protected.starts_with(path);
        match self.0.iter().any(|path| is_inside(path) || leads_to(path)) {
            true => Err(refused("guests change nothing in this directory")),
            false => Ok(()),
        }
    }
}

/// The path of what is open, as the system knows it now.
fn path_of(file: BorrowedFd<'_>) -> io::Result<PathBuf> {
    read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))
}
