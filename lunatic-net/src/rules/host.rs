//! A host name in a rule, and its known addresses.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lunatic_blocking::{Class, SingleFlight};
use parking_lot::Mutex;

use crate::time_limit::within;

/// A host name, and all addresses that looking it up has returned.
#[derive(Debug)]
pub(super) struct Host(Arc<Shared>);

/// What is kept for a name, also by the thread that looks it up: whoever has asked for that may be
/// suspended for long, or gone, while others wait.
#[derive(Debug)]
struct Shared {
    name: Box<str>,
    known: Mutex<Known>,
    looking_up: SingleFlight,
}

/// Whether a name has an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HasAddress {
    /// It has it, or had it once.
    Yes,
    /// It has others.
    No,
    /// The name cannot be looked up, or has too many addresses to keep.
    Unknown,
}

#[derive(Debug, Default)]
struct Known {
    addresses: HashSet<IpAddr>,
    /// Whether there were more addresses than are kept.
    incomplete: bool,
    last: Option<Lookup>,
}

/// When and how a look-up ended.
#[derive(Debug, Clone, Copy)]
struct Lookup {
    at: Instant,
    succeeded: bool,
}

/// After a successful look-up, a name is not looked up again for so long.
const FRESH: Duration = Duration::from_secs(5);

/// After a failed look-up, a name is not looked up again for so long.
const FAILED: Duration = Duration::from_secs(1);

/// How long a look-up for a rule may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// More addresses of a name are not kept.
const MAX_ADDRESSES: usize = 4096;

impl Host {
    pub(super) fn new(name: &str) -> Host {
        Host(Arc::new(Shared {
            name: name.into(),
            known: Mutex::default(),
            looking_up: SingleFlight::new(),
        }))
    }

    pub(super) fn name(&self) -> &str {
        &self.0.name
    }

    /// Returns whether `name` is the same name.
    pub(super) fn is(&self, name: &str) -> bool {
        name.strip_suffix('.')
            .unwrap_or(name)
            .eq_ignore_ascii_case(self.name())
    }

    /// Returns whether this is `localhost` or a name below it, which stand for all
    /// loopback addresses whatever a name server says (RFC 6761).
    pub(super) fn is_localhost(&self) -> bool {
        const LOCALHOST: &str = "localhost";
        let last = self.name().rsplit('.').next();
        last.is_some_and(|label| label.eq_ignore_ascii_case(LOCALHOST))
    }

    /// Returns whether the name has one of these addresses, which are in their
    /// canonical form. Looks the name up if that was not done shortly before.
    pub(super) async fn has_any(&self, ips: &[IpAddr]) -> HasAddress {
        if self.knows_any(ips) {
            return HasAddress::Yes;
        }
        let is_fresh = self.refresh().await;
        let known = self.0.known.lock();
        let is_complete =
            is_fresh && !known.incomplete && known.last.is_some_and(|last| last.succeeded);
        match (known.has_any(ips), is_complete) {
            (true, _) => HasAddress::Yes,
            (false, true) => HasAddress::No,
            (false, false) => HasAddress::Unknown,
        }
    }

    /// Records addresses of the name.
    pub(super) fn learn(&self, addresses: &[SocketAddr]) {
        self.0.known.lock().learn(addresses);
    }

    fn knows_any(&self, ips: &[IpAddr]) -> bool {
        self.0.known.lock().has_any(ips)
    }

    /// Looks the name up, unless the last look-up was shortly before. Returns whether there was
    /// one by now.
    async fn refresh(&self) -> bool {
        if !self.0.known.lock().is_stale() {
            return true;
        }
        let ended = self.0.looking_up.ended();
        let shared = self.0.clone();
        let refreshing = async {
            if !Class::RuleLookup
                .queue()
                .run(move || shared.refresh())
                .await
            {
                ended.await;
            }
        };
        let is_known = within(Some(PATIENCE), refreshing).await.is_some();
        if !is_known {
            // Others need not wait as long, until it is time to try again.
            self.0.known.lock().give_up();
        }
        is_known
    }
}

