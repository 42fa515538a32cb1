//! The compiled code of a module, and the choice of the code that an instance runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wasmtime::InstancePre;

use crate::guarded_permits::{GuardedPermits, InstancePermit};
use crate::instance::InstanceState;
use crate::instantiate_error::InstantiateError;
use crate::short_lives::ShortLives;
use crate::variant::{Variant, VariantSource};

/// The code that a module was compiled to when it was loaded.
pub(crate) enum Code<T: 'static> {
    /// Code that is preempted by time, at its points of preemption.
    Sharing(Box<SharingCode<T>>),
    /// Code that counts fuel; all instances run it.
    Fuel(InstancePre<T>),
}

/// Code that is preempted by time, and its variants.
pub(crate) struct SharingCode<T: 'static> {
    pub(crate) linked: InstancePre<T>,
    pub(crate) source: Arc<VariantSource>,
    /// The variant for instances with a budget of fuel.
    pub(crate) fuel: Variant<T>,
    /// The variant for instances without a guarded memory, if `linked` needs one.
    pub(crate) dense: Option<Dense<T>>,
}

/// The code for dense memories of a module whose first code is for guarded memories, which need
/// a permit.
pub(crate) struct Dense<T: 'static> {
    pub(crate) variant: Variant<T>,
    guarded: &'static GuardedPermits,
    lives: Arc<ShortLives>,
    /// Whether [`is_needed_soon`](Dense::is_needed_soon) has returned true.
    is_announced: AtomicBool,
}

/// The code that a new instance without a budget runs.
pub(crate) struct Chosen<'a, T: 'static> {
    pub(crate) linked: &'a InstancePre<T>,
    /// The permit for a guarded memory, if the code needs one.
    pub(crate) guarded: Option<InstancePermit>,
}

impl<T> Code<T> {
    /// Returns the code that the module was compiled to first.
    pub(crate) fn linked(&self) -> &InstancePre<T> {
        match self {
            Code::Sharing(code) => &code.linked,
            Code::Fuel(linked) => linked,
        }
    }
}

impl<T: InstanceState> SharingCode<T> {
    /// The code of a new instance without a budget; `None` if it must be compiled first.
    pub(crate) fn chosen(&self) -> Option<Chosen<'_, T>> {
        let Some(dense) = &self.dense else {
            return Some(Chosen::without_permit(&self.linked));
        };
        let compiled = dense.variant.compiled();
        if let Some(linked) = compiled
            && dense.lives.is_next_dense()
        {
            return Some(Chosen::without_permit(linked));
        }
        match dense.guarded.take() {
            Some(permit) => Some(Chosen {
                linked: &self.linked,
                guarded: Some(InstancePermit::new(permit, dense.lives.clone())),
            }),
            None => compiled.map(Chosen::without_permit),
        }
    }

    /// The code of a new instance without a budget, which is compiled if need be.
    ///
    /// # Errors
    ///
    /// [`InstantiateError::DenseVariant`] if it cannot be compiled.
    pub(crate) async fn chosen_or_compiled(&self) -> Result<Chosen<'_, T>, InstantiateError> {
        if let Some(chosen) = self.chosen() {
            return Ok(chosen);
        }
        let linked = match &self.dense {
            Some(dense) => dense.get().await?,
            None => &self.linked,
        };
        Ok(Chosen::without_permit(linked))
    }
}

impl<T> Chosen<'_, T> {
    fn without_permit(linked: &InstancePre<T>) -> Chosen<'_, T> {
        Chosen {
            linked,
            guarded: None,
        }
    }
}

impl<T: InstanceState> Dense<T> {
    /// - `guarded`: the permits for guarded memories.
    pub(crate) fn new(variant: Variant<T>, guarded: &'static GuardedPermits) -> Dense<T> {
        Dense {
            variant,
            guarded,
            lives: Arc::default(),
            is_announced: AtomicBool::new(false),
        }
    }

    /// The variant, which is compiled now unless it has been.
    ///
    /// # Errors
    ///
    /// [`InstantiateError::DenseVariant`] if it cannot be compiled.
    pub(crate) async fn get(&self) -> Result<&InstancePre<T>, InstantiateError> {
        let compiled = self.variant.get().await;
        compiled.map_err(InstantiateError::DenseVariant)
    }

    /// Whether the next instance runs the variant because there is no guarded memory left.
    pub(crate) fn is_needed_now(&self) -> bool {
        self.guarded.are_used()
    }

    /// Whether to compile the variant because it will be needed soon; returns true only once.
    pub(crate) fn is_needed_soon(&self) -> bool {
        !self.is_announced.load(Ordering::Relaxed)
            && (self.guarded.are_half_used() || self.lives.are_usual())
            && !self.is_announced.swap(true, Ordering::Relaxed)
            && self.variant.compiled().is_none()
    }
}
