//! Why an operation on a database failed.

use std::fmt;

/// What SQLite says of a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The extended result code: the result code is its last byte.
    pub code: i32,
    /// What is wrong, in words.
    pub message: String,
}

/// The result of an operation on a database.
pub type Result<T> = std::result::Result<T, Error>;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLite's code {})", self.message, self.code)
    }
}

impl std::error::Error for Error {}
