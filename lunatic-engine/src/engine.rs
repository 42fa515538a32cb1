//! The engine: how modules are compiled.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use wasmtime::{Config, OperatorCost};

use crate::arena::{Arena, StacksInUse};
use crate::code_cache::CodeCache;
use crate::limits::{STACK_BYTES, WASM_STACK_BYTES};
use crate::memory_layout::MemoryLayout;
use crate::module_limits::ModuleLimits;
use crate::stats::EngineStats;
use crate::ticker::Ticker;

/// Settings of an [`Engine`].
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct EngineConfig {
    /// The directory in which compiled modules are kept for the next time; `None` if
    /// they are not kept.
    pub cache: Option<PathBuf>,
    /// How memories lie in the address space of the arena. By default it is `None`: 128 memories of
    /// the program are guarded, and all further ones are dense, for which modules are compiled a
    /// second time.
    pub memory_layout: Option<MemoryLayout>,
    /// How large a module may be.
    pub module_limits: ModuleLimits,
    /// Maps every stack and memory by itself, and guards it, as on systems that have
    /// no arena: some 16 000 processes.
    pub without_arena: bool,
    /// The error of a trap contains a [`WasmCoreDump`](wasmtime::WasmCoreDump).
    pub core_dumps: bool,
}

/// Why an engine could not be set up.
#[derive(Debug)]
pub struct EngineError(wasmtime::Error);

/// Compiles modules; clone it freely.
///
/// There are two ways to make guest code stop in time. The code of instances without a
/// budget has points of preemption that look at the [`Ticker`]; that costs little. Instances
/// with a budget count fuel, which is exact and dearer. And there are two ways to keep it
/// inside of its memory, see [`MemoryLayout`]. Which ones is decided at compile time, so there are
/// several compilers, and all but the first are made when they are first needed.
///
/// ```
/// use lunatic_engine::{Engine, EngineConfig, MemoryLayout};
///
/// let mut config = EngineConfig::default();
/// config.memory_layout = Some(MemoryLayout::Guarded);
/// let engine = Engine::new(&config)?;
/// # Ok::<(), lunatic_engine::EngineError>(())
/// ```
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

/// The purpose of a variant of a module, beside the first code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VariantKind {
    /// Dense memories, where the first code is for guarded ones, of which there are few.
    Dense,
    /// Budgets. Its memories are dense where some are.
    Fuel,
}

struct Inner {
    sharing: wasmtime::Engine,
    dense: OnceLock<wasmtime::Engine>,
    fuel: OnceLock<wasmtime::Engine>,
    cache: Option<CodeCache>,
    arena: Option<&'static Arena>,
    module_limits: ModuleLimits,
    core_dumps: bool,
    ticker: Ticker,
}

impl Engine {
    /// Makes an engine. If compiled modules cannot be kept in the directory of the config, that is
    /// logged when the first was compiled, and they are not kept.
    ///
    /// # Errors
    ///
    /// Fails if this machine cannot run compiled WebAssembly, or gives no thread for
    /// the ticker.
    pub fn new(config: &EngineConfig) -> Result<Engine, EngineError> {
        let cache = config.cache.as_deref().map(CodeCache::new);
        let arena = match config.without_arena {
            true => None,
            false => Arena::get(config.memory_layout),
        };
        let module_limits = config.module_limits;
        let core_dumps = config.core_dumps;
        let config = sharing_config(arena, core_dumps);
        let sharing = wasmtime::Engine::new(&config).map_err(EngineError)?;
        let ticker = Ticker::start().map_err(|error| {
            let error = wasmtime::Error::new(error);
            EngineError(error.context("the system gives no thread for its clock"))
        })?;
        Ok(Engine {
            inner: Arc::new(Inner {
                sharing,
                dense: OnceLock::new(),
                fuel: OnceLock::new(),
                cache,
                arena,
                module_limits,
                core_dumps,
                ticker,
            }),
        })
    }

    /// The clock of preemption. Threads that run instances call its [`enter`](Ticker::enter) and
    /// [`leave`](Ticker::leave).
    pub fn ticker(&self) -> &Ticker {
        &self.inner.ticker
    }

    /// Returns whether this system tells what instances have written of their stacks, so that it can
    /// be charged to accounts below a root.
    pub fn measures_stacks() -> bool {
        StacksInUse::can_be_measured()
    }

    /// Returns statistics, without waiting for anything.
    pub fn stats(&self) -> EngineStats {
        let cache = self.inner.cache.as_ref();
        EngineStats {
            cache_hits: cache.map_or(0, CodeCache::hits),
            cache_misses: cache.map_or(0, CodeCache::misses),
            arena: self.inner.arena.map(Arena::stats),
        }
    }

    /// The arena of the stacks and memories of the first code; `None` if the engine maps them
    /// itself.
    pub(crate) fn arena(&self) -> Option<&'static Arena> {
        self.inner.arena
    }

    /// The cache of compiled modules; `None` if they are not kept.
    pub(crate) fn cache(&self) -> Option<&CodeCache> {
        self.inner.cache.as_ref()
    }

    /// How large a module may be.
    pub(crate) fn module_limits(&self) -> &ModuleLimits {
        &self.inner.module_limits
    }

    /// The engine of the first code, which shares time by points of preemption.
    pub(crate) fn sharing_engine(&self) -> &wasmtime::Engine {
        &self.inner.sharing
    }

    /// The engine of variants of one kind, made when it is first asked for.
    ///
    /// # Errors
    ///
    /// Fails if this machine cannot run compiled WebAssembly.
    pub(crate) fn of_variant(&self, kind: VariantKind) -> wasmtime::Result<&wasmtime::Engine> {
        let made = match kind {
            VariantKind::Dense => &self.inner.dense,
            VariantKind::Fuel => &self.inner.fuel,
        };
        if let Some(engine) = made.get() {
            return Ok(engine);
        }
        let arena = self.inner.arena.map(Arena::for_any_number);
        let core_dumps = self.inner.core_dumps;
        let config = match kind {
            VariantKind::Dense => sharing_config(arena, core_dumps),
            VariantKind::Fuel => {
                let mut config = base_config(arena, core_dumps);
                config.consume_fuel(true);
                // To look for a handler takes far longer than other operators.
                config.operator_cost(OperatorCost {
                    Throw: u8::MAX,
                    ThrowRef: u8::MAX,
                    ..OperatorCost::default()
                });
                config
            }
        };
        let engine = wasmtime::Engine::new(&config)?;
        Ok(made.get_or_init(|| engine))
    }
}

/// The compiler of code that shares time.
fn sharing_config(arena: Option<&Arena>, core_dumps: bool) -> Config {
    let mut config = base_config(arena, core_dumps);
    // The calls of the host at points of preemption are put behind other code.
    config.wasm_branch_hinting(true);
    config
}

/// The settings that all compilers have in common.
fn base_config(arena: Option<&Arena>, core_dumps: bool) -> Config {
    let mut config = Config::new();
    config
        .coredump_on_trap(core_dumps)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(STACK_BYTES)
        .wasm_multi_memory(true)
        .wasm_tail_call(true)
        .wasm_function_references(true)
        .wasm_extended_const(true)
        // The same results on every machine, so that a process can move to another node.
        .wasm_relaxed_simd(true)
        .relaxed_simd_deterministic(true)
        .wasm_memory64(false)
        .wasm_exceptions(true)
        .wasm_gc(false);
    if let Some(arena) = arena {
        arena.configure(&mut config);
    }
    config
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Engine")
    }
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot set up the WebAssembly engine")
    }
}

impl Error for EngineError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.0.as_ref())
    }
}
