//! What is compiled, and how.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, OnceLock};

use wasmtime::Config;

use crate::arena::{Arena, STACK_BYTES, WASM_STACK_BYTES};
use crate::ticker::Ticker;

/// Settings of an [`Engine`].
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct EngineConfig {}

/// The engine could not be set up.
#[derive(Debug)]
pub struct EngineError(wasmtime::Error);

/// Compiles modules; clone it freely.
///
/// There are two ways to make guest code stop in time. Ordinary bodies look at
/// the ticker's epoch, which costs little; bodies with a budget count fuel,
/// which is exact and dearer. Both are decided at compile time, so there are
/// two compilers, and the second is made when the first budget is asked for.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    ticked: wasmtime::Engine,
    metered: OnceLock<wasmtime::Engine>,
    ticker: Ticker,
}

impl Engine {
    /// A new engine.
    ///
    /// # Errors
    ///
    /// Fails if this machine cannot run compiled WebAssembly, or gives us no
    /// thread for the ticker.
    pub fn new(_config: &EngineConfig) -> Result<Engine, EngineError> {
        let mut config = base_config();
        config.epoch_interruption(true);
        let ticked = wasmtime::Engine::new(&config).map_err(EngineError)?;
        let ticker = Ticker::start(ticked.clone()).map_err(|error| EngineError(error.into()))?;
        Ok(Engine {
            inner: Arc::new(Inner {
                ticked,
                metered: OnceLock::new(),
                ticker,
            }),
        })
    }

    /// The clock of preemption; whoever runs bodies tells it when.
    pub fn ticker(&self) -> &Ticker {
        &self.inner.ticker
    }

    pub(crate) fn ticked(&self) -> &wasmtime::Engine {
        &self.inner.ticked
    }

    pub(crate) fn metered(&self) -> wasmtime::Result<&wasmtime::Engine> {
        if let Some(engine) = self.inner.metered.get() {
            return Ok(engine);
        }
        let mut config = base_config();
        config.consume_fuel(true);
        let engine = wasmtime::Engine::new(&config)?;
        Ok(self.inner.metered.get_or_init(|| engine))
    }
}

/// What both compilers have in common.
fn base_config() -> Config {
    let mut config = Config::new();
    config
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(STACK_BYTES)
        .wasm_multi_memory(true)
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .wasm_tail_call(false)
        .wasm_extended_const(false);
    if let Some(arena) = Arena::get() {
        arena.furnish(&mut config);
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
