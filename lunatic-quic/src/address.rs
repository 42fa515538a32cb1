//! Addresses of peers, in the family of the socket and in their own.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

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

/// By what strangers are counted: the address, or of IPv6 the network of 64 bits, as whoever has one
/// of its addresses mostly has all. IPv4 in IPv6 counts as IPv4.
#[must_use]
pub fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
        v4 => v4,
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
    use super::{counted_as, reachable};

    #[test]
    fn hosts_of_one_network_of_ipv6_are_counted_together() {
        let counted = |text: &str| counted_as(text.parse().expect("an address")).to_string();
        assert_eq!(counted("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(counted("2001:db8:1:2:ffff::1"), "2001:db8:1:2::");
        assert_eq!(counted("2001:db8:1:3::1"), "2001:db8:1:3::");
        assert_eq!(counted("10.0.0.1"), "10.0.0.1");
        assert_eq!(counted("::ffff:10.0.0.1"), "10.0.0.1");
    }

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
