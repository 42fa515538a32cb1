//! What a process may do and what it is given.

use std::path::PathBuf;
use std::sync::Arc;

use lunatic_net::{NetConfig, Rules};
use lunatic_process::guest::ConfigCharge;
use lunatic_process::{ProcessConfig, guest};
use lunatic_sqlite::SqliteLimits;
use lunatic_wasi::{Access, WasiConfig, WireConfigError};
use serde::{Deserialize, Serialize};

/// The configuration of a process. The default allows and gives nothing but the
/// network, of which every process has what its parent has (ABI §6).
///
/// ```
/// use lunatic_cli::Config;
/// use lunatic_wasi::Access;
///
/// let mut config = Config::default();
/// config.process.can_spawn_processes = true;
/// config.wasi_mut().add_dir("data", "/data", Access::ReadOnly)?;
/// # Ok::<(), lunatic_wasi::ConfigError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Rights and limits.
    pub process: ProcessConfig,
    /// Arguments, environment, directories.
    pub wasi: Arc<WasiConfig>,
    /// What it may do with the network.
    pub net: Arc<NetConfig>,
    /// How much it may do with databases, in its directories and in memory.
    pub sqlite: SqliteLimits,
    /// What is charged for it while processes have it.
    pub charge: ConfigCharge,
}

impl Config {
    /// All rights, but neither arguments, environment nor directories.
    pub fn trusted() -> Config {
        Config {
            process: ProcessConfig::trusted(),
            ..Config::default()
        }
    }

    /// Arguments, environment and directories, to change.
    pub fn wasi_mut(&mut self) -> &mut WasiConfig {
        Arc::make_mut(&mut self.wasi)
    }

    /// Allows nothing of the network that these rules do not allow.
    pub fn narrow_net(&mut self, rules: Rules) {
        self.net = Arc::new(self.net.as_ref().clone().narrowed(rules));
    }
}

/// A [`Config`] in the form in which it crosses to another node: plain data, with
/// directories by the names that guests see.
///
/// ```
/// use lunatic_cli::Config;
///
/// let wire = Config::trusted().to_wire();
/// // The other node allows no more than it would allow itself.
/// let there = wire.into_config(&Config::default(), |_| None)?;
/// assert!(!there.process.can_compile_modules);
/// # Ok::<(), lunatic_wasi::WireConfigError>(())
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WireConfig {
    /// Rights and limits.
    pub process: ProcessConfig,
    /// Arguments, environment, directories.
    pub wasi: lunatic_wasi::WireConfig,
    /// What it may do with the network.
    pub net: NetConfig,
    /// How much it may do with databases.
    pub sqlite: SqliteLimits,
}

impl Config {
    /// The form in which it crosses to another node.
    pub fn to_wire(&self) -> WireConfig {
        WireConfig {
            process: self.process.clone(),
            wasi: self.wasi.to_wire(),
            net: self.net.as_ref().clone(),
            sqlite: self.sqlite,
        }
    }
}

impl WireConfig {
    /// The config on the node at which it arrived, with nothing in it that `ceiling`
    /// does not allow.
    ///
    /// - `find_dir`: the directory of this host that stands for a guest's name, and what
    ///   may be done in it.
    ///
    /// # Errors
    ///
    /// [`WireConfigError`] if a directory is not there.
    pub fn into_config(
        self,
        ceiling: &Config,
        find_dir: impl Fn(&str) -> Option<(PathBuf, Access)>,
    ) -> Result<Config, WireConfigError> {
        Ok(Config {
            process: self.process.capped(&ceiling.process),
            wasi: Arc::new(self.wasi.into_config(find_dir)?),
            net: Arc::new(self.net.capped(&ceiling.net)),
            sqlite: self.sqlite.capped(&ceiling.sqlite),
            charge: ConfigCharge::default(),
        })
    }
}

impl guest::Config for Config {
    fn process(&self) -> &ProcessConfig {
        &self.process
    }

    fn process_mut(&mut self) -> &mut ProcessConfig {
        &mut self.process
    }

    fn size(&self) -> usize {
        size_of::<Config>() + self.wasi.size()
    }

    fn charge(&self) -> &ConfigCharge {
        &self.charge
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use super::*;

    #[test]
    fn a_config_from_another_node_holds_no_more_than_this_node_allows() {
        let mut config = Config::trusted();
        config.wasi_mut().add_arg("app").unwrap();
        config.process.max_memory = 1 << 30;
        let bytes = postcard::to_allocvec(&config.to_wire()).unwrap();
        let mut ceiling = Config::default();
        ceiling.process.can_spawn_processes = true;
        ceiling.process.max_memory = 1 << 20;
        let wire: WireConfig = postcard::from_bytes(&bytes).unwrap();
        let there = wire.into_config(&ceiling, |_| None).unwrap();
        assert!(there.process.can_spawn_processes);
        assert!(!there.process.can_compile_modules);
        assert_eq!(there.process.max_memory, 1 << 20);
        assert_eq!(there.wasi.args().collect::<Vec<_>>(), ["app"]);
    }
}
