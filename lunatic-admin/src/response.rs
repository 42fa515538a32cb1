//! The responses of a runtime.

use std::error::Error;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::measurements::{Measurements, Supervisors};
use crate::parts::{ChildEntry, Usage};
use crate::process_id::ProcessId;
use crate::reload::{ModuleVersions, ReloadProgress, Reloaded};
use crate::traced::Traced;

/// A response. In JSON it has its `type`, in lower case with underscores, and its fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Response {
    /// To [`Request::Version`](crate::Request::Version).
    Version(RuntimeInfo),
    /// To [`Request::Processes`](crate::Request::Processes).
    Processes(ProcessPage),
    /// To [`Request::Versions`](crate::Request::Versions).
    Versions(Modules),
    /// To [`Request::Reload`](crate::Request::Reload).
    Reloaded(Reloaded),
    /// To [`Request::Progress`](crate::Request::Progress).
    Progress(Reloads),
    /// To [`Request::Inspect`](crate::Request::Inspect).
    Process(Box<ProcessDetail>),
    /// To [`Request::Stats`](crate::Request::Stats).
    Stats(Stats),
    /// To [`Request::Trace`](crate::Request::Trace) and
    /// [`Request::Logs`](crate::Request::Logs).
    Traced(Traced),
    /// To [`Request::Measurements`](crate::Request::Measurements).
    Measurements(Box<Measurements>),
    /// To [`Request::Supervisors`](crate::Request::Supervisors).
    Supervisors(Supervisors),
    /// The request was carried out, and has no result.
    Done,
    /// The request was refused.
    Error(Refusal),
    /// There are no more responses to a subscription.
    End,
    /// To [`Request::Nodes`](crate::Request::Nodes).
    Nodes(Nodes),
}

/// The nodes of a cluster, as one of them knows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nodes {
    /// The nodes: first the one that was asked, then the others by name.
    pub nodes: Vec<NodeEntry>,
}

/// A node of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeEntry {
    /// The name.
    pub name: String,
    /// The id, in hexadecimal. Each start of a node has another one.
    pub id: String,
    /// The address at which other nodes reach it.
    pub address: String,
    /// Its state, as the node that was asked sees it.
    pub state: NodeState,
    /// How long it has been in this state, in milliseconds: connected, gone, or, for the node that
    /// was asked, running.
    pub since_ms: Option<u64>,
    /// The connection to it, if there is one.
    pub connection: Option<NodeConnection>,
}

/// The state of a node, as the node that was asked sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NodeState {
    /// It is the node that was asked.
    Own,
    /// The two are connected.
    Connected,
    /// Other nodes report that it is alive, but there is no connection to it.
    Unconnected,
    /// The connection was lost just now, or no node reports that it is alive.
    Lost,
    /// It has left in an orderly way.
    Left,
}

/// A connection between two nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeConnection {
    /// The round-trip time, in microseconds.
    pub round_trip_us: u64,
    /// The bytes that wait to be sent.
    pub queued_bytes: u64,
    /// The bytes that were sent over it.
    pub sent_bytes: u64,
    /// The bytes that were received over it.
    pub received_bytes: u64,
}

/// The modules that have a name, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Modules {
    /// The list of modules.
    pub modules: Vec<ModuleVersions>,
}

/// The reloads that are moving processes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloads {
    /// The list of reloads.
    pub reloads: Vec<ReloadProgress>,
}

/// The error of a request that is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The kind of error, for programs.
    pub kind: RefusalKind,
    /// The error as text for people, on one line.
    pub text: String,
}

/// The kind of a [`Refusal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RefusalKind {
    /// The client uses another version of the protocol. The connection is closed.
    Protocol,
    /// The client runs as another user. The connection is closed.
    User,
    /// The limit of clients, or of clients that send bytes, is reached. The connection is closed.
    Busy,
    /// The line is not a request. The connection is closed.
    Garbage,
    /// The rest of a line, or of the bytes, did not come in time. The connection is closed.
    Timeout,
    /// A line, the bytes or the response are too large.
    TooLarge,
    /// The type of the request is not known to this runtime.
    UnknownRequest,
    /// A field of the request is missing or wrong.
    BadRequest,
    /// There is no such process.
    NoProcess,
    /// Anything else.
    #[serde(other)]
    Other,
}

/// Identifies a runtime.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeInfo {
    /// Its version.
    pub version: String,
    /// The protocol it speaks.
    pub protocol: u32,
    /// Its process id in the operating system.
    pub pid: u32,
    /// The time since it started, in milliseconds.
    pub uptime_ms: u64,
}

/// One page of a list of processes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProcessPage {
    /// The processes, in the order of the request.
    pub processes: Vec<ProcessEntry>,
    /// The number of processes on all pages together.
    pub total: usize,
    /// Whether there is a further page.
    pub more: bool,
}

