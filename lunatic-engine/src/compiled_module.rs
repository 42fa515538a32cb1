//! A module as it was compiled.

use crate::arena::Image;

/// A module as it was compiled, not linked yet.
#[derive(Debug)]
pub(crate) struct CompiledModule {
    pub(crate) module: wasmtime::Module,
    /// Whether it imports what its points of preemption call.
    pub(crate) has_points: bool,
    /// The image of its memory, if the segments were removed from the module.
    pub(crate) image: Option<Image>,
}
