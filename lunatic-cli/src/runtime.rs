//! The runtime: started, given modules, shut down.

use std::error::Error;
use std::fmt;
use std::io;
use std::iter;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use lunatic_abi::{HostFunction, ValueType};
use lunatic_account::{Account, AccountLimits, Shares};
use lunatic_distributed::Node;
use lunatic_engine::{
    Engine, EngineConfig, EngineError, HostFunctionType, LoadError, Loader, MemoryLayout, Module,
};
use lunatic_error::with_causes;
use lunatic_metrics::Metrics;
use lunatic_net::Listeners;
use lunatic_process::guest::{SET_MAX_FUEL, Spawn, spawn};
use lunatic_process::{
    Environment, EnvironmentConfig, PidCounter, Process, SpawnError, SpawnOptions, WeakEnvironment,
};
use lunatic_reload::Versions;
use lunatic_scheduler::Scheduler;
use lunatic_supervisor::ChildStart;
use lunatic_supervisor::guest::WasmChild;
use lunatic_timer::Timers;
use lunatic_wasi::{OpenError, Stdio};
use parking_lot::Mutex;
use wasmtime::{Linker, Val, ValType};

use crate::child_environment::{ChildEnvironment, Services};
use crate::config::Config;
use crate::descriptors;
use crate::memory_watch::{self, MemoryWatch};
use crate::name_scope::NameScope;
use crate::node::{ClusterNode, RemoteRights};
use crate::ongoing_reloads::OngoingReloads;
use crate::program::Programs;
use crate::reactor;
use crate::recording::Recording;
use crate::reload_counts::ReloadCounts;
use crate::state::{self, HOST_FUNCTIONS, State};
use crate::timeline;
use crate::value::{Results, Value};

/// The environments that were made, those that are gone among them.
type Environments = Arc<Mutex<Vec<WeakEnvironment>>>;

/// A runtime for processes, wasm and native; clone it freely.
///
/// It runs until [`shut_down`](Runtime::shut_down) is called.
///
/// ```
/// use lunatic_cli::{Root, Runtime};
///
/// # futures_lite::future::block_on(async {
/// let runtime = Runtime::builder().start()?;
/// let module = runtime.load(br#"(module (func (export "main")))"#.to_vec()).await?;
/// let process = runtime.spawn(&module, Root::new("main")).await?;
/// assert!(process.wait().await.is_normal());
/// runtime.shut_down().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct Runtime {
    pub(crate) loader: Loader<State>,
    pub(crate) scheduler: Scheduler,
    environment: Environment,
    environments: Environments,
    /// Ends with the last clone of the runtime.
    _memory_watch: Option<Arc<MemoryWatch>>,
    timers: Timers,
    pub(crate) versions: Versions<Module<State>>,
    /// What guests record.
    metrics: Metrics,
    pub(crate) reloads: Arc<ReloadCounts>,
    pub(crate) ongoing_reloads: OngoingReloads,
    /// The root processes that can be replaced.
    pub(crate) programs: Programs,
    /// The node that it is, if it belongs to a cluster.
    pub(crate) cluster: Option<Arc<ClusterNode>>,
    pub(crate) recording: Arc<Recording>,
}

/// How a [`Runtime`] is to be started.
#[derive(Default)]
pub struct Builder {
    workers: Option<NonZeroUsize>,
    compile_cache: Option<PathBuf>,
    memory_layout: Option<MemoryLayout>,
    max_memory: Option<u64>,
    core_dumps: Option<PathBuf>,
    node: Option<(Node, RemoteRights)>,
    host_functions: Vec<&'static [HostFunction]>,
    register: Vec<Box<Register>>,
}

/// Registers host functions.
type Register = dyn Fn(&mut Linker<State>) -> wasmtime::Result<()> + Send + Sync;

