//! Asks a running Lunatic, and steers it, over a Unix socket.
//!
//! [`Server`] is the side of the runtime, which implements [`Answering`]. [`Client`] is the
//! other side; it is all that a program needs that looks into runtimes.
//!
//! # What is sent
//!
//! Lines of JSON. Each side sends a [`Hello`] first, in which `lunatic_admin` is the version of
//! the protocol. Then the client sends a [`Request`], and the runtime answers it before it
//! reads the next one:
//!
//! ```json
//! {"lunatic_admin":1,"version":"0.14.0","name":"shop","pid":4711}
//! {"lunatic_admin":1,"version":"0.14.0"}
//! {"id":1,"type":"kill","pid":"42"}
//! {"id":1,"type":"error","kind":"no_process","text":"there is no process 42"}
//! ```
//!
//! A request that has `"bytes": N` is followed by that many bytes, which are no line. The
//! answer to some requests is a stream of responses, all with the id of the request, until
//! one has the type `end`, or either side closes the connection; such a connection is used
//! for nothing else meanwhile.
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
//! [`PROTOCOL`] stays what it is: a runtime that does not know the request says so.
//!
//! # Layout
//!
//! - `hello`, `request`, `response`, `process_id`: what is sent.
//! - `reload`: what is sent about versions of modules.
//! - `traced`: what is sent about what processes do.
//! - `parts`: what several answers are made of.
//! - `measurements`: what is sent about what is counted, and about supervisors.
//! - `name`, `directory`, `socket`: how runtimes are found and told apart.
//! - `peer`: who is at the other end.
//! - `lines`: reads and writes with limits of length and time.
//! - `answering`: what a runtime implements.
//! - `server`, `connection`, `place`, `limits`: the side of the runtime.
//! - `client`: the other side.
//!
//! # Invariants
//!
//! - Only the user who runs the runtime, and root, are answered. The directory has the mode
//!   0700, the sockets 0600, and the system is asked who connects.
//! - Nothing that a client does, or does not do, takes more than the [`Limits`].
//! - A server has one thread, which sleeps while nobody asks.

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
mod place;
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
