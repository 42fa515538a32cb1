//! What is told of the nodes of a cluster.

use std::time::{Duration, Instant};

use lunatic_admin::{GonePeer, Measurements, NodeConnection, NodeEntry, NodeState, PeerUse, cut};
use lunatic_distributed::{GoneNode, Node, Peer};

use crate::admin::asking::before;

/// A node that has died is given up by gossip within this time, however many nodes there are. Of one
/// whose session was lost longer ago and that gossip knows to live, this node is cut off.
const GIVEN_UP_WITHIN: Duration = Duration::from_secs(15);

/// How long a node may take to tell of its connections.
const PATIENCE: Duration = Duration::from_millis(250);

/// The nodes that a node knows, itself first.
///
/// - `uptime_ms`: how long it has run.
pub(super) async fn list(node: &Node, uptime_ms: u64) -> Vec<NodeEntry> {
    let own = node.info();
    let own = NodeEntry {
        name: own.name.to_string(),
        id: own.id.to_string(),
        address: own.address.to_string(),
        state: NodeState::Own,
        since_ms: Some(uptime_ms),
        connection: None,
    };
    let connected = node.peers().await.into_iter().map(connected);
    let gone = node.gone();
    let unconnected = node.unconnected().await.into_iter().map(|node| {
        let gone = gone.iter().find(|gone| gone.id == node.id);
        NodeEntry {
            name: node.name.to_string(),
            id: node.id.to_string(),
            address: node.address.to_string(),
            state: match gone {
                Some(gone) if gone.ago < GIVEN_UP_WITHIN => ended_as(gone),
                _ => NodeState::Unconnected,
            },
            since_ms: gone.map(|gone| millis(gone.ago)),
            connection: None,
        }
    });
    let mut others: Vec<_> = connected.chain(unconnected).collect();
    let is_told = |id: &str| others.iter().any(|other| other.id == id);
    let gone: Vec<_> = gone.iter().map(ended).collect();
    let gone: Vec<_> = gone.into_iter().filter(|gone| !is_told(&gone.id)).collect();
    others.extend(gone);
    others.sort_by(|one, other| one.name.cmp(&other.name));
    std::iter::once(own).chain(others).collect()
}

/// Adds what a node counts of its connections.
pub(super) async fn measure(node: &Node, told: &mut Measurements) {
    told.node = Some(cut(&node.info().name.to_string()));
    let asked = async { Some(node.peers().await) };
    let peers = before(Instant::now() + PATIENCE, asked).await;
    let peers = peers.unwrap_or_default().into_iter().map(|peer| PeerUse {
        name: cut(&peer.info.name.to_string()),
        address: peer.info.address.to_string(),
        round_trip_us: peer.round_trip.as_micros() as u64,
        queued_bytes: peer.queued_bytes as u64,
        sent_bytes: peer.sent_bytes,
        received_bytes: peer.received_bytes,
    });
    told.peers = peers.collect();
    let gone = node.gone().into_iter().map(|gone| GonePeer {
        name: cut(&gone.name.to_string()),
        address: gone.address.to_string(),
        left: gone.left,
        ago_ms: gone.ago.as_millis() as u64,
    });
    told.gone = gone.collect();
    told.lost_peers = node.lost_sessions();
}

fn connected(peer: Peer) -> NodeEntry {
    NodeEntry {
        name: peer.info.name.to_string(),
        id: peer.info.id.to_string(),
        address: peer.info.address.to_string(),
        state: NodeState::Connected,
        since_ms: Some(millis(peer.connected_for)),
        connection: Some(NodeConnection {
            round_trip_us: u64::try_from(peer.round_trip.as_micros()).unwrap_or(u64::MAX),
            queued_bytes: peer.queued_bytes as u64,
            sent_bytes: peer.sent_bytes,
            received_bytes: peer.received_bytes,
        }),
    }
}

fn ended(gone: &GoneNode) -> NodeEntry {
    NodeEntry {
        name: gone.name.to_string(),
        id: gone.id.to_string(),
        address: gone.address.to_string(),
        state: ended_as(gone),
        since_ms: Some(millis(gone.ago)),
        connection: None,
    }
}

fn ended_as(gone: &GoneNode) -> NodeState {
    match gone.left {
        true => NodeState::Left,
        false => NodeState::Lost,
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
