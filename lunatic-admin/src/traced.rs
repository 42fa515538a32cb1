//! What processes do and print, as it is sent.

use serde::{Deserialize, Serialize};

use crate::process_id::ProcessId;

/// Something that a process has done, or that was done to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traced {
    /// Who.
    pub pid: ProcessId,
    /// When, in microseconds since the trace began.
    pub at_us: u64,
    /// What. In JSON, its kind is in `event`.
    #[serde(flatten)]
    pub event: TracedEvent,
}

/// What happened. Texts may have been chosen by a guest: escape them before they are shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum TracedEvent {
    /// It has spawned a process.
    Spawned {
        /// The new one.
        child: ProcessId,
        /// The name for people that the new one was given, cut.
        label: Option<String>,
    },
    /// It sends a message.
    Sent {
        /// To whom.
        to: ProcessId,
        /// The tag.
        tag: Option<i64>,
        /// The size of the data.
        bytes: u64,
    },
    /// A message arrives in its mailbox.
    Received {
        /// From whom; `None` if that is not known here.
        from: Option<ProcessId>,
        /// The tag.
        tag: Option<i64>,
        /// The size of the data.
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
        /// Who.
        by: ProcessId,
    },
    /// Another process no longer monitors it.
    NotMonitored {
        /// Who.
        by: ProcessId,
    },
    /// A linked process has ended.
    LinkDied {
        /// Who.
        peer: ProcessId,
        /// Why, cut.
        reason: String,
    },
    /// A monitored process has ended.
    ProcessDied {
        /// Who.
        process: ProcessId,
    },
    /// It is asked to exit.
    ExitSignal {
        /// By whom; `None` if it was no process.
        from: Option<ProcessId>,
        /// Why, cut.
        reason: String,
    },
    /// It is killed.
    Killed,
    /// It traps link deaths from now on, or does not.
    TrapsExits {
        /// Whether it does.
        traps: bool,
    },
    /// It has printed something.
    Printed {
        /// To standard error instead of standard output.
        stderr: bool,
        /// A piece of it, with what is not UTF-8 replaced.
        text: String,
    },
    /// It has ended.
    Ended {
        /// Why, cut.
        reason: String,
    },
    /// So many events were lost, of whichever processes: there were too many in a second, or
    /// the client did not read them.
    Lost {
        /// So many.
        count: u64,
    },
    /// One that this version does not know.
    #[serde(other)]
    Other,
}
