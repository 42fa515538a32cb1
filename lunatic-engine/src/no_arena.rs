//! The arena on systems without the system calls that it needs: there is none, and the engine
//! maps stacks and memories one by one.

use std::convert::Infallible;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use wasmtime::Config;

use crate::guarded_permits::GuardedPermits;
use crate::initial_memory::InitialMemory;
use crate::memory_layout::MemoryLayout;
use crate::sealed_file::SealedFile;
use crate::stats::ArenaStats;

/// There is none.
#[derive(Debug)]
pub(crate) struct Arena(Infallible);

/// There is none.
#[derive(Debug)]
pub(crate) struct Image(Infallible);

/// Does nothing: there are no slots whose pages could be remembered.
#[derive(Debug)]
pub(crate) struct PageFaults;

impl PageFaults {
    pub(crate) fn watch() -> PageFaults {
        PageFaults
    }

    pub(crate) fn resumed(&mut self) {}

    pub(crate) fn lose_track(&mut self) {}

    pub(crate) fn ended(&self) {}

    pub(crate) fn none_so_far(&self) -> bool {
        false
    }
}

/// Knows nothing of the stacks, which the engine maps.
#[derive(Debug, Default)]
pub(crate) struct StacksInUse;

impl StacksInUse {
    pub(crate) fn can_be_measured() -> bool {
        false
    }

    pub(crate) fn record<R>(&mut self, call: impl FnOnce() -> R) -> R {
        call()
    }

    pub(crate) fn deep_bytes(&self) -> Option<u64> {
        None
    }
}

impl Arena {
    pub(crate) fn get(_: Option<MemoryLayout>) -> Option<&'static Arena> {
        None
    }

    pub(crate) fn permits(&'static self) -> Option<&'static GuardedPermits> {
        match self.0 {}
    }

    pub(crate) fn for_any_number(&'static self) -> &'static Arena {
        self
    }

    pub(crate) fn configure(&self, _: &mut Config) {
        match self.0 {}
    }

    pub(crate) fn stats(&self) -> ArenaStats {
        match self.0 {}
    }

    pub(crate) fn image(&self, _: &InitialMemory) -> Image {
        match self.0 {}
    }

    pub(crate) fn kept_image(&self, _: usize, _: &SealedFile, _: &Range<u64>) -> io::Result<Image> {
        match self.0 {}
    }
}

impl Image {
    pub(crate) fn memory_bytes(&self) -> usize {
        match self.0 {}
    }

    pub(crate) fn start(&self) -> usize {
        match self.0 {}
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self.0 {}
    }

    pub(crate) fn alignment(&self) -> usize {
        match self.0 {}
    }

    pub(crate) fn during<R>(_: Option<&Arc<Image>>, make: impl FnOnce() -> R) -> R {
        make()
    }
}
