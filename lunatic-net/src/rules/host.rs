//! A host name in a rule, and its known addresses.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::resolver::resolve_host;
use crate::time_limit::within;

/// A host name, and all addresses that looking it up has returned.
#[derive(Debug)]
pub(super) struct Host {
    name: String,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    addresses: HashSet<IpAddr>,
    looked_up: Option<Instant>,
}

/// After a lookup, a name is not looked up again for so long.
const FRESH: Duration = Duration::from_secs(5);

/// How long a lookup for a rule may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// More addresses of a name are not kept, and so do not match its rule.
const MAX_ADDRESSES: usize = 4096;

impl Host {
    pub(super) fn new(name: String) -> Host {
        Host {
            name,
            known: Mutex::default(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether `name` is the same name.
    pub(super) fn is(&self, name: &str) -> bool {
        name.strip_suffix('.')
            .unwrap_or(name)
            .eq_ignore_ascii_case(&self.name)
    }

    /// Returns whether the name has the address. A name that cannot be looked up has no
    /// addresses.
    pub(super) async fn has(&self, ip: IpAddr) -> bool {
        if self.knows(ip) || !self.is_stale() {
            return self.knows(ip);
        }
        if let Some(Ok(addresses)) = within(Some(PATIENCE), resolve_host(&self.name, 0)).await {
            self.learn(&addresses);
        }
        self.known.lock().looked_up = Some(Instant::now());
        self.knows(ip)
    }

    /// Records addresses of the name.
    pub(super) fn learn(&self, addresses: &[SocketAddr]) {
        let mut known = self.known.lock();
        for address in addresses {
            if known.addresses.len() < MAX_ADDRESSES {
                known.addresses.insert(address.ip().to_canonical());
            }
        }
    }

    fn knows(&self, ip: IpAddr) -> bool {
        self.known.lock().addresses.contains(&ip)
    }

    fn is_stale(&self) -> bool {
        let looked_up = self.known.lock().looked_up;
        looked_up.is_none_or(|at| at.elapsed() > FRESH)
    }
}
