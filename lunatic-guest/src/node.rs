//! The nodes of a cluster (ABI §8 and §30).
//!
//! ```no_run
//! use lunatic_guest::node::{self, Node};
//!
//! fn work(argument: u64) {
//!     println!("{argument} on {}", Node::this().name().unwrap());
//! }
//!
//! for node in node::all() {
//!     node.spawn_link(0, work, 7).unwrap();
//! }
//! ```

use crate::error::{self, Result};
use crate::param;
use crate::process::{Message, ProcessId};
use crate::sys::{self, cluster};
use crate::Param;

/// A node of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node(pub u64);

/// What happens to another node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// It is connected, as [`monitor`] begins.
    Present,
    /// It is connected from now on.
    Up,
    /// The connection to it is lost.
    Down,
    /// It has left in good order.
    Left,
}

/// Something has happened to another node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What.
    pub change: Change,
    /// The node.
    pub node: Node,
    /// Its name.
    pub name: String,
}

/// All nodes that can be reached, this one first; none on a node that is alone.
pub fn all() -> Vec<Node> {
    cluster::nodes().into_iter().map(Node).collect()
}

/// Whether a process lives, wherever it is. `None` without a connection to its node.
pub fn exists(process: ProcessId) -> Option<bool> {
    match cluster::exists(process.0) {
        sys::TIMED_OUT => None,
        exists => Some(exists != 0),
    }
}

/// From now on, this process is told by messages with this tag, which [`Event::of`] reads, which
/// nodes are connected, come and go.
///
/// # Panics
///
/// The process traps on a node that is alone, and if thousands of others monitor nodes.
pub fn monitor(tag: i64) {
    cluster::monitor_nodes(tag);
}

/// Undoes [`monitor`]; what was told before stays in the mailbox.
pub fn stop_monitoring() {
    cluster::stop_monitoring_nodes();
}

impl Node {
    /// The node of this process; 0 if it is alone.
    pub fn this() -> Node {
        Node(cluster::node_id())
    }

    /// The node of this name, if it can be reached.
    pub fn named(name: &str) -> Option<Node> {
        match cluster::find_node(name) {
            0 => None,
            node => Some(Node(node)),
        }
    }

    /// Its name, if it can be reached.
    pub fn name(self) -> Option<String> {
        String::from_utf8(cluster::node_name(self.0)?).ok()
    }

    /// Starts a process on the node that runs a function of this module, with the config of
    /// this process as far as the node allows.
    ///
    /// # Errors
    ///
    /// If the node cannot be reached, or refuses.
    pub fn spawn(self, function: fn(u64), argument: u64) -> Result<ProcessId> {
        self.start(None, function, argument)
    }

    /// The same, linked to this process before any of its code runs.
    ///
    /// - `tag`: what this process is told when it dies; 0 for none.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Node::spawn).
    pub fn spawn_link(self, tag: i64, function: fn(u64), argument: u64) -> Result<ProcessId> {
        self.start(Some(tag), function, argument)
    }

    fn start(self, link: Option<i64>, function: fn(u64), argument: u64) -> Result<ProcessId> {
        const OWN: i64 = -1;
        let params = [sys::function(function), Param::I64(argument as i64)];
        let params = param::encode(&params);
        let started = cluster::spawn(self.0, link, OWN, sys::ENTRY, &params);
        error::check(started).map(ProcessId)
    }
}

impl Event {
    /// Reads what a process is told that monitors nodes; `None` for other messages.
    pub fn of(message: &Message, tag: i64) -> Option<Event> {
        let bytes = message.data_with_tag(tag)?;
        let (change, bytes) = bytes.split_first_chunk()?;
        let (length, bytes) = bytes.split_first_chunk()?;
        let (node, name) = bytes.split_first_chunk()?;
        let change = match u32::from_le_bytes(*change) {
            0 => Change::Present,
            1 => Change::Up,
            2 => Change::Down,
            3 => Change::Left,
            _ => return None,
        };
        let name = name.get(..u32::from_le_bytes(*length) as usize)?;
        Some(Event {
            change,
            node: Node(u64::from_le_bytes(*node)),
            name: String::from_utf8(name.to_vec()).ok()?,
        })
    }
}
