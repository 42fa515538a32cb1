//! What a module is compiled to, and which of it an instance runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wasmtime::InstancePre;

use crate::arena::GuardedSlots;
use crate::few_guarded::FewGuarded;
use crate::instance::InstanceState;
use crate::instantiate_error::InstantiateError;
use crate::short_lives::ShortLives;
use crate::variant::{Variant, VariantSource};

/// What a module was compiled to when it was loaded.
pub(crate) enum Code<T: 'static> {
    /// It shares time by points of preemption.
    Sharing(Box<SharingCode<T>>),
    /// It counts fuel, and all instances run it.
    Fuel(InstancePre<T>),
}

/// Code that shares time, and its variants.
pub(crate) struct SharingCode<T: 'static> {
    pub(crate) linked: InstancePre<T>,
    pub(crate) source: Arc<VariantSource>,
    /// What instances with a budget run.
    pub(crate) fuel: Variant<T>,
    /// What instances run for which there is no guarded memory, if the code needs one.
    pub(crate) dense: Option<Dense<T>>,
}

/// The code for dense memories, of a module whose first code is for guarded ones, of which
/// there are few.
pub(crate) struct Dense<T: 'static> {
    pub(crate) variant: Variant<T>,
    guarded: &'static GuardedSlots,
    lives: Arc<ShortLives>,
    /// Whether it was said that the variant is needed soon.
    is_announced: AtomicBool,
}

/// The code that a new instance without a budget runs.
pub(crate) struct Chosen<'a, T: 'static> {
    pub(crate) linked: &'a InstancePre<T>,
    /// Where guarded memories are few, what the instance keeps as long as it has one.
    pub(crate) guarded: Option<FewGuarded>,
}

impl<T> Code<T> {
    /// What the module was compiled to first.
    pub(crate) fn linked(&self) -> &InstancePre<T> {
        match self {
            Code::Sharing(code) => &code.linked,
            Code::Fuel(linked) => linked,
        }
    }
}

impl<T: InstanceState> SharingCode<T> {
    /// The code of a new instance without a budget, unless that is to be compiled first.
    pub(crate) fn chosen(&self) -> Option<Chosen<'_, T>> {
        let Some(dense) = &self.dense else {
            return Some(Chosen::without_few(&self.linked));
        };
        let compiled = dense.variant.compiled();
        if let Some(linked) = compiled
            && dense.lives.is_next_dense()
        {
            return Some(Chosen::without_few(linked));
        }
        match dense.guarded.take() {
            Some(slot) => Some(Chosen {
                linked: &self.linked,
                guarded: Some(FewGuarded::new(slot, dense.lives.clone())),
            }),
            None => compiled.map(Chosen::without_few),
        }
    }

    /// The code of a new instance without a budget, compiled if need be.
    ///
    /// # Errors
    ///
    /// [`InstantiateError::DenseVariant`].
    pub(crate) async fn chosen_or_compiled(&self) -> Result<Chosen<'_, T>, InstantiateError> {
        if let Some(chosen) = self.chosen() {
            return Ok(chosen);
        }
        let linked = match &self.dense {
            Some(dense) => dense.get().await?,
            None => &self.linked,
        };
        Ok(Chosen::without_few(linked))
    }
}

impl<T> Chosen<'_, T> {
    fn without_few(linked: &InstancePre<T>) -> Chosen<'_, T> {
        Chosen {
            linked,
            guarded: None,
        }
    }
}

impl<T: InstanceState> Dense<T> {
    /// - `guarded`: who may have a guarded memory.
    pub(crate) fn new(variant: Variant<T>, guarded: &'static GuardedSlots) -> Dense<T> {
        Dense {
            variant,
            guarded,
            lives: Arc::default(),
            is_announced: AtomicBool::new(false),
        }
    }

    /// The variant, compiled now if it is not yet.
    ///
    /// # Errors
    ///
    /// [`InstantiateError::DenseVariant`].
    pub(crate) async fn get(&self) -> Result<&InstancePre<T>, InstantiateError> {
        let compiled = self.variant.get().await;
        compiled.map_err(InstantiateError::DenseVariant)
    }

    /// Whether the next instance runs the variant, as there is no guarded memory left.
    pub(crate) fn is_needed_now(&self) -> bool {
        self.guarded.are_used()
    }

    /// Whether the variant is to be compiled as it will be needed soon; true only once.
    pub(crate) fn is_needed_soon(&self) -> bool {
        !self.is_announced.load(Ordering::Relaxed)
            && (self.guarded.are_half_used() || self.lives.are_usual())
            && !self.is_announced.swap(true, Ordering::Relaxed)
            && self.variant.compiled().is_none()
    }
}
