//! What an endpoint tells its owner.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use rustls::pki_types::CertificateDer;

use crate::close_reason::CloseReason;

/// Identifies a connection of an endpoint; never given to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub(crate) u64);

impl fmt::Display for ConnectionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "connection {}", self.0)
    }
}

/// What an endpoint tells its owner.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A connection is established, and both sides have accepted each other's certificates.
    Connected {
        /// The connection; for a dialled one, the id that [`dial`](crate::Endpoint::dial) gave.
        id: ConnectionId,
        /// The peer's address.
        remote: SocketAddr,
        /// Whether this endpoint has dialled.
        dialled: bool,
        /// The peer's certificates, its own first. Empty if the TLS settings ask for none.
        certificates: Vec<CertificateDer<'static>>,
        /// The protocol that was negotiated by ALPN.
        alpn: Option<Vec<u8>>,
    },
    /// A whole frame has arrived; those of a lane arrive in the order in which they were sent.
    Frame {
        /// The connection.
        id: ConnectionId,
        /// The lane, below [`EndpointConfig::lanes`](crate::EndpointConfig::lanes).
        lane: u8,
        /// The frame.
        bytes: Bytes,
    },
    /// A datagram has arrived; some are lost, and some come in another order.
    Datagram {
        /// The connection.
        id: ConnectionId,
        /// The datagram.
        bytes: Bytes,
    },
    /// A lane has room again, after [`room`](crate::Endpoint::room) was 0.
    Writable {
        /// The connection.
        id: ConnectionId,
        /// The lane.
        lane: u8,
    },
    /// A connection has ended, or a dial has failed. Exactly once for each that was dialled or
    /// connected, and the last event of it.
    Closed {
        /// The connection.
        id: ConnectionId,
        /// Why.
        reason: CloseReason,
    },
    /// Somebody who dialled this endpoint was not accepted. It never was a connection. Some are
    /// left out if many come.
    Rejected {
        /// From where.
        remote: SocketAddr,
        /// Why.
        reason: CloseReason,
    },
}

/// Figures of a connection since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// The round trip, smoothed.
    pub rtt: Duration,
    /// UDP payload that was sent, in bytes.
    pub sent_bytes: u64,
    /// UDP payload that has arrived, in bytes.
    pub received_bytes: u64,
    /// Packets that were sent.
    pub sent_packets: u64,
    /// Of those, how many were lost and sent again.
    pub lost_packets: u64,
    /// Bytes of UDP payload that a packet may have at present.
    pub mtu: u16,
    /// Bytes of frames that were given to [`send`](crate::Endpoint::send) and wait in the lanes'
    /// buffers.
    pub queued_bytes: usize,
    /// Bytes that count as unread: events of this connection not yet taken.
    pub unread_bytes: usize,
}

/// Why a dial didn't start.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DialError {
    /// There are as many connections as the config allows.
    TooManyConnections,
    /// The server name is no DNS name and no IP address.
    InvalidName(String),
    /// Nothing can be sent to this address: port 0, unspecified, or of another family than the
    /// endpoint's.
    InvalidAddress(SocketAddr),
    /// The endpoint has been shut down.
    ShutDown,
}

impl fmt::Display for DialError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyConnections => formatter.write_str("too many connections"),
            Self::InvalidName(name) => write!(formatter, "invalid server name: {name}"),
            Self::InvalidAddress(address) => write!(formatter, "can't send to {address}"),
            Self::ShutDown => formatter.write_str("the endpoint is shut down"),
        }
    }
}

impl std::error::Error for DialError {}
