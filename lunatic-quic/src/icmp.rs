//! Reads from a socket what the network says about packets that it couldn't deliver.

use std::io::IoSliceMut;
use std::net::{IpAddr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd;

use nix::libc;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg};

use crate::close_reason::Unreachable;
use crate::marks::{Mark, mark};

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
    // RFC 792, RFC 1812 in section 5.2.7.1, RFC 4443 in section 3.1.
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
