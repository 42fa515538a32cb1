//! A module, compiled and linked.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;

use async_lock::OnceCell;
use wasmtime::{ExternType, InstancePre};

use crate::arena::Image;
use crate::facts::Facts;
use crate::instance::{Instance, InstanceState, InstantiateError};
use crate::loader::Loader;

/// A module that is ready to be instantiated, on any thread and any number of
/// times at once; clone it freely.
pub struct Module<T: 'static> {
    inner: Arc<Inner<T>>,
}

struct Inner<T: 'static> {
    wasm: Box<[u8]>,
    facts: Facts,
    /// What the memory holds at first, if the module does not say so any more.
    image: Option<Arc<Image>>,
    body: Body<T>,
    /// The variant that counts fuel, if `body` is not, compiled when it is
    /// first asked for.
    metered: OnceCell<InstancePre<T>>,
    loader: Loader<T>,
}

/// What a module was compiled to when it was loaded.
pub(crate) enum Body<T: 'static> {
    Ticked(InstancePre<T>),
    Metered(InstancePre<T>),
}

/// How much a body may execute.
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
        facts: Facts,
        image: Option<Arc<Image>>,
        body: Body<T>,
        loader: Loader<T>,
    ) -> Module<T> {
        Module {
            inner: Arc::new(Inner {
                wasm,
                facts,
                image,
                body,
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
    pub fn facts(&self) -> &Facts {
        &self.inner.facts
    }

    /// The names of the exported functions, and whether each takes and returns
    /// nothing.
    pub fn exported_functions(&self) -> impl Iterator<Item = (&str, bool)> {
        let (Body::Ticked(linked) | Body::Metered(linked)) = &self.inner.body;
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
        if let Some(reason) = self.inner.facts.exceeds(state.limits()) {
            return Err(InstantiateError::Limits(reason));
        }
        let image = self.inner.image.as_ref();
        let turns = self.inner.loader.engine().ticker().turns();
        match (metering, &self.inner.body) {
            (Metering::Unlimited, Body::Ticked(ticked)) => {
                Instance::ticked(ticked, image, state, turns).await
            }
            (Metering::Unlimited, Body::Metered(metered)) => {
                Instance::metered(metered, image, state, turns, NonZeroU64::MAX).await
            }
            (Metering::Fuel(fuel), Body::Metered(metered)) => {
                Instance::metered(metered, image, state, turns, fuel).await
            }
            (Metering::Fuel(fuel), Body::Ticked(_)) => {
                let metered = self.inner.metered().await.map_err(InstantiateError::Trap)?;
                Instance::metered(metered, image, state, turns, fuel).await
            }
        }
    }
}

impl<T: InstanceState> Inner<T> {
    async fn metered(self: &Arc<Self>) -> wasmtime::Result<&InstancePre<T>> {
        let compile = || {
            let inner = self.clone();
            blocking::unblock(move || inner.loader.link_metered(&inner.wasm))
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
            .field("facts", &self.inner.facts)
            .finish_non_exhaustive()
    }
}
