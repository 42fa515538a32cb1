//! What a process has from its parent.

use std::sync::Arc;

use lunatic_account::Account;
use lunatic_engine::{Loader, Module};
use lunatic_metrics::Metrics;
use lunatic_net::{Listeners, NetConfig};
use lunatic_process::{Failure, ProcessConfig};
use lunatic_reload::Versions;
use lunatic_sqlite::SqliteLimits;
use lunatic_supervisor::guest::ChildEnvironmentFuture;
use lunatic_timer::Timers;
use lunatic_wasi::{Input, OpenError, OpenedConfig, Stdio};

use crate::config::Config;
use crate::name_scope::NameScope;
use crate::node::ClusterNode;
use crate::recording::Recording;
use crate::state::State;

/// What a process has, beside module and config, from its parent, or, if it is a
/// root process, from the runtime.
#[derive(Debug, Clone)]
pub struct ChildEnvironment {
    /// What it shares with its parent.
    pub(crate) services: Arc<Services>,
    /// Its arguments, environment variables and open directories.
    pub(crate) wasi: OpenedConfig,
    /// Where it reads and prints.
    pub(crate) stdio: Stdio,
    /// What it may do with the network.
    pub(crate) net: Arc<NetConfig>,
    /// How much it may do with databases.
    pub(crate) sqlite: Arc<SqliteLimits>,
}

/// What a root process and all its descendants share.
#[derive(Debug)]
pub(crate) struct Services {
    /// What compiles and links the modules that they load.
    pub(crate) loader: Loader<State>,
    /// What they find other processes by.
    pub(crate) names: NameScope,
    /// Where their timers run.
    pub(crate) timers: Timers,
    /// The versions of all modules that have a name.
    pub(crate) versions: Versions<Module<State>>,
    /// The metrics that they record.
    pub(crate) metrics: Metrics,
    /// What they have bound.
    pub(crate) listeners: Listeners,
    /// The node that they are processes of, if it belongs to a cluster.
    pub(crate) cluster: Option<Arc<ClusterNode>>,
    /// What is recorded of them.
    pub(crate) recording: Arc<Recording>,
}

impl ChildEnvironment {
    /// What a child with this config has from a process that has `services`, `stdio`,
    /// `net` and `sqlite`. A child with an account of its own has names and metrics of its own too,
    /// unless it may use those of others, and its standard input is empty. It waits only if a directory of the config is not open yet.
    ///
    /// - `account`: to whom its directories are charged that are not open yet.
    /// - `is_own_config`: whether the config is that of the process itself.
    ///
    /// # Errors
    ///
    /// The first directory that cannot be opened.
    pub(crate) fn for_child(
        services: &Arc<Services>,
        stdio: &Stdio,
        net: &Arc<NetConfig>,
        sqlite: &Arc<SqliteLimits>,
        account: &Account,
        config: &Config,
        is_own_config: bool,
    ) -> impl Future<Output = Result<ChildEnvironment, OpenError>> + Send + use<> {
        let services = services.for_child(&config.process, is_own_config);
        let stdio = match has_own_account(&config.process, is_own_config) {
            true => stdio.for_child().with_input(Input::empty()),
            false => stdio.for_child(),
        };
        let net = capped(net, &config.net);
        let sqlite = match config.sqlite.capped(sqlite) {
            same if same == **sqlite => sqlite.clone(),
            less => Arc::new(less),
        };
        let wasi = config.wasi.clone().open_charged(Some(account.clone()));
        async move {
            Ok(ChildEnvironment {
                services,
                wasi: wasi.await?,
                stdio,
                net,
                sqlite,
            })
        }
    }

    /// The same for each start of a supervised child anew.
    pub(crate) fn for_children(
        self,
        account: Account,
        config: Arc<Config>,
        is_own_config: bool,
    ) -> impl Fn() -> ChildEnvironmentFuture<State> + Send + Sync + 'static {
        move || {
            let ChildEnvironment {
                services,
                stdio,
                net,
                sqlite,
                ..
            } = &self;
            let child = ChildEnvironment::for_child(
                services,
                stdio,
                net,
                sqlite,
                &account,
                &config,
                is_own_config,
            );
            Box::pin(async move { child.await.map_err(Failure::new) })
        }
    }
}

fn has_own_account(config: &ProcessConfig, is_own_config: bool) -> bool {
    config.account.is_some() && !is_own_config
}

impl Services {
    fn for_child(self: &Arc<Self>, config: &ProcessConfig, is_own_config: bool) -> Arc<Services> {
        let has_own_account = has_own_account(config, is_own_config);
        if !has_own_account || config.can_use_outside_names {
            return self.clone();
        }
        Arc::new(Services {
            loader: self.loader.clone(),
            names: self.names.separate(),
            timers: self.timers.clone(),
            versions: self.versions.clone(),
            metrics: self.metrics.branch(),
            listeners: self.listeners.clone(),
            cluster: self.cluster.clone(),
            recording: self.recording.clone(),
        })
    }
}

/// What a config allows to do with the network, but no more than `own` does.
fn capped(own: &Arc<NetConfig>, config: &Arc<NetConfig>) -> Arc<NetConfig> {
    match Arc::ptr_eq(own, config) {
        true => own.clone(),
        false => Arc::new(config.capped(own)),
    }
}
