//! The private directory of the sockets.

use std::error::Error;
use std::fmt;
use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use crate::name::RuntimeName;

/// A directory that only its owner, the user of this program, can read.
///
/// ```
/// use lunatic_admin::Directory;
///
/// let parent = tempfile::tempdir()?;
/// let directory = Directory::at(parent.path().join("lunatic"))?;
/// assert!(directory.path().is_dir());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory(PathBuf);

/// Why there is no private directory.
#[derive(Debug)]
#[non_exhaustive]
pub enum DirectoryError {
    /// The directory cannot be created or read.
    Io(PathBuf, io::Error),
    /// Something else has its name: a file, or a symbolic link.
    NoDirectory(PathBuf),
    /// The directory belongs to another user.
    ForeignOwner(PathBuf, u32),
    /// Others may look into it; its mode.
    Open(PathBuf, u32),
}

/// The permission bits of a mode.
const PERMISSIONS: u32 = 0o7777;

/// The mode bits of other users, which must not be set.
const OF_OTHERS: u32 = 0o077;

impl Directory {
    /// The directory of this user: `lunatic` in `$XDG_RUNTIME_DIR`; without that variable
    /// `lunatic-UID` in the directory for temporary files. It is made if it is not there.
    ///
    /// # Errors
    ///
    /// [`DirectoryError`] if it cannot be created, or if other users have access to it.
    pub fn of_user() -> Result<Directory, DirectoryError> {
        Directory::at(path_of_user())
    }

    /// Opens a directory, and creates it if it does not exist. Its parent directory must exist.
    ///
    /// # Errors
    ///
    /// [`DirectoryError`] if it cannot be created, or if other users have access to it.
    pub fn at(path: impl Into<PathBuf>) -> Result<Directory, DirectoryError> {
        let path = path.into();
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(DirectoryError::Io(path, error));
            }
            _ => {}
        }
        // Not of what a symbolic link leads to.
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) => return Err(DirectoryError::Io(path, error)),
        };
        let mode = metadata.mode() & PERMISSIONS;
        if !metadata.is_dir() {
            Err(DirectoryError::NoDirectory(path))
        } else if metadata.uid() != geteuid().as_raw() {
            Err(DirectoryError::ForeignOwner(path, metadata.uid()))
        } else if mode & OF_OTHERS != 0 {
            Err(DirectoryError::Open(path, mode))
        } else {
            Ok(Directory(path))
        }
    }

    /// Returns its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the path of the socket of a runtime of this name.
    pub fn socket(&self, name: &RuntimeName) -> PathBuf {
        self.0.join(format!("{name}.{SOCKET}"))
    }

    /// Returns the names of all sockets, in order.
    pub(crate) fn names(&self) -> io::Result<Vec<RuntimeName>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let path = entry?.path();
            let is_socket = path
                .extension()
                .is_some_and(|extension| extension == SOCKET);
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            names.extend(
                stem.filter(|_| is_socket)
                    .and_then(|stem| stem.parse().ok()),
            );
        }
        names.sort_unstable();
        Ok(names)
    }
}

/// The extension of a socket.
const SOCKET: &str = "sock";

fn path_of_user() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from) {
        Some(runtime) if runtime.is_absolute() => runtime.join("lunatic"),
        _ => std::env::temp_dir().join(format!("lunatic-{}", geteuid().as_raw())),
    }
}

impl fmt::Display for DirectoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DirectoryError::Io(path, error) => {
                write!(
                    f,
                    "no directory for sockets at `{}`: {error}",
                    path.display()
                )
            }
            DirectoryError::NoDirectory(path) => write!(
                f,
                "`{}` is no directory, or a symbolic link to one",
                path.display()
            ),
            DirectoryError::ForeignOwner(path, uid) => write!(
                f,
                "the directory `{}` belongs to the user {uid}, not to you",
                path.display()
            ),
            DirectoryError::Open(path, mode) => write!(
                f,
                "the directory `{}` is open to others: its mode is {mode:o} and has to be 700",
                path.display()
            ),
        }
    }
}

impl Error for DirectoryError {}
