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
    /// Stops a process and has its supervisor start it again, which is no restart that
    /// counts. Answered by [`Response::Done`](crate::Response::Done).
    Restart(Target),
    /// What processes do from now on. Answered by a stream of
    /// [`Response::Traced`](crate::Response::Traced).
    Trace(Trace),
    /// What processes print from now on, and how they end. Answered by a stream of
    /// [`Response::Traced`](crate::Response::Traced).
    Logs(Logs),
    /// What the runtime has counted. Answered by
    /// [`Response::Measurements`](crate::Response::Measurements).
    Measurements,
    /// The supervisors and their children. Answered by
    /// [`Response::Supervisors`](crate::Response::Supervisors).
    Supervisors,
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

/// What is traced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// Whom.
    #[serde(flatten)]
    pub process: Target,
    /// Also the processes below it, and those that they spawn.
    #[serde(default)]
    pub tree: bool,
    /// It ends after this time, in milliseconds, and after [`MAX_TRACE_MS`] at the latest.
    #[serde(default = "default_trace_ms")]
    pub for_ms: u64,
    /// It ends after so many events; by default when its time is up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

/// A trace ends after this time unless another is given, in milliseconds.
pub const DEFAULT_TRACE_MS: u64 = 10_000;

/// The longest time of a trace, in milliseconds: an hour.
pub const MAX_TRACE_MS: u64 = 3_600_000;

fn default_trace_ms() -> u64 {
    DEFAULT_TRACE_MS
}

/// Whose output is told.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Logs {
    /// That of this process; by default that of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<ProcessId>,
    /// The id of the environment; by default the one of the runtime itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<u64>,
    /// Also that of the processes below it.
    pub tree: bool,
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
    /// In the opposite order.
    pub reverse: bool,
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
    /// By the process that spawned them.
    Parent,
    /// By module; as for the following orders, all processes are asked for it, so it takes
    /// its time. Those that do not answer within a second are last.
    Module,
    /// By what they wait in.
    State,
    /// By the size of the linear memory.
    Memory,
    /// By how often they were started again.
    Restarts,
}

impl ProcessOrder {
    /// Whether only the processes themselves, or their supervisors, know by what they are
    /// sorted.
    pub fn has_to_be_asked(self) -> bool {
        matches!(
            self,
            ProcessOrder::Module
                | ProcessOrder::State
                | ProcessOrder::Memory
                | ProcessOrder::Restarts
        )
    }
}

impl Default for ProcessQuery {
    fn default() -> ProcessQuery {
        ProcessQuery {
            after: None,
            offset: 0,
            limit: MAX_PAGE,
            sort: ProcessOrder::Pid,
            reverse: false,
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
            | Request::Restart(_)
            | Request::Trace(_)
            | Request::Logs(_)
            | Request::Measurements
            | Request::Supervisors
            | Request::Nodes
            | Request::Unknown => false,
            Request::Reload(_) => true,
        }
    }
}
