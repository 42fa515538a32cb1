//! What processes may do that other nodes start here.

use std::path::PathBuf;

use lunatic_account::AccountLimits;
use lunatic_net::NetConfig;
use lunatic_process::ProcessConfig;
use lunatic_trust::{NamePattern, NodeName};
use lunatic_wasi::{Access, WireConfigError};

use crate::config::{Config, WireConfig};

/// What processes may do that other nodes start here: the first rule counts whose pattern
/// the name of the node matches. A node that no rule is for starts none.
#[derive(Debug, Clone)]
pub struct RemoteRights {
    /// The rules, in order.
    pub rules: Vec<RemoteRule>,
}

/// What the nodes of some names get.
#[derive(Debug, Clone)]
pub struct RemoteRule {
    /// The names of the nodes.
    pub nodes: NamePattern,
    /// A process gets no more than this. Arguments and environment variables come from its
    /// own config.
    pub ceiling: Config,
    /// The directories that it may have, if its config names them.
    pub dirs: Vec<RemoteDir>,
    /// How much each of the nodes makes this one keep at most: its messages until they are
    /// received, the modules that it sends, and all that the processes have that it starts.
    /// Without a limit of memory, that is half of what the runtime may have.
    pub limits: AccountLimits,
}

/// What a node may make this one keep by default; of memory, half of what the runtime may have.
pub(crate) const DEFAULT_LIMITS: AccountLimits = AccountLimits {
    processes: 1 << 20,
    descriptors: 1 << 14,
    timers: 1 << 20,
    names: 1 << 20,
    ..AccountLimits::UNLIMITED
};

/// A directory for processes of other nodes.
#[derive(Debug, Clone)]
pub struct RemoteDir {
    /// The name by which guests see it.
    pub guest: String,
    /// Where it is on this host.
    pub host: PathBuf,
    /// What may be done in it.
    pub access: Access,
}

/// Why a process of another node gets no config.
#[derive(Debug)]
#[non_exhaustive]
pub(crate) enum NoRights {
    /// No rule is for this node.
    NoRule(NodeName),
    /// What the config names is not there.
    Config(WireConfigError),
}

impl Default for RemoteRights {
    /// Each node may start processes, which have memory, standard output, other processes, and
    /// nothing else: no directories, no network.
    fn default() -> RemoteRights {
        RemoteRights {
            rules: vec![RemoteRights::default_rule()],
        }
    }
}

impl RemoteRights {
    /// A rule for each node: memory, standard output, other processes, and nothing else.
    pub fn default_rule() -> RemoteRule {
        let process = ProcessConfig {
            can_compile_modules: false,
            ..ProcessConfig::trusted()
        };
        RemoteRule {
            nodes: NamePattern::any(),
            ceiling: Config {
                process,
                net: NetConfig::nothing().into(),
                ..Config::default()
            },
            dirs: Vec::new(),
            limits: DEFAULT_LIMITS,
        }
    }

    /// The rule for a node.
    ///
    /// # Errors
    ///
    /// No rule is for it: it starts nothing.
    pub(crate) fn rule_for(&self, node: &NodeName) -> Result<&RemoteRule, NoRights> {
        let mut rules = self.rules.iter();
        let rule = rules.find(|rule| rule.nodes.matches(node));
        rule.ok_or_else(|| NoRights::NoRule(node.clone()))
    }

    /// How much a node makes this one keep at most. Messages come from those too that may
    /// start nothing.
    pub(crate) fn limits_for(&self, node: &NodeName) -> AccountLimits {
        self.rule_for(node)
            .map_or(DEFAULT_LIMITS, |rule| rule.limits)
    }

    /// The config of a process that a node wants to start here.
    ///
    /// - `inherits`: it is that of who starts it; directories that are not there are left out.
    ///
    /// # Errors
    ///
    /// [`NoRights`].
    pub(crate) fn config_for(
        &self,
        node: &NodeName,
        mut config: WireConfig,
        inherits: bool,
    ) -> Result<Config, NoRights> {
        let rule = self.rule_for(node)?;
        let find_dir = |guest: &str| {
            let dir = rule.dirs.iter().find(|dir| dir.guest == guest)?;
            Some((dir.host.clone(), dir.access))
        };
        if inherits {
            config
                .wasi
                .dirs
                .retain(|dir| find_dir(&dir.guest).is_some());
        }
        let config = config.into_config(&rule.ceiling, find_dir);
        config.map_err(NoRights::Config)
    }
}

impl std::fmt::Display for NoRights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NoRights::NoRule(node) => write!(f, "nothing is allowed to the node {node}"),
            NoRights::Config(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for NoRights {}
