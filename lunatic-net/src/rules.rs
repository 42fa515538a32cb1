//! What may be connected to and bound.

mod host;
mod rule;

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub use rule::{BadRule, Rule};

/// What a process wants to do with an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Connect to it, or send datagrams to it.
    Connect,
    /// Bind it.
    Bind,
}

/// Rules of one origin, a command line for example.
///
/// What a rule of `deny` names is denied. Of the rest, what a rule of `allow`
/// names is allowed; everything, if there is no `allow`.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// What is allowed; `None` is everything.
    pub allow: Option<Vec<Rule>>,
    /// What is denied all the same.
    pub deny: Vec<Rule>,
}

/// Something was not allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// What it was: "connect to 10.0.0.1:80".
    what: String,
    /// Why: "the rule `10.0.0.0/8` denies it".
    why: String,
}

impl Rules {
    /// Rules that allow nothing.
    pub fn nothing() -> Rules {
        Rules {
            allow: Some(Vec::new()),
            deny: Vec::new(),
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
        let wanted = Wanted {
            action,
            ip: meant(action, address.ip()),
            port: address.port(),
            name,
        };
        let denied = |why| Denied {
            what: format!("{action} {address}"),
            why,
        };
        for rule in &self.deny {
            if rule.touches_wildcard(&wanted) || rule.names(&wanted).await {
                return Err(denied(format!("the rule `{rule}` denies it")));
            }
        }
        let Some(allow) = &self.allow else {
            return Ok(());
        };
        for rule in allow {
            if rule.names(&wanted).await {
                return Ok(());
            }
        }
        Err(denied(only(allow)))
    }

    /// Checks a host name that is to be looked up. An address that it leads to
    /// is a matter of its own.
    ///
    /// # Errors
    ///
    /// [`Denied`].
    pub fn check_lookup(&self, host: &str) -> Result<(), Denied> {
        let denied = |why| Denied {
            what: format!("look up `{host}`"),
            why,
        };
        if let Some(rule) = self.deny.iter().find(|rule| rule.denies_lookup(host)) {
            return Err(denied(format!("the rule `{rule}` denies it")));
        }
        match &self.allow {
            Some(allow) if !allow.iter().any(|rule| rule.allows_lookup(host)) => {
                Err(denied(only(allow)))
            }
            _ => Ok(()),
        }
    }

    /// Remembers where a host name leads to, for the rules that name it.
    pub(crate) fn learn(&self, host: &str, addresses: &[SocketAddr]) {
        let allow = self.allow.iter().flatten();
        allow
            .chain(&self.deny)
            .for_each(|rule| rule.learn(host, addresses));
    }
}

/// What a rule is compared with.
struct Wanted<'a> {
    action: Action,
    ip: IpAddr,
    port: u16,
    name: Option<&'a str>,
}

/// The address that the system will use for one that has another name: IPv4 in
/// IPv6, and this host as a peer.
fn meant(action: Action, ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) if action == Action::Connect && ip.is_unspecified() => {
            Ipv4Addr::LOCALHOST.into()
        }
        IpAddr::V6(ip) if action == Action::Connect && ip.is_unspecified() => {
            Ipv6Addr::LOCALHOST.into()
        }
        ip => ip,
    }
}

/// Says what is allowed.
fn only(allow: &[Rule]) -> String {
    const SHOWN: usize = 8;
    if allow.is_empty() {
        return "no rule allows anything".to_owned();
    }
    let shown: Vec<_> = allow
        .iter()
        .take(SHOWN)
        .map(|rule| format!("`{rule}`"))
        .collect();
    let more = match allow.len() > SHOWN {
        true => " and others",
        false => "",
    };
    let verb = if allow.len() == 1 { "is" } else { "are" };
    format!("only {}{more} {verb} allowed", shown.join(", "))
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Action::Connect => "connect to",
            Action::Bind => "bind",
        })
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Denied { what, why } = self;
        write!(f, "permission denied: this process may not {what}: {why}")
    }
}

impl Error for Denied {}
