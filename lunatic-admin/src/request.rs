//! The requests of clients.

use serde::{Deserialize, Serialize};

use crate::process_id::ProcessId;
use crate::reload::Reload;

/// The highest number of processes in one response.
pub const MAX_PAGE: usize = 5000;

/// The highest number of processes in one response that are asked for details.
pub const MAX_DESCRIBED: usize = 1000;

/// A request. In JSON it has its `type`, in lower case with underscores, and its fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Request {
    /// Asks which runtime it is. Answered by [`Response::Version`](crate::Response::Version).
    Version,
    /// Lists living processes. Answered by [`Response::Processes`](crate::Response::Processes).
    Processes(ProcessQuery),
    /// Asks for all details of a process. Answered by
    /// [`Response::Process`](crate::Response::Process).
    Inspect(Target),
    /// Asks for the statistics of the runtime. Answered by
    /// [`Response::Stats`](crate::Response::Stats).
    Stats,
    /// Ends a process at its next suspension point. Answered by
    /// [`Response::Done`](crate::Response::Done).
    Kill(Target),
    /// Sends a process an exit signal, as OTP's `exit/2` does. Answered by
    /// [`Response::Done`](crate::Response::Done).
    Exit(Exit),
    /// Lists the modules that have a name, and their versions. Answered by
    /// [`Response::Versions`](crate::Response::Versions).
    Versions,
    /// Exchanges the code of processes. Answered by
    /// [`Response::Reloaded`](crate::Response::Reloaded).
    Reload(Reload),
    /// Asks for the progress of running reloads; no process is woken for it. Answered by
    /// [`Response::Progress`](crate::Response::Progress).
    Progress,
    /// Stops a process and makes its supervisor start it again; this does not count for the restart
    /// intensity. Answered by [`Response::Done`](crate::Response::Done).
    Restart(Target),
    /// Subscribes to the events of processes. Answered by a stream of
    /// [`Response::Traced`](crate::Response::Traced).
    Trace(Trace),
    /// Subscribes to the output of processes, and to their ends. Answered by a stream of
    /// [`Response::Traced`](crate::Response::Traced).
    Logs(Logs),
    /// Asks for the measurements of the runtime. Answered by
    /// [`Response::Measurements`](crate::Response::Measurements).
    Measurements,
    /// Lists the supervisors and their children. Answered by
    /// [`Response::Supervisors`](crate::Response::Supervisors).
    Supervisors,
    /// Lists the nodes of the cluster that the runtime knows. Answered by
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
    /// The id of the process.
    pub pid: ProcessId,
    /// The id of its environment; by default the one of the runtime itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<u64>,
}

/// An exit signal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The process that gets the signal.
    #[serde(flatten)]
    pub process: Target,
    /// `normal`, `shutdown`, or any other text, which is a failure; by default
    /// `shutdown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A request to trace processes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// The process to trace.
    #[serde(flatten)]
    pub process: Target,
    /// Whether to trace the processes below it, and those that they spawn, too.
    #[serde(default)]
    pub tree: bool,
    /// The time after which the trace ends, in milliseconds; at most [`MAX_TRACE_MS`].
    #[serde(default = "default_trace_ms")]
    pub for_ms: u64,
    /// The number of events after which the trace ends; by default only its time ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

/// The time after which a trace ends by default, in milliseconds.
pub const DEFAULT_TRACE_MS: u64 = 10_000;

/// The longest time of a trace, in milliseconds: an hour.
pub const MAX_TRACE_MS: u64 = 3_600_000;

fn default_trace_ms() -> u64 {
    DEFAULT_TRACE_MS
}

/// A request for the output of processes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Logs {
    /// The process whose output is sent; by default that of all processes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<ProcessId>,
    /// The id of the environment; by default the one of the runtime itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<u64>,
    /// Whether to send the output of the processes below it, too.
    pub tree: bool,
}

/// A selection of processes, and their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessQuery {
    /// Only processes with a higher id are listed: for the next page if they are sorted by id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<ProcessId>,
    /// The number of processes to skip: for the next page in another order.
    pub offset: usize,
    /// The highest number of processes; at most [`MAX_PAGE`], or [`MAX_DESCRIBED`] if they are
    /// described.
    pub limit: usize,
    /// The order of the processes.
    pub sort: ProcessOrder,
    /// Whether to reverse the order.
    pub reverse: bool,
    /// Only processes are listed whose label contains this text, ignoring case, or whose id or
    /// parent's id is equal to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Whether the processes are asked for the details that only they know: module, memory and what
    /// they wait in. This wakes each of them, and their supervisors, which report how often they
    /// were restarted.
    pub describe: Describe,
    /// The id of the environment; by default the one of the runtime itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<u64>,
}

/// Which processes are asked for details.
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
    /// By label; processes without a label are last.
    Label,
    /// By the number of messages that wait.
    Mailbox,
    /// By CPU time, as far as it was measured.
    Cpu,
    /// By the number of links.
    Links,
    /// By the process that spawned them.
    Parent,
    /// By module. For this and the following orders all processes are asked, which takes longer.
    /// Processes that do not answer within a second are last.
    Module,
    /// By the function that they wait in.
    State,
    /// By the size of the linear memory.
    Memory,
    /// By the number of their restarts.
    Restarts,
}

impl ProcessOrder {
    /// Returns whether the processes or their supervisors must be asked to sort by this order.
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
    /// Returns whether bytes may follow the line of this request. If another request announces
    /// bytes, the connection is closed.
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
