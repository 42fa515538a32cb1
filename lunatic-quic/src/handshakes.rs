//! Who among strangers may begin a handshake.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::address::counted_as;

/// Handshakes with strangers that are under way.
#[derive(Debug)]
pub(crate) struct Handshakes {
    /// How many each has [by whom they are counted](counted_as). A map of the standard library, as strangers choose the keys.
    of: HashMap<IpAddr, usize>,
    total: usize,
    max: usize,
}

/// What is done with a stranger's first packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// The handshake begins.
    Begin,
    /// The stranger proves first that it receives at its address.
    Prove,
    /// The packet is dropped.
    Ignore,
}

impl Handshakes {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            of: HashMap::new(),
            total: 0,
            max,
        }
    }

    /// What is done with the first packet of a stranger, who has proven its address or not.
    pub(crate) fn admit(&self, address: IpAddr, proven: bool) -> Admission {
        let own = self.of.get(&counted_as(address)).copied().unwrap_or(0);
        if self.total >= self.max || own >= self.max.div_ceil(2) {
            Admission::Ignore
        } else if !proven && self.total >= self.max / 4 {
            Admission::Prove
        } else {
            Admission::Begin
        }
    }

    pub(crate) fn begin(&mut self, address: IpAddr) {
        self.total += 1;
        *self.of.entry(counted_as(address)).or_default() += 1;
    }

    pub(crate) fn end(&mut self, address: IpAddr) {
        let address = counted_as(address);
        if let Some(own) = self.of.get_mut(&address) {
            self.total -= 1;
            *own -= 1;
            if *own == 0 {
                self.of.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use super::{Admission, Handshakes};

    const ONE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

    #[test]
    fn under_load_a_stranger_proves_its_address() {
        let mut handshakes = Handshakes::new(8);
        assert_eq!(handshakes.admit(ONE, false), Admission::Begin);
        handshakes.begin(OTHER);
        handshakes.begin(OTHER);
        assert_eq!(handshakes.admit(ONE, false), Admission::Prove);
        assert_eq!(handshakes.admit(ONE, true), Admission::Begin);
    }

    #[test]
    fn one_address_leaves_half_to_others() {
        let mut handshakes = Handshakes::new(8);
        for _ in 0..4 {
            assert_eq!(handshakes.admit(ONE, true), Admission::Begin);
            handshakes.begin(ONE);
        }
        assert_eq!(handshakes.admit(ONE, true), Admission::Ignore);
        assert_eq!(handshakes.admit(OTHER, true), Admission::Begin);
    }

    #[test]
    fn whoever_has_a_network_of_ipv6_leaves_half_to_others() {
        let of =
            |network, host| IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, network, 0, 0, 0, host));
        let mut handshakes = Handshakes::new(8);
        for host in 0..4 {
            assert_eq!(handshakes.admit(of(1, host), true), Admission::Begin);
            handshakes.begin(of(1, host));
        }
        assert_eq!(handshakes.admit(of(1, 4), true), Admission::Ignore);
        assert_eq!(handshakes.admit(of(2, 4), true), Admission::Begin);
        for host in 0..4 {
            handshakes.end(of(1, host));
        }
        assert!(handshakes.of.is_empty());
    }

    #[test]
    fn what_ends_makes_room_and_is_forgotten() {
        let mut handshakes = Handshakes::new(1);
        handshakes.begin(ONE);
        assert_eq!(handshakes.admit(OTHER, true), Admission::Ignore);
        handshakes.end(ONE);
        handshakes.end(ONE);
        assert_eq!(handshakes.admit(OTHER, true), Admission::Begin);
        assert!(handshakes.of.is_empty());
    }
}
