//! What a process may do with the network, and its limits.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::rules::{Action, BadRule, Denied, Rule, Rules};

/// What a process may do with the network, and its limits.
///
/// The default allows everything, which is what guests expect. Rules can be added, but
/// not removed.
///
/// # Examples
///
/// ```
/// use lunatic_net::{Action, NetConfig, Rules};
///
/// # futures_lite::future::block_on(async {
/// let config = NetConfig::default().narrowed(Rules {
///     allow: Some(vec!["connect:127.0.0.0/8".parse()?]),
///     deny: vec!["*:22".parse()?],
/// });
/// let web = "127.0.0.1:80".parse()?;
/// assert!(config.check(Action::Connect, web, None).await.is_ok());
/// assert!(config.check(Action::Bind, web, None).await.is_err());
/// assert!(config.check(Action::Connect, "127.0.0.1:22".parse()?, None).await.is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "WireConfig", into = "WireConfig")]
pub struct NetConfig {
    /// Something is allowed if all of these allow it.
    rules: Vec<Arc<Rules>>,
    /// How many handles of sockets the process may have at once.
    pub max_sockets: usize,
    /// How long a client may take for a TLS handshake.
    pub handshake_limit: Duration,
}

/// The default of [`NetConfig::max_sockets`].
pub const DEFAULT_MAX_SOCKETS: usize = 1 << 16;

/// The default time limit of a TLS handshake.
pub const DEFAULT_HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

impl NetConfig {
    /// Returns a config that allows nothing.
    pub fn nothing() -> NetConfig {
        NetConfig::default().narrowed(Rules::nothing())
    }

    /// Returns this config with further rules: only what they allow too is allowed.
    pub fn narrowed(mut self, rules: Rules) -> NetConfig {
        self.rules.push(Arc::new(rules));
        self
    }

    /// Returns this config with the rules and limits of `ceiling` added, so that it
    /// allows nothing that `ceiling` does not.
    pub fn capped(&self, ceiling: &NetConfig) -> NetConfig {
        let mut rules = ceiling.rules.clone();
        let is_new = |own: &&Arc<Rules>| !ceiling.rules.iter().any(|rules| Arc::ptr_eq(rules, own));
        rules.extend(self.rules.iter().filter(is_new).cloned());
        NetConfig {
            rules,
            max_sockets: self.max_sockets.min(ceiling.max_sockets),
            handshake_limit: self.handshake_limit.min(ceiling.handshake_limit),
        }
    }

    /// Checks whether an action on an address is allowed.
    ///
    /// - `name`: the host name that the address was found by, if it is known.
    ///
    /// # Errors
    ///
    /// [`Denied`] if it is not.
    pub async fn check(
        &self,
        action: Action,
        address: SocketAddr,
        name: Option<&str>,
    ) -> Result<(), Denied> {
        for rules in &self.rules {
            rules.check(action, address, name).await?;
        }
        Ok(())
    }

    /// Checks that no rule denies the address that the system has chosen for a socket
    /// whose port was left to it. That it may be bound was [checked](NetConfig::check)
    /// before.
    ///
    /// # Errors
    ///
    /// [`Denied`] if one does.
    pub async fn check_bound(&self, address: SocketAddr) -> Result<(), Denied> {
        for rules in &self.rules {
            rules.check_bound(address).await?;
        }
        Ok(())
    }

    /// Checks whether a host name may be looked up.
    ///
    /// # Errors
    ///
    /// [`Denied`] if it may not.
    pub fn check_lookup(&self, host: &str) -> Result<(), Denied> {
        self.rules
            .iter()
            .try_for_each(|rules| rules.check_lookup(host))
    }

    /// Records the addresses of a host name, for the rules that name it.
    pub fn learn(&self, host: &str, addresses: &[SocketAddr]) {
        for rules in &self.rules {
            rules.learn(host, addresses);
        }
    }
}

impl Default for NetConfig {
    fn default() -> NetConfig {
        NetConfig {
            rules: Vec::new(),
            max_sockets: DEFAULT_MAX_SOCKETS,
            handshake_limit: DEFAULT_HANDSHAKE_LIMIT,
        }
    }
}

/// The form of a config that crosses to another node: rules as they are written.
/// Where names lead to is found out anew there.
#[derive(Serialize, Deserialize)]
struct WireConfig {
    rules: Vec<WireRules>,
    max_sockets: u64,
    handshake_limit: Duration,
}

#[derive(Serialize, Deserialize)]
struct WireRules {
    allow: Option<Vec<String>>,
    deny: Vec<String>,
}

impl From<NetConfig> for WireConfig {
    fn from(config: NetConfig) -> WireConfig {
        let texts = |rules: &Vec<Rule>| rules.iter().map(ToString::to_string).collect();
        let wire = |rules: &Arc<Rules>| WireRules {
            allow: rules.allow.as_ref().map(texts),
            deny: texts(&rules.deny),
        };
        WireConfig {
            rules: config.rules.iter().map(wire).collect(),
            max_sockets: config.max_sockets as u64,
            handshake_limit: config.handshake_limit,
        }
    }
}

impl TryFrom<WireConfig> for NetConfig {
    type Error = BadRule;

    fn try_from(wire: WireConfig) -> Result<NetConfig, BadRule> {
        let parsed = |texts: Vec<String>| texts.iter().map(|text| text.parse()).collect();
        let rules = |wire: WireRules| {
            let allow = wire.allow.map(parsed).transpose()?;
            let deny = parsed(wire.deny)?;
            Ok(Arc::new(Rules { allow, deny }))
        };
        Ok(NetConfig {
            rules: wire
                .rules
                .into_iter()
                .map(rules)
                .collect::<Result<_, BadRule>>()?,
            max_sockets: usize::try_from(wire.max_sockets).unwrap_or(usize::MAX),
            handshake_limit: wire.handshake_limit,
        })
    }
}
