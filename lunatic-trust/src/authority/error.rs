//! Why the directory of a cluster cannot be made or used.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

use crate::files::FileError;
use crate::issuer::IssueError;

/// Why the directory of a cluster cannot be made or used.
#[derive(Debug)]
#[non_exhaustive]
pub enum AuthorityError {
    /// There is something in the directory that is to be made.
    NotEmpty(PathBuf),
    /// The directory is not that of a cluster, or missing.
    NoDirectory(PathBuf),
    /// This file is missing.
    Incomplete(PathBuf),
    /// This file is damaged.
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Others than the owner can read the private key.
    KeyIsReadable {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A file could not be read or written.
    File(FileError),
    /// The certificate of the authority could not be made.
    Issue(IssueError),
}

impl From<FileError> for AuthorityError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl From<IssueError> for AuthorityError {
    fn from(error: IssueError) -> Self {
        Self::Issue(error)
    }
}

impl fmt::Display for AuthorityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotEmpty(path) => write!(
                f,
                "{} is not empty, and nothing in it is overwritten; name another directory",
                path.display()
            ),
            Self::NoDirectory(path) => write!(
                f,
                "{} is not the directory of a cluster; `lunatic cluster init` makes one",
                path.display()
            ),
            Self::Incomplete(path) => write!(
                f,
                "{} is missing; restore the directory from a backup, or make another one with `lunatic cluster init`",
                path.display()
            ),
            Self::Damaged { path, reason } => write!(
                f,
                "{} is damaged: {reason}; restore it from a backup",
                path.display()
            ),
            Self::KeyIsReadable { path, mode } => write!(
                f,
                "{path} is the key of the cluster, and its mode {mode:03o} lets others read it; `chmod 600 {path}`",
                path = path.display()
            ),
            Self::File(_) => f.write_str("the directory of the cluster cannot be used"),
            Self::Issue(_) => f.write_str("the authority of the cluster cannot be made"),
        }
    }
}

impl Error for AuthorityError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::File(error) => Some(error),
            Self::Issue(error) => Some(error),
            _ => None,
        }
    }
}
