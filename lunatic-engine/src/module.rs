//! A module, compiled and linked.

use std::fmt;
use std::future::Future;
use std::num::NonZeroU64;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Context, Poll};

use bytes::Bytes;
use lunatic_account::{Account, Charge, Exceeded, Kind};
use lunatic_blocking::drop_later;
use pin_project_lite::pin_project;
use wasmtime::{ExternType, FuncType};

use crate::arena::Image;
use crate::budget::Budget;
use crate::code::{Chosen, Code, Dense};
use crate::instance::{Instance, InstanceState};
use crate::instantiate_error::InstantiateError;
use crate::module_hash::ModuleHash;
use crate::module_info::ModuleInfo;
use crate::time_slice::TimeSlice;

/// A module that is ready to be instantiated, on any thread and any number of
/// times at once; clone it freely.
pub struct Module<T: 'static> {
    inner: Arc<Inner<T>>,
}

/// A handle of a [`Module`] that does not keep it.
pub struct WeakModule<T: 'static> {
    inner: Weak<Inner<T>>,
}

struct Inner<T: 'static> {
    hash: ModuleHash,
    version_of: Option<Arc<str>>,
    bytes: Option<Bytes>,
    info: ModuleInfo,
    /// The image of the memory, if the segments were removed from the module.
    image: Option<Arc<Image>>,
    /// There is some until this is dropped.
    code: Option<Code<T>>,
    time_slice: TimeSlice,
    /// The charge for the module, as long as there are handles of it.
    charge: OnceLock<Charge>,
    /// How many [`ModuleRecord`]s there are.
    records: AtomicUsize,
}

/// A handle of a [`Module`] in a record of what is started later, as that of a supervisor's child.
/// Such handles are counted apart from others, by [`Module::records`].
pub struct ModuleRecord<T: 'static> {
    module: Module<T>,
}

impl<T: 'static> Inner<T> {
    fn code(&self) -> &Code<T> {
        match &self.code {
            Some(code) => code,
            None => unreachable!("it is there until the module is dropped"),
        }
    }
}

impl<T: 'static> Drop for Inner<T> {
    /// Drops the code on another thread: unmapping it takes a while, and would block a worker. The
    /// charge is released at once, so that a caller can drop a module and compile the next.
    fn drop(&mut self) {
        drop_later(self.code.take());
    }
}

/// What there is of a [`Module`] in types of wasmtime's. It is apart from the rest, so that who uses
/// modules need not know the engine.
pub trait CompiledModule {
    /// The module as wasmtime has it, for profilers: what instances without a budget run,
    /// as long as there are guarded memories if there are few of them.
    fn compiled(&self) -> &wasmtime::Module;

    /// The type of an exported function, if there is one of this name.
    fn exported_function(&self, name: &str) -> Option<FuncType>;
}

impl<T: InstanceState> CompiledModule for Module<T> {
    fn compiled(&self) -> &wasmtime::Module {
        self.inner.code().linked().module()
    }

    fn exported_function(&self, name: &str) -> Option<FuncType> {
        let mut exports = self.compiled().exports();
        let export = exports.find(|export| export.name() == name)?;
        export.ty().func().cloned()
    }
}

impl<T: 'static> ModuleRecord<T> {
    /// The module.
    pub fn module(&self) -> &Module<T> {
        &self.module
    }
}

impl<T: 'static> Drop for ModuleRecord<T> {
    fn drop(&mut self) {
        self.module.inner.records.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<T: 'static> fmt::Debug for ModuleRecord<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModuleRecord").finish_non_exhaustive()
    }
}

impl<T: 'static> fmt::Debug for WeakModule<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakModule").finish_non_exhaustive()
    }
}

impl<T: 'static> WeakModule<T> {
    /// Returns the module, if there is another handle of it.
    pub fn upgrade(&self) -> Option<Module<T>> {
        let inner = self.inner.upgrade()?;
        Some(Module { inner })
    }

    /// Whether there is no other handle of the module any more.
    pub fn is_gone(&self) -> bool {
        self.inner.strong_count() == 0
    }
}

