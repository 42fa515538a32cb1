//! What a process has from its parent.

use std::sync::Arc;

use lunatic_engine::Loader;
use lunatic_net::NetConfig;
use lunatic_process::Failure;
use lunatic_supervisor::guest::ChildEnvironmentFuture;
use lunatic_timer::Timers;
use lunatic_wasi::{OpenError, OpenedConfig, Stdio};

use crate::config::Config;
use crate::name_scope::NameScope;
use crate::state::State;

/// What a process has, beside module and config, from its parent, or, if it is a
/// root process, from the runtime.
#[derive(Debug, Clone)]
pub struct ChildEnvironment {
    /// What compiles and links the modules that it loads.
    pub(crate) loader: Loader<State>,
    /// What it finds other processes by.
    pub(crate) names: NameScope,
    /// Where its timers run.
    pub(crate) timers: Timers,
    /// Its arguments, environment variables and open directories.
    pub(crate) wasi: OpenedConfig,
    /// Where it reads and prints.
    pub(crate) stdio: Stdio,
    /// What it may do with the network.
    pub(crate) net: Arc<NetConfig>,
}

impl ChildEnvironment {
    /// What a child with this config has from the process whose own environment
    /// this is. It waits only if a directory of the config is not open yet.
    ///
    /// # Errors
    ///
    /// The first directory that cannot be opened.
    pub(crate) async fn for_child(self, config: &Config) -> Result<ChildEnvironment, OpenError> {
        let wasi = config.wasi.clone().open().await?;
        Ok(ChildEnvironment {
            wasi,
            stdio: self.stdio.for_child(),
            net: capped(self.net, &config.net),
            ..self
        })
    }

    /// The same for each start of a supervised child anew.
    pub(crate) fn for_children(
        self,
        config: Arc<Config>,
    ) -> impl Fn() -> ChildEnvironmentFuture<State> + Send + Sync + 'static {
        move || {
            let (own, config) = (self.clone(), config.clone());
            Box::pin(async move { own.for_child(&config).await.map_err(Failure::new) })
        }
    }
}

/// What a config allows to do with the network, but no more than `own` does.
fn capped(own: Arc<NetConfig>, config: &Arc<NetConfig>) -> Arc<NetConfig> {
    match Arc::ptr_eq(&own, config) {
        true => own,
        false => Arc::new(config.capped(&own)),
    }
}
