//! A module, compiled and linked.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;

use async_lock::OnceCell;
use lunatic_blocking::Class;
use wasmtime::{ExternType, InstancePre};

use crate::arena::Image;
use crate::instance::{Instance, InstanceState, InstantiateError};
use crate::loader::Loader;
use crate::module_info::ModuleInfo;

/// A module that is ready to be instantiated, on any thread and any number of
/// times at once; clone it freely.
pub struct Module<T: 'static> {
    inner: Arc<Inner<T>>,
}

struct Inner<T: 'static> {
    wasm: Box<[u8]>,
    info: ModuleInfo,
    /// What the memory holds at first, if the module does not say so any more.
    image: Option<Arc<Image>>,
    compiled: Compiled<T>,
    /// The variant that counts fuel, if `compiled` is not, compiled when it is
    /// first asked for.
    metered: OnceCell<InstancePre<T>>,
    loader: Loader<T>,
}

/// What a module was compiled to when it was loaded.
pub(crate) enum Compiled<T: 'static> {
    Ticked(InstancePre<T>),
    Metered(InstancePre<T>),
}

/// How much an instance may execute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metering {
    /// As much as it wants; it shares the cores by time.
    Unlimited,
    /// So many units of fuel, about one for each wasm instruction; then it traps.
    Fuel(NonZeroU64),
}

impl<T: InstanceState> Module<T> {
    pub(crate) fn new(
        wasm: Box<[u8]>,
        info: ModuleInfo,
        image: Option<Arc<Image>>,
        compiled: Compiled<T>,
        loader: Loader<T>,
    ) -> Module<T> {
        Module {
            inner: Arc::new(Inner {
                wasm,
                info,
                image,
                compiled,
                metered: OnceCell::new(),
                loader,
            }),
        }
    }

    /// The loader that made it.
    pub fn loader(&self) -> &Loader<T> {
        &self.inner.loader
    }

    /// What is known of the module before it runs.
    pub fn info(&self) -> &ModuleInfo {
        &self.inner.info
    }

    /// The names of the exported functions, and whether each takes and returns
    /// nothing.
    pub fn exported_functions(&self) -> impl Iterator<Item = (&str, bool)> {
        let (Compiled::Ticked(linked) | Compiled::Metered(linked)) = &self.inner.compiled;
        linked
            .module()
            .exports()
            .filter_map(|export| match export.ty() {
                ExternType::Func(ty) => {
                    let plain = ty.params().len() == 0 && ty.results().len() == 0;
                    Some((export.name(), plain))
                }
                _ => None,
            })
    }

    /// Makes an instance: its memory, tables and globals, then its start function.
    ///
    /// # Errors
    ///
    /// [`InstantiateError`] if the limits of `state` do not allow it, or the
    /// start function traps.
    pub async fn instantiate(
        &self,
        mut state: T,
        metering: Metering,
    ) -> Result<Instance<T>, InstantiateError> {
        if let Some(reason) = self.inner.info.exceeds(state.limits()) {
            return Err(InstantiateError::Limits(reason));
        }
        let image = self.inner.image.as_ref();
        let time_slice = self.inner.loader.engine().ticker().time_slice();
        match (metering, &self.inner.compiled) {
            (Metering::Unlimited, Compiled::Ticked(ticked)) => {
                Instance::ticked(ticked, image, state, time_slice).await
            }
            (Metering::Unlimited, Compiled::Metered(metered)) => {
                Instance::metered(metered, image, state, time_slice, NonZeroU64::MAX).await
            }
            (Metering::Fuel(fuel), Compiled::Metered(metered)) => {
                Instance::metered(metered, image, state, time_slice, fuel).await
            }
            (Metering::Fuel(fuel), Compiled::Ticked(_)) => {
                let metered = self.inner.metered().await.map_err(InstantiateError::Trap)?;
                Instance::metered(metered, image, state, time_slice, fuel).await
            }
        }
    }
}

impl<T: InstanceState> Inner<T> {
    async fn metered(self: &Arc<Self>) -> wasmtime::Result<&InstancePre<T>> {
        let compile = || {
            let inner = self.clone();
            let compile = move || inner.loader.link_metered(&inner.wasm);
            Class::Cpu.queue().run(compile)
        };
        self.metered.get_or_try_init(compile).await
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
            .field("info", &self.inner.info)
            .finish_non_exhaustive()
    }
}
