//! From bytes to a module.

use std::env;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use lunatic_account::{Account, Charge, Kind};
use lunatic_blocking::Class;
use wasmparser::{Parser, Payload};
use wasmtime::Linker;

use crate::arena::Arena;
use crate::code::{Code, Dense, SharingCode};
use crate::code_cache::Key;
use crate::compiled_module::CompiledModule;
use crate::compiler::Compiler;
use crate::compiler_memory;
use crate::compiler_threads;
use crate::engine::{Engine, VariantKind};
use crate::host_function_type::HostFunctionType;
use crate::instance::InstanceState;
use crate::invalid_module::InvalidModule;
use crate::load_error::LoadError;
use crate::module::Module;
use crate::module_hash::ModuleHash;
use crate::module_info::ModuleInfo;
use crate::module_limits::{ModuleLimits, Refused};
use crate::module_summary::ModuleSummary;
use crate::source::Source;
use crate::tags;
use crate::time_slice::TimeSlice;
use crate::variant::{Variant, VariantSource};
use crate::variant_compiler::{Register, VariantCompiler};

/// Links modules against the host functions of one kind of state; clone it freely.
pub struct Loader<T: 'static> {
    shared: Arc<Shared<T>>,
}

struct Shared<T: 'static> {
    engine: Engine,
    /// A module that imports this function is compiled to count fuel from the first.
    budget_function: Option<(&'static str, &'static str)>,
    sharing_compiler: Compiler<T>,
    fuel_compiler: Arc<VariantCompiler<T>>,
    dense_compiler: Arc<VariantCompiler<T>>,
    keeps_bytes: AtomicBool,
    /// The account that is charged for the memory of the compiler if no other account is.
    payer: OnceLock<Account>,
}

impl<T: InstanceState> Loader<T> {
    /// A loader for modules that import what `register` registers.
    ///
    /// - `host_functions`: the functions that `register` adds to the linker. An import that is
    ///   not among them is reported as unknown if a module cannot be linked.
    /// - `register`: adds the host functions to a linker. It is called again when the first
    ///   instance with a budget is made, and the first without a guarded memory.
    ///
    /// # Errors
    ///
    /// Fails if `register` does.
    pub fn new(
        engine: &Engine,
        host_functions: impl Into<Arc<[HostFunctionType]>>,
        register: impl Fn(&mut Linker<T>) -> wasmtime::Result<()> + Send + Sync + 'static,
    ) -> wasmtime::Result<Loader<T>> {
        Loader::build(engine, host_functions.into(), register, None)
    }

    /// A loader that knows the function by which a module gives others a budget.
    ///
    /// A module that imports it will need the variant that counts fuel, so it is
    /// compiled to that variant and no other, and has not to be compiled again
    /// when the first budget is given.
    ///
    /// # Errors
    ///
    /// Fails if `register` does.
    pub fn with_budget_function(
        engine: &Engine,
        host_functions: impl Into<Arc<[HostFunctionType]>>,
        register: impl Fn(&mut Linker<T>) -> wasmtime::Result<()> + Send + Sync + 'static,
        (namespace, name): (&'static str, &'static str),
    ) -> wasmtime::Result<Loader<T>> {
        Loader::build(
            engine,
            host_functions.into(),
            register,
            Some((namespace, name)),
        )
    }

    fn build(
        engine: &Engine,
        host_functions: Arc<[HostFunctionType]>,
        register: impl Fn(&mut Linker<T>) -> wasmtime::Result<()> + Send + Sync + 'static,
        budget_function: Option<(&'static str, &'static str)>,
    ) -> wasmtime::Result<Loader<T>> {
        let time_slice = TimeSlice::new(engine.ticker().clone());
        let sharing_compiler = Compiler::new(
            engine,
            engine.sharing_engine(),
            host_functions.clone(),
            &register,
            Some(time_slice),
        )?;
        let register: Arc<Register<T>> = Arc::new(register);
        let variants = |kind| {
            let (host_functions, register) = (host_functions.clone(), register.clone());
            VariantCompiler::new(kind, engine.clone(), host_functions, register)
        };
        Ok(Loader {
            shared: Arc::new(Shared {
                engine: engine.clone(),
                budget_function,
                sharing_compiler,
                fuel_compiler: Arc::new(variants(VariantKind::Fuel)),
                dense_compiler: Arc::new(variants(VariantKind::Dense)),
                keeps_bytes: AtomicBool::new(false),
                payer: OnceLock::new(),
            }),
        })
    }

