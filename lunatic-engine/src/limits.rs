//! How far an instance may grow.

use std::error::Error;
use std::fmt;

/// The highest number of memories of an instance.
pub(crate) const MEMORIES: usize = 8;

/// Tables have fewer elements than this (ABI §15.6).
pub(crate) const TABLE_ELEMENTS: usize = 100_000;

/// The largest heap of garbage-collected values of an instance, in bytes. Its collection is one
/// step, so it is small.
pub(crate) const COLLECTED_HEAP_BYTES: usize = 256 << 10;

/// Stack for guest code (ABI §15.6).
pub(crate) const WASM_STACK_BYTES: usize = 512 << 10;

/// The size of the stack of an instance, in bytes: for guest code, and the host functions that run
/// on the same stack.
pub const STACK_BYTES: usize = WASM_STACK_BYTES + (256 << 10);

/// The bytes that are kept for the references to exceptions that are found on one stack of an
/// instance when their heap is collected: 16 bytes for each reference, which takes four bytes
/// there.
pub(crate) const STACK_REFERENCES_BYTES: u64 = WASM_STACK_BYTES as u64 / 4 * 16;

/// Bytes of a page of WebAssembly.
pub(crate) const WASM_PAGE_BYTES: u64 = 1 << 16;

/// The limits of one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryLimits {
    /// The largest sum of its memories, in bytes.
    pub max_memory: u64,
}

/// Why a module cannot have an instance: it needs more than the limits allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExceedsLimits {
    /// The module has more than eight memories.
    Memories {
        /// How many it has.
        needed: usize,
    },
    /// The module has more than one table.
    Tables {
        /// How many it has.
        needed: usize,
    },
    /// The initial size of its memories exceeds the limit.
    Memory {
        /// The initial size, in bytes.
        needed: u64,
        /// The limit in bytes: [`MemoryLimits::max_memory`].
        limit: u64,
    },
    /// The initial number of elements of its table exceeds the limit.
    TableElements {
        /// The initial number of elements.
        needed: u64,
        /// The number of elements that it must be below.
        limit: u64,
    },
}

impl MemoryLimits {
    /// The default: one page less than 4 GiB, as the interface has it.
    pub const DEFAULT_MAX_MEMORY: u64 = u32::MAX as u64;
}

/// The bytes of an element of a table.
pub(crate) const TABLE_ELEMENT_BYTES: u64 = 16;

impl Default for MemoryLimits {
    fn default() -> MemoryLimits {
        MemoryLimits {
            max_memory: MemoryLimits::DEFAULT_MAX_MEMORY,
        }
    }
}

impl fmt::Display for ExceedsLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExceedsLimits::Memories { needed } => {
                write!(
                    f,
                    "the module has {needed} memories, a process can have {MEMORIES}"
                )
            }
            ExceedsLimits::Tables { needed } => {
                write!(f, "the module has {needed} tables, a process can have one")
            }
            ExceedsLimits::Memory { needed, limit } => {
                let pages = needed / WASM_PAGE_BYTES;
                write!(
                    f,
                    "memory minimum size of {pages} pages exceeds memory limits ({limit} bytes)"
                )
            }
            ExceedsLimits::TableElements { needed, limit } => write!(
                f,
                "table minimum size of {needed} elements exceeds table limits (fewer than {limit})"
            ),
        }
    }
}

impl Error for ExceedsLimits {}
