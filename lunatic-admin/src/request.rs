//! What a client asks.

use serde::{Deserialize, Serialize};

use crate::process_id::ProcessId;
use crate::reload::Reload;

/// The most processes in one answer.
pub const MAX_PAGE: usize = 5000;

/// The most processes in one answer that are asked what only they know.
pub const MAX_DESCRIBED: usize = 1000;

/// A request. In JSON it has its `type`, in lower case with underscores, and its fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Request {
    /// Which runtime it is. Answered by [`Response::Version`](crate::Response::Version).
    Version,
    /// Living processes. Answered by [`Response::Processes`](crate::Response::Processes).
    Processes(ProcessQuery),
    /// All that is known of a process. Answered by
    /// [`Response::Process`](crate::Response::Process).
    Inspect(Target),
    /// What there is of the runtime as a whole. Answered by
    /// [`Response::Stats`](crate::Response::Stats).
    Stats,
    /// Ends a process at its next suspension point. Answered by
    /// [`Response::Done`](crate::Response::Done).
    Kill(Target),
    /// Sends a process an exit signal, as OTP's `exit/2` does. Answered by
    /// [`Response::Done`](crate::Response::Done).
    Exit(Exit),
    /// The modules that have a name, and their versions. Answered by
    /// [`Response::Versions`](crate::Response::Versions).
    Versions,
    /// Exchanges the code of processes. Answered by
    /// [`Response::Reloaded`](crate::Response::Reloaded).
    Reload(Reload),
    /// How far the reloads have come that go on. No process is asked for it. Answered by
    /// [`Response::Progress`](crate::Response::Progress).
    Progress,
    /// The nodes of the cluster that the runtime knows. Answered by
    /// [`Response::Nodes`](crate::Response::Nodes).
    Nodes,
    /// A type that this version does not know. The server answers it by itself.
    #[doc(hidden)]
    #[serde(other, skip_serializing)]
    Unknown,
}

/// A process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Its id.
    pub pid: ProcessId,
    /// The id of its environment; by default the one of the runtime itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<u64>,
}

/// An exit signal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Who is to end.
    #[serde(flatten)]
    pub process: Target,
    /// `normal`, `shutdown`, or any other text, which is a failure; by default
    /// `shutdown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Which processes are listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessQuery {
    /// Only those with a higher id, for the next page when they are sorted by id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<ProcessId>,
    /// So many are left out at first, for the next page in another order.
    pub offset: usize,
    /// So many at most, and no more than [`MAX_PAGE`], or [`MAX_DESCRIBED`] if they are
    /// described.
    pub limit: usize,
    /// In which order.
    pub sort: ProcessOrder,
    /// Only those whose label contains this text, upper and lower case being the same, or whose
    /// id or parent's id it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Whether they are asked what only they know: module, memory and what they wait in.
    /// That wakes each of them; and their supervisors, to tell how often they were restarted.
    pub describe: Describe,
    /// The id of their environment; by default the one of the runtime itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<u64>,
}

/// Which processes are asked what only they know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Describe {
    /// None.
    #[default]
    No,
    /// All, if no more than [`MAX_DESCRIBED`] are found on all pages together.
    IfFew,
    /// All.
    Yes,
}

/// An order of processes. Numbers go from high to low, all else from low to high.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProcessOrder {
    /// By id, the oldest first.
    #[default]
    Pid,
    /// By label; those without one are last.
    Label,
    /// By the number of messages that wait.
    Mailbox,
    /// By CPU time, as far as it was measured.
    Cpu,
    /// By the number of links.
    Links,
}

impl Default for ProcessQuery {
    fn default() -> ProcessQuery {
        ProcessQuery {
            after: None,
            offset: 0,
            limit: MAX_PAGE,
            sort: ProcessOrder::Pid,
            filter: None,
            describe: Describe::No,
            environment: None,
        }
    }
}

impl Target {
    /// A process of the runtime's own environment.
    pub fn new(pid: ProcessId) -> Target {
        Target {
            pid,
            environment: None,
        }
    }
}

impl Request {
    /// Returns whether bytes may follow the line of this request. Of others that announce
    /// some, the connection is closed.
    pub fn takes_bytes(&self) -> bool {
        match self {
            Request::Version
            | Request::Processes(_)
            | Request::Inspect(_)
            | Request::Stats
            | Request::Kill(_)
            | Request::Exit(_)
            | Request::Versions
            | Request::Progress
            | Request::Nodes
            | Request::Unknown => false,
            Request::Reload(_) => true,
        }
    }
}
