//! What a new process gets: arguments, environment, directories.

use std::path::PathBuf;

use lunatic_fs::Access;

use crate::config_error::{self, ConfigError};
use crate::preopen::Preopen;
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
    pub const MAX_PREOPENS: usize = config_error::MAX_PREOPENS;

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

    /// The bytes that it takes, roughly.
    pub fn size(&self) -> usize {
        /// A directory with its two paths.
        const PREOPEN: usize = 512;
        let strings = self.args.size() + self.env.size();
        size_of::<WasiConfig>() + strings + self.preopens.len() * PREOPEN
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
