//! A configuration whose directories are open.

use std::sync::Arc;

use lunatic_fs::Dir;

use crate::config::WasiConfig;
use crate::preopen::{OpenError, Preopen};

/// A configuration whose directories are open. A [`WasiCtx`](crate::WasiCtx) is made
/// of it. A clone is the same configuration.
#[derive(Debug, Clone, Default)]
pub struct OpenedConfig(Arc<WasiConfig>);

impl WasiConfig {
    /// Opens the directories that have not been opened yet. If there are none, it does
    /// not wait.
    ///
    /// # Errors
    ///
    /// [`OpenError`] for the first directory that cannot be opened.
    pub async fn open(self: Arc<Self>) -> Result<OpenedConfig, OpenError> {
        for preopen in self.preopens() {
            if preopen.dir().is_none() {
                // In a box of its own, since it is rarely needed and the future
                // of each spawn would have to have room for it.
                Box::pin(preopen.open()).await?;
            }
        }
        Ok(OpenedConfig(self))
    }
}

impl OpenedConfig {
    /// Returns the configuration.
    pub fn config(&self) -> &Arc<WasiConfig> {
        &self.0
    }

    /// Returns the directories in their order.
    pub(crate) fn dirs(&self) -> impl Iterator<Item = (&Preopen, &Dir)> {
        self.0.preopens().iter().map(|preopen| {
            let dir = preopen.dir();
            (preopen, dir.expect("they were opened when this was made"))
        })
    }
}
