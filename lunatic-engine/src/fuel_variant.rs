//! The variant of a module that counts fuel.

use std::sync::{Arc, OnceLock};

use async_lock::OnceCell;
use lunatic_account::{Account, Charge, Kind};
use lunatic_blocking::Class;
use wasmtime::InstancePre;

use crate::compiler_memory;
use crate::fuel_compiler::FuelCompiler;
use crate::instance::InstanceState;
use crate::load_error::LoadError;
use crate::source::Source;

/// The variant that counts fuel of a module that was compiled to share time. It
/// is compiled when an instance with a budget is first asked for.
pub(crate) struct FuelVariant<T: 'static> {
    source: Source,
    compiler: Arc<FuelCompiler<T>>,
    linked: OnceCell<Charged<T>>,
    /// How many bytes the compiler takes for it.
    compiler_memory: u64,
    /// Who pays for it.
    payer: OnceLock<Account>,
    /// Who pays for the compiler if nobody pays for the variant.
    root: Option<Account>,
}

/// The variant, and what is charged for it.
struct Charged<T: 'static> {
    linked: InstancePre<T>,
    _charge: Option<Charge>,
}

impl<T: InstanceState> FuelVariant<T> {
    /// The variant of this module.
    ///
    /// - `compiler_memory`: how many bytes the compiler takes for it.
    /// - `root`: who pays for those if nobody pays for the variant.
    pub(crate) fn new(
        source: Source,
        compiler: Arc<FuelCompiler<T>>,
        compiler_memory: u64,
        root: Option<Account>,
    ) -> FuelVariant<T> {
        FuelVariant {
            source,
            compiler,
            linked: OnceCell::new(),
            compiler_memory,
            root,
            payer: OnceLock::new(),
        }
    }

    /// Has an account pay for the variant, if it is not compiled yet.
    pub(crate) fn charge_to(&self, payer: &Account) {
        self.payer.get_or_init(|| payer.clone());
    }

    /// How many bytes are kept to compile it from.
    pub(crate) fn kept_bytes(&self) -> usize {
        self.source.bytes().len()
    }

    /// Whether it is compiled.
    pub(crate) fn is_compiled(&self) -> bool {
        self.linked.is_initialized()
    }

    /// The variant, compiled now if nobody asked before, on a thread that may block.
    ///
    /// # Errors
    ///
    /// As for [`FuelCompiler::compile`], and [`LoadError::Exceeded`] if who pays has no memory
    /// left for it.
    pub(crate) async fn get(&self) -> Result<&InstancePre<T>, LoadError> {
        let compile = || async {
            let linked = self.linked().await?;
            let payer = self.payer.get();
            let code = linked.module().image_range();
            let bytes = (code.end.addr() - code.start.addr()) as u64;
            let charge = payer.map(|payer| Charge::new(payer, Kind::Memory, bytes));
            let charge = charge.transpose().map_err(LoadError::Exceeded)?;
            Ok(Charged {
                linked,
                _charge: charge,
            })
        };
        let compiled = self.linked.get_or_try_init(compile).await?;
        Ok(&compiled.linked)
    }

    /// Finds the variant, or compiles it.
    async fn linked(&self) -> Result<InstancePre<T>, LoadError> {
        let queue = Class::Cpu.queue();
        let (source, compiler) = (self.source.clone(), self.compiler.clone());
        let finding = queue.run(move || {
            let compiler = compiler.get().map_err(LoadError::Compile)?;
            let found = compiler.find(&source);
            found.map(|module| compiler.link(&module)).transpose()
        });
        if let Some(found) = finding.await? {
            return Ok(found);
        }
        let (source, compiler) = (self.source.clone(), self.compiler.clone());
        let payer = self.payer.get().or(self.root.as_ref()).cloned();
        let needed = compiler_memory::of_reading(&source).saturating_add(self.compiler_memory);
        let compiling = queue.run_with_memory(needed, payer, move || {
            let compiler = compiler.get().map_err(LoadError::Compile)?;
            let module = compiler.compile(&source, &source.binary()?)?;
            compiler.link(&module)
        });
        compiling.await.map_err(LoadError::Exceeded)?
    }
}
