//! What an endpoint is made of: address, certificates, key and limits.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// The TLS settings of both roles. TLS 1.3 with ALPN, which the owner sets in both.
#[derive(Debug, Clone)]
pub struct Tls {
    /// For connections that others dial.
    pub server: Arc<rustls::ServerConfig>,
    /// For connections that this endpoint dials.
    pub client: Arc<rustls::ClientConfig>,
}

/// TLS settings that QUIC can't work with: TLS 1.3 with AES-128-GCM-SHA256 is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnusableTls;

impl fmt::Display for UnusableTls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("QUIC needs TLS 1.3 with the cipher suite AES-128-GCM-SHA256")
    }
}

impl std::error::Error for UnusableTls {}

/// What an [`Endpoint`](crate::Endpoint) is made of.
///
/// Two endpoints understand each other if they have the same `lanes`; `max_frame` of the
/// receiver counts.
#[derive(Clone)]
pub struct EndpointConfig {
    /// The local address. Port 0 takes a free one. An unspecified IPv6 address also takes IPv4
    /// where the system allows it.
    pub bind: SocketAddr,
    /// Certificates of later connections; see [`Endpoint::set_tls`](crate::Endpoint::set_tls).
    pub tls: Tls,
    /// The secret of the endpoint. Connection ids and reset tokens are derived from it: one that
    /// is bound again with the same key tells the peers of its predecessor that their
    /// connections are gone.
    pub key: [u8; 32],
    /// Ordered one-way streams in each direction, at least 1. The first is sent before all
    /// others, the last after all others, and those between take turns.
    pub lanes: u8,
    /// Bytes of the longest frame. A peer that announces a longer one is disconnected before
    /// anything is allocated for it.
    pub max_frame: usize,
    /// How long a connection is silent before this side asks whether the other is there.
    pub keep_alive: Duration,
    /// How long nothing may arrive before a connection counts as lost. The shorter of both
    /// sides' counts.
    pub idle_timeout: Duration,
    /// How long a connection may take to be established, in both roles.
    pub handshake_timeout: Duration,
    /// Connections at a time, handshakes included. Beyond it dials fail, and others are refused.
    pub max_connections: usize,
    /// Handshakes with strangers at a time. One address (IP) has at most half of them. From a
    /// quarter on strangers prove first that they receive at their address. What comes beyond
    /// the limit is ignored; a dialler tries again by itself while its time lasts.
    pub max_handshakes: usize,
    /// Bytes of a connection's frames that wait to be taken by
    /// [`next_event`](crate::Endpoint::next_event). Beyond it no frames are read, and flow control
    /// holds the peer.
    pub max_unread: usize,
    /// Bytes of the largest packet that is tried, as UDP payload; at least 1200.
    pub max_packet: u16,
}

impl EndpointConfig {
    /// A config with defaults: 32 lanes, frames up to 1 MiB, keep-alive 1 s, idle time 5 s,
    /// handshakes up to 5 s, 1024 connections, 64 handshakes, 1 MiB unread, packets up to
    /// 8900 bytes.
    #[must_use]
    pub fn new(bind: SocketAddr, tls: Tls, key: [u8; 32]) -> Self {
        Self {
            bind,
            tls,
            key,
            lanes: 32,
            max_frame: 1 << 20,
            keep_alive: Duration::from_secs(1),
            idle_timeout: Duration::from_secs(5),
            handshake_timeout: Duration::from_secs(5),
            max_connections: 1024,
            max_handshakes: 64,
            max_unread: 1 << 20,
            max_packet: 8900,
        }
    }
}

impl fmt::Debug for EndpointConfig {
    /// Without the key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EndpointConfig")
            .field("bind", &self.bind)
            .field("lanes", &self.lanes)
            .field("max_frame", &self.max_frame)
            .field("keep_alive", &self.keep_alive)
            .field("idle_timeout", &self.idle_timeout)
            .field("handshake_timeout", &self.handshake_timeout)
            .field("max_connections", &self.max_connections)
            .field("max_handshakes", &self.max_handshakes)
            .field("max_unread", &self.max_unread)
            .field("max_packet", &self.max_packet)
            .finish_non_exhaustive()
    }
}
