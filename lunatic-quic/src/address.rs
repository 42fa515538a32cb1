//! Addresses of peers, in the family of the socket and in their own.

use std::net::{Ipv6Addr, SocketAddr};

/// An address in its own family: IPv4 in IPv6 as IPv4.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => SocketAddr::new(v4.into(), v6.port()),
            None => address,
        },
        SocketAddr::V4(_) => address,
    }
}

/// An address as a socket with this local address needs it, or `None` if it can't send there.
pub(crate) fn reachable(local: SocketAddr, to: SocketAddr) -> Option<SocketAddr> {
    match (local, canonical(to)) {
        // There is no way, and the kernel calls it an invalid argument, after which quinn-udp
        // would never send a batch again.
        (local, to) if local.ip().is_loopback() && !to.ip().is_loopback() => None,
        (SocketAddr::V6(local), SocketAddr::V4(v4)) => (*local.ip() == Ipv6Addr::UNSPECIFIED)
            .then(|| SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port())),
        (SocketAddr::V4(_), SocketAddr::V6(_)) => None,
        (_, same) => Some(same),
    }
}

#[cfg(test)]
mod tests {
    use super::reachable;

    #[test]
    fn an_address_is_reached_in_the_family_of_the_socket() {
        let cases = [
            ("0.0.0.0:1", "10.0.0.1:2", Some("10.0.0.1:2")),
            ("0.0.0.0:1", "[::ffff:10.0.0.1]:2", Some("10.0.0.1:2")),
            ("0.0.0.0:1", "[fe80::1]:2", None),
            ("[::]:1", "10.0.0.1:2", Some("[::ffff:10.0.0.1]:2")),
            ("[::]:1", "[fe80::1]:2", Some("[fe80::1]:2")),
            ("[::1]:1", "127.0.0.1:2", None),
            ("[::1]:1", "[::1]:2", Some("[::1]:2")),
            ("[::1]:1", "[fe80::1]:2", None),
            ("127.0.0.1:1", "127.0.0.9:2", Some("127.0.0.9:2")),
            ("127.0.0.1:1", "10.0.0.1:2", None),
        ];
        for (local, to, expected) in cases {
            let address = |text: &str| text.parse().expect("an address");
            assert_eq!(
                reachable(address(local), address(to)),
                expected.map(address)
            );
        }
    }
}
