//! A module as it was compiled.

use crate::arena::Image;

/// A module as it was compiled, not linked yet.
#[derive(Debug)]
pub(crate) struct CompiledModule {
    pub(crate) module: wasmtime::Module,
    /// Whether it imports what its points of preemption call.
    pub(crate) has_points: bool,
    /// What its memory holds at first, if the module does not say so any more.
    pub(crate) image: Option<Image>,
}
