//! Compiles modules and links them.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use wasmparser::BinaryReaderError;
use wasmtime::{InstancePre, Linker, Module};

use crate::arena::Image;
use crate::bounded_steps::{self, Preemption};
use crate::code_cache::Key;
use crate::compiled_module::CompiledModule;
use crate::compiler_threads;
use crate::data_segments;
use crate::engine::Engine;
use crate::host_function_type::HostFunctionType;
use crate::imports;
use crate::instance::InstanceState;
use crate::invalid_module::InvalidModule;
use crate::load_error::LoadError;
use crate::refill;
use crate::source::Source;
use crate::time_slice::TimeSlice;

/// Compiles modules in one way, and links them against host functions.
pub(crate) struct Compiler<T: 'static> {
    engine: Engine,
    linker: Linker<T>,
    /// What is in the linker.
    host_functions: Arc<[HostFunctionType]>,
    preemption: Preemption,
    /// The way in which it compiles, as the code that is kept is found by it.
    way: OnceLock<Key>,
}

impl<T: InstanceState> Compiler<T> {
    /// A compiler for modules that import what `register` registers, which is
    /// `host_functions`.
    ///
    /// - `compiles`: the one of `engine` that compiles.
    /// - `time_slice`: how long code runs that does not count fuel; `None` for an engine
    ///   whose code does.
    ///
    /// # Errors
    ///
    /// Fails if `register` does.
    pub(crate) fn new(
        engine: &Engine,
        compiles: &wasmtime::Engine,
        host_functions: Arc<[HostFunctionType]>,
        register: impl Fn(&mut Linker<T>) -> wasmtime::Result<()>,
        time_slice: Option<TimeSlice>,
    ) -> wasmtime::Result<Compiler<T>> {
        let mut linker = Linker::new(compiles);
        register(&mut linker)?;
        let preemption = match time_slice {
            None => Preemption::ByEngine,
            Some(time_slice) => {
                refill::register(&mut linker, time_slice)?;
                Preemption::ByPoints
            }
        };
        Ok(Compiler {
            engine: engine.clone(),
            linker,
            host_functions,
            preemption,
            way: OnceLock::new(),
        })
    }

    /// The module as it was compiled before, if it is kept.
    pub(crate) fn find(&self, source: &Source) -> Option<CompiledModule> {
        let cache = self.engine.cache()?;
        let arena = self.engine.arena();
        cache.code(&self.key(source), self.linker.engine(), arena)
    }

    /// Compiles a module, and keeps it. This takes a while.
    ///
    /// - `source`: what it is loaded from.
    /// - `wasm`: the same in the binary format.
    ///
    /// # Errors
    ///
    /// [`LoadError`] if the module is not valid, imports what is not offered, or
    /// cannot be compiled.
    pub(crate) fn compile(
        &self,
        source: &Source,
        wasm: &[u8],
    ) -> Result<CompiledModule, LoadError> {
        let engine = self.linker.engine();
        let (wasm, image) = self.take_image(wasm);
        self.check_imports(&wasm)?;
        let bounded = bounded_steps::rewrite(&wasm, self.preemption).map_err(LoadError::Invalid)?;
        let has_points =
            self.preemption == Preemption::ByPoints && matches!(bounded, Cow::Owned(_));
        compiler_threads::start().map_err(LoadError::Compile)?;
        let module = Module::from_binary(engine, &bounded)
            .map_err(|error| invalid(engine, &wasm).unwrap_or(LoadError::Compile(error)))?;
        let compiled = CompiledModule {
            module,
            has_points,
            image,
        };
        if let Some(cache) = self.engine.cache() {
            cache.keep_code(&self.key(source), &compiled);
        }
        Ok(compiled)
    }

    /// By what the code of a module is found that this compiler has compiled.
    fn key(&self, source: &Source) -> Key {
        let way = self.way.get_or_init(|| {
            let engine = self.linker.engine().precompile_compatibility_hash();
            let takes_image = self.engine.arena().is_some();
            Key::of(&("code", engine, self.preemption, takes_image))
        });
        Key::of(&(way, source.digest()))
    }

    /// Takes out of a module what its memory holds at first, if there is an arena that
    /// puts it there.
    fn take_image<'a>(&self, wasm: &'a [u8]) -> (Cow<'a, [u8]>, Option<Image>) {
        let taken = self.engine.arena().and_then(|arena| {
            let (rest, memory) = data_segments::take(wasm)?;
            Some((Cow::Owned(rest), Some(arena.image(&memory))))
        });
        taken.unwrap_or((Cow::Borrowed(wasm), None))
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
        self.link_module(&imports, false)
            .map(drop)
            .map_err(|error| invalid(engine, wasm).unwrap_or(error))
    }

    /// Links a module.
    ///
    /// # Errors
    ///
    /// [`LoadError::Imports`] if it imports what is not offered.
    pub(crate) fn link(&self, compiled: &CompiledModule) -> Result<InstancePre<T>, LoadError> {
        self.link_module(&compiled.module, compiled.has_points)
    }

    /// - `has_points`: whether the module imports what its points call.
    fn link_module(&self, module: &Module, has_points: bool) -> Result<InstancePre<T>, LoadError> {
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
/// The compiler validates too, but does not tell its errors apart.
fn invalid(engine: &wasmtime::Engine, wasm: &[u8]) -> Option<LoadError> {
    let error = Module::validate(engine, wasm).err()?;
    let error = error.downcast_ref::<BinaryReaderError>()?;
    Some(LoadError::Invalid(InvalidModule::new(error)))
}