impl<T: InstanceState> Module<T> {
    pub(crate) fn new(
        hash: ModuleHash,
        version_of: Option<Arc<str>>,
        bytes: Option<Bytes>,
        info: ModuleInfo,
        image: Option<Image>,
        code: Code<T>,
        time_slice: TimeSlice,
    ) -> Module<T> {
        Module {
            inner: Arc::new(Inner {
                hash,
                version_of,
                bytes,
                info,
                image: image.map(Arc::new),
                code: Some(code),
                time_slice,
                charge: OnceLock::new(),
                records: AtomicUsize::new(0),
            }),
        }
    }

    /// The properties of the module that are known before it runs.
    pub fn info(&self) -> &ModuleInfo {
        &self.inner.info
    }

    /// The hash of the bytes that it was loaded from.
    pub fn hash(&self) -> ModuleHash {
        self.inner.hash
    }

    /// The name that was passed to [`Loader::load_version`](crate::Loader::load_version); `None`
    /// for a module without a name.
    pub fn version_of(&self) -> Option<&Arc<str>> {
        self.inner.version_of.as_ref()
    }

    /// The bytes that it was loaded from, if the loader
    /// [keeps them](crate::Loader::keep_bytes).
    pub fn bytes(&self) -> Option<&Bytes> {
        self.inner.bytes.as_ref()
    }

    /// Returns the bytes of the module: its code, as it was compiled when it was loaded, what is
    /// kept beside that ([`ModuleInfo::metadata_bytes`]), the image of its data, and the bytes that
    /// it was loaded from, if they are kept.
    pub fn size(&self) -> usize {
        let code = self.inner.code().linked().module().image_range();
        let code = code.end.addr() - code.start.addr();
        let image = self.inner.image.as_ref();
        let image = image.map_or(0, |image| image.memory_bytes());
        let metadata = usize::try_from(self.inner.info.metadata_bytes).unwrap_or(usize::MAX);
        let bytes = self.bytes().map_or(0, |bytes| bytes.len());
        (code + image + bytes).saturating_add(metadata)
    }

    /// Charges the bytes of the module to an account, as long as there are handles of it: those of
    /// processes that run it, and others. Code that counts fuel and code for dense memories, which
    /// may be compiled later, is charged then. Nothing is charged if an account is charged already.
    ///
    /// # Errors
    ///
    /// [`Exceeded`] if the account has no memory left.
    pub fn charge_to(&self, payer: &Account) -> Result<(), Exceeded> {
        if self.inner.charge.get().is_some() {
            return Ok(());
        }
        let bytes = match self.inner.code() {
            Code::Sharing(code) => {
                code.source.charge_to(payer);
                // They are the same bytes.
                match self.bytes() {
                    Some(_) => self.size(),
                    None => self.size() + code.source.kept_bytes(),
                }
            }
            Code::Fuel(_) => self.size(),
        };
        let charge = Charge::new(payer, Kind::Memory, bytes as u64)?;
        // If another thread was first, its charge stays, and this one is released.
        self.inner.charge.set(charge).ok();
        Ok(())
    }

    /// Returns a handle that does not keep the module.
    pub fn downgrade(&self) -> WeakModule<T> {
        WeakModule {
            inner: Arc::downgrade(&self.inner),
        }
    }

    /// Returns the number of handles of this module: those of instances, in records, and others.
    pub fn handles(&self) -> usize {
        Arc::strong_count(&self.inner)
    }

    /// Returns a handle for a record of what is started later.
    pub fn record(&self) -> ModuleRecord<T> {
        self.inner.records.fetch_add(1, Ordering::Relaxed);
        ModuleRecord {
            module: self.clone(),
        }
    }

    /// Returns the number of those [handles](Module::handles) that are in records.
    pub fn records(&self) -> usize {
        self.inner.records.load(Ordering::Relaxed)
    }

    /// Compiles all variants that another module has been compiled to since: the one that counts
    /// fuel, and the one for dense memories.
    ///
    /// # Errors
    ///
    /// [`InstantiateError::FuelVariant`] or [`InstantiateError::DenseVariant`] if it cannot be
    /// compiled.
    pub async fn prepare_like(&self, other: &Module<T>) -> Result<(), InstantiateError> {
        let (counts_fuel, is_dense) = match other.inner.code() {
            Code::Fuel(_) => (true, false),
            Code::Sharing(code) => {
                let dense = code.dense.as_ref();
                let is_dense = dense.is_some_and(|dense| dense.variant.compiled().is_some());
                (code.fuel.compiled().is_some(), is_dense)
            }
        };
        if counts_fuel {
            self.prepare_budgets().await?;
        }
        match is_dense {
            true => self.prepare_dense().await,
            false => Ok(()),
        }
    }

