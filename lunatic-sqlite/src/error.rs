//! Why an operation on a database failed.

use std::error::Error;
use std::fmt;

/// What SQLite, or this crate in its words, says of a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteError {
    /// The extended result code: the result code is its last byte.
    pub code: i32,
    /// What is wrong, in words, in at most [`MAX_MESSAGE_BYTES`](SqliteError::MAX_MESSAGE_BYTES).
    pub message: String,
}

impl SqliteError {
    /// `SQLITE_ERROR`.
    pub const ERROR: i32 = 1;
    /// `SQLITE_BUSY`.
    pub const BUSY: i32 = 5;
    /// `SQLITE_NOMEM`.
    pub const NO_MEMORY: i32 = 7;
    /// `SQLITE_INTERRUPT`.
    pub const INTERRUPTED: i32 = 9;
    /// `SQLITE_FULL`.
    pub const FULL: i32 = 13;
    /// `SQLITE_CANTOPEN`.
    pub const CANNOT_OPEN: i32 = 14;
    /// `SQLITE_TOOBIG`.
    pub const TOO_BIG: i32 = 18;
    /// `SQLITE_MISUSE`.
    pub const MISUSE: i32 = 21;
    /// `SQLITE_RANGE`.
    pub const RANGE: i32 = 25;

    /// The longest message, in bytes: the rest of a longer one is cut off, as it repeats what is in a
    /// statement.
    pub const MAX_MESSAGE_BYTES: usize = 4 << 10;

    /// Returns an error.
    ///
    /// - `code`: a result code, extended or not.
    pub fn new(code: i32, message: impl Into<String>) -> SqliteError {
        let mut message = message.into();
        if message.len() > SqliteError::MAX_MESSAGE_BYTES {
            message.truncate(message.floor_char_boundary(SqliteError::MAX_MESSAGE_BYTES));
            message.shrink_to_fit();
        }
        SqliteError { code, message }
    }

    /// Returns the result code without what extends it.
    pub fn result_code(&self) -> i32 {
        self.code & 0xff
    }

    /// Nobody wants the outcome any more, or there is no time for it.
    pub(crate) fn interrupted() -> SqliteError {
        SqliteError::new(SqliteError::INTERRUPTED, "interrupted")
    }

    /// The database is gone: its thread could not be started, or had a panic.
    pub(crate) fn gone() -> SqliteError {
        SqliteError::new(SqliteError::MISUSE, "the connection has ended")
    }
}

impl From<rusqlite::Error> for SqliteError {
    fn from(error: rusqlite::Error) -> SqliteError {
        match error {
            rusqlite::Error::SqliteFailure(failure, message) => {
                let message = message.unwrap_or_else(|| failure.to_string());
                SqliteError::new(failure.extended_code, message)
            }
            rusqlite::Error::SqlInputError { error, msg, .. } => {
                SqliteError::new(error.extended_code, msg)
            }
            rusqlite::Error::NulError(_) => {
                SqliteError::new(SqliteError::ERROR, "a byte 0 in a statement or name")
            }
            other => SqliteError::new(SqliteError::ERROR, other.to_string()),
        }
    }
}

impl fmt::Display for SqliteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLite's code {})", self.message, self.code)
    }
}

impl Error for SqliteError {}
