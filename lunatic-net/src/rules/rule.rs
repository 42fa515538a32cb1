//! One rule, and its text.

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};

use crate::rules::Action;
use crate::rules::host::{HasAddress, Host};
use crate::rules::wanted::Wanted;

/// A pattern that matches actions on addresses.
///
/// Its text is `[connect:|bind:]HOST[:PORTS]`. `HOST` is a host name, an address, a
/// network such as `10.0.0.0/8`, or `*`. `PORTS` is a port, a range such as
/// `8000-8999`, or `*`; before ports, IPv6 is in brackets. Without an action the rule
/// matches both, without ports it matches all.
///
/// # Examples
///
/// ```
/// use lunatic_net::Rule;
///
/// for text in ["localhost", "bind:*:8000-8999", "connect:[fd00::/8]:443"] {
///     let rule: Rule = text.parse()?;
///     assert_eq!(rule.to_string(), text);
/// }
/// # Ok::<(), lunatic_net::BadRule>(())
/// ```
#[derive(Debug, Clone)]
pub struct Rule {
    action: Option<Action>,
    target: Target,
    ports: RangeInclusive<u16>,
}

#[derive(Debug, Clone)]
enum Target {
    Any,
    Net(IpNet),
    Host(Arc<Host>),
}

/// The error of a text that is not a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRule {
    text: String,
    why: &'static str,
}

const ALL_PORTS: RangeInclusive<u16> = 0..=u16::MAX;

impl Rule {
    /// Returns whether this rule, if it is one that allows, allows an action. A rule
    /// whose host name cannot be looked up allows nothing.
    pub(super) async fn allows(&self, wanted: &Wanted<'_>) -> bool {
        if !self.names_action(wanted.action) || !self.ports.contains(&wanted.port) {
            return false;
        }
        match &self.target {
            Target::Any => true,
            Target::Net(net) => net.contains(&wanted.ip),
            Target::Host(host) => {
                wanted.name.is_some_and(|name| host.is(name))
                    || host.has_any(&[wanted.ip]).await == HasAddress::Yes
            }
        }
    }

    /// Returns whether this rule, if it is one that denies, denies an action.
    pub(super) async fn denies(&self, wanted: &Wanted<'_>) -> Denial {
        if !self.names_action(wanted.action) || !self.ports.contains(&wanted.port) {
            return Denial::No;
        }
        let denies = match &self.target {
            _ if self.touches_wildcard(wanted) => true,
            Target::Any => true,
            Target::Net(net) => wanted.forms.iter().any(|ip| net.contains(ip)),
            Target::Host(host) => return denies_host(host, wanted).await,
        };
        if denies { Denial::Yes } else { Denial::No }
    }

    /// Returns whether all addresses of this machine are to be bound, and this rule,
    /// which names the action and the port, may match some of them.
    fn touches_wildcard(&self, wanted: &Wanted<'_>) -> bool {
        wanted.action == Action::Bind
            && wanted.ip.is_unspecified()
            && match (&self.target, wanted.ip) {
                (Target::Net(IpNet::V6(_)), IpAddr::V4(_)) => false,
                // All addresses of IPv6 can include all of IPv4.
                (Target::Any | Target::Net(_) | Target::Host(_), _) => true,
            }
    }

    /// Returns whether this rule, if it is one that denies, denies a lookup.
    pub(super) fn denies_lookup(&self, host: &str) -> bool {
        let is_whole = self.names_action(Action::Connect) && self.ports == ALL_PORTS;
        is_whole
            && match &self.target {
                Target::Any => true,
                Target::Net(_) => false,
                Target::Host(named) => named.is(host),
            }
    }

    /// Returns whether this rule, if it is one that allows, allows a lookup. A rule that
    /// allows addresses allows every lookup, as any name may have one of them.
    pub(super) fn allows_lookup(&self, host: &str) -> bool {
        match &self.target {
            Target::Any | Target::Net(_) => true,
            Target::Host(named) => named.is(host),
        }
    }

    pub(super) fn learn(&self, host: &str, addresses: &[SocketAddr]) {
        if let Target::Host(named) = &self.target
            && named.is(host)
        {
            named.learn(addresses);
        }
    }

    fn names_action(&self, action: Action) -> bool {
        self.action.is_none_or(|named| named == action)
    }
}

/// Whether a rule that denies denies an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denial {
    Yes,
    No,
    /// It might, if its host name could be looked up.
    Unknown,
}

