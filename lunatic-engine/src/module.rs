//! A module, compiled and linked.

use std::fmt;
use std::future::Future;
use std::num::NonZeroU64;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bytes::Bytes;
use lunatic_account::{Account, Charge, Exceeded, Kind};
use pin_project_lite::pin_project;
use wasmtime::{ExternType, FuncType, InstancePre};

use crate::arena::Image;
use crate::budget::Budget;
use crate::fuel_variant::FuelVariant;
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

struct Inner<T: 'static> {
    hash: ModuleHash,
    version_of: Option<Arc<str>>,
    bytes: Option<Bytes>,
    info: ModuleInfo,
    /// What the memory holds at first, if the module does not say so any more.
    image: Option<Arc<Image>>,
    code: Code<T>,
    time_slice: TimeSlice,
    /// Who pays for it as long as there are handles of it.
    charge: OnceLock<Charge>,
}

/// What a module was compiled to when it was loaded.
pub(crate) enum Code<T: 'static> {
    /// It shares time by points of preemption; instances with a budget run the variant.
    Sharing(InstancePre<T>, FuelVariant<T>),
    /// It counts fuel, and all instances run it.
    Fuel(InstancePre<T>),
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
                code,
                time_slice,
                charge: OnceLock::new(),
            }),
        }
    }

    /// What is known of the module before it runs.
    pub fn info(&self) -> &ModuleInfo {
        &self.inner.info
    }

    /// The hash of the bytes that it was loaded from.
    pub fn hash(&self) -> ModuleHash {
        self.inner.hash
    }

    /// The name of the module that it is a version of, as
    /// [`Loader::load_version`](crate::Loader::load_version) was told; `None` for others.
    pub fn version_of(&self) -> Option<&Arc<str>> {
        self.inner.version_of.as_ref()
    }

    /// The bytes that it was loaded from, if the loader
    /// [keeps them](crate::Loader::keep_bytes).
    pub fn bytes(&self) -> Option<&Bytes> {
        self.inner.bytes.as_ref()
    }

    /// How many bytes the module takes: its code, as far as it is compiled to count no fuel,
    /// and the bytes that it was loaded from, if those are kept.
    pub fn size(&self) -> usize {
        let code = self.inner.code.linked().module().image_range();
        let code = code.end.addr() - code.start.addr();
        code + self.bytes().map_or(0, |bytes| bytes.len())
    }

    /// Charges what the module takes to an account, as long as there are handles of it: those
    /// of processes that run it, and of others. The code that counts fuel, which may come
    /// later, is charged then. Nothing is charged if somebody pays already.
    ///
    /// # Errors
    ///
    /// [`Exceeded`] if the account has no memory left.
    pub fn charge_to(&self, payer: &Account) -> Result<(), Exceeded> {
        if self.inner.charge.get().is_some() {
            return Ok(());
        }
        let bytes = match &self.inner.code {
            Code::Sharing(_, variant) => {
                variant.charge_to(payer);
                // They are the same bytes.
                match self.bytes() {
                    Some(_) => self.size(),
                    None => self.size() + variant.kept_bytes(),
                }
            }
            Code::Fuel(_) => self.size(),
        };
        let charge = Charge::new(payer, Kind::Memory, bytes as u64)?;
        // If another thread was first, its charge stays, and this one is released.
        self.inner.charge.set(charge).ok();
        Ok(())
    }

    /// How many handles of this module there are: those of instances, and others.
    pub fn handles(&self) -> usize {
        Arc::strong_count(&self.inner)
    }

    /// Whether there is the code that counts fuel, which instances with a budget run.
    pub fn has_budgets(&self) -> bool {
        match &self.inner.code {
            Code::Fuel(_) => true,
            Code::Sharing(_, variant) => variant.is_compiled(),
        }
    }

    /// Waits until there is the code that counts fuel, which instances with a budget run;
    /// without this, the first of them waits for it.
    ///
    /// # Errors
    ///
    /// [`InstantiateError::FuelVariant`] if it cannot be compiled.
    pub async fn prepare_budgets(&self) -> Result<(), InstantiateError> {
        match &self.inner.code {
            Code::Fuel(_) => Ok(()),
            Code::Sharing(_, variant) => {
                let compiled = variant.get().await;
                compiled.map(|_| ()).map_err(InstantiateError::FuelVariant)
            }
        }
    }

    /// The module as wasmtime has it, for profilers: what instances without a budget run.
    pub fn compiled(&self) -> &wasmtime::Module {
        self.inner.code.linked().module()
    }

    /// The name that it gives itself in its name section; `None` if it gives none.
    pub fn name(&self) -> Option<&str> {
        self.inner.code.linked().module().name()
    }

    /// The names of the exported functions, and whether each takes and returns
    /// nothing.
    pub fn exported_functions(&self) -> impl Iterator<Item = (&str, bool)> {
        let exports = self.inner.code.linked().module().exports();
        exports.filter_map(|export| match export.ty() {
            ExternType::Func(ty) => {
                let plain = ty.params().len() == 0 && ty.results().len() == 0;
                Some((export.name(), plain))
            }
            _ => None,
        })
    }

    /// The type of an exported function, if there is one of this name.
    pub fn exported_function(&self, name: &str) -> Option<FuncType> {
        let mut exports = self.inner.code.linked().module().exports();
        let export = exports.find(|export| export.name() == name)?;
        export.ty().func().cloned()
    }

    /// Makes an instance: its memory, tables and globals, then its start function.
    ///
    /// The first instance with a budget may take long: the module is compiled again
    /// then, on another thread.
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
            code,
            time_slice,
            ..
        } = &*self.inner;
        // The state is large: the future of the common case contains the store instead.
        match (budget, code) {
            (Budget::Unlimited, Code::Sharing(linked, _)) => {
                match info.check_limits(state.limits().limits()) {
                    Ok(()) => Making::UntilTick {
                        making: Instance::until_tick(linked, image.as_ref(), state, time_slice),
                    },
                    Err(exceeded) => Making::Refused {
                        error: Some(InstantiateError::Limits(exceeded)),
                    },
                }
            }
            _ => Making::Counting {
                making: Box::pin(self.instantiate_counting(state, budget)),
            },
        }
    }

    /// Makes an instance of any kind; one without a budget is better made by
    /// [`instantiate`](Module::instantiate).
    async fn instantiate_counting(
        &self,
        mut state: T,
        budget: Budget,
    ) -> Result<Instance<T>, InstantiateError> {
        let Inner {
            info,
            image,
            code,
            time_slice,
            ..
        } = &*self.inner;
        let image = image.as_ref();
        info.check_limits(state.limits().limits())
            .map_err(InstantiateError::Limits)?;
        let instance = match (budget, code) {
            (Budget::Unlimited, Code::Sharing(linked, _)) => {
                Instance::until_tick(linked, image, state, time_slice).await
            }
            (Budget::Unlimited, Code::Fuel(linked)) => {
                Instance::with_fuel(linked, image, state, time_slice, NonZeroU64::MAX).await
            }
            (Budget::Fuel(fuel), Code::Fuel(linked)) => {
                Instance::with_fuel(linked, image, state, time_slice, fuel).await
            }
            (Budget::Fuel(fuel), Code::Sharing(_, variant)) => {
                let linked = variant.get().await.map_err(InstantiateError::FuelVariant)?;
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
        Counting { making: Pin<Box<C>> },
        /// The error, until it was taken.
        Refused { error: Option<InstantiateError> },
    }
}

impl<T: 'static, U, C> Future for Making<U, C>
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
            MakingProjection::Counting { making } => making.as_mut().poll(cx),
            MakingProjection::Refused { error } => match error.take() {
                Some(error) => Poll::Ready(Err(error)),
                None => Poll::Pending,
            },
        }
    }
}

impl<T: 'static> Code<T> {
    fn linked(&self) -> &InstancePre<T> {
        match self {
            Code::Sharing(linked, _) | Code::Fuel(linked) => linked,
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
