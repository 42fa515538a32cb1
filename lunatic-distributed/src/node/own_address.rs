//! The address at which others reach a node that listens at all of its host.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use futures_lite::future::or;

/// How long name servers may take to tell where the seeds are.
const LIMIT: Duration = Duration::from_secs(3);

/// Where others are whom nobody knows yet: of ranges for documentation. Whatever way there is to
/// them, is that to others.
const OTHERS: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)), 9),
    SocketAddr::new(
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
        9,
    ),
];

/// The address of this host from which the seeds are reached; without that, from which others
/// are; else the one of a host that is alone, which is logged.
///
/// - `seeds`: as `host:port`.
/// - `is_v4`: the node is not reached by IPv6.
pub(super) async fn own_ip(seeds: &[String], is_v4: bool) -> IpAddr {
    let seeds = addresses(seeds.to_vec()).await;
    let (local, elsewhere): (Vec<SocketAddr>, Vec<_>) =
        seeds.into_iter().partition(|seed| seed.ip().is_loopback());
    // A seed on this host says little about where the others are.
    let towards = elsewhere.into_iter().chain(OTHERS).chain(local);
    let mut found = towards
        .filter(|other| other.is_ipv4() || !is_v4)
        .filter_map(ip_towards);
    found.next().unwrap_or_else(|| {
        tracing::warn!(
            "this host has no address by which others could reach it: only nodes on the same host \
             will. If it has one, name it with --advertise"
        );
        Ipv4Addr::LOCALHOST.into()
    })
}

/// The address of this host from which another is reached. Nothing is sent.
fn ip_towards(other: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = match other {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(other).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_unspecified()).then_some(ip)
}

/// What is known of the addresses of the seeds within a time limit. A thread of its own asks, as
/// name servers may take long.
async fn addresses(seeds: Vec<String>) -> Vec<SocketAddr> {
    if seeds.is_empty() {
        return Vec::new();
    }
    let (sender, receiver) = async_channel::bounded(1);
    let look_up = move || {
        let found = seeds.iter().filter_map(|seed| seed.to_socket_addrs().ok());
        // Who has asked may have gone on.
        sender.try_send(found.flatten().collect()).ok();
    };
    let asked = std::thread::Builder::new()
        .name("node-address".into())
        .spawn(look_up);
    if asked.is_err() {
        return Vec::new();
    }
    let end = Instant::now() + LIMIT;
    or(async { receiver.recv().await.unwrap_or_default() }, async {
        async_io::Timer::at(end).await;
        Vec::new()
    })
    .await
}

#[cfg(test)]
mod tests {
    use futures_lite::future::block_on;

    use super::*;

    #[test]
    fn a_node_that_knows_a_seed_on_another_host_has_the_address_that_leads_there() {
        let own = |seeds: &[&str], is_v4| {
            let seeds: Vec<String> = seeds.iter().map(|seed| (*seed).to_owned()).collect();
            block_on(own_ip(&seeds, is_v4))
        };
        let without = own(&[], true);
        assert!(without.is_ipv4());
        // What leads nowhere, or cannot be looked up, changes nothing.
        assert_eq!(own(&["no port", "127.0.0.1:1"], true), without);
        assert!(
            own(&["[::1]:1"], true).is_ipv4(),
            "it does not listen there"
        );
    }

    #[test]
    fn the_address_that_leads_to_this_host_is_its_own() {
        let seed = SocketAddr::from(([127, 0, 0, 1], 9));
        assert_eq!(ip_towards(seed), Some(Ipv4Addr::LOCALHOST.into()));
    }
}