    /// Waits until there is the code that counts fuel, which instances with a budget run;
    /// without this, the first of them waits for it.
    ///
    /// # Errors
    ///
    /// [`InstantiateError::FuelVariant`] if it cannot be compiled.
    pub async fn prepare_budgets(&self) -> Result<(), InstantiateError> {
        match self.inner.code() {
            Code::Fuel(_) => Ok(()),
            Code::Sharing(code) => {
                let compiled = code.fuel.get().await;
                compiled.map(|_| ()).map_err(InstantiateError::FuelVariant)
            }
        }
    }

    /// Whether the code for dense memories should be [prepared](Module::prepare_dense), as more
    /// than half of the guarded memories are used that there are, or as instances of the module
    /// usually end soon after their memory has grown, for which dense ones are better. It is true
    /// only once.
    pub fn needs_dense_soon(&self) -> bool {
        match self.inner.code() {
            Code::Sharing(code) => code.dense.as_ref().is_some_and(Dense::is_needed_soon),
            Code::Fuel(_) => false,
        }
    }

    /// Waits until there is the code for dense memories, which instances run that have no
    /// guarded one; without this, the first of them waits for it. If there is none but dense
    /// memories, or none but guarded ones, there is nothing to wait for.
    ///
    /// # Errors
    ///
    /// [`InstantiateError::DenseVariant`] if it cannot be compiled.
    pub async fn prepare_dense(&self) -> Result<(), InstantiateError> {
        if let Code::Sharing(code) = self.inner.code()
            && let Some(dense) = &code.dense
        {
            dense.get().await?;
        }
        Ok(())
    }

    /// Waits until the next instance without a budget need not wait for its code: it runs that
    /// for dense memories if all guarded ones are used.
    ///
    /// # Errors
    ///
    /// [`InstantiateError::DenseVariant`] if it cannot be compiled.
    pub async fn prepare_next(&self) -> Result<(), InstantiateError> {
        if let Code::Sharing(code) = self.inner.code()
            && let Some(dense) = &code.dense
            && dense.is_needed_now()
        {
            dense.get().await?;
        }
        Ok(())
    }

    /// The name that it gives itself in its name section; `None` if it gives none.
    pub fn name(&self) -> Option<&str> {
        self.inner.code().linked().module().name()
    }

    /// The names of the exported functions, and whether each takes and returns
    /// nothing.
    pub fn exported_functions(&self) -> impl Iterator<Item = (&str, bool)> {
        let exports = self.inner.code().linked().module().exports();
        exports.filter_map(|export| match export.ty() {
            ExternType::Func(ty) => {
                let plain = ty.params().len() == 0 && ty.results().len() == 0;
                Some((export.name(), plain))
            }
            _ => None,
        })
    }