/// A process that no other process spawns: how it starts.
///
/// ```
/// use lunatic_cli::{Config, Root, Value};
/// use lunatic_wasi::{Capture, Stdio};
///
/// let mut config = Config::default();
/// config.process.max_memory = 64 << 20;
/// let root = Root::new("main")
///     .params([Value::I32(7)])
///     .config(config)
///     .stdio(Stdio::captured(Capture::root()));
/// # drop(root);
/// ```
#[derive(Debug, Clone)]
pub struct Root {
    export: String,
    params: Vec<Value>,
    results: Option<Results>,
    config: Config,
    stdio: Stdio,
    environment: Option<Environment>,
    listeners: Option<Listeners>,
}

/// Why the runtime did not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The engine.
    Engine(EngineError),
    /// A host function could not be registered, and why.
    HostFunction(String),
    /// The system gave us no threads.
    Threads(io::Error),
}

/// Why a root process did not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum RootError {
    /// A directory that it is given cannot be opened.
    Directory(OpenError),
    /// The environment takes no more, or the instance cannot be made.
    Spawn(SpawnError),
}

impl Runtime {
    /// Settings for a new runtime.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Compiles a module, binary or text, and links it against the host
    /// functions. A worker is not kept busy by that.
    ///
    /// # Errors
    ///
    /// [`LoadError`].
    pub async fn load(&self, bytes: Vec<u8>) -> Result<Module<State>, LoadError> {
        self.loader.load_async(bytes).await
    }

    /// Starts a root process with a registry of its own, and waits until its
    /// instance is made. Its failure is told by [`Process::wait`] and not logged
    /// as a warning.
    ///
    /// # Errors
    ///
    /// [`RootError`].
    pub async fn spawn(&self, module: &Module<State>, root: Root) -> Result<Process, RootError> {
        let environment = root.environment.as_ref().unwrap_or(&self.environment);
        let names = match &root.environment {
            Some(environment) => NameScope::new(environment),
            None => self.new_names(),
        };
        let listeners = root.listeners.unwrap_or_default();
        let opened = self
            .environment_of(&root.config, root.stdio, names, listeners)
            .await;
        let process = Spawn {
            module: module.clone(),
            config: Arc::new(root.config),
            is_own_config: false,
            export: root.export,
            params: in_engine(root.params),
            results: root.results.map(Results::into_engine),
            child_environment: opened.map_err(RootError::Directory)?,
            options: SpawnOptions {
                awaited: true,
                ..SpawnOptions::default()
            },
        };
        let spawned = spawn(environment, process).map_err(RootError::Spawn)?;
        spawned.started().await.map_err(RootError::Spawn)
    }

    /// How a supervisor starts this process; see [`lunatic_supervisor::Spec`]. Each start
    /// runs the version of the module that is current then.
    /// The directories it is given are opened here, once.
    ///
    /// - `root`: its environment is that of the supervisor.
    /// - `names`: what it and its descendants find others by.
    ///
    /// # Errors
    ///
    /// [`RootError::Directory`].
    pub async fn child(
        &self,
        module: &Module<State>,
        root: Root,
        names: &NameScope,
    ) -> Result<ChildStart, RootError> {
        let Root {
            export,
            params,
            results: _,
            config,
            stdio,
            environment: _,
            listeners,
        } = root;
        let listeners = listeners.unwrap_or_default();
        let opened = self
            .environment_of(&config, stdio, names.clone(), listeners)
            .await;
        let own = opened.map_err(RootError::Directory)?;
        let config = Arc::new(config);
        let versions = self.versions.clone();
        let child = WasmChild::new(
            module,
            config.clone(),
            own.for_children(self.environment.account().clone(), config, false),
        )
        .current_version(Arc::new(move |module| versions.current_of(module)));
        Ok(child.export(export).params(in_engine(params)).into_start())
    }

