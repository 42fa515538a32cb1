//! Compiles WebAssembly modules and makes instances of them, a million at once if need be.
//!
//! An [`Engine`] compiles; a [`Loader`] links modules against host functions; a
//! [`Module`] is the result, ready to be instantiated on any thread; an
//! [`Instance`] is one instance with its state.
//!
//! # Layout
//!
//! From the top down; no file imports from one above it.
//!
//! - `loader`: [`Loader`], from bytes to a module.
//! - `module`: [`Module`], compiled and linked; `budget`: [`Budget`], how much its instances
//!   may execute.
//! - `instance`: [`Instance`], one instance with its state.
//! - `stack_meter`: charges what an instance has written of its stacks.
//! - `code`: what a module is compiled to, and which of it an instance runs; `variant`,
//!   `variant_compiler`: other code, compiled when it is first needed; `compiler`: compiles one
//!   variant; `guarded_permits`, `short_lives`: which instances get guarded memories.
//! - `refill`: the function of the host that makes instances yield.
//! - `preemption`: writes points of preemption into a module before it is compiled.
//! - `imports`: why imports cannot be satisfied; `host_function_type`:
//!   [`HostFunctionType`], what is offered.
//! - `source`: the bytes that a module is loaded from.
//! - `text_format`: modules as text; `module_limits`: [`ModuleLimits`], how large a module
//!   may be.
//! - `tags`: what exceptions may carry; `catch_label`: where one is caught.
//! - `data_segments`, `initial_memory`: data segments, taken out of a module before it is
//!   compiled.
//! - `load_error`, `import_problem`, `instantiate_error`: what can go wrong.
//! - `engine`: [`Engine`], what is compiled how.
//! - `code_cache`: what was compiled, kept for the next start; `module_summary`, `compiled_module`:
//!   what that is.
//! - `module_info` and `module_hash`: what is known of a module before it runs;
//!   `invalid_module`: why it is none.
//! - `startup`: what the engine does for segments when an instance is made.
//! - `time_slice`, `ticker`: [`Ticker`], the clock of preemption.
//! - `arena`: the stacks and memories of instances (Linux).
//! - `sealed_file`: files that are written once and can be trusted.
//! - `limits`: [`MemoryLimits`], how far an instance may grow.
//! - `memory_limiter`: [`MemoryLimiter`], which holds it to that and charges it.
//! - `stats`: [`EngineStats`], what is counted.
//! - `memory_layout`: [`MemoryLayout`], how memories lie in the address space.
//!
//! # Invariants
//!
//! - Guest code never holds a worker: a tick of the [`Ticker`] that finds it
//!   running makes it yield; if it counts fuel, it yields whenever it has used up a
//!   slice.
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
mod budget;
mod catch_label;
mod code;
mod code_cache;
mod compiled_module;
mod compiler;
mod compiler_memory;
mod compiler_threads;
mod data_segments;
mod engine;
mod guarded_permits;
mod host_function_type;
mod import_problem;
mod imports;
mod initial_memory;
mod instance;
mod instantiate_error;
mod invalid_module;
mod limits;
mod load_error;
mod loader;
mod memory_layout;
mod memory_limiter;
mod module;
mod module_hash;
mod module_info;
mod module_limits;
mod module_summary;
mod preemption;
mod refill;
mod sealed_file;
mod short_lives;
mod source;
mod stack_meter;
mod startup;
mod stats;
mod tags;
mod text_format;
mod ticker;
mod time_slice;
mod variant;
mod variant_compiler;

pub use budget::Budget;
pub use engine::{Engine, EngineConfig, EngineError};
pub use host_function_type::HostFunctionType;
pub use import_problem::ImportProblem;
pub use instance::{Call, Instance, InstanceState, Results};
pub use instantiate_error::InstantiateError;
pub use invalid_module::InvalidModule;
pub use limits::{ExceedsLimits, MemoryLimits, STACK_BYTES};
pub use load_error::LoadError;
pub use loader::Loader;
pub use memory_layout::MemoryLayout;
pub use memory_limiter::MemoryLimiter;
pub use module::{CompiledModule, Module, ModuleRecord, WeakModule};
pub use module_hash::ModuleHash;
pub use module_info::ModuleInfo;
pub use module_limits::{ExceedsModuleLimit, ModuleLimit, ModuleLimits};
pub use preemption::BUDGET as PREEMPTION_BUDGET;
pub use stats::{ArenaStats, EngineStats, SlotUse};
pub use text_format::TextError;
pub use ticker::Ticker;
pub use time_slice::{end_time_slice, is_time_slice_over};

/// The examples in the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