async fn denies_host(host: &Host, wanted: &Wanted<'_>) -> Denial {
    let is_named = wanted.name.is_some_and(|name| host.is(name));
    let is_loopback = wanted.forms.iter().any(IpAddr::is_loopback);
    if is_named || (is_loopback && host.is_localhost()) {
        return Denial::Yes;
    }
    match host.has_any(&wanted.forms).await {
        HasAddress::Yes => Denial::Yes,
        HasAddress::No => Denial::No,
        // That it is this machine need not be looked up.
        HasAddress::Unknown if host.is_localhost() => Denial::No,
        HasAddress::Unknown => Denial::Unknown,
    }
}

impl FromStr for Rule {
    type Err = BadRule;

    fn from_str(text: &str) -> Result<Rule, BadRule> {
        let (action, place) = split_action(text);
        let bad = |why| BadRule {
            text: text.to_owned(),
            why,
        };
        let (host, ports) = split_ports(place).map_err(bad)?;
        Ok(Rule {
            action,
            target: target(host).map_err(bad)?,
            ports: match ports {
                None | Some("*") => ALL_PORTS,
                Some(ports) => range(ports).ok_or_else(|| bad(BAD_PORTS))?,
            },
        })
    }
}

const BAD_PORTS: &str = "ports are a number up to 65535, a range such as 8000-8999, or *";
const BAD_HOST: &str = "a host is a name, an address, a network such as 10.0.0.0/8, or *";
const BAD_BRACKETS: &str = "an IPv6 address with ports is written [ADDRESS]:PORTS";

fn split_action(text: &str) -> (Option<Action>, &str) {
    for (prefix, action) in [("connect:", Action::Connect), ("bind:", Action::Bind)] {
        if let Some(place) = text.strip_prefix(prefix) {
            return (Some(action), place);
        }
    }
    (None, text)
}

fn split_ports(place: &str) -> Result<(&str, Option<&str>), &'static str> {
    if let Some(rest) = place.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(BAD_BRACKETS)?;
        return match rest.strip_prefix(':') {
            Some(ports) => Ok((host, Some(ports))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(BAD_BRACKETS),
        };
    }
    match place.split_once(':') {
        // More than one colon: IPv6 without ports.
        Some((_, ports)) if ports.contains(':') => Ok((place, None)),
        Some((host, ports)) => Ok((host, Some(ports))),
        None => Ok((place, None)),
    }
}

fn target(host: &str) -> Result<Target, &'static str> {
    if host == "*" {
        return Ok(Target::Any);
    }
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(Target::Net(ip.to_canonical().into()));
    }
    if let Ok(net) = host.parse::<IpNet>() {
        return Ok(Target::Net(canonical(net.trunc())));
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    let is_name = |char: char| char.is_ascii_alphanumeric() || "-_.".contains(char);
    // A mistyped address must not be taken for a name.
    let is_number = |name: &str| {
        name.chars()
            .all(|char| char.is_ascii_digit() || char == '.')
    };
    if !name.chars().all(is_name) || is_number(name) {
        return Err(BAD_HOST);
    }
    Ok(Target::Host(Arc::new(Host::new(name))))
}

/// Returns a network of IPv4 for one that is mapped into IPv6, as addresses are
/// compared in that form.
fn canonical(net: IpNet) -> IpNet {
    /// How many bits are before a mapped address.
    const MAPPED: u8 = 96;
    let IpAddr::V4(ip) = net.addr().to_canonical() else {
        return net;
    };
    let prefix = match net {
        IpNet::V4(_) => return net,
        IpNet::V6(net) => net.prefix_len().checked_sub(MAPPED),
    };
    let net_of = |prefix| Ipv4Net::new(ip, prefix).ok();
    prefix.and_then(net_of).map_or(net, IpNet::V4)
}

fn range(ports: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let range = first.parse().ok()?..=last.parse().ok()?;
    (!range.is_empty()).then_some(range)
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.action {
            None => "",
            Some(Action::Connect) => "connect:",
            Some(Action::Bind) => "bind:",
        })?;
        let host = self.target.to_string();
        if self.ports == ALL_PORTS {
            return f.write_str(&host);
        }
        match host.contains(':') {
            true => write!(f, "[{host}]:")?,
            false => write!(f, "{host}:")?,
        }
        match (self.ports.start(), self.ports.end()) {
            (first, last) if first == last => write!(f, "{first}"),
            (first, last) => write!(f, "{first}-{last}"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Any => f.write_str("*"),
            Target::Net(net) if net.prefix_len() == net.max_prefix_len() => net.addr().fmt(f),
            Target::Net(net) => net.fmt(f),
            Target::Host(host) => f.write_str(host.name()),
        }
    }
}

impl fmt::Display for BadRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a network rule: {}", self.text, self.why)
    }
}

impl Error for BadRule {}