    /// What a process has that no other process spawns.
    pub(crate) async fn environment_of(
        &self,
        config: &Config,
        stdio: Stdio,
        names: NameScope,
        listeners: Listeners,
    ) -> Result<ChildEnvironment, OpenError> {
        let services = Services {
            loader: self.loader.clone(),
            names,
            timers: self.timers.clone(),
            versions: self.versions.clone(),
            metrics: self.metrics.clone(),
            listeners,
            cluster: self.cluster.clone(),
            recording: self.recording.clone(),
        };
        let account = self.environment.account().clone();
        Ok(ChildEnvironment {
            services: Arc::new(services),
            wasi: config.wasi.clone().open_charged(Some(account)).await?,
            stdio,
            net: config.net.clone(),
            sqlite: Arc::new(config.sqlite),
        })
    }

    /// What a root process and its descendants find others by: names and groups of their own,
    /// or, if the runtime is a node of a cluster, those of all processes of the node.
    pub fn new_names(&self) -> NameScope {
        match &self.cluster {
            Some(cluster) => cluster.names.clone(),
            None => NameScope::new(&self.environment),
        }
    }

    /// Where its processes live, native ones too.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Another environment, whose processes are not seen from this one. Whoever makes it shuts
    /// it down.
    pub fn new_environment(&self, id: u64) -> Environment {
        self.environment_with(id, PidCounter::new())
    }

    /// Another environment for a program. Its processes have other ids than those of the runtime's
    /// own and of other programs, as versions of modules are of all programs.
    pub(crate) fn environment_of_program(&self, id: u64) -> Environment {
        self.environment_with(id, self.environment.pids().clone())
    }

    fn environment_with(&self, id: u64, pids: PidCounter) -> Environment {
        let config = EnvironmentConfig {
            account: self.environment.account().clone(),
            counters: self.environment.counters().clone(),
            pids,
            ..EnvironmentConfig::default()
        };
        let environment = Environment::with_config(id, self.scheduler.clone(), config);
        let mut environments = self.environments.lock();
        environments.retain(|environment| environment.upgrade().is_some());
        environments.push(environment.downgrade());
        environment
    }

    /// All environments of the runtime, the one of its own first. Their
    /// [`processes`](Environment::processes) can be described with
    /// [`info`](Process::info) and [`inspect`](Process::inspect).
    pub fn environments(&self) -> Vec<Environment> {
        let environments = self.environments.lock();
        environments
            .iter()
            .filter_map(WeakEnvironment::upgrade)
            .collect()
    }

    /// Where the processes of its program live: the [environment](Runtime::environment) of
    /// the runtime, unless the program was replaced since.
    pub fn main_environment(&self) -> Environment {
        let replaced = self.programs.main_environment();
        replaced.unwrap_or_else(|| self.environment.clone())
    }

    /// Does something in a task of its own, which goes on when nobody waits for it any more;
    /// `None` if the runtime ends meanwhile.
    pub(crate) async fn detached<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (sender, receiver) = async_channel::bounded(1);
        self.scheduler.spawn(async move {
            // Nobody may wait for it any more.
            sender.try_send(work.await).ok();
        });
        receiver.recv().await.ok()
    }

    /// What guests record by `lunatic::metrics`.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) fn timers(&self) -> &Timers {
        &self.timers
    }

    /// Kills all processes of all environments, waits until they are
    /// gone, and stops the threads.
    pub async fn shut_down(&self) {
        for environment in self.environments() {
            environment.shut_down().await;
        }
        self.environment.shut_down().await;
        self.scheduler.stop();
        self.recording.finish();
    }
}

impl Builder {
    /// The number of worker threads; by default one for each core.
    pub fn workers(mut self, workers: NonZeroUsize) -> Builder {
        self.workers = Some(workers);
        self
    }

    /// Keeps compiled modules in a directory, so that the same module is loaded
    /// in milliseconds the next time. By default they are not kept.
    ///
    /// Guests that have access to a directory around it can change nothing in it, in this
    /// runtime and in any other of the program; see [`lunatic_fs::protect`].
    ///
    /// - `directory`: an absolute path.
    pub fn compile_cache(mut self, directory: impl Into<PathBuf>) -> Builder {
        let directory = directory.into();
        lunatic_fs::protect(&directory);
        self.compile_cache = Some(directory);
        self
    }

