//! The life of a process: signals, links, monitors, kill, environment, config.
//!
//! A process is a task with an id, a mailbox and relations to other processes.
//! What it runs is a future: an `async` block of a Rust program, or (feature
//! `guest`) a wasm instance. Both kinds are linked, monitored, killed and sent
//! messages in the same way, and to each other.
//!
//! # Layout
//!
//! - `environment`: [`Environment`], where processes live and are found.
//! - `spawning`: [`SpawnOptions`] and [`SpawnError`]; `pid_counter`: [`PidCounter`], the ids.
//! - `process`: [`Process`], the handle to one.
//! - `relations`: links and monitors as a pure state machine.
//! - `exit`: [`ExitReason`], how a process ended; `failure`: [`Failure`], what went wrong.
//! - `info`: what there is to say of a process; `request`: what is asked of its body.
//! - `peers`: [`Peers`], how the processes of other nodes are reached.
//! - `signal`: [`Signal`], what processes tell each other beside messages.
//! - `config`: [`ProcessConfig`], what a process may do and how much it may use.
//! - `life`: the task that runs a body and, in one place, its death; `death_notices`: who
//!   is told of it; `death_log`, `rate_limit`: what is logged of it.
//! - `table`: the processes of an environment by id.
//! - `trace`: tells those who ask what processes do.
//! - `guest`: processes that are wasm instances, `lunatic::process`,
//!   `lunatic::trap` (feature `guest`, on by default).
//!
//! # Invariants
//!
//! - Every process that was put into the table leaves it through `life`'s one
//!   `die`: return, failure, kill, link death, panic, or a task that is thrown
//!   away. No death is silent.
//! - The order of a death: out of the table, body dropped (its sockets and files
//!   are closed), mailbox closed, exit hooks (its names are gone), links,
//!   monitors, waiters.
//! - No two control locks are ever held at once, and none while foreign code runs.
//! - A signal is applied by whoever sends it, at once and under the receiver's
//!   lock: there is no signal queue that could grow.

mod config;
mod counters;
mod death_log;
mod death_notices;
mod environment;
mod exit;
mod failure;
#[cfg(feature = "guest")]
pub mod guest;
mod info;
mod life;
mod peers;
mod pid_counter;
mod process;
mod rate_limit;
mod relations;
mod request;
mod signal;
mod spawning;
mod table;
mod trace;

pub use config::{FUEL_UNIT, ProcessConfig};
pub use counters::{END_REASONS, MailboxLengths, ProcessCounters, ProcessCounts};
pub use environment::{Environment, EnvironmentConfig, WeakEnvironment};
pub use exit::ExitReason;
pub use failure::{Failure, FailureKind, MAX_BACKTRACE_BYTES, MAX_MESSAGE_BYTES, Shutdown};
pub use info::{Detail, Inspection, ProcessInfo, Role};
pub use peers::{NoConnection, NoPeers, Peers};
pub use pid_counter::PidCounter;
pub use process::{Effect, Process};
pub use rate_limit::RateLimit;
pub use relations::{Reaction, Relations};
pub use request::Request;
pub use signal::{LinkNotice, Signal};
pub use spawning::{AtBirth, Context, SpawnError, SpawnLink, SpawnOptions};
pub use trace::{MAX_PRINTED_BYTES, TooManyTraces, Trace, TraceEvent, TraceOptions, Traced};

/// The examples in the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
