//! How far an instance may grow.

use wasmtime::{ResourceLimiter, Result};

/// Tables have fewer elements than this (ABI §15.6).
pub(crate) const TABLE_ELEMENTS: usize = 100_000;

/// The limits of one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryLimits {
    /// The most bytes its memory may have.
    pub max_memory: u64,
}

impl MemoryLimits {
    /// The default: one page less than 4 GiB, as the interface has it.
    pub const DEFAULT_MAX_MEMORY: u64 = u32::MAX as u64;
}

impl Default for MemoryLimits {
    fn default() -> MemoryLimits {
        MemoryLimits {
            max_memory: MemoryLimits::DEFAULT_MAX_MEMORY,
        }
    }
}

impl ResourceLimiter for MemoryLimits {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        Ok(desired as u64 <= self.max_memory)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        Ok(desired < TABLE_ELEMENTS)
    }

    fn instances(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        1
    }

    fn memories(&self) -> usize {
        1
    }
}
