//! The compilers of variants.

use std::sync::{Arc, OnceLock};

use wasmtime::Linker;

use crate::compiler::Compiler;
use crate::engine::{Engine, VariantKind};
use crate::host_function_type::HostFunctionType;
use crate::instance::InstanceState;
use crate::time_slice::TimeSlice;

/// Compiles modules to variants of one kind, and links them. It is set up when it is first
/// needed: most programs have no instance that runs a variant.
pub(crate) struct VariantCompiler<T: 'static> {
    kind: VariantKind,
    engine: Engine,
    host_functions: Arc<[HostFunctionType]>,
    register: Arc<Register<T>>,
    compiler: OnceLock<Compiler<T>>,
}

/// Registers the host functions.
pub(crate) type Register<T> = dyn Fn(&mut Linker<T>) -> wasmtime::Result<()> + Send + Sync;

impl<T: InstanceState> VariantCompiler<T> {
    /// A compiler for modules that import what `register` registers, which is
    /// `host_functions`.
    pub(crate) fn new(
        kind: VariantKind,
        engine: Engine,
        host_functions: Arc<[HostFunctionType]>,
        register: Arc<Register<T>>,
    ) -> VariantCompiler<T> {
        VariantCompiler {
            kind,
            engine,
            host_functions,
            register,
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
        let compiles = self.engine.of_variant(self.kind)?;
        let time_slice = match self.kind {
            VariantKind::Dense => Some(TimeSlice::new(self.engine.ticker().clone())),
            VariantKind::Fuel => None,
        };
        let functions = self.host_functions.clone();
        let register = &*self.register;
        let compiler = Compiler::new(&self.engine, compiles, functions, register, time_slice)?;
        Ok(self.compiler.get_or_init(|| compiler))
    }
}
