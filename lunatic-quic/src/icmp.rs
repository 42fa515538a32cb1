//! Reads from a socket what the network says about packets that it couldn't deliver.

use std::io::IoSliceMut;
use std::net::{IpAddr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd;

use nix::libc;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg};

use crate::close_reason::Unreachable;

/// Bytes of control messages with one error: the error, its sender, times and addresses.
const CONTROL_BYTES: usize = 512;
/// Bytes of the packet in question that are looked at.
const QUOTED_BYTES: usize = 32;

/// A packet that couldn't be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Undelivered {
    /// Where the packet was to go.
    pub(crate) remote: SocketAddr,
    /// What can't be reached.
    pub(crate) what: Unreachable,
    /// By what the packet can be recognised, if enough of it was sent back.
    pub(crate) mark: Option<Mark>,
}

/// A part of a packet that only its sender, its receiver and who sees the packet know: eight
/// bytes of the destination's connection id.
///
/// The kernel takes every ICMP message that names the addresses and ports of a socket. With
/// this, somebody who merely guesses those can't end a connection.
pub(crate) type Mark = [u8; 8];

/// The mark of a QUIC packet that begins with these bytes.
pub(crate) fn mark(packet: &[u8]) -> Option<Mark> {
    // With a long header, flags, version and the length of the id come first.
    let start = if packet.first()? & 0x80 == 0 { 1 } else { 6 };
    packet.get(start..)?.first_chunk().copied()
}

/// Takes one message from the error queue of a socket. `None`: there is none; `Some(None)`: one
/// that says nothing about the reachability of a peer.
pub(crate) fn next(socket: &UdpSocket) -> Option<Option<Undelivered>> {
    let mut quoted = [0; QUOTED_BYTES];
    let mut control = [0; CONTROL_BYTES];
    let mut parts = [IoSliceMut::new(&mut quoted)];
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message =
        recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags)
            .ok()?;
    let length = message.bytes;
    let remote = message.address.as_ref().and_then(address);
    let error = message.cmsgs().ok().and_then(|mut messages| {
        messages.find_map(|message| match message {
            ControlMessageOwned::Ipv4RecvErr(error, _)
            | ControlMessageOwned::Ipv6RecvErr(error, _) => unreachable(&error),
            _ => None,
        })
    });
    let (Some(remote), Some(what)) = (remote, error) else {
        return Some(None);
    };
    let mark = quoted.get(..length).and_then(mark);
    Some(Some(Undelivered { remote, what, mark }))
}

fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = storage.as_sockaddr_in() {
        return Some(SocketAddr::new(IpAddr::V4(v4.ip()), v4.port()));
    }
    let v6 = storage.as_sockaddr_in6()?;
    Some(SocketAddr::V6(SocketAddrV6::new(
        v6.ip(),
        v6.port(),
        v6.flowinfo(),
        v6.scope_id(),
    )))
}

/// What an ICMP message says can't be reached; `None` for other messages, of too long packets
/// for example.
fn unreachable(error: &libc::sock_extended_err) -> Option<Unreachable> {
    // RFC 792 and RFC 1812 §5.2.7.1, RFC 4443 §3.1.
    match (error.ee_origin, error.ee_type, error.ee_code) {
        (libc::SO_EE_ORIGIN_ICMP, 3, 3) | (libc::SO_EE_ORIGIN_ICMP6, 1, 4) => {
            Some(Unreachable::Port)
        }
        (libc::SO_EE_ORIGIN_ICMP, 3, 9 | 10 | 13) | (libc::SO_EE_ORIGIN_ICMP6, 1, 1) => {
            Some(Unreachable::Prohibited)
        }
        (libc::SO_EE_ORIGIN_ICMP, 3, 0 | 1) | (libc::SO_EE_ORIGIN_ICMP6, 1, 0 | 3) => {
            Some(Unreachable::Host)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::mark;

    #[test]
    fn a_mark_is_the_connection_id_of_either_header() {
        let short = [0x40, 1, 2, 3, 4, 5, 6, 7, 8, 9];
        assert_eq!(mark(&short), Some([1, 2, 3, 4, 5, 6, 7, 8]));
        let long = [0xc0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 9];
        assert_eq!(mark(&long), Some([1, 2, 3, 4, 5, 6, 7, 8]));
    }

    #[test]
    fn a_packet_that_is_too_short_has_no_mark() {
        assert_eq!(mark(&[]), None);
        assert_eq!(mark(&[0x40, 1, 2, 3]), None);
        assert_eq!(mark(&[0xc0, 0, 0, 0, 1, 8, 1, 2, 3]), None);
    }
}