    /// Makes an instance: its memory, tables and globals, then its start function.
    ///
    /// The first instance with a budget may take long, and so may the first without a guarded
    /// memory, where there are few of them: the module is compiled again then, on another
    /// thread.
    ///
    /// # Errors
    ///
    /// [`InstantiateError`] if the limits of `state` do not allow it, or the
    /// start function traps.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::num::NonZeroU64;
    ///
    /// use lunatic_engine::{
    ///     Budget, Engine, EngineConfig, InstanceState, InstantiateError, Loader, MemoryLimiter,
    ///     MemoryLimits,
    /// };
    ///
    /// struct State(MemoryLimiter);
    ///
    /// impl InstanceState for State {
    ///     fn limits(&mut self) -> &mut MemoryLimiter {
    ///         &mut self.0
    ///     }
    /// }
    ///
    /// let engine = Engine::new(&EngineConfig::default())?;
    /// let loader = Loader::new(&engine, [], |_| Ok(()))?;
    /// let module = loader.load(b"(module (memory 2))")?;
    /// futures_lite::future::block_on(async {
    ///     // Two pages of 64 KiB are too much for this one.
    ///     let state = State(MemoryLimiter::new(MemoryLimits { max_memory: 100_000 }));
    ///     let error = module.instantiate(state, Budget::Unlimited).await.unwrap_err();
    ///     assert!(matches!(error, InstantiateError::Limits(_)));
    ///
    ///     let state = State(MemoryLimiter::default());
    ///     let budget = Budget::Fuel(NonZeroU64::new(1_000_000).unwrap());
    ///     module.instantiate(state, budget).await?;
    ///     Ok::<(), InstantiateError>(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn instantiate(
        &self,
        mut state: T,
        budget: Budget,
    ) -> impl Future<Output = Result<Instance<T>, InstantiateError>> {
        let Inner {
            info,
            image,
            time_slice,
            ..
        } = &*self.inner;
        let code = self.inner.code();
        let chosen = match (budget, code) {
            (Budget::Unlimited, Code::Sharing(code)) => code.chosen(),
            _ => None,
        };
        // The state is large: the future of the common case contains the store instead.
        match chosen {
            Some(chosen) => match info.check_limits(state.limits().limits()) {
                Ok(()) => Making::UntilTick {
                    making: Instance::until_tick(
                        chosen.linked,
                        chosen.guarded,
                        image.as_ref(),
                        state,
                        time_slice,
                    ),
                },
                Err(exceeded) => Making::Refused {
                    error: Some(InstantiateError::Limits(exceeded)),
                },
            },
            None => Making::Otherwise {
                making: Box::pin(self.instantiate_otherwise(state, budget)),
            },
        }
    }

    /// Makes an instance that has a budget, or whose code may have to be compiled first.
    async fn instantiate_otherwise(
        &self,
        mut state: T,
        budget: Budget,
    ) -> Result<Instance<T>, InstantiateError> {
        let Inner {
            info,
            image,
            time_slice,
            ..
        } = &*self.inner;
        let code = self.inner.code();
        let image = image.as_ref();
        info.check_limits(state.limits().limits())
            .map_err(InstantiateError::Limits)?;
        let instance = match (budget, code) {
            (Budget::Unlimited, Code::Sharing(code)) => {
                let Chosen { linked, guarded } = code.chosen_or_compiled().await?;
                Instance::until_tick(linked, guarded, image, state, time_slice).await
            }
            (Budget::Unlimited, Code::Fuel(linked)) => {
                Instance::with_fuel(linked, image, state, time_slice, NonZeroU64::MAX).await
            }
            (Budget::Fuel(fuel), Code::Fuel(linked)) => {
                Instance::with_fuel(linked, image, state, time_slice, fuel).await
            }
            (Budget::Fuel(fuel), Code::Sharing(code)) => {
                let linked = code.fuel.get().await;
                let linked = linked.map_err(InstantiateError::FuelVariant)?;
                Instance::with_fuel(linked, image, state, time_slice, fuel).await
            }
        };
        instance.map_err(InstantiateError::Start)
    }
}

pin_project! {
    /// An instance that is being made. An `async` block around the futures would be twice as
    /// large: it has room for what it captures, and room to wait for it.
    #[project = MakingProjection]
    enum Making<U, C> {
        UntilTick { #[pin] making: U },
        Otherwise { making: Pin<Box<C>> },
        /// The error, until it was taken.
        Refused { error: Option<InstantiateError> },
    }
}

impl<T: InstanceState, U, C> Future for Making<U, C>
where
    U: Future<Output = wasmtime::Result<Instance<T>>>,
    C: Future<Output = Result<Instance<T>, InstantiateError>>,
{
    type Output = Result<Instance<T>, InstantiateError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            MakingProjection::UntilTick { making } => {
                making.poll(cx).map_err(InstantiateError::Start)
            }
            MakingProjection::Otherwise { making } => making.as_mut().poll(cx),
            MakingProjection::Refused { error } => match error.take() {
                Some(error) => Poll::Ready(Err(error)),
                None => Poll::Pending,
            },
        }
    }
}

impl<T> Clone for Module<T> {
    fn clone(&self) -> Self {
        Module {
            inner: self.inner.clone(),
        }
    }
}

impl<T> fmt::Debug for Module<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module")
            .field("hash", &self.inner.hash)
            .field("info", &self.inner.info)
            .finish_non_exhaustive()
    }
}