    /// Makes modules keep the bytes that they are loaded from, from now on, as other nodes may ask
    /// for them.
    pub fn keep_bytes(&self) {
        self.shared.keeps_bytes.store(true, Ordering::Relaxed);
    }

    /// Charges the memory of the compiler to this account from now on, if no other account is
    /// charged for it, and compiles as many modules at once as there is memory for. Only the first
    /// call has an effect.
    pub fn charge_compiler_to(&self, root: &Account) {
        self.shared.payer.get_or_init(|| root.clone());
    }

    /// The engine that compiles.
    pub fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    /// Compiles and links a module, binary or text, whether or not there is memory for that.
    /// This takes a while; see [`load_async`](Loader::load_async).
    ///
    /// # Errors
    ///
    /// [`LoadError`].
    ///
    /// # Examples
    ///
    /// ```
    /// use lunatic_engine::{
    ///     Engine, EngineConfig, HostFunctionType, InstanceState, LoadError, Loader, MemoryLimiter,
    /// };
    /// use wasmtime::ValType;
    ///
    /// struct State(MemoryLimiter);
    ///
    /// impl InstanceState for State {
    ///     fn limits(&mut self) -> &mut MemoryLimiter {
    ///         &mut self.0
    ///     }
    /// }
    ///
    /// let engine = Engine::new(&EngineConfig::default())?;
    /// let answer = HostFunctionType {
    ///     namespace: "host",
    ///     name: "answer",
    ///     params: vec![],
    ///     results: vec![ValType::I32],
    /// };
    /// let loader: Loader<State> = Loader::new(&engine, [answer], |linker| {
    ///     linker.func_wrap("host", "answer", || 42)?;
    ///     Ok(())
    /// })?;
    ///
    /// let module = loader.load(
    ///     br#"(module $asks
    ///         (import "host" "answer" (func (result i32)))
    ///         (func (export "main")))"#,
    /// )?;
    /// assert_eq!(module.name(), Some("asks"));
    ///
    /// let error = loader.load(br#"(module (import "host" "question" (func)))"#);
    /// assert!(matches!(error, Err(LoadError::Imports(_))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn load(&self, bytes: &[u8]) -> Result<Module<T>, LoadError> {
        let source = Source::new(Bytes::copy_from_slice(bytes));
        let limits = self.engine().module_limits();
        if let Some(found) = self.find(&source, limits) {
            return self.link(source, None, found);
        }
        let read = self.read(&source, limits)?;
        let compiled = self.compile(&source, limits, read)?;
        self.link(source, None, compiled)
    }

    /// A module as it was compiled before, if all that is needed of it is kept.
    fn find(&self, source: &Source, limits: &ModuleLimits) -> Option<Compiled> {
        let cache = self.engine().cache()?;
        let summary = cache.summary(&self.summary_key(source, limits))?;
        let compiler = self.compiler(&summary).ok()?;
        let module = compiler.find(source)?;
        Some(Compiled { summary, module })
    }

    /// Returns the key of the summary of a module that was loaded within these limits.
    fn summary_key(&self, source: &Source, limits: &ModuleLimits) -> Key {
        let budget_function = self.shared.budget_function;
        Key::of(&(
            "summary",
            limits,
            budget_function,
            shows_lines(),
            source.digest(),
        ))
    }

    /// Reads what is known of a module before it is compiled.
    fn read(&self, source: &Source, limits: &ModuleLimits) -> Result<Read, LoadError> {
        if !source.is_binary() {
            let checked = limits.check_text(source.bytes());
            checked.map_err(LoadError::TooLarge)?;
        }
        let wasm = source.binary()?.into_owned();
        let sums = limits.check(&wasm).map_err(|refused| match refused {
            Refused::Exceeds(exceeded) => LoadError::TooLarge(exceeded),
            Refused::Invalid(error) => LoadError::Invalid(InvalidModule::new(&error)),
        })?;
        tags::check(&wasm).map_err(LoadError::Invalid)?;
        // Code that counts fuel is nearly as it was, so that debug information holds for it.
        let budget_function = self.shared.budget_function;
        let counts_fuel = budget_function.is_some_and(|function| imports(&wasm, function))
            || (shows_lines() && has_lines(&wasm));
        let summary = ModuleSummary {
            hash: ModuleHash::of(source.bytes()),
            info: ModuleInfo::of(&wasm).map_err(LoadError::Invalid)?,
            counts_fuel,
            compiler_memory: compiler_memory::of_module(&sums, compiler_threads::count()),
        };
        Ok(Read { wasm, summary })
    }

    /// Compiles a module, or finds its code if other limits have admitted it before.
    fn compile(
        &self,
        source: &Source,
        limits: &ModuleLimits,
        read: Read,
    ) -> Result<Compiled, LoadError> {
        let Read { wasm, summary } = read;
        let compiler = self.compiler(&summary).map_err(LoadError::Compile)?;
        let module = match compiler.find(source) {
            Some(module) => module,
            None => compiler.compile(source, &wasm)?,
        };
        if let Some(cache) = self.engine().cache() {
            cache.keep_summary(&self.summary_key(source, limits), &summary);
        }
        Ok(Compiled { summary, module })
    }

    /// The compiler for a module.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be set up.
    fn compiler(&self, summary: &ModuleSummary) -> wasmtime::Result<&Compiler<T>> {
        let needs_permits = || self.engine().arena().and_then(Arena::permits).is_some();
        match summary {
            _ if summary.counts_fuel => self.shared.fuel_compiler.get(),
            // Each of the few is for an instance that has one memory.
            _ if summary.info.memories > 1 && needs_permits() => self.shared.dense_compiler.get(),
            _ => Ok(&self.shared.sharing_compiler),
        }
    }

    fn link(
        &self,
        source: Source,
        version_of: Option<Arc<str>>,
        Compiled { summary, module }: Compiled,
    ) -> Result<Module<T>, LoadError> {
        let Shared {
            engine,
            fuel_compiler,
            dense_compiler,
            keeps_bytes,
            payer,
            ..
        } = &*self.shared;
        let compiler = self.compiler(&summary).map_err(LoadError::Compile)?;
        let linked = compiler.link(&module)?;
        let kept = keeps_bytes.load(Ordering::Relaxed);
        let bytes = kept.then(|| source.bytes().clone());
        let code = match summary.counts_fuel {
            true => Code::Fuel(linked),
            false => {
                let payer = payer.get().cloned();
                let ModuleSummary {
                    info,
                    compiler_memory,
                    ..
                } = &summary;
                let metadata = info.metadata_bytes;
                let source = VariantSource::new(source, *compiler_memory, metadata, payer);
                let source = Arc::new(source);
                let variant = |compiler: &Arc<VariantCompiler<T>>| {
                    Variant::new(source.clone(), compiler.clone())
                };
                let guarded = engine.arena().and_then(Arena::permits);
                // The code is the same for both if there is no memory, and always for dense ones
                // if there are several.
                let guarded = guarded.filter(|_| summary.info.memories == 1);
                Code::Sharing(Box::new(SharingCode {
                    linked,
                    fuel: variant(fuel_compiler),
                    dense: guarded.map(|guarded| Dense::new(variant(dense_compiler), guarded)),
                    source,
                }))
            }
        };
        let time_slice = TimeSlice::new(engine.ticker().clone());
        Ok(Module::new(
            summary.hash,
            version_of,
            bytes,
            summary.info,
            module.image,
            code,
            time_slice,
        ))
    }

    /// Finds a module, or reads and compiles it, each on a thread that may block when there is
    /// memory for it.
    async fn load_with(
        &self,
        bytes: Bytes,
        version_of: Option<Arc<str>>,
        limits: ModuleLimits,
        payer: Option<Account>,
    ) -> Result<Module<T>, LoadError> {
        let queue = Class::Cpu.queue();
        let source = Source::new(bytes);
        if self.engine().cache().is_some() {
            let (loader, its, name) = (self.clone(), source.clone(), version_of.clone());
            let finding = queue.run(move || {
                let found = loader.find(&its, &limits)?;
                Some(loader.link(its, name, found))
            });
            if let Some(found) = finding.await {
                return found;
            }
        }
        let payer = payer.or_else(|| self.shared.payer.get().cloned());
        let wanted = Wanted::default();
        let _wants = Wants(wanted.clone());
        let needed = compiler_memory::of_reading(&source);
        let (loader, its, is) = (self.clone(), source.clone(), wanted.clone());
        let reading = queue.compile(needed, payer.clone(), move || {
            is.check()?;
            loader.read(&its, &limits)
        });
        let read = reading.await.map_err(LoadError::Exceeded)??;
        // It may wait for long until it is compiled.
        let branch = payer.as_ref().filter(|payer| payer.parent().is_some());
        let kept = branch.map(|payer| Charge::new(payer, Kind::Memory, read.wasm.len() as u64));
        let _kept = kept.transpose().map_err(LoadError::Exceeded)?;
        let loader = self.clone();
        let needed = read.summary.compiler_memory;
        let compiling = queue.compile(needed, payer, move || {
            wanted.check()?;
            let compiled = loader.compile(&source, &limits, read)?;
            loader.link(source, version_of, compiled)
        });
        compiling.await.map_err(LoadError::Exceeded)?
    }

    /// [`load`](Loader::load) on a thread that may block.
    ///
    /// # Errors
    ///
    /// [`LoadError`].
    pub async fn load_async(&self, bytes: Vec<u8>) -> Result<Module<T>, LoadError> {
        let limits = *self.engine().module_limits();
        self.load_with(bytes.into(), None, limits, None).await
    }

    /// [`load_async`](Loader::load_async) for a module that is a version of a named one.
    ///
    /// - `name`: the name that all versions have in common.
    ///
    /// # Errors
    ///
    /// [`LoadError`].
    pub async fn load_version(&self, name: Arc<str>, bytes: Bytes) -> Result<Module<T>, LoadError> {
        let limits = *self.engine().module_limits();
        self.load_with(bytes, Some(name), limits, None).await
    }

    /// Like [`load_async`](Loader::load_async), for a caller that may stop waiting. If the future
    /// is dropped, loading ends before its next step. The last step, the compiler, is not
    /// interrupted: `limits` bound its time.
    ///
    /// - `limits`: limits in addition to those of the engine.
    /// - `payer`: the account that is charged for the memory of loading, until it is done. The
    ///   module itself is not charged; see [`Module::charge_to`].
    ///
    /// # Errors
    ///
    /// [`LoadError`]; it is [`Exceeded`](LoadError::Exceeded) if the payer has not enough memory
    /// for the compiler, or the program has not.
    pub async fn load_within(
        &self,
        bytes: Vec<u8>,
        limits: &ModuleLimits,
        payer: &Account,
    ) -> Result<Module<T>, LoadError> {
        let limits = limits.capped(self.engine().module_limits());
        let payer = Some(payer.clone());
        self.load_with(bytes.into(), None, limits, payer).await
    }
}

