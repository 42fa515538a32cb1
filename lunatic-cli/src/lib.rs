//! Composes the Lunatic crates into a runtime that a program can embed.
//!
//! Each feature crate knows one thing and asks, through a small trait, for the
//! part of a process's state that it works on. Here is that state, [`State`],
//! and the [`Runtime`] around it. The program `lunatic` is a thin shell over
//! this library.
//!
//! # Layout
//!
//! - `runtime`: [`Runtime`], started, given modules, shut down.
//! - `state`: [`State`], what a wasm process is made of, and which host
//!   functions it can call.
//! - `child_environment`: [`ChildEnvironment`], what a process has from its parent.
//! - `config`: [`Config`], what a process may do and what it is given.
//! - `descriptors`: how many files and sockets may be open.
//! - `program`: [`Program`], a root process that can be replaced as a whole.
//! - `ongoing_reloads`: which modules are being reloaded.
//! - `reload_counts`: how many reloads there were.
//! - `reloading`: the versions of modules, and how another one becomes current.
//! - `command_line`: [`main`], what the program `lunatic` does.
//! - `admin`: [`Admin`], what the runtime tells at its admin socket.
//! - `recording`: profiles and core dumps of guests.
//! - `timeline`: tells what took how long.
//! - `value`: [`Value`], what exports take and return.
//! - `metrics`: [`MetricsServer`], what it has counted, over HTTP.
//! - `name_scope`: [`NameScope`], the names and groups that processes share.
//!
//! # The engine
//!
//! Nothing here is of a type of the engine's, wasmtime, so that another version of it is no other
//! version of this crate. The feature `engine` adds `Builder::host_functions`, for programs that
//! offer functions of their own to guests and so have to know the engine.
//!
//! # Invariants
//!
//! - This is the only crate that knows all others; none knows this one.
//! - Nothing is decided here that a feature crate could decide.

mod admin;
mod child_environment;
mod command_line;
mod config;
mod descriptors;
mod memory_watch;
mod metrics;
mod name_scope;
#[cfg(not(feature = "distribution"))]
mod no_node;
#[cfg(feature = "distribution")]
mod node;
mod ongoing_reloads;
mod program;
mod reactor;
mod recording;
mod reload_counts;
mod reloading;
mod runtime;
mod state;
mod timeline;
mod value;

#[cfg(not(feature = "distribution"))]
use no_node as node;

pub use admin::Admin;
pub use child_environment::ChildEnvironment;
pub use command_line::{cargo_main, main, main_of_commit, try_manifest};
pub use config::{Config, WireConfig};
pub use memory_watch::when_memory_is_short;
pub use metrics::MetricsServer;
pub use name_scope::NameScope;
#[cfg(feature = "distribution")]
pub use node::{RemoteDir, RemoteRights, RemoteRule};
pub use program::{Program, ReplaceError, ReplaceLimits};
pub use reloading::{Others, ReloadFailure, Reloading};
pub use runtime::{Builder, Root, RootError, Runtime, RuntimeError};
pub use state::{HOST_FUNCTIONS, State};
pub use value::{Results, Value};

/// The examples in the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
