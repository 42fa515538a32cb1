//! The compiler of modules that count fuel.

use std::sync::{Arc, OnceLock};

use wasmtime::Linker;

use crate::compiler::Compiler;
use crate::engine::Engine;
use crate::host_function_type::HostFunctionType;
use crate::instance::InstanceState;

/// Compiles modules to count fuel, and links them. It is set up when it is first
/// needed: most programs have no instance with a budget.
pub(crate) struct FuelCompiler<T: 'static> {
    engine: Engine,
    host_functions: Arc<[HostFunctionType]>,
    register: Box<Register<T>>,
    compiler: OnceLock<Compiler<T>>,
}

/// Registers the host functions.
type Register<T> = dyn Fn(&mut Linker<T>) -> wasmtime::Result<()> + Send + Sync;

impl<T: InstanceState> FuelCompiler<T> {
    /// A compiler for modules that import what `register` registers, which is
    /// `host_functions`.
    pub(crate) fn new(
        engine: Engine,
        host_functions: Arc<[HostFunctionType]>,
        register: impl Fn(&mut Linker<T>) -> wasmtime::Result<()> + Send + Sync + 'static,
    ) -> FuelCompiler<T> {
        FuelCompiler {
            engine,
            host_functions,
            register: Box::new(register),
            compiler: OnceLock::new(),
        }
    }

    /// The compiler.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be set up.
    pub(crate) fn get(&self) -> wasmtime::Result<&Compiler<T>> {
        if let Some(compiler) = self.compiler.get() {
            return Ok(compiler);
        }
        let compiles = self.engine.fuel_engine()?;
        let functions = self.host_functions.clone();
        let compiler = Compiler::new(&self.engine, compiles, functions, &self.register, None)?;
        Ok(self.compiler.get_or_init(|| compiler))
    }
}
