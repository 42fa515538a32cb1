//! What a new process is given: arguments, environment, directories.

use std::path::PathBuf;

use lunatic_fs::Access;

use crate::config_error::{self, ConfigError};
use crate::preopen::Preopen;
use crate::strings::Strings;

/// What a new process is given: arguments, environment, directories.
///
/// By default it is given nothing. A clone shares the directories that are open
/// already.
///
/// ```
/// use std::sync::Arc;
///
/// use lunatic_wasi::{Access, WasiConfig};
///
/// let mut config = WasiConfig::default();
/// config.add_arg("app")?;
/// config.add_env("LANG", "C")?;
/// config.add_dir(std::env::temp_dir(), "/tmp", Access::ReadOnly)?;
///
/// let opened = futures_lite::future::block_on(Arc::new(config).open())?;
/// assert_eq!(opened.config().env().next(), Some(("LANG", "C")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
    /// [`ConfigError::ZeroByte`] or [`ConfigError::TooLong`].
    pub fn add_arg(&mut self, arg: &str) -> Result<(), ConfigError> {
        self.args.push(&[arg])
    }

    /// Removes all arguments, the name of the program too.
    pub fn clear_args(&mut self) {
        self.args = Strings::default();
    }

    /// Appends an environment variable. If there is one of this name, both are kept.
    ///
    /// # Errors
    ///
    /// [`ConfigError::ZeroByte`] or [`ConfigError::TooLong`].
    pub fn add_env(&mut self, key: &str, value: &str) -> Result<(), ConfigError> {
        self.env.push(&[key, "=", value])
    }

    /// Appends a directory, which [`open`](WasiConfig::open) opens.
    ///
    /// - `host`: its path on the host.
    /// - `guest`: the name that the process sees.
    ///
    /// # Errors
    ///
    /// [`ConfigError::TooManyDirs`] if there are
    /// [`MAX_PREOPENS`](WasiConfig::MAX_PREOPENS) already.
    pub fn add_dir(
        &mut self,
        host: impl Into<PathBuf>,
        guest: impl Into<String>,
        access: Access,
    ) -> Result<(), ConfigError> {
        self.add_preopen(Preopen::new(host.into(), guest.into(), access))
    }

    /// Appends a directory of which the process is to know the path that it has on this host. To
    /// another node it does not go along with the rest of the configuration.
    ///
    /// - `path`: its path on the host, which is also the name that the process sees.
    ///
    /// # Errors
    ///
    /// [`ConfigError::TooManyDirs`] as [`add_dir`](WasiConfig::add_dir).
    pub fn add_dir_of_this_host(
        &mut self,
        path: impl Into<String>,
        access: Access,
    ) -> Result<(), ConfigError> {
        self.add_preopen(Preopen::of_this_host(path.into(), access))
    }

    /// Returns the arguments in their order.
    pub fn args(&self) -> impl Iterator<Item = &str> {
        self.args.iter()
    }

    /// Returns the environment variables in their order, as key and value.
    pub fn env(&self) -> impl Iterator<Item = (&str, &str)> {
        self.env.iter().filter_map(|entry| entry.split_once('='))
    }

    /// Returns the directories in their order.
    pub fn preopens(&self) -> &[Preopen] {
        &self.preopens
    }

    /// The bytes that it takes, roughly.
    pub fn size(&self) -> usize {
        let strings = self.args.size() + self.env.size();
        let preopens: usize = self.preopens.iter().map(Preopen::size).sum();
        size_of::<WasiConfig>() + strings + preopens
    }

    /// By how many bytes it grows by an argument.
    pub(crate) fn size_of_arg(arg: &str) -> usize {
        Strings::size_of(&[arg])
    }

    /// By how many bytes it grows by an environment variable.
    pub(crate) fn size_of_env(key: &str, value: &str) -> usize {
        Strings::size_of(&[key, "=", value])
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
