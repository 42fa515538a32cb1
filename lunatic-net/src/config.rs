//! What a process may do with the network and how much of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::rules::{Action, BadRule, Denied, Rule, Rules};
use crate::tls::DEFAULT_HANDSHAKE_LIMIT;

/// What a process may do with the network and how much of it.
///
/// The default allows everything, which is what guests expect. A process can
/// give another no more than it has itself: see [`capped`](NetConfig::capped).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "WireConfig", into = "WireConfig")]
pub struct NetConfig {
    /// What every one of these allows is allowed.
    rules: Vec<Arc<Rules>>,
    /// How many sockets the process may have at once; each handle counts.
    pub max_sockets: usize,
    /// How long a client may take for a TLS handshake.
    pub handshake_limit: Duration,
}

/// How many sockets a process may have, if nothing else is said.
pub const DEFAULT_MAX_SOCKETS: usize = 1 << 16;

impl NetConfig {
    /// Allows nothing.
    pub fn nothing() -> NetConfig {
        NetConfig::default().narrowed(Rules::nothing())
    }

    /// This config, with nothing in it that `rules` do not allow.
    pub fn narrowed(mut self, rules: Rules) -> NetConfig {
        self.rules.push(Arc::new(rules));
        self
    }

    /// This config, with nothing in it that `ceiling` does not allow.
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

    /// Checks what is to be done with an address.
    ///
    /// - `name`: the host name that the address was found by, if it is known.
    ///
    /// # Errors
    ///
    /// [`Denied`].
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

    /// Checks a host name that is to be looked up.
    ///
    /// # Errors
    ///
    /// [`Denied`].
    pub fn check_lookup(&self, host: &str) -> Result<(), Denied> {
        self.rules
            .iter()
            .try_for_each(|rules| rules.check_lookup(host))
    }

    /// Remembers where a host name leads to, for the rules that name it.
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
