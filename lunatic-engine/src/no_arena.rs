//! What stands for the arena on systems that have no calls to build one with:
//! nothing, so that the engine maps stacks and memories one by one.

use std::convert::Infallible;
use std::sync::Arc;

use wasmtime::Config;

use crate::geometry::Geometry;
use crate::segments::Contents;

/// There is none.
#[derive(Debug)]
pub(crate) struct Arena(Infallible);

/// There is none.
#[derive(Debug)]
pub(crate) struct Image(Infallible);

/// Room for guest code (ABI §15.6).
pub(crate) const WASM_STACK_BYTES: usize = 512 << 10;

/// Room for guest code and the host functions that run on the same stack.
pub(crate) const STACK_BYTES: usize = WASM_STACK_BYTES + (256 << 10);

impl Arena {
    pub(crate) fn get(_: Geometry) -> Option<&'static Arena> {
        None
    }

    pub(crate) fn configure(&self, _: &mut Config) {
        match self.0 {}
    }
}

impl Image {
    pub(crate) fn new(_: &Contents) -> Image {
        unreachable!("images are made for an arena")
    }

    pub(crate) fn during<R>(_: Option<&Arc<Image>>, make: impl FnOnce() -> R) -> R {
        make()
    }
}
