//! A variant of a module: other code for it, compiled when it is first needed.

use std::sync::{Arc, OnceLock};

use lunatic_account::{Account, Charge, Kind};
use lunatic_blocking::{Class, SingleFlight};
use wasmtime::InstancePre;

use crate::compiler_memory;
use crate::instance::InstanceState;
use crate::load_error::LoadError;
use crate::source::Source;
use crate::variant_compiler::VariantCompiler;

/// The source of the variants of one module, and the accounts that are charged for them.
pub(crate) struct VariantSource {
    source: Source,
    /// How many bytes the compiler takes.
    compiler_memory: u64,
    /// How many bytes are kept of each variant beside its code.
    metadata_bytes: u64,
    /// The account that is charged for the variants.
    payer: OnceLock<Account>,
    /// The account that is charged for the compiler if none is charged for the variants.
    root: Option<Account>,
}

/// A variant of a module. It is compiled when an instance that runs it is first asked for.
pub(crate) struct Variant<T: 'static> {
    source: Arc<VariantSource>,
    compiler: Arc<VariantCompiler<T>>,
    /// The compiling thread puts the variant here: the process that has requested it may be gone by
    /// then.
    compiled: Arc<OnceLock<Charged<T>>>,
    compiling: Arc<SingleFlight>,
}

/// The variant, and what is charged for it.
struct Charged<T: 'static> {
    linked: InstancePre<T>,
    _charge: Option<Charge>,
}

impl VariantSource {
    /// - `source`: the bytes that the module was loaded from.
    /// - `compiler_memory`: the bytes that the compiler takes for it.
    /// - `metadata_bytes`: the bytes that are kept of each variant beside its code.
    /// - `root`: the account that is charged for these if none is charged for the variants.
    pub(crate) fn new(
        source: Source,
        compiler_memory: u64,
        metadata_bytes: u64,
        root: Option<Account>,
    ) -> VariantSource {
        VariantSource {
            source,
            compiler_memory,
            metadata_bytes,
            payer: OnceLock::new(),
            root,
        }
    }

    /// Charges the variants that are not compiled yet to this account.
    pub(crate) fn charge_to(&self, payer: &Account) {
        self.payer.get_or_init(|| payer.clone());
    }

    /// How many bytes are kept to compile variants from.
    pub(crate) fn kept_bytes(&self) -> usize {
        self.source.bytes().len()
    }
}

impl<T: InstanceState> Variant<T> {
    /// A variant that is not compiled yet.
    pub(crate) fn new(source: Arc<VariantSource>, compiler: Arc<VariantCompiler<T>>) -> Variant<T> {
        Variant {
            source,
            compiler,
            compiled: Arc::default(),
            compiling: Arc::default(),
        }
    }

    /// The variant, if it is compiled.
    pub(crate) fn compiled(&self) -> Option<&InstancePre<T>> {
        self.compiled.get().map(|charged| &charged.linked)
    }

    /// Returns the variant, compiled now if nobody has requested it before, on a thread that may
    /// block.
    ///
    /// # Errors
    ///
    /// As for [`Compiler::compile`](crate::compiler::Compiler::compile), and
    /// [`LoadError::Exceeded`] if the charged account has no memory left for it.
    pub(crate) async fn get(&self) -> Result<&InstancePre<T>, LoadError> {
        loop {
            if let Some(compiled) = self.compiled() {
                return Ok(compiled);
            }
            let ended = self.compiling.ended();
            let is_compiling = self.compiling.is_running();
            if is_compiling || !(self.find().await? || self.compile().await?) {
                ended.await;
            }
        }
    }

    /// Keeps the variant if its code is in the cache. Returns whether it is.
    async fn find(&self) -> Result<bool, LoadError> {
        let (source, compiler) = (self.source.source.clone(), self.compiler.clone());
        let (compiled, payer) = (self.compiled.clone(), self.source.payer.get().cloned());
        let metadata = self.source.metadata_bytes;
        let finding = Class::Cpu.queue().run(move || {
            let compiler = compiler.get().map_err(LoadError::Compile)?;
            let Some(module) = compiler.find(&source) else {
                return Ok(false);
            };
            let linked = compiler.link(&module)?;
            Charged::keep(linked, metadata, payer.as_ref(), &compiled).map(|()| true)
        });
        finding.await
    }

    /// Compiles the variant, unless that was done in the meantime. Returns `false` if another
    /// thread is compiling it.
    async fn compile(&self) -> Result<bool, LoadError> {
        let VariantSource {
            source,
            compiler_memory,
            metadata_bytes,
            payer,
            root,
        } = &*self.source;
        let metadata = *metadata_bytes;
        let needed = compiler_memory::of_reading(source).saturating_add(*compiler_memory);
        let compiler_payer = payer.get().or(root.as_ref()).cloned();
        let (source, compiler) = (source.clone(), self.compiler.clone());
        let (compiled, payer) = (self.compiled.clone(), payer.get().cloned());
        let compile = move || {
            if compiled.get().is_some() {
                return Ok(());
            }
            let compiler = compiler.get().map_err(LoadError::Compile)?;
            let module = compiler.compile(&source, &source.binary()?)?;
            Charged::keep(compiler.link(&module)?, metadata, payer.as_ref(), &compiled)
        };
        let flight = self.compiling.clone();
        let compiling = Class::Cpu.queue();
        let compiling = compiling.compile(needed, compiler_payer, move || flight.try_run(compile));
        let outcome = compiling.await.map_err(LoadError::Exceeded)?;
        outcome.transpose().map(|compiled| compiled.is_some())
    }
}

impl<T: 'static> Charged<T> {
    /// Charges a variant, and keeps it unless there is one.
    ///
    /// - `metadata`: the bytes that are kept of it beside its code.
    /// - `payer`: the account; `None` if the variant is not charged.
    fn keep(
        linked: InstancePre<T>,
        metadata: u64,
        payer: Option<&Account>,
        kept: &OnceLock<Charged<T>>,
    ) -> Result<(), LoadError> {
        let code = linked.module().image_range();
        let bytes = (code.end.addr() - code.start.addr()) as u64 + metadata;
        let charge = payer.map(|payer| Charge::new(payer, Kind::Memory, bytes));
        let charge = charge.transpose().map_err(LoadError::Exceeded)?;
        kept.get_or_init(|| Charged {
            linked,
            _charge: charge,
        });
        Ok(())
    }
}