/// A module that is not compiled yet.
struct Read {
    wasm: Vec<u8>,
    summary: ModuleSummary,
}

/// A module that is compiled and not linked.
struct Compiled {
    summary: ModuleSummary,
    module: CompiledModule,
}

/// Whether somebody waits for a module that is being loaded.
#[derive(Debug, Clone, Default)]
struct Wanted {
    is_given_up: Arc<AtomicBool>,
}

/// Somebody waits for a module until this is dropped.
struct Wants(Wanted);

impl Wanted {
    fn check(&self) -> Result<(), LoadError> {
        match self.is_given_up.load(Ordering::Relaxed) {
            true => Err(LoadError::GivenUp),
            false => Ok(()),
        }
    }
}

impl Drop for Wants {
    fn drop(&mut self) {
        self.0.is_given_up.store(true, Ordering::Relaxed);
    }
}

/// The environment variable that makes backtraces name files and lines; wasmtime reads it.
const SHOW_LINES: &str = "WASMTIME_BACKTRACE_DETAILS";

fn shows_lines() -> bool {
    env::var_os(SHOW_LINES).is_some_and(|value| value == "1")
}

/// Whether a module says which code belongs to which line of a source.
fn has_lines(wasm: &[u8]) -> bool {
    let payloads = Parser::new(0).parse_all(wasm).filter_map(Result::ok);
    payloads
        .into_iter()
        .any(|payload| matches!(payload, Payload::CustomSection(section) if section.name() == ".debug_line"))
}

/// Whether a module imports a function.
fn imports(wasm: &[u8], function: (&str, &str)) -> bool {
    Parser::new(0)
        .parse_all(wasm)
        .filter_map(Result::ok)
        .filter_map(|payload| match payload {
            Payload::ImportSection(imports) => Some(imports),
            _ => None,
        })
        .flat_map(|imports| imports.into_imports().filter_map(Result::ok))
        .any(|import| (import.module, import.name) == function)
}

impl<T> Clone for Loader<T> {
    fn clone(&self) -> Self {
        Loader {
            shared: self.shared.clone(),
        }
    }
}

impl<T> fmt::Debug for Loader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Loader")
    }
}
