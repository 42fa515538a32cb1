//! The addresses of the nodes that are asked for others: looked up again and again.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use futures_lite::future::{block_on, or};
use lunatic_quic::EndpointWaker;

use crate::node::driver::Command;
use crate::node::late::Late;
use crate::node::unreached::Unreached;

/// How often they are looked up.
const PERIOD: Duration = Duration::from_secs(5);

/// Looks seeds up by a thread of its own, as name servers may take long, if there are any. It ends
/// when what is returned is dropped.
///
/// - `seeds`: as `host:port`.
pub(super) fn start(
    seeds: Vec<String>,
    late: Arc<Late>,
    commands: Sender<Command>,
    waker: EndpointWaker,
) -> io::Result<Sender<()>> {
    let (kept, ended) = async_channel::bounded(1);
    if seeds.is_empty() {
        return Ok(kept);
    }
    let mut seeds = Seeds::new(seeds);
    let run = move || {
        loop {
            let resolve = |seed: &str| Ok(seed.to_socket_addrs()?.collect());
            if let Some(found) = seeds.look_up(late.unreached(), resolve) {
                commands.try_send(Command::Seeds(found)).ok();
                waker.wake();
            }
            if has_ended_within(&ended, PERIOD) {
                return;
            }
        }
    };
    std::thread::Builder::new()
        .name("node-seeds".into())
        .spawn(run)?;
    Ok(kept)
}

fn has_ended_within(ended: &Receiver<()>, time: Duration) -> bool {
    let end = Instant::now() + time;
    block_on(or(async { ended.recv().await.is_err() }, async {
        async_io::Timer::at(end).await;
        false
    }))
}

/// Seeds, and what is known of each.
struct Seeds {
    found: BTreeMap<String, Vec<SocketAddr>>,
    /// What was told last.
    told: Vec<SocketAddr>,
}

impl Seeds {
    fn new(seeds: Vec<String>) -> Seeds {
        let found = seeds.into_iter().map(|seed| (seed, Vec::new()));
        Seeds {
            found: found.collect(),
            told: Vec::new(),
        }
    }

    /// Looks all up. Returns the addresses of all, if they have changed. A name server that does
    /// not answer is no reason to forget what it said before.
    ///
    /// - `resolve`: finds the addresses of a seed.
    fn look_up(
        &mut self,
        unreached: &Unreached,
        resolve: impl Fn(&str) -> io::Result<Vec<SocketAddr>>,
    ) -> Option<Vec<SocketAddr>> {
        for (seed, known) in &mut self.found {
            let found = resolve(seed);
            if let Ok(addresses) = &found
                && !addresses.is_empty()
            {
                known.clone_from(addresses);
            }
            unreached.looked_up(seed, found.map_err(|error| error.to_string()));
        }
        let mut all: Vec<_> = self.found.values().flatten().copied().collect();
        all.sort_unstable();
        all.dedup();
        let has_changed = all != self.told;
        self.told.clone_from(&all);
        has_changed.then_some(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], 4369))
    }

    #[test]
    fn a_seed_has_all_of_its_addresses_until_it_has_others() {
        let names = ["shop:4369", "bank:4369"].map(str::to_owned);
        let unreached = Unreached::new(&names);
        let mut seeds = Seeds::new(names.to_vec());
        let mut look_up = |shop: &[u8], bank: Option<u8>| {
            let found = seeds.look_up(&unreached, |seed| match (seed, bank) {
                ("shop:4369", _) => Ok(shop.iter().copied().map(address).collect()),
                (_, Some(bank)) => Ok(vec![address(bank)]),
                _ => Err(io::Error::other("no answer")),
            });
            found.map(|found| {
                found
                    .iter()
                    .map(|at| at.ip().to_string())
                    .collect::<Vec<_>>()
            })
        };
        let all = |hosts: &[u8]| Some(hosts.iter().map(|host| format!("10.0.0.{host}")).collect());
        // Several records, in any order, and one that two names have.
        assert_eq!(look_up(&[3, 1, 2], Some(1)), all(&[1, 2, 3]));
        assert_eq!(look_up(&[2, 3, 1], Some(1)), None);
        // A pod has moved.
        assert_eq!(look_up(&[3, 4], Some(5)), all(&[3, 4, 5]));
        // One name is not found for a while, and the other has changed; then nothing is there.
        assert_eq!(look_up(&[6], None), all(&[5, 6]));
        assert_eq!(look_up(&[], None), None);
    }
}