    /// How the memories of wasm processes lie in the address space. By default it is `None`:
    /// 128 are guarded, and those beyond are dense, for which modules are compiled once
    /// more.
    pub fn memory_layout(mut self, memory_layout: impl Into<Option<MemoryLayout>>) -> Builder {
        self.memory_layout = memory_layout.into();
        self
    }

    /// The most memory that the program is to take, in bytes; by default four fifths of
    /// what the machine, or the control group of the program, has. From nine tenths of it
    /// on, guests are refused more memory; shortly below it, processes are killed.
    pub fn max_memory(mut self, bytes: u64) -> Builder {
        self.max_memory = Some(bytes);
        self
    }

    /// Writes a core dump of each process that traps into a directory, with mode 0600: of the
    /// first 16, and of memories of 256 MiB at most. A worker copies the memory meanwhile.
    /// Guests that have access to a directory around it can change nothing in it.
    ///
    /// - `directory`: it has to be there.
    pub fn core_dumps(mut self, directory: impl Into<PathBuf>) -> Builder {
        let directory = directory.into();
        lunatic_fs::protect(&directory);
        self.core_dumps = Some(directory);
        self
    }

    /// Tells what takes long as events of `tracing`, with the target `lunatic::timeline` and the
    /// level `TRACE`: calls of host functions, each when it is over. It is told of all runtimes
    /// of the program.
    ///
    /// The fields are `what`, `process` and `us`, which is how long it took in microseconds.
    pub fn timeline(self) -> Builder {
        timeline::want();
        self
    }

    /// Makes the runtime a node of a cluster: its processes reach those of other nodes. All
    /// root processes of its [environment](Runtime::environment) have the same names and groups.
    /// The node is not stopped with the runtime. With the feature `distribution` only.
    ///
    /// - `rights`: what processes may do that other nodes start here.
    #[cfg(feature = "distribution")]
    pub fn node(mut self, node: Node, rights: RemoteRights) -> Builder {
        self.node = Some((node, rights));
        self
    }

    /// Adds host functions of the embedding program, as [`host_functions!`] makes
    /// them. They are written for the engine, wasmtime, so this is there with the feature
    /// `engine` only.
    ///
    /// - `functions`: what they are. An import of what is not among them is said to
    ///   be unknown when a module cannot be linked.
    /// - `register`: registers them; it is called again for modules that are compiled
    ///   to count fuel, or once more for dense memories.
    ///
    /// ```
    /// use lunatic_abi::{AbiHost, Guest, host_functions};
    /// use lunatic_cli::{Root, Runtime};
    /// use wasmtime::Caller;
    ///
    /// host_functions! {
    ///     fn add_to_linker<T: AbiHost>(Linker<T>);
    ///     const HOST_FUNCTIONS;
    ///     in "example" { fn length(ptr: u32, len: u32) -> u32; }
    /// }
    ///
    /// fn length<T: AbiHost>(
    ///     mut caller: Caller<'_, T>,
    ///     ptr: u32,
    ///     len: u32,
    /// ) -> wasmtime::Result<u32> {
    ///     Ok(caller.text(ptr, len)?.chars().count() as u32)
    /// }
    ///
    /// # futures_lite::future::block_on(async {
    /// let runtime = Runtime::builder()
    ///     .host_functions(HOST_FUNCTIONS, add_to_linker)
    ///     .start()?;
    /// let module = br#"(module
    ///     (import "example" "length" (func $length (param i32 i32) (result i32)))
    ///     (memory (export "memory") 1)
    ///     (func (export "main")
    ///         (if (call $length (i32.const 0) (i32.const 0)) (then unreachable))))"#;
    /// let module = runtime.load(module.to_vec()).await?;
    /// let process = runtime.spawn(&module, Root::new("main")).await?;
    /// assert!(process.wait().await.is_normal());
    /// # runtime.shut_down().await;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// [`host_functions!`]: lunatic_abi::host_functions
    #[cfg(feature = "engine")]
    pub fn host_functions(
        mut self,
        functions: &'static [HostFunction],
        register: impl Fn(&mut Linker<State>) -> wasmtime::Result<()> + Send + Sync + 'static,
    ) -> Builder {
        self.host_functions.push(functions);
        self.register.push(Box::new(register));
        self
    }

