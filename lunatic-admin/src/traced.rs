//! The events and the output of processes.

use serde::{Deserialize, Serialize};

use crate::process_id::ProcessId;

/// An event of a process: something that it has done, or that was done to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traced {
    /// The process.
    pub pid: ProcessId,
    /// The time, in microseconds since the trace began.
    pub at_us: u64,
    /// The event. In JSON, its kind is in the field `event`.
    #[serde(flatten)]
    pub event: TracedEvent,
}

/// The kind of an event, with its details. Texts may have been chosen by a guest: escape them
/// before they are shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum TracedEvent {
    /// It has spawned a process.
    Spawned {
        /// The new process.
        child: ProcessId,
        /// The label of the new process, cut.
        label: Option<String>,
    },
    /// It sends a message.
    Sent {
        /// The receiver.
        to: ProcessId,
        /// The tag.
        tag: Option<i64>,
        /// The size of the data, in bytes.
        bytes: u64,
    },
    /// A message arrives in its mailbox.
    Received {
        /// The sender; `None` if it is not known here.
        from: Option<ProcessId>,
        /// The tag.
        tag: Option<i64>,
        /// The size of the data, in bytes.
        bytes: u64,
    },
    /// It is linked to another process.
    Linked {
        /// The other end.
        peer: ProcessId,
    },
    /// It is no longer linked to another process.
    Unlinked {
        /// The other end.
        peer: ProcessId,
    },
    /// Another process monitors it.
    Monitored {
        /// The monitoring process.
        by: ProcessId,
    },
    /// Another process no longer monitors it.
    NotMonitored {
        /// The monitoring process.
        by: ProcessId,
    },
    /// A linked process has ended.
    LinkDied {
        /// The linked process.
        peer: ProcessId,
        /// The reason, cut.
        reason: String,
    },
    /// A monitored process has ended.
    ProcessDied {
        /// The monitored process.
        process: ProcessId,
    },
    /// It is asked to exit.
    ExitSignal {
        /// The sender of the signal; `None` if it is not a process.
        from: Option<ProcessId>,
        /// The reason, cut.
        reason: String,
    },
    /// It is killed.
    Killed,
    /// It has changed whether it traps exits.
    TrapsExits {
        /// Whether it traps exits now.
        traps: bool,
    },
    /// It has printed something.
    Printed {
        /// Whether it has printed to standard error instead of standard output.
        stderr: bool,
        /// A piece of the text; bytes that are not UTF-8 are replaced.
        text: String,
    },
    /// It has ended.
    Ended {
        /// The reason, cut.
        reason: String,
    },
    /// Events were lost, of any processes: there were too many in a second, or the client did
    /// not read them in time.
    Lost {
        /// The number of events that were lost.
        count: u64,
    },
    /// An event that this version does not know.
    #[serde(other)]
    Other,
}
