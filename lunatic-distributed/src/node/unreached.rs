//! Why seeds, and other nodes that were dialled, could not be reached.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Of so many addresses it is known why they could not be reached.
const MAX_FAILURES: usize = 1024;

/// Why an address was not reached from which nothing has come.
pub(super) const NO_ANSWER: &str =
    "nothing has answered: no node is there, or no UDP passes on the way";

/// The same failure of an address is told again after this time.
const TOLD_AGAIN: Duration = Duration::from_secs(60);

/// The addresses of a seed, or why it has none.
type LookUp = Result<Vec<SocketAddr>, String>;

/// Why seeds, and other nodes that were dialled, could not be reached.
#[derive(Debug, Default)]
pub(super) struct Unreached {
    /// What was found of each seed; `None` as long as it is looked up for the first time.
    seeds: Mutex<BTreeMap<String, Option<LookUp>>>,
    failures: Mutex<BTreeMap<SocketAddr, Failure>>,
}

/// A seed, and why it was not reached.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SeedReason {
    /// As `host:port`.
    pub(super) seed: String,
    /// For each of its addresses, or the whole.
    pub(super) reason: String,
    /// All of its addresses are those of this node.
    pub(super) is_itself: bool,
}

#[derive(Debug)]
struct Failure {
    reason: String,
    /// The node there is this one.
    is_itself: bool,
    /// When it was told last.
    told: Instant,
}

impl SeedReason {
    /// Tells it in the log.
    pub(super) fn log(&self) {
        let SeedReason { seed, reason, .. } = self;
        match self.is_itself {
            true => tracing::info!("no other node was found by {seed}: {reason}"),
            false => tracing::warn!(
                "no node was found by {seed}: {reason}. It is asked as long as this node lives"
            ),
        }
    }
}

impl Unreached {
    /// - `seeds`: as `host:port`.
    pub(super) fn new(seeds: &[String]) -> Unreached {
        let seeds = seeds.iter().map(|seed| (seed.clone(), None));
        Unreached {
            seeds: Mutex::new(seeds.collect()),
            failures: Mutex::default(),
        }
    }

    /// The addresses of a seed were looked up.
    pub(super) fn looked_up(&self, seed: &str, found: LookUp) {
        if let Some(known) = self.seeds.lock().get_mut(seed) {
            *known = Some(found);
        }
    }

    /// An address was dialled in vain. Returns whether that is to be told: it was not within the
    /// last minute.
    pub(super) fn failed(&self, address: SocketAddr, reason: String, now: Instant) -> bool {
        let mut failures = self.failures.lock();
        if let Some(known) = failures.get_mut(&address) {
            known.reason = reason;
            known.is_itself = false;
            let is_due = now.saturating_duration_since(known.told) >= TOLD_AGAIN;
            if is_due {
                known.told = now;
            }
            return is_due;
        }
        let has_room = failures.len() < MAX_FAILURES;
        if has_room {
            let failure = Failure {
                reason,
                is_itself: false,
                told: now,
            };
            failures.insert(address, failure);
        }
        has_room
    }

    /// The node at an address that was dialled is this one.
    pub(super) fn is_itself(&self, address: SocketAddr, now: Instant) {
        self.failed(address, "it is this node itself".into(), now);
        if let Some(failure) = self.failures.lock().get_mut(&address) {
            failure.is_itself = true;
        }
    }

    /// There is a connection to an address.
    pub(super) fn reached(&self, address: SocketAddr) {
        self.failures.lock().remove(&address);
    }

    /// Adds an address to a set. Returns whether those are all addresses of all seeds.
    pub(super) fn are_all(&self, set: &mut BTreeSet<SocketAddr>, added: SocketAddr) -> bool {
        set.insert(added);
        let seeds = self.seeds.lock();
        seeds.values().all(|found| match found {
            Some(Ok(addresses)) => addresses.iter().all(|address| set.contains(address)),
            // It may have one later.
            Some(Err(_)) | None => false,
        })
    }

