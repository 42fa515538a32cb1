//! Holds an instance to its limits, and charges what it has.

use lunatic_account::Charge;
use wasmtime::{ResourceLimiter, Result};

use crate::limits::{MemoryLimits, TABLE_ELEMENT_BYTES, TABLE_ELEMENTS};
use crate::module_info::ModuleInfo;

/// Keeps an instance within its limits, and charges its memory to an account. It is
/// part of the state of the instance.
#[derive(Debug, Default)]
pub struct MemoryLimiter {
    limits: MemoryLimits,
    charged: Option<Charged>,
    has_grown: bool,
}

/// What is charged for an instance.
#[derive(Debug)]
struct Charged {
    charge: Charge,
    /// What was in it at first beside what the instance begins with, in bytes.
    beside: u64,
    /// Bytes of its memory.
    memory: usize,
    /// Elements of its table.
    table: usize,
}

impl MemoryLimiter {
    /// Limits of an instance that nobody pays for.
    pub fn new(limits: MemoryLimits) -> MemoryLimiter {
        MemoryLimiter {
            limits,
            ..MemoryLimiter::default()
        }
    }

    /// Limits of an instance whose growth is charged.
    ///
    /// - `charge`: what the instance begins with, which is
    ///   [`ModuleInfo::instance_bytes`], is in it already.
    pub fn charged(limits: MemoryLimits, charge: Charge, info: &ModuleInfo) -> MemoryLimiter {
        let charged = Charged {
            beside: charge.amount().saturating_sub(info.instance_bytes()),
            charge,
            memory: usize::try_from(info.memory_minimum).unwrap_or(usize::MAX),
            table: usize::try_from(info.table_minimum).unwrap_or(usize::MAX),
        };
        MemoryLimiter {
            limits,
            charged: Some(charged),
            has_grown: false,
        }
    }

    /// What the charge had in it at first beside what the instance begins with, in bytes.
    pub fn charged_beside(&self) -> u64 {
        self.charged.as_ref().map_or(0, |charged| charged.beside)
    }

    /// Whether the memory is larger than it was at first.
    pub(crate) fn has_grown(&self) -> bool {
        self.has_grown
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

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        let is_allowed = desired as u64 <= self.limits.max_memory;
        let charged = self.charged.as_mut();
        let is_allowed = is_allowed && charged.is_none_or(|charged| charged.grow_memory(desired));
        // It is asked for what the memory begins with, too.
        self.has_grown |= is_allowed && current > 0 && desired > current;
        Ok(is_allowed)
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
