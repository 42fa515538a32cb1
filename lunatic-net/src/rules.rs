//! What a process may connect to and bind.

mod host;
mod rule;
mod wanted;

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;

use rule::Denial;
pub use rule::{BadRule, Rule};
use wanted::Wanted;
#[cfg(feature = "guest")]
pub(crate) use wanted::destination;

/// What can be done with an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Connect to it, or send datagrams to it.
    Connect,
    /// Bind it.
    Bind,
}

/// A set of rules, those of a command line for example.
///
/// An action is denied if a rule of `deny` matches, or if its host name cannot be looked
/// up, so that it might match. Otherwise it is allowed if a rule of `allow` matches, or
/// if there is no `allow`.
///
/// # Examples
///
/// ```
/// use lunatic_net::{Action, Rules};
///
/// # futures_lite::future::block_on(async {
/// let rules = Rules {
///     allow: None,
///     deny: vec!["10.0.0.0/8".parse()?],
/// };
/// let denied = rules.check(Action::Connect, "10.0.0.1:80".parse()?, None).await;
/// assert!(denied.is_err());
/// assert!(rules.check(Action::Connect, "127.0.0.1:80".parse()?, None).await.is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// What is allowed, or `None` for everything.
    pub allow: Option<Vec<Rule>>,
    /// What is denied even if it is allowed.
    pub deny: Vec<Rule>,
}

/// The error of an action that is not allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// The action, for example "connect to 10.0.0.1:80".
    what: String,
    /// The reason, for example "the rule `10.0.0.0/8` denies it".
    why: String,
}

impl Rules {
    /// Returns rules that allow nothing.
    pub fn nothing() -> Rules {
        Rules {
            allow: Some(Vec::new()),
            deny: Vec::new(),
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
        let wanted = Wanted::new(action, address, name);
        self.check_denials(action, address, &wanted).await?;
        let Some(allow) = &self.allow else {
            return Ok(());
        };
        for rule in allow {
            if rule.allows(&wanted).await {
                return Ok(());
            }
        }
        Err(Denied {
            what: format!("{action} {address}"),
            why: only(allow),
        })
    }

    /// Checks that no rule denies the address that the system has chosen for a socket
    /// whose port was left to it. That the socket may be bound was checked before.
    ///
    /// # Errors
    ///
    /// [`Denied`] if one does.
    pub(crate) async fn check_bound(&self, address: SocketAddr) -> Result<(), Denied> {
        let wanted = Wanted::new(Action::Bind, address, None);
        self.check_denials(Action::Bind, address, &wanted).await
    }

    async fn check_denials(
        &self,
        action: Action,
        address: SocketAddr,
        wanted: &Wanted<'_>,
    ) -> Result<(), Denied> {
        for rule in &self.deny {
            let why = match rule.denies(wanted).await {
                Denial::No => continue,
                Denial::Yes => format!("the rule `{rule}` denies it"),
                Denial::Unknown => {
                    format!("the rule `{rule}` may deny it, and its addresses cannot be looked up")
                }
            };
            let what = format!("{action} {address}");
            return Err(Denied { what, why });
        }
        Ok(())
    }

    /// Checks whether a host name may be looked up. The addresses of the name have to be
    /// checked as well before they are used.
    ///
    /// # Errors
    ///
    /// [`Denied`] if it may not.
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

    /// Records the addresses of a host name, for the rules that name it.
    pub(crate) fn learn(&self, host: &str, addresses: &[SocketAddr]) {
        let allow = self.allow.iter().flatten();
        allow
            .chain(&self.deny)
            .for_each(|rule| rule.learn(host, addresses));
    }
}

/// Returns a text that lists what is allowed.
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