/// A process in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessEntry {
    /// The id.
    pub pid: ProcessId,
    /// The process that spawned it.
    pub parent: Option<ProcessId>,
    /// Whether it supervises others.
    pub supervisor: bool,
    /// The label, cut after [`MAX_TEXT_BYTES`]. A guest may have chosen it: escape it before it is
    /// shown.
    pub label: Option<String>,
    /// Whether it has to exit at its next suspension point.
    pub exiting: bool,
    /// The number of messages in its mailbox.
    pub mailbox: usize,
    /// The number of its links.
    pub links: usize,
    /// The number of its monitors.
    pub monitored_by: usize,
    /// Whether a thread was running it when it was inspected.
    #[serde(default)]
    pub running: bool,
    /// Its CPU time, in microseconds: measured if its account has a limit of CPU time, else sampled
    /// each millisecond. `None` if no sample found it running.
    pub cpu_us: Option<u64>,
    /// The details that only the process itself knows; `None` if it was not asked, is native, or
    /// did not answer in time.
    pub described: Option<Described>,
    /// How often its supervisor has restarted it; `None` if it has no supervisor, or if the
    /// supervisor was not asked or did not answer in time.
    pub restarts: Option<u64>,
    /// Whether it is a native process, which cannot be described.
    pub native: bool,
}

/// The details that a wasm process reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Described {
    /// The name in its module, cut after [`MAX_TEXT_BYTES`]; or the beginning of the hash.
    pub module: String,
    /// The beginning of the hash of its module.
    pub module_hash: String,
    /// The name under which its module is reloaded; the hash identifies the version. `None` if it
    /// has no name.
    #[serde(default)]
    pub module_name: Option<String>,
    /// The size of its linear memory, in bytes; `None` while its instance is being made, and
    /// if it runs and counts fuel.
    pub memory: Option<u64>,
    /// The host function that it waits in; `None` if it runs or is ready to run.
    pub waiting_in: Option<String>,
}

/// All details of a process. Texts may have been chosen by a guest: escape them before they are
/// shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessDetail {
    /// Its entry in a list.
    #[serde(flatten)]
    pub entry: ProcessEntry,
    /// The functions of the guest that are active, the innermost first.
    pub backtrace: Vec<String>,
    /// The processes that it is linked to; [`MAX_LISTED`] at most.
    pub linked_to: Vec<ProcessId>,
    /// The processes that monitor it; [`MAX_LISTED`] at most.
    pub watchers: Vec<ProcessId>,
    /// Its registered names; a part of them if there are many.
    pub names: Vec<String>,
    /// Its groups, each after its scope; a part of them if there are many.
    pub groups: Vec<String>,
    /// The latest messages in its mailbox, the last one at the end.
    #[serde(default)]
    pub last_messages: Vec<QueuedMessage>,
    /// The resources that are limited for this process.
    pub resources: Vec<Usage>,
    /// The charges of its account, which it may share with others.
    pub account: Vec<Usage>,
    /// The children of a supervisor, [`MAX_LISTED`] at most; empty for other processes.
    pub children: Vec<ChildEntry>,
}

/// The highest number of processes of one kind in a [`ProcessDetail`].
pub const MAX_LISTED: usize = 1000;

/// A message that waits in a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedMessage {
    /// Its tag; `None` if it has none.
    pub tag: Option<i64>,
    /// The size of its data, in bytes.
    pub bytes: u64,
}

/// The statistics of a runtime.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// The runtime.
    #[serde(flatten)]
    pub runtime: RuntimeInfo,
    /// The number of worker threads.
    pub workers: u64,
    /// The resident memory of the program, in bytes; `None` if the system does not report it.
    pub resident_memory: Option<u64>,
    /// The CPU time that the program has used, in milliseconds.
    pub cpu_ms: u64,
    /// The environments; the one of the runtime itself is first.
    pub environments: Vec<EnvironmentStats>,
    /// The charges of the root of all accounts. Its limit is the memory that the runtime may have.
    pub account: Vec<Usage>,
    /// The number of timers that have not fired.
    pub timers: u64,
    /// The number of processes and other tasks that are ready to run and wait for a worker.
    #[serde(default)]
    pub run_queue: u64,
    /// The CPU time of each worker thread, in microseconds; empty if the system does not report it.
    #[serde(default)]
    pub worker_cpu_us: Vec<u64>,
    /// The number of messages that have arrived in mailboxes of the runtime's own environment.
    #[serde(default)]
    pub messages: u64,
}

/// The statistics of an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentStats {
    /// Its id.
    pub id: u64,
    /// The number of living processes.
    pub processes: u64,
    /// The number of processes that were spawned, including those that have ended.
    pub spawned: u64,
}

/// The length to which texts of guests are cut, in bytes.
pub const MAX_TEXT_BYTES: usize = 256;

impl Refusal {
    /// A refusal.
    pub fn new(kind: RefusalKind, text: impl fmt::Display) -> Refusal {
        Refusal {
            kind,
            text: text.to_string(),
        }
    }
}

impl From<Refusal> for Response {
    fn from(refusal: Refusal) -> Response {
        Response::Error(refusal)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Refusal {}

/// Returns the beginning of a text of a guest, of [`MAX_TEXT_BYTES`] at most, with an
/// ellipsis if something was cut off.
///
/// ```
/// assert_eq!(lunatic_admin::cut("kitchen"), "kitchen");
/// assert!(lunatic_admin::cut(&"x".repeat(1 << 20)).len() < 300);
/// ```
pub fn cut(text: &str) -> String {
    match text.len() <= MAX_TEXT_BYTES {
        true => text.to_owned(),
        false => format!("{}…", &text[..text.floor_char_boundary(MAX_TEXT_BYTES)]),
    }
}
