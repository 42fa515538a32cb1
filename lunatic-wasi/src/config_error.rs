//! The errors of a configuration.

use std::error::Error;
use std::fmt;

/// The highest number of directories of a configuration.
pub(crate) const MAX_PREOPENS: usize = 256;

/// Why something cannot be added to a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// This argument or environment variable, of which this is the beginning, has a byte 0 in
    /// it, at which it would end.
    ZeroByte(String),
    /// All arguments together, or all environment variables together, are too long.
    TooLong {
        /// The highest number of bytes.
        limit: usize,
    },
    /// There are [`WasiConfig::MAX_PREOPENS`](crate::WasiConfig::MAX_PREOPENS) directories already.
    TooManyDirs,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::ZeroByte(text) => write!(f, "{text:?} contains a byte 0"),
            ConfigError::TooLong { limit } => write!(
                f,
                "all arguments or all environment variables together take more than {limit} bytes"
            ),
            ConfigError::TooManyDirs => write!(
                f,
                "a process may have at most {} preopened directories",
                MAX_PREOPENS
            ),
        }
    }
}

impl Error for ConfigError {}
