//! The variant of a module that counts fuel.

use std::sync::Arc;

use async_lock::OnceCell;
use lunatic_blocking::Class;
use wasmtime::InstancePre;

use crate::fuel_compiler::FuelCompiler;
use crate::instance::InstanceState;
use crate::load_error::LoadError;

/// The variant that counts fuel of a module that was compiled to share time. It
/// is compiled when an instance with a budget is first asked for.
pub(crate) struct FuelVariant<T: 'static> {
    wasm: Arc<[u8]>,
    compiler: Arc<FuelCompiler<T>>,
    linked: OnceCell<InstancePre<T>>,
}

impl<T: InstanceState> FuelVariant<T> {
    /// The variant of this module.
    pub(crate) fn new(wasm: &[u8], compiler: Arc<FuelCompiler<T>>) -> FuelVariant<T> {
        FuelVariant {
            wasm: wasm.into(),
            compiler,
            linked: OnceCell::new(),
        }
    }

    /// Whether it is compiled.
    pub(crate) fn is_compiled(&self) -> bool {
        self.linked.is_initialized()
    }

    /// The variant, compiled now if nobody asked before, on a thread that may block.
    ///
    /// # Errors
    ///
    /// As for [`FuelCompiler::compile`].
    pub(crate) async fn get(&self) -> Result<&InstancePre<T>, LoadError> {
        let compile = || {
            let (wasm, compiler) = (self.wasm.clone(), self.compiler.clone());
            Class::Cpu.queue().run(move || compiler.compile(&wasm))
        };
        self.linked.get_or_try_init(compile).await
    }
}
