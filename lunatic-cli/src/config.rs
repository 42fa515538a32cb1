//! What a process may do and what it is given.

use std::sync::Arc;

use lunatic_net::NetConfig;
use lunatic_process::{ProcessConfig, guest};
use lunatic_wasi::WasiConfig;

/// The configuration of a process. The default allows and gives nothing but the
/// network, of which every process has what its parent has (ABI §6).
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Rights and limits.
    pub process: ProcessConfig,
    /// Arguments, environment, directories.
    pub wasi: Arc<WasiConfig>,
    /// What it may do with the network.
    pub net: Arc<NetConfig>,
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
}

impl guest::Config for Config {
    fn process(&self) -> &ProcessConfig {
        &self.process
    }

    fn process_mut(&mut self) -> &mut ProcessConfig {
        &mut self.process
    }
}
