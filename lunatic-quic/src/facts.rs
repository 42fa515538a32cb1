//! What a connection tells about itself and its peer.

use quinn_proto::Connection;
use quinn_proto::crypto::rustls::HandshakeData;
use rustls::pki_types::CertificateDer;

use crate::address::canonical;
use crate::event::{ConnectionId, Event, Stats};

/// The event that a connection is established.
pub(crate) fn connected(id: ConnectionId, dialled: bool, connection: &Connection) -> Event {
    let session = connection.crypto_session();
    let certificates = session
        .peer_identity()
        .and_then(|identity| identity.downcast::<Vec<CertificateDer<'static>>>().ok())
        .map(|certificates| *certificates)
        .unwrap_or_default();
    let alpn = session
        .handshake_data()
        .and_then(|data| data.downcast::<HandshakeData>().ok())
        .and_then(|data| data.protocol);
    Event::Connected {
        id,
        remote: canonical(connection.remote_address()),
        dialled,
        certificates,
        alpn,
    }
}

/// Its figures.
pub(crate) fn stats(connection: &Connection, queued_bytes: usize, unread_bytes: usize) -> Stats {
    let stats = connection.stats();
    Stats {
        rtt: stats.path.rtt,
        sent_bytes: stats.udp_tx.bytes,
        received_bytes: stats.udp_rx.bytes,
        sent_packets: stats.path.sent_packets,
        lost_packets: stats.path.lost_packets,
        mtu: stats.path.current_mtu,
        queued_bytes,
        unread_bytes,
    }
}
