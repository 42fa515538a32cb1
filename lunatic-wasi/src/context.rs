//! The WASI state of one process.

use std::fmt;
use std::sync::Arc;

use crate::config::WasiConfig;
use crate::descriptors::{Descriptors, Kind, OpenDir};
use crate::errno::Errno;
use crate::opened_config::OpenedConfig;
use crate::stdio::Stdio;

/// The WASI state of one process.
///
/// The file descriptors come into being when the process first uses one, so
/// that a process which uses none has allocated nothing.
pub struct WasiCtx {
    config: OpenedConfig,
    stdio: Stdio,
    descriptors: Option<Box<Descriptors>>,
}

impl WasiCtx {
    /// The state of a new process.
    pub fn new(config: OpenedConfig, stdio: Stdio) -> WasiCtx {
        WasiCtx {
            config,
            stdio,
            descriptors: None,
        }
    }

    /// What the process was given.
    pub fn config(&self) -> &Arc<WasiConfig> {
        self.config.config()
    }

    /// The same with its open directories.
    pub fn opened_config(&self) -> &OpenedConfig {
        &self.config
    }

    /// Where the process reads and prints.
    pub fn stdio(&self) -> &Stdio {
        &self.stdio
    }

    pub(crate) fn descriptors(&mut self) -> &mut Descriptors {
        self.descriptors
            .get_or_insert_with(|| Box::new(Descriptors::new(&self.config, &self.stdio)))
    }

    /// The name of a directory that was open from the start.
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
