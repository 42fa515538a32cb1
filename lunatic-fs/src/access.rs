//! What may be done below a directory.

use std::io;

/// What may be done below a directory.
///
/// # Examples
///
/// ```
/// use lunatic_fs::Access;
///
/// // Of two, the smaller one allows less.
/// assert!(Access::ReadOnly < Access::ReadWrite);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// Files can be read and directories listed, but nothing can be changed.
    ReadOnly,
    /// Files can be read and changed.
    ReadWrite,
}

impl Access {
    /// Fails if nothing may be changed.
    pub(crate) fn check_change(self) -> io::Result<()> {
        match self {
            Access::ReadWrite => Ok(()),
            Access::ReadOnly => Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "the directory is read-only",
            )),
        }
    }
}
