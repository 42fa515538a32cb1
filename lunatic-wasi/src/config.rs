//! What a new process gets: arguments, environment, directories.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use lunatic_fs::Access;

use crate::opened_config::OpenedConfig;
use crate::preopen::{OpenError, Preopen};
use crate::strings::Strings;

/// What a new process gets: arguments, environment, directories.
///
/// The default is nothing at all. A clone shares the directories that are
/// open already.
#[derive(Debug, Clone, Default)]
pub struct WasiConfig {
    args: Strings,
    env: Strings,
    preopens: Vec<Preopen>,
}

impl WasiConfig {
    /// The highest number of directories.
    pub const MAX_PREOPENS: usize = 256;

    /// Appends a command line argument; the first one is the program's name.
    ///
    /// # Errors
    ///
    /// [`ConfigError::ZeroByte`], [`ConfigError::TooLong`].
    pub fn add_arg(&mut self, arg: &str) -> Result<(), ConfigError> {
        self.args.push(&[arg])
    }

    /// Appends an environment variable; one that is there already is kept.
    ///
    /// # Errors
    ///
    /// [`ConfigError::ZeroByte`], [`ConfigError::TooLong`].
    pub fn add_env(&mut self, key: &str, value: &str) -> Result<(), ConfigError> {
        self.env.push(&[key, "=", value])
    }

    /// Appends a directory: `host` is its path here, `guest` is the name that
    /// the process sees.
    ///
    /// It is opened by [`open`](WasiConfig::open).
    ///
    /// # Errors
    ///
    /// [`ConfigError::TooManyDirs`].
    pub fn add_dir(
        &mut self,
        host: impl Into<PathBuf>,
        guest: impl Into<String>,
        access: Access,
    ) -> Result<(), ConfigError> {
        self.add_preopen(Preopen::new(host.into(), guest.into(), access))
    }

    /// The arguments in their order.
    pub fn args(&self) -> impl Iterator<Item = &str> {
        self.args.iter()
    }

    /// The environment variables in their order, as key and value.
    pub fn env(&self) -> impl Iterator<Item = (&str, &str)> {
        self.env.iter().filter_map(|entry| entry.split_once('='))
    }

    /// The directories in their order.
    pub fn preopens(&self) -> &[Preopen] {
        &self.preopens
    }

    /// Opens those directories that have not been opened yet. If all have, it
    /// does not wait.
    ///
    /// # Errors
    ///
    /// The first directory that cannot be opened.
    pub async fn open(self: Arc<Self>) -> Result<OpenedConfig, OpenError> {
        OpenedConfig::open(self).await
    }

    pub(crate) fn arg_strings(&self) -> &Strings {
        &self.args
    }

    pub(crate) fn env_strings(&self) -> &Strings {
        &self.env
    }

    pub(crate) fn add_preopen(&mut self, preopen: Preopen) -> Result<(), ConfigError> {
        if self.preopens.len() >= WasiConfig::MAX_PREOPENS {
            return Err(ConfigError::TooManyDirs);
        }
        self.preopens.push(preopen);
        Ok(())
    }
}

/// A configuration cannot take what was to be added to it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// Arguments and environment variables end at a byte 0, so none can be inside.
    ZeroByte(String),
    /// All arguments, or all environment variables, are too long together.
    TooLong {
        /// The highest number of bytes.
        limit: usize,
    },
    /// There are [`WasiConfig::MAX_PREOPENS`] directories already.
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
                WasiConfig::MAX_PREOPENS
            ),
        }
    }
}

impl Error for ConfigError {}
