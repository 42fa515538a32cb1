//! The WASI state of one process.

use std::fmt;
use std::sync::Arc;

use lunatic_account::{Account, Charge};

use crate::config::WasiConfig;
use crate::descriptors::{Descriptors, Kind, OpenDir};
use crate::errno::Errno;
use crate::opened_config::OpenedConfig;
use crate::stdio::Stdio;

/// The WASI state of one process.
///
/// The file descriptors are made when the process first uses one, so a process that
/// uses none has allocated nothing.
///
/// ```
/// use lunatic_wasi::{OpenedConfig, Stdio, WasiCtx};
///
/// // Neither arguments nor environment nor directories.
/// let wasi = WasiCtx::new(OpenedConfig::default(), Stdio::default());
/// assert_eq!(wasi.config().args().count(), 0);
/// ```
pub struct WasiCtx {
    config: OpenedConfig,
    stdio: Stdio,
    descriptors: Option<Box<Descriptors>>,
    /// What is charged for many descriptors.
    charge: Option<Charge>,
}

impl WasiCtx {
    /// Returns the state of a new process.
    pub fn new(config: OpenedConfig, stdio: Stdio) -> WasiCtx {
        WasiCtx {
            config,
            stdio,
            descriptors: None,
            charge: None,
        }
    }

    /// Charges what many directories of its configuration take in each process to its account, as
    /// long as it lives. That is not refused.
    pub fn charge_to(&mut self, account: &Account) {
        self.charge = Descriptors::charge(&self.config, account);
    }

    /// Returns what the process was given.
    pub fn config(&self) -> &Arc<WasiConfig> {
        self.config.config()
    }

    /// Returns what the process was given, with its open directories.
    pub fn opened_config(&self) -> &OpenedConfig {
        &self.config
    }

    /// Returns where the process reads and prints.
    pub fn stdio(&self) -> &Stdio {
        &self.stdio
    }

    /// Returns how many file descriptors are open, and how many may be.
    pub fn open_descriptors(&self) -> (usize, usize) {
        let given = || 3 + self.config.dirs().count();
        let open = self.descriptors.as_ref().map(|open| open.count());
        (open.unwrap_or_else(given), Descriptors::LIMIT)
    }

    pub(crate) fn descriptors(&mut self) -> &mut Descriptors {
        self.descriptors
            .get_or_insert_with(|| Box::new(Descriptors::new(&self.config, &self.stdio)))
    }

    /// Returns the name of a directory that was open from the start; `badf` for any
    /// other descriptor.
    pub(crate) fn preopened_as(&mut self, fd: u32) -> Result<&str, Errno> {
        match &self.descriptors().get(fd)?.kind {
            Kind::Dir(OpenDir {
                preopened_as: Some(name),
                ..
            }) => Ok(name),
            _ => Err(Errno::BadDescriptor),
        }
    }
}

impl fmt::Debug for WasiCtx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WasiCtx")
            .field("config", &self.config)
            .field("stdio", &self.stdio)
            .finish_non_exhaustive()
    }
}
