//! How far an instance may grow.

use std::error::Error;
use std::fmt;

use lunatic_account::Charge;
use wasmtime::{ResourceLimiter, Result};

use crate::module_info::ModuleInfo;

/// Tables have fewer elements than this (ABI §15.6).
pub(crate) const TABLE_ELEMENTS: usize = 100_000;

/// Stack for guest code (ABI §15.6).
pub(crate) const WASM_STACK_BYTES: usize = 512 << 10;

/// Stack for guest code and the host functions that run on the same stack.
pub(crate) const STACK_BYTES: usize = WASM_STACK_BYTES + (256 << 10);

/// Bytes of a page of WebAssembly.
pub(crate) const WASM_PAGE_BYTES: u64 = 1 << 16;

/// The limits of one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryLimits {
    /// The most bytes its memory may have.
    pub max_memory: u64,
}

/// Why a module cannot have an instance: it needs more than the limits allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExceedsLimits {
    /// It has more than one memory.
    Memories {
        /// How many it has.
        needed: usize,
    },
    /// It has more than one table.
    Tables {
        /// How many it has.
        needed: usize,
    },
    /// Its memory begins with more bytes than a memory may have.
    Memory {
        /// What it begins with, in bytes.
        needed: u64,
        /// The most bytes it may have: [`MemoryLimits::max_memory`].
        limit: u64,
    },
    /// Its table begins with more elements than a table may have.
    TableElements {
        /// What it begins with.
        needed: u64,
        /// It must have fewer than this.
        limit: u64,
    },
}

impl MemoryLimits {
    /// The default: one page less than 4 GiB, as the interface has it.
    pub const DEFAULT_MAX_MEMORY: u64 = u32::MAX as u64;
}

/// Keeps an instance within its limits, and charges its memory to an account. It is
/// part of the state of the instance.
#[derive(Debug, Default)]
pub struct MemoryLimiter {
    limits: MemoryLimits,
    charged: Option<Charged>,
}

/// What is charged for an instance.
#[derive(Debug)]
struct Charged {
    charge: Charge,
    /// Bytes of its memory.
    memory: usize,
    /// Elements of its table.
    table: usize,
}

/// What an element of a table takes, in bytes.
pub(crate) const TABLE_ELEMENT_BYTES: u64 = 16;

impl MemoryLimiter {
    /// Limits of an instance that nobody pays for.
    pub fn new(limits: MemoryLimits) -> MemoryLimiter {
        MemoryLimiter {
            limits,
            charged: None,
        }
    }

    /// Limits of an instance whose growth is charged.
    ///
    /// - `charge`: what the instance begins with, which is
    ///   [`ModuleInfo::instance_bytes`], is in it already.
    pub fn charged(limits: MemoryLimits, charge: Charge, info: &ModuleInfo) -> MemoryLimiter {
        let charged = Charged {
            charge,
            memory: usize::try_from(info.memory_minimum).unwrap_or(usize::MAX),
            table: usize::try_from(info.table_minimum).unwrap_or(usize::MAX),
        };
        MemoryLimiter {
            limits,
            charged: Some(charged),
        }
    }

    /// The limits.
    pub fn limits(&self) -> &MemoryLimits {
        &self.limits
    }
}

impl Charged {
    /// Charges the growth of the memory; false if that is refused.
    fn grow_memory(&mut self, desired: usize) -> bool {
        let more = desired.saturating_sub(self.memory);
        let grown = self.charge_more(more as u64);
        if grown {
            self.memory += more;
        }
        grown
    }

    /// Charges the growth of the table; false if that is refused.
    fn grow_table(&mut self, desired: usize) -> bool {
        let more = desired.saturating_sub(self.table);
        let grown = self.charge_more(more as u64 * TABLE_ELEMENT_BYTES);
        if grown {
            self.table += more;
        }
        grown
    }

    fn charge_more(&mut self, bytes: u64) -> bool {
        let amount = self.charge.amount().saturating_add(bytes);
        bytes == 0 || self.charge.set(amount).is_ok()
    }
}

impl Default for MemoryLimits {
    fn default() -> MemoryLimits {
        MemoryLimits {
            max_memory: MemoryLimits::DEFAULT_MAX_MEMORY,
        }
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        let MemoryLimiter { limits, charged } = self;
        let is_allowed = desired as u64 <= limits.max_memory;
        Ok(is_allowed
            && charged
                .as_mut()
                .is_none_or(|charged| charged.grow_memory(desired)))
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        let is_allowed = desired < TABLE_ELEMENTS;
        let charged = self.charged.as_mut();
        Ok(is_allowed && charged.is_none_or(|charged| charged.grow_table(desired)))
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

impl fmt::Display for ExceedsLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExceedsLimits::Memories { needed } => {
                write!(
                    f,
                    "the module has {needed} memories, a process can have one"
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
