//! What the runtime answers.

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
    /// It is done, and there is nothing to say.
    Done,
    /// It cannot be done.
    Error(Refusal),
    /// There are no more responses to a subscription.
    End,
    /// To [`Request::Nodes`](crate::Request::Nodes).
    Nodes(Nodes),
}

/// The nodes of a cluster, as one of them knows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nodes {
    /// They, the one that is asked first, the others by name.
    pub nodes: Vec<NodeEntry>,
}

/// A node of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeEntry {
    /// The name.
    pub name: String,
    /// The id, in hexadecimal; another one for each start of the node.
    pub id: String,
    /// Where it is reached.
    pub address: String,
    /// What it is to the node that is asked.
    pub state: NodeState,
    /// How long it has been connected, or gone, or run if it is the one that is asked, in
    /// milliseconds.
    pub since_ms: Option<u64>,
    /// What is known of the connection.
    pub connection: Option<NodeConnection>,
}

/// What a node is to the one that is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NodeState {
    /// It is the one that is asked.
    Own,
    /// The two are connected.
    Connected,
    /// Others say that it lives, and there is no connection to it.
    Unconnected,
    /// The connection was lost just now, or nobody says that it lives.
    Lost,
    /// It has left in good order.
    Left,
}

/// A connection between two nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeConnection {
    /// The round trip, in microseconds.
    pub round_trip_us: u64,
    /// Bytes that wait to be sent.
    pub queued_bytes: u64,
    /// Bytes that were sent over it.
    pub sent_bytes: u64,
    /// Bytes that have come over it.
    pub received_bytes: u64,
}

/// The modules that have a name, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Modules {
    /// They.
    pub modules: Vec<ModuleVersions>,
}

/// The reloads that go on and move processes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloads {
    /// They.
    pub reloads: Vec<ReloadProgress>,
}

/// Why a request cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// For programs.
    pub kind: RefusalKind,
    /// For people, on one line.
    pub text: String,
}

/// What kind of [`Refusal`] it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RefusalKind {
    /// The protocol of the client is another one. The connection is closed.
    Protocol,
    /// The client runs as another user. The connection is closed.
    User,
    /// There are as many clients, or as many that send bytes, as may be. The connection is
    /// closed.
    Busy,
    /// What came is no request at all. The connection is closed.
    Garbage,
    /// It took too long until the rest of a line, or of the bytes, came. The connection is
    /// closed.
    Timeout,
    /// A line, the bytes or the answer are too large.
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

/// Which runtime it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeInfo {
    /// Its version.
    pub version: String,
    /// The protocol it speaks.
    pub protocol: u32,
    /// Its process id of the system.
    pub pid: u32,
    /// How long it has run, in milliseconds.
    pub uptime_ms: u64,
}

/// Some of the processes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProcessPage {
    /// They, in the order that was asked for.
    pub processes: Vec<ProcessEntry>,
    /// How many there are on all pages together.
    pub total: usize,
    /// Whether there are more behind them.
    pub more: bool,
}

/// What is known of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessEntry {
    /// The id.
    pub pid: ProcessId,
    /// The process that spawned it.
    pub parent: Option<ProcessId>,
    /// Whether it supervises others.
    pub supervisor: bool,
    /// The name for people, cut after [`MAX_TEXT_BYTES`]. A guest may have chosen it:
    /// escape it before it is shown.
    pub label: Option<String>,
    /// Whether it has to exit at its next suspension point.
    pub exiting: bool,
    /// How many messages wait in its mailbox.
    pub mailbox: usize,
    /// To how many it is linked.
    pub links: usize,
    /// How many monitor it.
    pub monitored_by: usize,
    /// Whether a thread ran it at the moment when it was looked at.
    #[serde(default)]
    pub running: bool,
    /// How long it has run, in microseconds: measured if its account has a limit of CPU time, else
    /// sampled each millisecond. `None` if it was never seen to run.
    pub cpu_us: Option<u64>,
    /// What only the process itself knows; `None` if it was not asked, is native, or did not
    /// answer in time.
    pub described: Option<Described>,
    /// How often its supervisor has started it again; `None` if it has none, or that was not
    /// asked or did not answer in time.
    pub restarts: Option<u64>,
    /// Whether it can be described: native processes cannot.
    pub native: bool,
}

