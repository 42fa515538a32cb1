//! Kernels and programs that compute without calls of the host, on plain wasmtime and on our
//! engine.

use std::error::Error;
use std::fmt;

use futures_lite::future::block_on;
use lunatic_engine::{
    Budget, Engine, EngineConfig, HostFunctionType, Instance, InstanceState, Loader, MemoryLayout,
    MemoryLimiter, Results,
};
use wasmtime::{FuncType, Linker, Memory, Module, Store, Val};

/// The kernels, as text.
const KERNELS: &str = include_str!("../../bench/compute.wat");

/// Where the kernels leave their result.
const RESULT: usize = 0;

/// The computed kernel or program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// A Fibonacci number by recursion: calls.
    Fib,
    /// How many primes there are below a number, by a sieve: bytes.
    Sieve,
    /// The sum of the product of two square matrices: floating point numbers.
    Matmul,
}

/// The engine that computes it.
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

/// The exports of the guest `programs`. Each takes how often it is done, and returns a number.
pub const PROGRAMS: [&str; 7] = [
    "sha256",
    "json",
    "regex",
    "sort",
    "maps",
    "image",
    "interpreter",
];

/// An instance of the kernels, or of the guest `programs`.
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
        Program::of(backend, KERNELS.as_bytes())
    }

    /// Compiles a module, and makes an instance. Whatever it imports does nothing and returns 0.
    ///
    /// # Errors
    ///
    /// Fails if it is none, imports what is no function, or if the machine cannot run it.
    pub fn of(backend: Backend, module: &[u8]) -> Result<Program, Box<dyn Error>> {
        let kind = match backend {
            Backend::Plain => plain(module)?,
            Backend::Auto => ours(module, None)?,
            Backend::Dense => ours(module, Some(MemoryLayout::Dense))?,
            Backend::Guarded => ours(module, Some(MemoryLayout::Guarded))?,
        };
        Ok(Program { kind })
    }

    /// Calls an export that takes a number and returns one.
    ///
    /// # Errors
    ///
    /// Fails if there is no such export, or it traps.
    pub fn call(&mut self, export: &str, parameter: i32) -> wasmtime::Result<i64> {
        match &mut self.kind {
            Kind::Plain(store, instance) => {
                let export = instance.get_typed_func::<i32, i64>(&mut *store, export)?;
                export.call(store, parameter)
            }
            Kind::Ours(instance) => {
                let results = Results::default();
                let call = instance.prepare(export, vec![Val::I32(parameter)])?;
                block_on(instance.run(call.for_results(results.clone())))?;
                match results.get().map(Vec::as_slice) {
                    Some([Val::I64(result)]) => Ok(*result),
                    _ => Err(wasmtime::Error::msg("the export returns no number")),
                }
            }
        }
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

fn plain(module: &[u8]) -> wasmtime::Result<Kind> {
    let engine = wasmtime::Engine::default();
    let module = Module::new(&engine, module)?;
    let mut linker = Linker::new(&engine);
    offer(&mut linker, &imports(&module))?;
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &module)?;
    Ok(Kind::Plain(store, instance))
}

fn ours(module: &[u8], memory_layout: Option<MemoryLayout>) -> Result<Kind, Box<dyn Error>> {
    let mut config = EngineConfig::default();
    config.memory_layout = memory_layout;
    let engine = Engine::new(&config)?;
    // As if this thread were a worker: from now on, the clock ticks.
    engine.ticker().enter();
    let wanted = imports(&Module::new(&wasmtime::Engine::default(), module)?);
    let offered = wanted.clone();
    let loader = Loader::new(&engine, wanted, move |linker| offer(linker, &offered))?;
    let module = loader.load(module)?;
    let instance = block_on(module.instantiate(State::default(), Budget::Unlimited))?;
    Ok(Kind::Ours(instance))
}

/// The functions that a module imports.
fn imports(module: &Module) -> Vec<HostFunctionType> {
    let imports = module.imports().filter_map(|import| {
        let ty = import.ty().func().cloned()?;
        Some(HostFunctionType {
            // There are few, and the program ends soon.
            namespace: import.module().to_owned().leak(),
            name: import.name().to_owned().leak(),
            params: ty.params().collect(),
            results: ty.results().collect(),
        })
    });
    imports.collect()
}

/// Offers functions that do nothing and return 0.
#[expect(
    clippy::disallowed_methods,
    reason = "they are no host functions of the runtime"
)]
fn offer<T: 'static>(
    linker: &mut Linker<T>,
    functions: &[HostFunctionType],
) -> wasmtime::Result<()> {
    for function in functions {
        let (params, results) = (function.params.clone(), function.results.clone());
        let ty = FuncType::new(linker.engine(), params, results);
        linker.func_new(function.namespace, function.name, ty, |_, _, results| {
            results.fill(Val::I32(0));
            Ok(())
        })?;
    }
    Ok(())
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
