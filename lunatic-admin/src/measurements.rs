//! The measurements of a runtime, and its supervisors.

use serde::{Deserialize, Serialize};

use crate::parts::{ChildEntry, Usage};
use crate::process_id::ProcessId;

/// The measurements of a runtime. Counters begin at 0 when the runtime starts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Measurements {
    /// The version of the runtime.
    pub version: String,
    /// The time since it started, in milliseconds.
    pub uptime_ms: u64,
    /// The resident memory of the program, in bytes; `None` if the system does not report it.
    pub resident_memory: Option<u64>,
    /// The CPU time that the program has used, in microseconds.
    pub cpu_us: u64,
    /// The number of living processes.
    pub processes: u64,
    /// The number of processes that were spawned.
    pub spawned: u64,
    /// The number of processes that have ended, by the kind of their exit reason.
    pub ended: Vec<Count>,
    /// The number of messages that were sent.
    pub messages: u64,
    /// The number of messages that wait in the mailboxes that were inspected.
    pub mailbox_messages: u64,
    /// The number of messages in the longest of these mailboxes.
    pub mailbox_longest: u64,
    /// The number of mailboxes that were inspected: a part of them if there are very many.
    pub mailboxes: u64,
    /// The worker threads.
    pub workers: Vec<WorkerUse>,
    /// The number of tasks in the queue of all workers.
    pub queued: u64,
    /// The time that a task waited which was queued for this measurement, in microseconds;
    /// `None` if it has not run yet.
    pub delay_us: Option<u64>,
    /// The slots of the arena, by kind and size.
    pub slots: Vec<SlotUse>,
    /// How often compiled code was found in the cache.
    pub cache_hits: u64,
    /// How often compiled code was not found in the cache.
    pub cache_misses: u64,
    /// The resources that are charged to the root of the tree of accounts.
    pub account: Vec<Usage>,
    /// The number of timers that have not fired.
    pub timers: u64,
    /// The number of sockets that guests have open, by kind.
    pub sockets: Vec<Count>,
    /// How often supervisors have restarted children.
    pub restarts: u64,
    /// The number of reloads, by outcome.
    pub reloads: Vec<Count>,
    /// The name of the node that the runtime is in a cluster; `None` outside of one.
    pub node: Option<String>,
    /// The other nodes that this one has a session with.
    pub peers: Vec<PeerUse>,
    /// The nodes whose sessions have ended lately and that have not connected again.
    #[serde(default)]
    pub gone: Vec<GonePeer>,
    /// The number of sessions with other nodes that were lost.
    #[serde(default)]
    pub lost_peers: u64,
}

/// A number of things of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// The name of the kind, in the plural.
    pub what: String,
    /// The number of things.
    pub count: u64,
}

/// The use of a worker thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerUse {
    /// The time that it has spent on tasks, in microseconds.
    pub busy_us: u64,
    /// How often it has started to run a task.
    pub tasks: u64,
    /// The number of tasks in its queue.
    pub queued: u64,
}

/// The use of the arena's slots of one kind and size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotUse {
    /// `stack` or `memory`.
    pub kind: String,
    /// The size of a slot, in bytes.
    pub slot_bytes: u64,
    /// The number of slots that instances use.
    pub used: u64,
    /// The number of slots that instances have used before and that are free.
    pub free: u64,
}

/// Another node, and the traffic of this node's session with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerUse {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: String,
    /// The round-trip time, in microseconds.
    pub round_trip_us: u64,
    /// The bytes that wait to be sent to it.
    pub queued_bytes: u64,
    /// The bytes that were sent to it.
    pub sent_bytes: u64,
    /// The bytes that were received from it.
    pub received_bytes: u64,
}

/// A node whose session has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GonePeer {
    /// Its name.
    pub name: String,
    /// Its last address.
    pub address: String,
    /// Whether it has left in an orderly way; otherwise, the connection was lost.
    pub left: bool,
    /// The time since then, in milliseconds.
    pub ago_ms: u64,
}

/// The supervisors of a runtime, each after the one above it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Supervisors {
    /// The list of supervisors.
    pub supervisors: Vec<SupervisorEntry>,
    /// Whether supervisors or children were left out because there are too many.
    pub more: bool,
}

/// A supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupervisorEntry {
    /// Its id.
    pub pid: ProcessId,
    /// The process that spawned it.
    pub parent: Option<ProcessId>,
    /// Its label, which a guest may have chosen.
    pub label: Option<String>,
    /// Its children; empty if it did not answer in time.
    pub children: Vec<ChildEntry>,
}
