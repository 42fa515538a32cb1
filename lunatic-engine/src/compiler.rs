//! Compiles modules and links them.

use std::borrow::Cow;
use std::sync::Arc;

use wasmparser::BinaryReaderError;
use wasmtime::{Engine, InstancePre, Linker, Module};

use crate::bounded_steps::{self, Preemption};
use crate::host_function_type::HostFunctionType;
use crate::imports;
use crate::instance::InstanceState;
use crate::invalid_module::InvalidModule;
use crate::load_error::LoadError;
use crate::refill;
use crate::time_slice::TimeSlice;

/// Compiles modules with one engine, and links them against host functions.
pub(crate) struct Compiler<T: 'static> {
    linker: Linker<T>,
    /// What is in the linker.
    host_functions: Arc<[HostFunctionType]>,
    preemption: Preemption,
}

impl<T: InstanceState> Compiler<T> {
    /// A compiler for modules that import what `register` registers, which is
    /// `host_functions`.
    ///
    /// - `time_slice`: how long code runs that does not count fuel; `None` for an engine
    ///   whose code does.
    ///
    /// # Errors
    ///
    /// Fails if `register` does.
    pub(crate) fn new(
        engine: &Engine,
        host_functions: Arc<[HostFunctionType]>,
        register: impl Fn(&mut Linker<T>) -> wasmtime::Result<()>,
        time_slice: Option<TimeSlice>,
    ) -> wasmtime::Result<Compiler<T>> {
        let mut linker = Linker::new(engine);
        register(&mut linker)?;
        let preemption = match time_slice {
            None => Preemption::ByEngine,
            Some(time_slice) => {
                refill::register(&mut linker, time_slice)?;
                Preemption::ByPoints
            }
        };
        Ok(Compiler {
            linker,
            host_functions,
            preemption,
        })
    }

    /// Compiles and links a binary module. This takes a while.
    ///
    /// # Errors
    ///
    /// [`LoadError`] if the module is not valid, imports what is not offered, or
    /// cannot be compiled.
    pub(crate) fn compile(&self, wasm: &[u8]) -> Result<InstancePre<T>, LoadError> {
        let engine = self.linker.engine();
        self.check_imports(wasm)?;
        let bounded = bounded_steps::rewrite(wasm, self.preemption).map_err(LoadError::Invalid)?;
        let has_points =
            self.preemption == Preemption::ByPoints && matches!(bounded, Cow::Owned(_));
        let module = Module::from_binary(engine, &bounded)
            .map_err(|error| invalid(engine, wasm).unwrap_or(LoadError::Compile(error)))?;
        self.link(&module, has_points)
    }

    /// Looks whether the imports can be satisfied, before anything is compiled: that may
    /// take minutes.
    fn check_imports(&self, wasm: &[u8]) -> Result<(), LoadError> {
        if imports::are_listed(&self.host_functions, wasm) {
            return Ok(());
        }
        let engine = self.linker.engine();
        // What is registered decides, and not what is listed.
        let Ok(imports) = Module::from_binary(engine, &imports::without_the_rest(wasm)) else {
            return Ok(());
        };
        // That a module is not valid at all is told first.
        self.link(&imports, false)
            .map(drop)
            .map_err(|error| invalid(engine, wasm).unwrap_or(error))
    }

    /// - `has_points`: whether the module imports what its points call.
    fn link(&self, module: &Module, has_points: bool) -> Result<InstancePre<T>, LoadError> {
        let problems = || imports::problems(&self.host_functions, module, has_points);
        if imports::reserved(module) > usize::from(has_points) {
            return Err(LoadError::Imports(problems()));
        }
        self.linker.instantiate_pre(module).map_err(|error| {
            let problems = problems();
            match problems.is_empty() {
                true => LoadError::Compile(error),
                false => LoadError::Imports(problems),
            }
        })
    }
}

/// Why a module that was not compiled is not valid, if that is the reason.
///
/// The compiler validates too, but does not tell its errors apart; a module that is in
/// the cache is not validated again.
fn invalid(engine: &Engine, wasm: &[u8]) -> Option<LoadError> {
    let error = Module::validate(engine, wasm).err()?;
    let error = error.downcast_ref::<BinaryReaderError>()?;
    Some(LoadError::Invalid(InvalidModule::new(error)))
}
