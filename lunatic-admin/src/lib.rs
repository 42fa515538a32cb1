//! Inspects and controls a running Lunatic over a Unix socket.
//!
//! [`Server`] is the side of the runtime, which implements [`Answering`]. [`Client`] is the other
//! side, for programs that inspect runtimes.
//!
//! # What is sent
//!
//! Both sides send lines of JSON. Each side sends a [`Hello`] first, in which `lunatic_admin` is
//! the version of the protocol. Then the client sends a [`Request`], and the runtime answers it
//! before it reads the next one:
//!
//! ```json
//! {"lunatic_admin":1,"version":"0.14.0","name":"shop","pid":4711}
//! {"lunatic_admin":1,"version":"0.14.0"}
//! {"id":1,"type":"kill","pid":"42"}
//! {"id":1,"type":"error","kind":"no_process","text":"there is no process 42"}
//! ```
//!
//! A request with the field `"bytes": N` is followed by `N` bytes, which are not a line. The answer
//! to some requests is a stream of responses, all with the id of the request, until one has the
//! type `end`, or either side closes the connection. Until then the connection is used for nothing
//! else.
//!
//! # To add a request
//!
//! 1. Its variant in [`Request`] (`request.rs`), and whether it [takes
//!    bytes](Request::takes_bytes).
//! 2. Its answer in [`Response`] (`response.rs`), unless [`Response::Done`] is enough.
//! 3. An arm in `answer` of `lunatic-cli/src/admin.rs`; for a subscription,
//!    [`Answer::Many`] or [`Answer::Stream`].
//! 4. A command in `lunatic-cli/src/command_line/admin/`.
//!
//! [`PROTOCOL`] does not change: a runtime answers a request that it does not know with an error.
//!
//! # Layout
//!
//! - `hello`, `request`, `response`, `process_id`: the lines of both sides.
//! - `reload`: requests and responses about versions of modules.
//! - `traced`: events and output of processes.
//! - `parts`: types that are parts of several responses.
//! - `measurements`: measurements, and supervisors.
//! - `name`, `directory`, `socket`: how runtimes are found and named.
//! - `peer`: the user at the other end of a socket.
//! - `lines`: reads and writes with limits of length and time.
//! - `answering`: the interface that a runtime implements.
//! - `server`, `connection`, `permit`, `limits`: the side of the runtime.
//! - `client`: the side of the client.
//!
//! # Invariants
//!
//! - Only the user who runs the runtime, and root, get answers. The directory has the mode 0700,
//!   the sockets 0600, and the system reports which user connects.
//! - No client can use more than the [`Limits`], whatever it does or does not do.
//! - A server has one thread, which sleeps while there are no requests.

mod answering;
mod client;
mod connection;
mod directory;
mod hello;
mod limits;
mod lines;
mod measurements;
mod name;
mod parts;
mod peer;
mod permit;
mod process_id;
mod reload;
mod request;
mod response;
mod server;
mod socket;
mod traced;

pub use answering::{Answer, Answering};
pub use client::{Client, ClientError, Subscription, runtimes};
pub use directory::{Directory, DirectoryError};
pub use hello::{Hello, PROTOCOL};
pub use limits::Limits;
pub use measurements::{
    Count, GonePeer, Measurements, PeerUse, SlotUse, SupervisorEntry, Supervisors, WorkerUse,
};
pub use name::{InvalidName, MAX_NAME_BYTES, RuntimeName};
pub use parts::{ChildEntry, Usage};
pub use process_id::{InvalidProcessId, ProcessId};
pub use reload::{
    ModuleVersions, Others, Reload, ReloadProgress, ReloadResult, Reloaded, ReloadedProcess,
    VersionUse,
};
pub use request::{
    DEFAULT_TRACE_MS, Describe, Exit, Logs, MAX_DESCRIBED, MAX_PAGE, MAX_TRACE_MS, ProcessOrder,
    ProcessQuery, Request, Target, Trace,
};
pub use response::{
    Described, EnvironmentStats, MAX_LISTED, MAX_TEXT_BYTES, Modules, NodeConnection, NodeEntry,
    NodeState, Nodes, ProcessDetail, ProcessEntry, ProcessPage, QueuedMessage, Refusal,
    RefusalKind, Reloads, Response, RuntimeInfo, Stats, cut,
};
pub use server::{Server, StartError};
pub use socket::BindError;
pub use traced::{Traced, TracedEvent};

/// The examples in the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
