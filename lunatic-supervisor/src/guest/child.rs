//! A child that is a wasm instance.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use lunatic_engine::{Module, ModuleRecord};
use lunatic_process::guest::{Config, CurrentVersions, ProcessHost, Spawn, spawn};
use lunatic_process::{Environment, Failure, SpawnOptions};
use wasmtime::Val;

use crate::start::{ChildContext, ChildStart, StartChild, Starting};

/// A child of a supervisor that is a wasm instance, a new one for every start.
pub struct WasmChild<T: ProcessHost> {
    template: Arc<Template<T>>,
    export: Arc<str>,
    params: Vec<Val>,
    is_own_config: bool,
    /// Finds the version of the module that each start is an instance of.
    current_versions: Option<Arc<CurrentVersions<T>>>,
}

/// The common part of children that differ in their parameters.
struct Template<T: ProcessHost> {
    module: ModuleRecord<T>,
    config: Arc<T::Config>,
    environments: Box<ChildEnvironments<T>>,
}

/// Makes the environment of a child, which depends on the process that specified it, beside module
/// and config.
pub type ChildEnvironments<T> = dyn Fn() -> ChildEnvironmentFuture<T> + Send + Sync;

/// Resolves to what a child has, or to the reason why it cannot be made.
pub type ChildEnvironmentFuture<T> =
    Pin<Box<dyn Future<Output = Result<<T as ProcessHost>::ChildEnvironment, Failure>> + Send>>;

impl<T: ProcessHost> WasmChild<T> {
    /// Returns a child that is an instance of this module and runs its export `_start`.
    ///
    /// - `config`: its rights and limits.
    /// - `environments`: makes, for every start, what else the child has.
    pub fn new(
        module: &Module<T>,
        config: Arc<T::Config>,
        environments: impl Fn() -> ChildEnvironmentFuture<T> + Send + Sync + 'static,
    ) -> WasmChild<T> {
        let template = Template {
            module: module.record(),
            config,
            environments: Box::new(environments),
        };
        WasmChild {
            template: Arc::new(template),
            export: "_start".into(),
            params: Vec::new(),
            is_own_config: false,
            current_versions: None,
        }
    }

    /// Returns the child, of whose module each start runs the version that is current
    /// then.
    ///
    /// - `current_versions`: finds that version.
    pub fn current_version(mut self, current_versions: Arc<CurrentVersions<T>>) -> WasmChild<T> {
        self.current_versions = Some(current_versions);
        self
    }

    /// Returns the child with another exported function to run, which must return
    /// nothing.
    pub fn export(mut self, export: impl Into<Arc<str>>) -> WasmChild<T> {
        self.export = export.into();
        self
    }

    /// Returns the child with these arguments for that function.
    pub fn params(mut self, params: Vec<Val>) -> WasmChild<T> {
        self.params = params;
        self
    }

    /// Returns the child, whose config is that of the supervisor's owner, or is not. If it
    /// is, the child shares the account of the supervisor, whatever limits of an account
    /// are in the config.
    pub fn own_config(mut self, is_own_config: bool) -> WasmChild<T> {
        self.is_own_config = is_own_config;
        self
    }

    /// Returns how many arguments that function gets.
    pub(super) fn param_count(&self) -> usize {
        self.params.len()
    }

    /// Returns the child with more arguments after its own.
    pub fn with_more_params(&self, more: &[Val]) -> WasmChild<T> {
        let mut child = self.clone();
        child.params.extend_from_slice(more);
        child
    }

    /// Returns the child in the form in which a supervisor takes it.
    pub fn into_start(self) -> ChildStart {
        Arc::new(self)
    }
}

impl<T: ProcessHost> StartChild for WasmChild<T> {
    fn start(&self, context: &ChildContext<'_>) -> Result<Starting, Failure> {
        let child = self.clone();
        let (environment, options) = (context.environment().clone(), context.options());
        Ok(Starting::after(async move {
            let child_environment = (child.template.environments)().await?;
            child.spawn(&environment, options, child_environment)
        }))
    }

    fn size(&self) -> usize {
        // The config of the owner is not kept by this alone.
        let config = match self.is_own_config {
            true => 0,
            false => self.template.config.size(),
        };
        config + self.export.len() + self.params.capacity() * size_of::<Val>()
    }
}

impl<T: ProcessHost> WasmChild<T> {
    fn spawn(
        self,
        environment: &Environment,
        options: SpawnOptions,
        child_environment: T::ChildEnvironment,
    ) -> Result<Starting, Failure> {
        let Template { module, config, .. } = &*self.template;
        let module = module.module();
        let module = match &self.current_versions {
            Some(current) => current(module),
            None => module.clone(),
        };
        let spawned = spawn(
            environment,
            Spawn {
                module,
                config: config.clone(),
                is_own_config: self.is_own_config,
                export: self.export.to_string(),
                params: self.params,
                results: None,
                child_environment,
                options,
            },
        )?;
        let process = spawned.process().clone();
        if spawned.is_certain() {
            return Ok(Starting::at_once(process));
        }
        Ok(Starting::when(process, async {
            Ok(spawned.started().await.map(|_| ())?)
        }))
    }
}

impl<T: ProcessHost> Clone for WasmChild<T> {
    fn clone(&self) -> WasmChild<T> {
        WasmChild {
            template: self.template.clone(),
            export: self.export.clone(),
            params: self.params.clone(),
            is_own_config: self.is_own_config,
            current_versions: self.current_versions.clone(),
        }
    }
}

impl<T: ProcessHost> fmt::Debug for WasmChild<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WasmChild")
            .field("export", &self.export)
            .field("params", &self.params)
            .finish_non_exhaustive()
    }
}
