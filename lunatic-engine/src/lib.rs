//! Compiles WebAssembly modules and makes instances of them, a million at once if need be.
//!
//! An [`Engine`] compiles; a [`Loader`] links modules against host functions; a
//! [`Module`] is the result, ready to be instantiated on any thread; an
//! [`Instance`] is one instance with its state.
//!
//! # Layout
//!
//! - [`engine`]: [`Engine`], what is compiled how.
//! - [`geometry`]: [`Geometry`], how memories lie in the address space.
//! - [`ticker`]: [`Ticker`], the clock of preemption.
//! - [`loader`]: [`Loader`], from bytes to a module, and all that can be wrong.
//! - [`module`]: [`Module`], compiled and linked.
//! - [`info`]: what a module says of itself before it runs.
//! - [`instance`]: [`Instance`], one instance with its state.
//! - [`limits`]: [`MemoryLimits`], how far an instance may grow.
//! - [`segments`]: data segments, taken out of a module before it is compiled.
//! - `arena`: the stacks and memories of instances (Linux).
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
pub mod geometry;
pub mod instance;
pub mod limits;
pub mod loader;
pub mod module;
pub mod module_info;
pub mod segments;
pub mod ticker;

pub use engine::{Engine, EngineConfig, EngineError};
pub use geometry::Geometry;
pub use instance::{Call, Instance, InstanceState, InstantiateError};
pub use limits::MemoryLimits;
pub use loader::{ImportProblem, LoadError, Loader};
pub use module::{Metering, Module};
pub use module_info::ModuleInfo;
pub use ticker::Ticker;

/// The examples in the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
