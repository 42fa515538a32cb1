//! Turns a module into a body that can be run a million times.
//!
//! An [`Engine`] compiles; a [`Loader`] links modules against host functions; a
//! [`Module`] is the result, ready to be instantiated on any thread; an
//! [`Instance`] is one body that is being run.
//!
//! # Layout
//!
//! - [`engine`]: [`Engine`], what is compiled how.
//! - [`geometry`]: [`Geometry`], how memories lie in the address space.
//! - [`ticker`]: [`Ticker`], the clock of preemption.
//! - [`loader`]: [`Loader`], from bytes to a module, and all that can be wrong.
//! - [`module`]: [`Module`], compiled and linked.
//! - [`facts`]: what a module says of itself before it runs.
//! - [`instance`]: [`Instance`], one body.
//! - [`limits`]: [`MemoryLimits`], how far a body may grow.
//! - [`segments`]: data segments, taken out of a module before it is compiled.
//! - `arena`: the stacks and memories of bodies (Linux).
//!
//! # Invariants
//!
//! - Guest code never holds a worker: a tick of the [`Ticker`] that finds it
//!   running makes it yield; metered, it yields whenever it has used up a slice of
//!   fuel.
//! - Compiling is the only thing here that blocks; [`Loader::load_async`] does
//!   it on another thread pool.
//! - Nothing here knows of processes or messages.

// The model check compiles the part that it checks by itself.
#![cfg(not(lunatic_loom))]

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod arena;
#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
#[path = "no_arena.rs"]
mod arena;
pub mod engine;
pub mod facts;
pub mod geometry;
pub mod instance;
pub mod limits;
pub mod loader;
pub mod module;
pub mod segments;
pub mod ticker;

pub use engine::{Engine, EngineConfig, EngineError};
pub use facts::Facts;
pub use geometry::Geometry;
pub use instance::{Call, Instance, InstanceState, InstantiateError};
pub use limits::MemoryLimits;
pub use loader::{ImportProblem, LoadError, Loader};
pub use module::{Metering, Module};
pub use ticker::Ticker;

/// The examples in the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
