//! What the host reports.

use std::fmt;

use crate::sys;

/// A failure that the host has put into words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    text: String,
}

/// The result of a call that the host can refuse.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A failure of another process.
    pub(crate) fn from_text(text: &[u8]) -> Error {
        let text = String::from_utf8_lossy(text).into_owned();
        Error { text }
    }

    /// Takes an error out of the host's table.
    fn take(id: u64) -> Error {
        let text = sys::error_text(id);
        sys::error_drop(id);
        Error { text }
    }
}

/// The id that a call has written, or the error.
pub(crate) fn check((code, id): (u32, u64)) -> Result<u64> {
    match code {
        0 => Ok(id),
        _ => Err(Error::take(id)),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {}