    /// Starts the runtime.
    ///
    /// # Errors
    ///
    /// [`RuntimeError`].
    pub fn start(self) -> Result<Runtime, RuntimeError> {
        /// The environment of `run` (ABI §15.1).
        const ENVIRONMENT: u64 = 1;

        reactor::start().map_err(RuntimeError::Threads)?;
        let mut config = EngineConfig::default();
        config.cache = self.compile_cache;
        config.memory_layout = self.memory_layout;
        config.core_dumps = self.core_dumps.is_some();
        let engine = Engine::new(&config).map_err(RuntimeError::Engine)?;
        let lists = iter::once(HOST_FUNCTIONS).chain(self.host_functions);
        let functions: Vec<_> = lists.flatten().map(type_of).collect();
        let registered = self.register;
        let register = move |linker: &mut Linker<State>| {
            state::add_to_linker(linker)?;
            registered.iter().try_for_each(|add| add(linker))
        };
        let loader = Loader::with_budget_function(&engine, functions, register, SET_MAX_FUEL)
            .map_err(|error| RuntimeError::HostFunction(with_causes(error.as_ref()).to_string()))?;
        let by_default = || memory_watch::available().map(|available| available / 5 * 4);
        let max_memory = self.max_memory.or_else(by_default);
        let account = Account::root(AccountLimits {
            memory: max_memory.unwrap_or(u64::MAX),
            descriptors: descriptors::for_guests(),
            ..AccountLimits::default()
        });
        loader.charge_compiler_to(&account);
        let environments = Environments::default();
        let shares = account.shares().clone();
        let scheduler = start_scheduler(&engine, self.workers, shares, environments.clone())
            .map_err(RuntimeError::Threads)?;
        let timers = Timers::new();
        let clock = timers.clone();
        scheduler.spawn(async move { clock.run().await });
        let mut config = EnvironmentConfig {
            account: account.clone(),
            ..EnvironmentConfig::default()
        };
        if let Some((node, _)) = &self.node {
            config.node = node.info().id;
            config.peers = node.sessions().clone();
            loader.keep_bytes();
        }
        let environment = Environment::with_config(ENVIRONMENT, scheduler.clone(), config);
        environments.lock().push(environment.downgrade());
        let memory_watch = max_memory
            .map(|limit| MemoryWatch::start(limit, account, environments.clone()))
            .transpose()
            .map_err(RuntimeError::Threads)?;
        let cluster = self
            .node
            .map(|(node, rights)| Arc::new(ClusterNode::new(node, rights, &environment)));
        let runtime = Runtime {
            loader,
            environment,
            scheduler,
            environments,
            timers,
            versions: Versions::new(),
            metrics: Metrics::new(),
            reloads: Arc::default(),
            ongoing_reloads: OngoingReloads::default(),
            programs: Programs::default(),
            cluster,
            recording: Arc::new(Recording::with_core_dumps(self.core_dumps)),
            _memory_watch: memory_watch.map(Arc::new),
        };
        if let Some(cluster) = &runtime.cluster {
            cluster.attach(&runtime);
        }
        Ok(runtime)
    }
}

fn in_engine(values: Vec<Value>) -> Vec<Val> {
    values.into_iter().map(Value::into_engine).collect()
}