/// What a wasm process says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Described {
    /// The name that its module gives itself, cut after [`MAX_TEXT_BYTES`]; or the beginning
    /// of the hash.
    pub module: String,
    /// The beginning of the hash of its module.
    pub module_hash: String,
    /// The name under which its module is reloaded, of which the hash tells the version; `None`
    /// if it has none.
    #[serde(default)]
    pub module_name: Option<String>,
    /// The size of its linear memory, in bytes; `None` while its instance is being made, and
    /// if it runs and counts fuel.
    pub memory: Option<u64>,
    /// The host function that it waits in; `None` if it runs or is ready to.
    pub waiting_in: Option<String>,
}

/// All that is known of a process. Texts may have been chosen by a guest: escape them before
/// they are shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessDetail {
    /// What is listed of it.
    #[serde(flatten)]
    pub entry: ProcessEntry,
    /// The functions of the guest that are active, the innermost first.
    pub backtrace: Vec<String>,
    /// To whom it is linked; [`MAX_LISTED`] at most.
    pub linked_to: Vec<ProcessId>,
    /// Who monitors it; [`MAX_LISTED`] at most.
    pub watchers: Vec<ProcessId>,
    /// Names by which others find it; some, if there are many.
    pub names: Vec<String>,
    /// Groups that it is in, behind their scopes; some, if there are many.
    pub groups: Vec<String>,
    /// The messages in its mailbox that arrived last, the last one behind.
    #[serde(default)]
    pub last_messages: Vec<QueuedMessage>,
    /// How much it has of what is limited for itself.
    pub resources: Vec<Usage>,
    /// How much has been charged to its account, which it may share with others.
    pub account: Vec<Usage>,
    /// The children of a supervisor, [`MAX_LISTED`] at most; empty for others.
    pub children: Vec<ChildEntry>,
}

/// The most processes that a [`ProcessDetail`] lists of a kind.
pub const MAX_LISTED: usize = 1000;

/// A message that waits in a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedMessage {
    /// Its tag; `None` if it has none.
    pub tag: Option<i64>,
    /// The size of its data, in bytes.
    pub bytes: u64,
}

/// What there is of the runtime as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Which runtime it is.
    #[serde(flatten)]
    pub runtime: RuntimeInfo,
    /// The worker threads.
    pub workers: u64,
    /// The memory that the program takes, in bytes; `None` where that cannot be told.
    pub resident_memory: Option<u64>,
    /// The CPU time that the program has used, in milliseconds.
    pub cpu_ms: u64,
    /// The environments; the one of the runtime itself is first.
    pub environments: Vec<EnvironmentStats>,
    /// How much has been charged to the root of all accounts. It is limited by the memory
    /// that the runtime may take.
    pub account: Vec<Usage>,
    /// The timers that have not fired.
    pub timers: u64,
    /// The processes, and other tasks, that are ready to run and wait for a worker.
    #[serde(default)]
    pub run_queue: u64,
    /// The CPU time of each worker thread, in microseconds; empty where that cannot be told.
    #[serde(default)]
    pub worker_cpu_us: Vec<u64>,
    /// The messages that have arrived in mailboxes of the runtime's own environment.
    #[serde(default)]
    pub messages: u64,
}

/// What there is in an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentStats {
    /// Its id.
    pub id: u64,
    /// The processes that live.
    pub processes: u64,
    /// The processes that were spawned, those that have ended among them.
    pub spawned: u64,
}

/// Texts of guests are cut to so many bytes.
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
