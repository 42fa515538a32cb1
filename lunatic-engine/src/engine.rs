//! What is compiled, and how.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use wasmtime::{Cache, CacheConfig, Config};

use crate::arena::{Arena, STACK_BYTES, WASM_STACK_BYTES};
use crate::geometry::Geometry;
use crate::ticker::Ticker;

/// Settings of an [`Engine`].
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct EngineConfig {
    /// Where compiled modules are kept for the next time, if they are.
    pub cache: Option<PathBuf>,
    /// How memories lie in the address space of the arena.
    pub geometry: Geometry,
    /// Maps every stack and memory by itself, and guards it, as on systems that have
    /// no arena: some 16 000 processes.
    pub without_arena: bool,
}

/// The engine could not be set up.
#[derive(Debug)]
pub struct EngineError(wasmtime::Error);

/// Compiles modules; clone it freely.
///
/// There are two ways to make guest code stop in time. Ordinary instances look at
/// the ticker's epoch, which costs little; instances with a budget count fuel,
/// which is exact and dearer. Both are decided at compile time, so there are
/// two compilers, and the second is made when the first budget is asked for.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    ticked: wasmtime::Engine,
    metered: OnceLock<wasmtime::Engine>,
    cache: Option<Cache>,
    arena: Option<&'static Arena>,
    ticker: Ticker,
}

impl Engine {
    /// A new engine.
    ///
    /// # Errors
    ///
    /// Fails if this machine cannot run compiled WebAssembly, or gives us no
    /// thread for the ticker.
    pub fn new(config: &EngineConfig) -> Result<Engine, EngineError> {
        let cache = config.cache.as_deref().and_then(open_cache);
        let arena = match config.without_arena {
            true => None,
            false => Arena::get(config.geometry),
        };
        let mut config = base_config(cache.clone(), arena);
        config.epoch_interruption(true);
        let ticked = wasmtime::Engine::new(&config).map_err(EngineError)?;
        let ticker = Ticker::start(ticked.clone()).map_err(|error| EngineError(error.into()))?;
        Ok(Engine {
            inner: Arc::new(Inner {
                ticked,
                metered: OnceLock::new(),
                cache,
                arena,
                ticker,
            }),
        })
    }

    /// The clock of preemption; whoever runs instances tells it when.
    pub fn ticker(&self) -> &Ticker {
        &self.inner.ticker
    }

    /// Where its stacks and memories come from, if it is not the engine itself.
    pub(crate) fn arena(&self) -> Option<&'static Arena> {
        self.inner.arena
    }

    pub(crate) fn ticked(&self) -> &wasmtime::Engine {
        &self.inner.ticked
    }

    pub(crate) fn metered(&self) -> wasmtime::Result<&wasmtime::Engine> {
        if let Some(engine) = self.inner.metered.get() {
            return Ok(engine);
        }
        let mut config = base_config(self.inner.cache.clone(), self.inner.arena);
        config.consume_fuel(true);
        let engine = wasmtime::Engine::new(&config)?;
        Ok(self.inner.metered.get_or_init(|| engine))
    }
}

/// A cache that cannot be used is no reason not to run.
fn open_cache(directory: &Path) -> Option<Cache> {
    let mut config = CacheConfig::new();
    config.with_directory(directory);
    Cache::new(config)
        .inspect_err(|error| {
            let directory = directory.display();
            tracing::warn!("compiled modules are not kept in {directory}: {error:#}");
        })
        .ok()
}

/// What both compilers have in common.
fn base_config(cache: Option<Cache>, arena: Option<&Arena>) -> Config {
    let mut config = Config::new();
    config
        .cache(cache)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(STACK_BYTES)
        .wasm_multi_memory(true)
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .wasm_tail_call(false)
        .wasm_exceptions(false)
        .wasm_gc(false)
        .wasm_function_references(false)
        .wasm_extended_const(false);
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
        write!(f, "cannot set up the WebAssembly engine: {:#}", self.0)
    }
}

impl Error for EngineError {}
