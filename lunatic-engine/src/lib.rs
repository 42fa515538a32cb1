//! Turns a module into a body that can be run a million times.
//!
//! An [`Engine`] compiles; a [`Loader`] links modules against host functions; a
//! [`Module`] is the result, ready to be instantiated on any thread; an
//! [`Instance`] is one body that is being run.
//!
//! ```
//! use lunatic_engine::{Engine, EngineConfig, InstanceState, Loader, MemoryLimits, Metering};
//!
//! struct State(MemoryLimits);
//! impl InstanceState for State {
//!     fn limits(&mut self) -> &mut MemoryLimits {
//!         &mut self.0
//!     }
//! }
//!
//! let engine = Engine::new(&EngineConfig::default())?;
//! let loader = Loader::new(&engine, |_linker| Ok(()))?;
//! let module = loader.load(br#"(module (func (export "main")))"#)?;
//! futures_lite::future::block_on(async {
//!     let state = State(MemoryLimits::default());
//!     let mut instance = module.instantiate(state, Metering::Unlimited).await?;
//!     instance.call("main", &[]).await
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Layout
//!
//! - [`engine`]: [`Engine`], what is compiled how.
//! - [`ticker`]: [`Ticker`], the clock of preemption.
//! - [`loader`]: [`Loader`], from bytes to a module, and all that can be wrong.
//! - [`module`]: [`Module`], compiled and linked.
//! - [`facts`]: what a module says of itself before it runs.
//! - [`instance`]: [`Instance`], one body.
//! - [`limits`]: [`MemoryLimits`], how far a body may grow.
//!
//! # Invariants
//!
//! - Guest code never holds a worker: it yields at every tick of the
//!   [`Ticker`], or, metered, whenever it has used up a slice of fuel.
//! - Compiling is the only thing here that blocks; [`Loader::load_async`] does
//!   it on another thread pool.
//! - Nothing here knows of processes or messages.
//!
//! # Limits
//!
//! One memory of up to 4 GiB and one table per body. Accepted are WebAssembly's
//! MVP, sign extension, saturating conversions, multi-value, bulk memory,
//! reference types, SIMD and, as far as it is not used, multi-memory.

pub mod engine;
pub mod facts;
pub mod instance;
pub mod limits;
pub mod loader;
pub mod module;
pub mod ticker;

pub use engine::{Engine, EngineConfig, EngineError};
pub use facts::Facts;
pub use instance::{Instance, InstanceState, InstantiateError};
pub use limits::MemoryLimits;
pub use loader::{ImportProblem, LoadError, Loader};
pub use module::{Metering, Module};
pub use ticker::Ticker;
