//! What a runtime has counted, and its supervisors.

use serde::{Deserialize, Serialize};

use crate::parts::{ChildEntry, Usage};
use crate::process_id::ProcessId;

/// What a runtime has counted. Where a number only grows, it counts from the start of the
/// runtime.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Measurements {
    /// The version of the runtime.
    pub version: String,
    /// How long it has run, in milliseconds.
    pub uptime_ms: u64,
    /// The memory that the program takes, in bytes; `None` where that cannot be told.
    pub resident_memory: Option<u64>,
    /// The CPU time that the program has used, in microseconds.
    pub cpu_us: u64,
    /// The processes that live.
    pub processes: u64,
    /// The processes that were spawned.
    pub spawned: u64,
    /// The processes that have ended, by why.
    pub ended: Vec<Count>,
    /// The messages that were sent.
    pub messages: u64,
    /// The messages that wait in the mailboxes that were looked at.
    pub mailbox_messages: u64,
    /// The messages in the longest of them.
    pub mailbox_longest: u64,
    /// How many mailboxes were looked at: some, if there are very many.
    pub mailboxes: u64,
    /// The worker threads.
    pub workers: Vec<WorkerUse>,
    /// How many tasks wait for any worker.
    pub queued: u64,
    /// How long a task waited that was given to the workers just now, in microseconds;
    /// `None` if it waits still.
    pub delay_us: Option<u64>,
    /// The slots of the arena, by what they are for and how large they are.
    pub slots: Vec<SlotUse>,
    /// How often compiled code was found that had been kept.
    pub cache_hits: u64,
    /// How often it was not.
    pub cache_misses: u64,
    /// How much has been charged to the root of all accounts.
    pub account: Vec<Usage>,
    /// The timers that have not fired.
    pub timers: u64,
    /// The sockets that guests have open, by kind.
    pub sockets: Vec<Count>,
    /// How often supervisors have started children again.
    pub restarts: u64,
    /// The reloads, by what came of them.
    pub reloads: Vec<Count>,
    /// The node of a cluster that the runtime is.
    pub node: Option<String>,
    /// The other nodes that it has a session with.
    pub peers: Vec<PeerUse>,
    /// The nodes whose sessions have ended lately, and that have not come back.
    #[serde(default)]
    pub gone: Vec<GonePeer>,
    /// How many sessions with other nodes were lost.
    #[serde(default)]
    pub lost_peers: u64,
}

/// How many there are of something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Of what.
    pub what: String,
    /// So many.
    pub count: u64,
}

/// What a worker thread has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerUse {
    /// How long it has had something to do, in microseconds.
    pub busy_us: u64,
    /// How often it has begun to run a task.
    pub tasks: u64,
    /// How many tasks wait for it.
    pub queued: u64,
}

/// Slots of the arena.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotUse {
    /// `stack` or `memory`.
    pub kind: String,
    /// The size of a slot, in bytes.
    pub slot_bytes: u64,
    /// Slots that instances have.
    pub used: u64,
    /// Slots that instances have had.
    pub free: u64,
}

/// Another node, and what has passed between it and this one in their session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerUse {
    /// Its name.
    pub name: String,
    /// Where it is reached.
    pub address: String,
    /// The round trip to it, in microseconds.
    pub round_trip_us: u64,
    /// Bytes that wait to be sent to it.
    pub queued_bytes: u64,
    /// Bytes that were sent to it.
    pub sent_bytes: u64,
    /// Bytes that have come from it.
    pub received_bytes: u64,
}

/// A node whose session has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GonePeer {
    /// Its name.
    pub name: String,
    /// Where it was reached.
    pub address: String,
    /// It has left in good order; otherwise, the connection was lost.
    pub left: bool,
    /// How long ago, in milliseconds.
    pub ago_ms: u64,
}

/// The supervisors of a runtime, each behind the one above it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Supervisors {
    /// They.
    pub supervisors: Vec<SupervisorEntry>,
    /// Whether there are more, or they have more children than are told.
    pub more: bool,
}

/// A supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupervisorEntry {
    /// Its id.
    pub pid: ProcessId,
    /// The process that spawned it.
    pub parent: Option<ProcessId>,
    /// Its name for people, which a guest may have chosen.
    pub label: Option<String>,
    /// Its children; none if it did not answer in time.
    pub children: Vec<ChildEntry>,
}
