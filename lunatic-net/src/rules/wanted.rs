//! An action that rules are compared with.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::rules::Action;

/// An action, which rules are compared with.
pub(super) struct Wanted<'a> {
    pub(super) action: Action,
    /// The address that the system will really use: that of IPv4 for one that is
    /// mapped into IPv6, and that of this host for connecting to the unspecified one.
    pub(super) ip: IpAddr,
    /// All addresses that may be reached by it, `ip` among them.
    pub(super) forms: Vec<IpAddr>,
    pub(super) port: u16,
    pub(super) name: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    pub(super) fn new(action: Action, address: SocketAddr, name: Option<&'a str>) -> Wanted<'a> {
        let written = address.ip();
        let used = match action {
            Action::Connect => destination(address).ip(),
            Action::Bind => written,
        };
        let ip = used.to_canonical();
        let mut forms = vec![ip];
        for form in [Some(written), Some(written.to_canonical()), embedded(ip)] {
            forms.extend(form.filter(|form| !forms.contains(form)));
        }
        Wanted {
            action,
            ip,
            forms,
            port: address.port(),
            name,
        }
    }
}

/// Returns the address that connecting to `address` leads to. It is another one only
/// for the unspecified address, which stands for this machine.
///
/// A socket is to be connected to this address: the system would take the unspecified
/// one for whatever address the socket is bound to.
pub(crate) fn destination(address: SocketAddr) -> SocketAddr {
    let mut destination = address;
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => destination.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => destination.set_ip(Ipv6Addr::LOCALHOST.into()),
        // That of IPv4, mapped.
        IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some_and(|ip| ip.is_unspecified()) => {
            destination.set_ip(Ipv4Addr::LOCALHOST.to_ipv6_mapped().into());
        }
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    destination
}

/// Returns the address of IPv4 that a router may send to what is for this address of
/// IPv6: one that is compatible with IPv4 (`::a.b.c.d`), translated by NAT64
/// (`64:ff9b::a.b.c.d`, and `64:ff9b:1::a.b.c.d` within a network) or SIIT (`::ffff:0:a.b.c.d`), or
/// the tunnel of 6to4 (`2002:ab:cd::`).
fn embedded(ip: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(ip) = ip else {
        return None;
    };
    let (high, low) = match ip.segments() {
        _ if ip.is_unspecified() || ip.is_loopback() => return None,
        [0, 0, 0, 0, 0, 0, high, low] => (high, low),
        [0x64, 0xff9b, 0 | 1, 0, 0, 0, high, low] => (high, low),
        [0, 0, 0, 0, 0xffff, 0, high, low] => (high, low),
        [0x2002, high, low, ..] => (high, low),
        _ => return None,
    };
    let bits = u32::from(high) << 16 | u32::from(low);
    Some(Ipv4Addr::from_bits(bits).into())
}