/// A host function as the engine knows it.
fn type_of(function: &HostFunction) -> HostFunctionType {
    let value_type = |ty| match ty {
        ValueType::I32 => ValType::I32,
        ValueType::I64 => ValType::I64,
        ValueType::F64 => ValType::F64,
    };
    let params = function.params.iter();
    HostFunctionType {
        namespace: function.namespace,
        name: function.name,
        params: params.map(|param| value_type(param.ty)).collect(),
        results: function.result.map(value_type).into_iter().collect(),
    }
}

/// Workers that keep the clock of preemption going while they work, and are divided between
/// accounts. The CPU time of processes is sampled as they work.
fn start_scheduler(
    engine: &Engine,
    workers: Option<NonZeroUsize>,
    shares: Shares,
    environments: Environments,
) -> io::Result<Scheduler> {
    let (works, rests) = (engine.clone(), engine.clone());
    let scheduler = reactor::drive_by(Scheduler::builder())?
        .on_work(move || works.ticker().enter())
        .on_rest(move || rests.ticker().leave())
        .workers(workers.unwrap_or_else(lunatic_blocking::cores))
        .start()?;
    let offer_held_back_tasks = scheduler.offer_held_back_tasks();
    let workers = scheduler.workers();
    let last = Mutex::new(Instant::now());
    engine.ticker().on_tick(move |slept| {
        offer_held_back_tasks();
        for environment in &*environments.lock() {
            if let Some(environment) = environment.upgrade() {
                environment.sample_cpu_time(slept);
            }
        }
        let now = Instant::now();
        let passed = now - std::mem::replace(&mut *last.lock(), now);
        shares.divide(passed, workers);
    });
    Ok(scheduler)
}

impl Root {
    /// A process whose body is this export, with all rights.
    pub fn new(export: impl Into<String>) -> Root {
        Root {
            export: export.into(),
            params: Vec::new(),
            results: None,
            config: Config::trusted(),
            stdio: Stdio::default(),
            environment: None,
            listeners: None,
        }
    }

    /// The arguments of the export.
    pub fn params(mut self, params: impl Into<Vec<Value>>) -> Root {
        self.params = params.into();
        self
    }

    /// Lets the export return something, which is here when the process has ended
    /// normally. If the module is a library that exports `_initialize`, that is called
    /// before.
    pub fn results(mut self, results: Results) -> Root {
        self.results = Some(results);
        self
    }

    /// What the process may do and what it is given.
    pub fn config(mut self, config: Config) -> Root {
        self.config = config;
        self
    }

    /// Where it reads and prints.
    pub fn stdio(mut self, stdio: Stdio) -> Root {
        self.stdio = stdio;
        self
    }

    /// Where it lives, if not in the runtime's environment.
    pub fn environment(mut self, environment: Environment) -> Root {
        self.environment = Some(environment);
        self
    }

    pub(crate) fn export(&self) -> &str {
        &self.export
    }

    /// Where it lives, if not in the runtime's environment.
    pub(crate) fn given_environment(&self) -> Option<&Environment> {
        self.environment.as_ref()
    }

    /// What it shares sockets through with the root process that it replaces.
    pub(crate) fn listeners(mut self, listeners: Listeners) -> Root {
        self.listeners = Some(listeners);
        self
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("workers", &self.workers)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for RuntimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RuntimeError::Engine(error) => with_causes(error).fmt(f),
            RuntimeError::HostFunction(error) => {
                write!(f, "cannot register a host function: {error}")
            }
            RuntimeError::Threads(error) => write!(f, "cannot start worker threads: {error}"),
        }
    }
}

impl Error for RuntimeError {}

impl fmt::Display for RootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RootError::Directory(error) => error.fmt(f),
            RootError::Spawn(SpawnError::StartFailed(failure)) => {
                write!(f, "the start function of the module failed: {failure}")
            }
            RootError::Spawn(error) => error.fmt(f),
        }
    }
}

impl Error for RootError {}