impl Shared {
    /// Looks the name up, which blocks the thread, unless the last look-up was shortly before.
    /// Returns `false` if another thread is at it.
    fn refresh(&self) -> bool {
        let refreshed = self.looking_up.try_run(|| {
            // Another one may have looked it up while this one waited for a thread.
            if !self.known.lock().is_stale() {
                return;
            }
            let addresses = (&*self.name, 0).to_socket_addrs();
            self.known.lock().note(addresses.map(Vec::from_iter));
        });
        refreshed.is_some()
    }
}

impl Known {
    fn has_any(&self, ips: &[IpAddr]) -> bool {
        ips.iter().any(|ip| self.addresses.contains(ip))
    }

    fn is_stale(&self) -> bool {
        self.last.is_none_or(|last| {
            let limit = if last.succeeded { FRESH } else { FAILED };
            last.at.elapsed() > limit
        })
    }

    /// Notes that nobody waits for a look-up any longer.
    fn give_up(&mut self) {
        if self.is_stale() {
            self.last = Some(Lookup {
                at: Instant::now(),
                succeeded: false,
            });
        }
    }

    /// Notes how a look-up has ended.
    fn note(&mut self, addresses: io::Result<Vec<SocketAddr>>) {
        self.last = Some(Lookup {
            at: Instant::now(),
            succeeded: addresses.is_ok(),
        });
        self.learn(&addresses.unwrap_or_default());
    }

    fn learn(&mut self, addresses: &[SocketAddr]) {
        for address in addresses {
            let ip = address.ip().to_canonical();
            if self.addresses.len() < MAX_ADDRESSES {
                self.addresses.insert(ip);
            } else {
                self.incomplete |= !self.addresses.contains(&ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_lite::future::{block_on, poll_once};

    use super::*;

    fn address(number: usize) -> SocketAddr {
        let [.., a, b] = number.to_be_bytes();
        SocketAddr::from(([10, 0, a, b], 0))
    }

    #[test]
    fn a_name_with_too_many_addresses_may_have_any() {
        let host = Host::new("localhost");
        let all: Vec<_> = (0..=MAX_ADDRESSES).map(address).collect();
        let unknown = [address(MAX_ADDRESSES + 1).ip()];

        // The look-up will find some more.
        host.learn(&all[..MAX_ADDRESSES / 2]);
        assert_eq!(block_on(host.has_any(&unknown)), HasAddress::No);
        host.learn(&all);
        assert_eq!(block_on(host.has_any(&unknown)), HasAddress::Unknown);
        assert_eq!(block_on(host.has_any(&[all[0].ip()])), HasAddress::Yes);
    }

    #[test]
    fn a_name_that_cannot_be_looked_up_may_have_any_address_each_time_it_is_asked() {
        let host = Host::new("nothing.invalid");
        for _ in 0..3 {
            let has = block_on(host.has_any(&[address(1).ip()]));
            assert_eq!(has, HasAddress::Unknown);
        }
        host.learn(&[address(1)]);
        assert_eq!(block_on(host.has_any(&[address(1).ip()])), HasAddress::Yes);
    }

    #[test]
    fn nobody_waits_for_one_who_has_asked_for_a_look_up_and_is_suspended() {
        let host = Host::new("localhost");
        let stranger = [address(1).ip()];
        let mut suspended = Box::pin(host.has_any(&stranger));
        // It has asked for the look-up, and is not polled any more.
        assert!(block_on(poll_once(&mut suspended)).is_none());
        assert_eq!(block_on(host.has_any(&stranger)), HasAddress::No);
        assert_eq!(block_on(suspended), HasAddress::No);
    }

    #[test]
    fn localhost_and_the_names_below_it_are_this_machine() {
        for name in ["localhost", "LocalHost", "a.localhost"] {
            assert!(Host::new(name).is_localhost(), "{name}");
        }
        for name in ["localhost.example", "notlocalhost", "localhosts"] {
            assert!(!Host::new(name).is_localhost(), "{name}");
        }
    }
}
