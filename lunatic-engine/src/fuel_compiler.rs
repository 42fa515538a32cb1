//! The compiler of modules that count fuel.

use std::sync::{Arc, OnceLock};

use wasmtime::{InstancePre, Linker};

use crate::compiler::Compiler;
use crate::engine::Engine;
use crate::host_function_type::HostFunctionType;
use crate::instance::InstanceState;
use crate::load_error::LoadError;

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

    /// Compiles and links a binary module. This takes a while.
    ///
    /// # Errors
    ///
    /// As for [`Compiler::compile`], and [`LoadError::Compile`] if the compiler cannot
    /// be set up.
    pub(crate) fn compile(&self, wasm: &[u8]) -> Result<InstancePre<T>, LoadError> {
        self.compiler().map_err(LoadError::Compile)?.compile(wasm)
    }

    fn compiler(&self) -> wasmtime::Result<&Compiler<T>> {
        if let Some(compiler) = self.compiler.get() {
            return Ok(compiler);
        }
        let engine = self.engine.fuel_engine()?;
        let compiler = Compiler::new(engine, self.host_functions.clone(), &self.register, None)?;
        Ok(self.compiler.get_or_init(|| compiler))
    }
}
