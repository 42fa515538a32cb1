//! Distributed nodes: one system over many machines.
//!
//! # Layout
//!
//! What follows are state machines without IO and clock:
//!
//! - `cluster`: [`Cluster`], what a node does with its connections; `cluster/greeting`, how
//!   sessions begin, and `cluster/frames`, what arrives in them.
//! - `session`, `sessions`: [`Session`], what passes between two nodes, and all of them, which
//!   the processes of a node use.
//! - `relations`: links and monitors between the processes of two nodes.
//! - `outgoing`, `incoming`: what waits to be sent, in order and in pieces; and the pieces.
//! - `expelled`: [`Expelled`], why a node has to end; `start`: [`Start`], which of two was the earlier
//!   one, by the clock that a cluster shares (`cluster_clock`).
//! - `membership`: which nodes there are, by gossip; `dials`: whom to dial, and when.
//! - `groups`, `group_changes`, `global`: memberships of groups, and names that are unique in the cluster.
//! - `frame`, `handshake`, `node_info`: what nodes write to each other; `bounded`: how much of
//!   lists in that is read.
//! - `local`: [`LocalNode`], what the cluster needs of the node it runs on; `processes`: the part
//!   of it that is about processes; `attached`: [`Attached`], as it comes later than the cluster.
//! - `register_error`: [`RegisterError`], why a name is not given.
//! - `held_names`: which processes of this node have names that are unique in the cluster;
//!   `node_monitors`: which are told of nodes that come and go.
//!
//! - `simulation`, in tests: whole clusters of these in virtual time; `planted`: faults that it has
//!   to find.
//!
//! And with IO (feature `transport`, on by default):
//!
//! - `node`: [`Node`], with its thread (`node/driver`), what waits for files beside it
//!   (`node/background`) and for name servers (`node/seeds`), and how one joins with a token
//!   (`node/joining`). `no_node`: what `guest` has in its place where `transport` is off.
//! - `guest`: the namespaces `lunatic::distributed` and `lunatic::global` (feature `guest`, on by
//!   default); `uploads`: modules on their way to other nodes.
//!
//! # Invariants
//!
//! - A session is one connection. What passes in it from one process to another arrives in
//!   order and at most once.
//! - When a session ends, each link and monitor across it is told, before another session with
//!   the same node begins; nothing of the one is in the other.
//! - A node speaks for its own processes only.

mod attached;
mod bounded;
mod chunks;
mod cluster;
mod cluster_clock;
mod dials;
mod expelled;
mod frame;
mod global;
mod group_changes;
mod groups;
#[cfg(feature = "guest")]
pub mod guest;
mod handshake;
mod held_names;
mod incoming;
mod local;
mod membership;
#[cfg(all(feature = "guest", not(feature = "transport")))]
mod no_node;
#[cfg(feature = "transport")]
mod node;
mod node_info;
mod node_monitors;
mod outgoing;
#[cfg(test)]
mod planted;
mod processes;
mod query;
mod register_error;
mod relations;
mod session;
mod sessions;
#[cfg(test)]
mod simulation;
mod start;
#[cfg(feature = "guest")]
mod uploads;

#[cfg(all(feature = "guest", not(feature = "transport")))]
use no_node as node;

// The simulation uses what others do.
#[cfg(test)]
extern crate self as lunatic_distributed;

pub use attached::Attached;
pub use chunks::Chunks;
pub use cluster::{Action, Cluster, Connection, Decide, close_code};
pub use expelled::Expelled;
pub use frame::{LANES, MAX_MESSAGE_BYTES, MAX_UNIT_BYTES};
pub use global::{MAX_GLOBAL_NAME_BYTES, MAX_GLOBAL_NAMES, NameTaken};
pub use group_changes::GroupChanges;
pub use groups::GroupChange;
pub use handshake::{PROTOCOL, Refusal};
pub use held_names::{HeldNames, NamesOfEnded, OnLoss};
pub use local::{Answer, Incoming, LocalNode, NodeEvent, NotDelivered};
pub use lunatic_trust::NodeName;
#[cfg(all(feature = "guest", not(feature = "transport")))]
pub use no_node::Node;
#[cfg(feature = "transport")]
pub use node::{GoneNode, JoinFailed, Node, NodeConfig, NodeError, Peer, Unconnected, join};
pub use node_info::{MAX_TAG_BYTES, MAX_TAGS, NodeInfo};
pub use node_monitors::{MAX_NODE_MONITORS, NodeMonitors, NodeWatcher, NotMonitored};
pub use processes::{deliver, signal};
pub use query::{BadQuery, Query};
pub use register_error::RegisterError;
pub use session::{NotSent, RequestError, Responder, Session};
pub use sessions::Sessions;
pub use start::Start;

/// The examples in the README, as tests.
#[cfg(all(doctest, feature = "transport"))]
#[doc = include_str!("../README.md")]
mod readme {}
