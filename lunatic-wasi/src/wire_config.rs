//! The form in which a configuration crosses to another node.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

use lunatic_fs::Access;
use serde::{Deserialize, Serialize};

use crate::config::WasiConfig;
use crate::config_error::ConfigError;

/// A [`WasiConfig`] in the form in which it crosses to another node. It has the names of
/// directories that the guest sees, and no paths: those of one host mean nothing on
/// another, and no node lets another choose its paths.
///
/// ```
/// use lunatic_wasi::{Access, WasiConfig};
///
/// let mut config = WasiConfig::default();
/// config.add_dir("/home/me/data", "/data", Access::ReadOnly)?;
/// let wire = config.to_wire();
///
/// // On the other node, that name stands for another directory.
/// let there = wire.into_config(|guest| match guest {
///     "/data" => Some(("/srv/data".into(), Access::ReadWrite)),
///     _ => None,
/// })?;
/// assert_eq!(there.preopens()[0].host().to_str(), Some("/srv/data"));
/// assert_eq!(there.preopens()[0].access(), Access::ReadOnly);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireConfig {
    /// The arguments in their order.
    pub args: Vec<String>,
    /// The environment variables in their order.
    pub env: Vec<(String, String)>,
    /// The directories in their order.
    pub dirs: Vec<WireDir>,
}

/// A directory by the name that the guest sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireDir {
    /// The name.
    pub guest: String,
    /// Whether nothing may be changed in it.
    pub read_only: bool,
}

/// Why a configuration of another node cannot be used on this one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WireConfigError {
    /// No directory of this node has that name.
    NoSuchDir(String),
    /// The directory of this node is read-only, and the configuration wants to write.
    ReadOnlyDir(String),
    /// The configuration is not valid.
    Config(ConfigError),
}

impl WasiConfig {
    /// Returns the form in which it crosses to another node.
    pub fn to_wire(&self) -> WireConfig {
        let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        let travel = self.preopens().iter().filter(|it| !it.is_of_this_host());
        let dirs = travel.map(|preopen| WireDir {
            guest: preopen.guest().to_owned(),
            read_only: preopen.access() == Access::ReadOnly,
        });
        WireConfig {
            args: self.args().map(str::to_owned).collect(),
            env: self.env().map(owned).collect(),
            dirs: dirs.collect(),
        }
    }
}

impl WireConfig {
    /// Returns the configuration for the node at which it has arrived.
    ///
    /// - `find_dir`: returns the path of the directory that has this name here, and what
    ///   may be done in it.
    ///
    /// # Errors
    ///
    /// [`WireConfigError`] names the first directory that is not there or may not be
    /// written, or what the configuration cannot hold.
    pub fn into_config(
        self,
        find_dir: impl Fn(&str) -> Option<(PathBuf, Access)>,
    ) -> Result<WasiConfig, WireConfigError> {
        let mut config = WasiConfig::default();
        for arg in &self.args {
            config.add_arg(arg)?;
        }
        for (key, value) in &self.env {
            config.add_env(key, value)?;
        }
        for WireDir { guest, read_only } in self.dirs {
            let access = match read_only {
                true => Access::ReadOnly,
                false => Access::ReadWrite,
            };
            match find_dir(&guest) {
                None => return Err(WireConfigError::NoSuchDir(guest)),
                Some((_, Access::ReadOnly)) if !read_only => {
                    return Err(WireConfigError::ReadOnlyDir(guest));
                }
                Some((host, _)) => config.add_dir(host, guest, access)?,
            }
        }
        Ok(config)
    }
}

impl From<ConfigError> for WireConfigError {
    fn from(error: ConfigError) -> WireConfigError {
        WireConfigError::Config(error)
    }
}

impl fmt::Display for WireConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WireConfigError::NoSuchDir(guest) => {
                write!(f, "this node has no directory named `{guest}`")
            }
            WireConfigError::ReadOnlyDir(guest) => {
                write!(f, "the directory `{guest}` of this node is read-only")
            }
            WireConfigError::Config(error) => error.fmt(f),
        }
    }
}

impl Error for WireConfigError {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use super::*;

    fn config() -> WasiConfig {
        let mut config = WasiConfig::default();
        config.add_arg("app").unwrap();
        config.add_env("KEY", "a=b").unwrap();
        config
            .add_dir("/secret/path", "/data", Access::ReadWrite)
            .unwrap();
        config
            .add_dir("/other", "/static", Access::ReadOnly)
            .unwrap();
        config
    }

    #[test]
    fn directories_travel_by_the_names_that_guests_see() {
        let bytes = postcard::to_allocvec(&config().to_wire()).unwrap();
        assert!(!bytes.windows(6).any(|part| part == b"secret"));
        let wire: WireConfig = postcard::from_bytes(&bytes).unwrap();
        let there =
            wire.into_config(|name| Some((format!("/srv{name}").into(), Access::ReadWrite)));
        let there = there.unwrap();
        assert_eq!(there.to_wire(), config().to_wire());
        let hosts: Vec<_> = there
            .preopens()
            .iter()
            .map(|dir| dir.host().to_owned())
            .collect();
        assert_eq!(hosts, [PathBuf::from("/srv/data"), "/srv/static".into()]);
    }

    #[test]
    fn a_path_of_this_host_does_not_travel() {
        let mut config = config();
        let before = config.to_wire();
        config
            .add_dir_of_this_host("/home/somebody", Access::ReadWrite)
            .unwrap();
        assert_eq!(config.preopens().len(), 3);
        assert_eq!(config.to_wire(), before);
    }

    #[test]
    fn a_node_gives_no_more_than_it_has() {
        let wire = config().to_wire();
        let nothing = wire.clone().into_config(|_| None);
        assert_eq!(
            nothing.unwrap_err(),
            WireConfigError::NoSuchDir("/data".into())
        );
        let read_only = wire.into_config(|name| Some((name.into(), Access::ReadOnly)));
        assert_eq!(
            read_only.unwrap_err(),
            WireConfigError::ReadOnlyDir("/data".into())
        );
    }
}
