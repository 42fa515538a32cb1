//! Kernels that compute and call nobody, on plain wasmtime and on our engine.

use std::error::Error;
use std::fmt;

use futures_lite::future::block_on;
use lunatic_engine::{
    Budget, Engine, EngineConfig, Geometry, Instance, InstanceState, Loader, MemoryLimiter,
};
use wasmtime::{Memory, Store, Val};

/// The kernels, as text.
const KERNELS: &str = include_str!("../../bench/compute.wat");

/// Where the kernels leave their result.
const RESULT: usize = 0;

/// What is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// A Fibonacci number by recursion: calls.
    Fib,
    /// How many primes there are below a number, by a sieve: bytes.
    Sieve,
    /// The sum of the product of two square matrices: floating point numbers.
    Matmul,
}

/// What it is computed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// Wasmtime with nothing switched on.
    Plain,
    /// Our engine, preemption and all, memories far apart while there are few.
    Auto,
    /// The same, memories close together.
    Dense,
    /// The same, memories far apart.
    Guarded,
}

/// An instance of the kernels.
pub struct Program {
    kind: Kind,
}

enum Kind {
    Plain(Store<()>, wasmtime::Instance),
    Ours(Instance<State>),
}

#[derive(Default)]
struct State {
    limits: MemoryLimiter,
}

impl InstanceState for State {
    fn limits(&mut self) -> &mut MemoryLimiter {
        &mut self.limits
    }
}

impl Kernel {
    /// All of them.
    pub const ALL: [Kernel; 3] = [Kernel::Fib, Kernel::Sieve, Kernel::Matmul];

    /// Its parameter for some tens of milliseconds of work.
    pub fn usual(self) -> i32 {
        match self {
            Kernel::Fib => 35,
            Kernel::Sieve => 5_000_000,
            Kernel::Matmul => 256,
        }
    }

    fn export(self) -> &'static str {
        match self {
            Kernel::Fib => "fib",
            Kernel::Sieve => "sieve",
            Kernel::Matmul => "matmul",
        }
    }
}

impl Backend {
    /// All of them.
    pub const ALL: [Backend; 4] = [
        Backend::Plain,
        Backend::Auto,
        Backend::Dense,
        Backend::Guarded,
    ];
}

impl Program {
    /// Compiles the kernels, and makes an instance.
    ///
    /// # Errors
    ///
    /// Fails if the machine cannot run them.
    pub fn new(backend: Backend) -> Result<Program, Box<dyn Error>> {
        let kind = match backend {
            Backend::Plain => plain()?,
            Backend::Auto => ours(None)?,
            Backend::Dense => ours(Some(Geometry::Dense))?,
            Backend::Guarded => ours(Some(Geometry::Guarded))?,
        };
        Ok(Program { kind })
    }

    /// Runs a kernel, and returns what it computed.
    ///
    /// - `parameter`: how much there is to do; see [`Kernel`].
    ///
    /// # Errors
    ///
    /// Fails if the parameter is more than the memory has room for.
    pub fn run(&mut self, kernel: Kernel, parameter: i32) -> wasmtime::Result<i64> {
        let export = kernel.export();
        match &mut self.kind {
            Kind::Plain(store, instance) => {
                instance
                    .get_typed_func::<i32, ()>(&mut *store, export)?
                    .call(&mut *store, parameter)?;
                let memory = instance.get_memory(&mut *store, "memory");
                result(memory, store)
            }
            Kind::Ours(instance) => {
                block_on(instance.call(export, &[Val::I32(parameter)]))?;
                let memory = instance.memory();
                result(memory, instance.store())
            }
        }
    }
}

fn plain() -> wasmtime::Result<Kind> {
    let engine = wasmtime::Engine::default();
    let module = wasmtime::Module::new(&engine, KERNELS)?;
    let mut store = Store::new(&engine, ());
    let instance = wasmtime::Instance::new(&mut store, &module, &[])?;
    Ok(Kind::Plain(store, instance))
}

fn ours(geometry: Option<Geometry>) -> Result<Kind, Box<dyn Error>> {
    let mut config = EngineConfig::default();
    config.geometry = geometry;
    let engine = Engine::new(&config)?;
    // As if this thread were a worker: from now on, the clock ticks.
    engine.ticker().enter();
    let loader = Loader::new(&engine, [], |_| Ok(()))?;
    let module = loader.load(KERNELS.as_bytes())?;
    let instance = block_on(module.instantiate(State::default(), Budget::Unlimited))?;
    Ok(Kind::Ours(instance))
}

fn result<T>(memory: Option<Memory>, store: &Store<T>) -> wasmtime::Result<i64> {
    memory
        .and_then(|memory| memory.data(store).get(RESULT..)?.first_chunk().copied())
        .map(i64::from_le_bytes)
        .ok_or_else(|| wasmtime::Error::msg("the kernels have no memory"))
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Program")
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.export())
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Backend::Plain => "plain",
            Backend::Auto => "auto",
            Backend::Dense => "dense",
            Backend::Guarded => "guarded",
        })
    }
}