    /// Each seed, and why it was not reached.
    pub(super) fn of_seeds(&self) -> Vec<SeedReason> {
        let failures = self.failures.lock();
        let is_itself =
            |address: &SocketAddr| failures.get(address).is_some_and(|known| known.is_itself);
        let of = |address: &SocketAddr| match failures.get(address) {
            Some(failure) => format!("{address}: {}", failure.reason),
            None => format!("{address}: {NO_ANSWER}"),
        };
        let seeds = self.seeds.lock();
        let reasons = seeds.iter().map(|(seed, found)| {
            let reason = match found {
                None => "it is still being looked up".into(),
                Some(Err(error)) => format!("it cannot be looked up: {error}"),
                Some(Ok(addresses)) => addresses.iter().map(of).collect::<Vec<_>>().join("; "),
            };
            let addresses = found.iter().flatten().flatten();
            SeedReason {
                seed: seed.clone(),
                reason,
                is_itself: addresses.clone().count() > 0 && addresses.clone().all(is_itself),
            }
        });
        reasons.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], 4000))
    }

    #[test]
    fn each_seed_has_its_last_reason() {
        let now = Instant::now();
        let seeds = ["a:1", "b:1", "c:1"].map(str::to_owned);
        let unreached = Unreached::new(&seeds);
        unreached.looked_up("a:1", Err("no such name".into()));
        unreached.looked_up("b:1", Ok(vec![address(1), address(2)]));
        unreached.failed(address(1), "timed out".into(), now);
        unreached.failed(address(1), "nothing listens at the port".into(), now);
        let reasons = unreached.of_seeds().into_iter().map(|seed| seed.reason);
        assert_eq!(
            reasons.collect::<Vec<_>>(),
            [
                "it cannot be looked up: no such name",
                "10.0.0.1:4000: nothing listens at the port; 10.0.0.2:4000: nothing has answered: no node is \
                 there, or no UDP passes on the way",
                "it is still being looked up",
            ]
        );
    }

    #[test]
    fn a_seed_is_this_node_itself_if_all_of_its_addresses_are() {
        let now = Instant::now();
        let seeds = ["a:1", "b:1", "c:1"].map(str::to_owned);
        let unreached = Unreached::new(&seeds);
        unreached.looked_up("a:1", Ok(vec![address(1), address(2)]));
        unreached.looked_up("b:1", Ok(Vec::new()));
        let all = |unreached: &Unreached| {
            let seeds = unreached.of_seeds().into_iter().map(|seed| seed.is_itself);
            seeds.collect::<Vec<_>>()
        };
        unreached.is_itself(address(1), now);
        assert_eq!(all(&unreached), [false; 3]);
        unreached.is_itself(address(2), now);
        assert_eq!(all(&unreached), [true, false, false]);
        // Another node may be there later.
        unreached.failed(address(2), "timed out".into(), now);
        assert_eq!(all(&unreached), [false; 3]);
    }

    #[test]
    fn only_the_addresses_of_all_seeds_are_all() {
        let seeds = ["a:1", "b:1"].map(str::to_owned);
        let unreached = Unreached::new(&seeds);
        let mut set = BTreeSet::new();
        unreached.looked_up("a:1", Ok(vec![address(1), address(2)]));
        assert!(!unreached.are_all(&mut set, address(1)));
        assert!(!unreached.are_all(&mut set, address(2)));
        unreached.looked_up("b:1", Err("no such name".into()));
        assert!(!unreached.are_all(&mut set, address(2)));
        unreached.looked_up("b:1", Ok(vec![address(3)]));
        assert!(!unreached.are_all(&mut set, address(2)));
        assert!(unreached.are_all(&mut set, address(3)));
    }

    #[test]
    fn the_failures_of_an_address_are_told_once_a_minute_until_it_is_reached() {
        let now = Instant::now();
        let unreached = Unreached::default();
        let failed = |after: u64| {
            unreached.failed(
                address(1),
                "timed out".into(),
                now + Duration::from_secs(after),
            )
        };
        assert_eq!(
            [0, 1, 59, 60, 61].map(failed),
            [true, false, false, true, false]
        );
        unreached.reached(address(1));
        assert!(failed(62));
        for host in 0..=MAX_FAILURES as u32 {
            unreached.failed(
                SocketAddr::from((host.to_be_bytes(), 1)),
                String::new(),
                now,
            );
        }
        assert_eq!(unreached.failures.lock().len(), MAX_FAILURES);
    }
}
