//! What may be done below a directory.

use std::io;

/// What may be done below a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// Files can be read and directories listed; nothing can be changed.
    ReadOnly,
    /// Everything.
    ReadWrite,
}

impl Access {
    /// Refuses to change what is read-only.
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
