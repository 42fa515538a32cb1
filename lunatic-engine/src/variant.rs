//! A variant of a module: other code for it, compiled when it is first needed.

use std::sync::{Arc, OnceLock};

use async_lock::OnceCell;
use lunatic_account::{Account, Charge, Kind};
use lunatic_blocking::Class;
use wasmtime::InstancePre;

use crate::compiler_memory;
use crate::instance::InstanceState;
use crate::load_error::LoadError;
use crate::source::Source;
use crate::variant_compiler::VariantCompiler;

/// What the variants of one module are compiled from, and who pays for them.
pub(crate) struct VariantSource {
    source: Source,
    /// How many bytes the compiler takes.
    compiler_memory: u64,
    /// Who pays for the variants.
    payer: OnceLock<Account>,
    /// Who pays for the compiler if nobody pays for the variants.
    root: Option<Account>,
}

/// A variant of a module. It is compiled when an instance that runs it is first asked for.
pub(crate) struct Variant<T: 'static> {
    source: Arc<VariantSource>,
    compiler: Arc<VariantCompiler<T>>,
    linked: OnceCell<Charged<T>>,
    /// It is here as soon as it is compiled, even if who has asked for it is gone by then.
    finished: Arc<OnceLock<InstancePre<T>>>,
}

/// The variant, and what is charged for it.
struct Charged<T: 'static> {
    linked: InstancePre<T>,
    _charge: Option<Charge>,
}

impl VariantSource {
    /// - `source`: what the module was loaded from.
    /// - `compiler_memory`: how many bytes the compiler takes for it.
    /// - `root`: who pays for those if nobody pays for the variants.
    pub(crate) fn new(
        source: Source,
        compiler_memory: u64,
        root: Option<Account>,
    ) -> VariantSource {
        VariantSource {
            source,
            compiler_memory,
            payer: OnceLock::new(),
            root,
        }
    }

    /// Has an account pay for the variants that are not compiled yet.
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
            linked: OnceCell::new(),
            finished: Arc::default(),
        }
    }

    /// The variant, if it is compiled.
    pub(crate) fn compiled(&self) -> Option<&InstancePre<T>> {
        self.linked.get().map(|charged| &charged.linked)
    }

    /// The variant, compiled now if nobody asked before, on a thread that may block.
    ///
    /// # Errors
    ///
    /// As for [`Compiler::compile`](crate::compiler::Compiler::compile), and [`LoadError::Exceeded`] if who pays has no
    /// memory left for it.
    pub(crate) async fn get(&self) -> Result<&InstancePre<T>, LoadError> {
        let compile = || async {
            let linked = self.linked().await?;
            let payer = self.source.payer.get();
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
        if let Some(finished) = self.finished.get() {
            return Ok(finished.clone());
        }
        let queue = Class::Cpu.queue();
        let (source, compiler) = (self.source.source.clone(), self.compiler.clone());
        let finding = queue.run(move || {
            let compiler = compiler.get().map_err(LoadError::Compile)?;
            let found = compiler.find(&source);
            found.map(|module| compiler.link(&module)).transpose()
        });
        if let Some(found) = finding.await? {
            return Ok(found);
        }
        let VariantSource {
            source,
            compiler_memory,
            payer,
            root,
        } = &*self.source;
        let needed = compiler_memory::of_reading(source).saturating_add(*compiler_memory);
        let payer = payer.get().or(root.as_ref()).cloned();
        let (source, compiler) = (source.clone(), self.compiler.clone());
        let finished = self.finished.clone();
        let compiling = queue.compile(needed, payer, move || {
            if let Some(finished) = finished.get() {
                return Ok(finished.clone());
            }
            let compiler = compiler.get().map_err(LoadError::Compile)?;
            let module = compiler.compile(&source, &source.binary()?)?;
            let linked = compiler.link(&module)?;
            Ok(finished.get_or_init(|| linked).clone())
        });
        compiling.await.map_err(LoadError::Exceeded)?
    }
}
