//! Safe bindings for Rust guests to what Lunatic offers beyond the `lunatic`
//! crate: docs/abi-extensions.md.
//!
//! It is compiled for `wasm32-wasip1` and can be used beside the `lunatic` crate,
//! or alone.
//!
//! # Layout
//!
//! - [`account`]: how much the processes of a branch may use together.
//! - [`directory`]: directories that processes with a config can use.
//! - [`supervisor`]: OTP's supervisors.
//! - [`group`]: OTP's process groups.
//! - [`node`]: the nodes of a cluster; [`global`]: names that are unique in it.
//! - [`sqlite`]: SQLite databases, with rows that `serde` reads (feature `sqlite`).
//! - [`process`]: as much of processes and messages as supervised programs need
//!   that do without the `lunatic` crate.
//! - [`net`]: sockets that accept TCP connections.
//! - [`reload`]: processes that go on with the new code when a module is reloaded.
//! - `param`: the arguments of functions that processes run.
//! - `error`: what the host reports.
//! - `sys`: the imported functions.
//!
//! # Invariants
//!
//! - Only `sys` contains `unsafe`: it hands out addresses of nothing but the
//!   slices and variables it is given.

#![warn(missing_docs, missing_debug_implementations, unreachable_pub)]

pub mod account;
pub mod directory;
mod error;
pub mod global;
pub mod group;
pub mod net;
pub mod node;
mod param;
pub mod process;
pub mod reload;
#[cfg(feature = "sqlite")]
pub mod sqlite;
pub mod supervisor;
mod sys;

// Its exports must be in each module.
use lunatic_sys as _;

pub use error::{Error, Result};
pub use param::Param;
