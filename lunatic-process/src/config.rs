//! What a process may do and how much it may use.

use std::num::NonZeroU64;

use lunatic_mailbox::Limits;
use serde::{Deserialize, Serialize};

/// The rights and limits of a process.
///
/// It is plain data, the same on every node. A process can never give another more than it has itself: see
/// [`capped`](ProcessConfig::capped).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessConfig {
    /// May compile modules.
    pub can_compile_modules: bool,
    /// May create configurations for others.
    pub can_create_configs: bool,
    /// May spawn processes.
    pub can_spawn_processes: bool,
    /// The most bytes of linear memory.
    pub max_memory: u64,
    /// How much it may execute in all, in units of [`FUEL_UNIT`] fuel; `None` is
    /// as much as it wants.
    pub max_fuel: Option<NonZeroU64>,
    /// How much its mailbox holds.
    pub mailbox: Limits,
}

/// Fuel in one unit of [`ProcessConfig::max_fuel`] (ABI §3.2).
pub const FUEL_UNIT: u64 = 100_000;

impl ProcessConfig {
    /// All rights, no limit but the defaults: what a root process gets.
    pub fn trusted() -> ProcessConfig {
        ProcessConfig {
            can_compile_modules: true,
            can_create_configs: true,
            can_spawn_processes: true,
            ..ProcessConfig::default()
        }
    }

    /// This config, with nothing in it that `ceiling` does not allow.
    pub fn capped(&self, ceiling: &ProcessConfig) -> ProcessConfig {
        ProcessConfig {
            can_compile_modules: self.can_compile_modules && ceiling.can_compile_modules,
            can_create_configs: self.can_create_configs && ceiling.can_create_configs,
            can_spawn_processes: self.can_spawn_processes && ceiling.can_spawn_processes,
            max_memory: self.max_memory.min(ceiling.max_memory),
            max_fuel: match (self.max_fuel, ceiling.max_fuel) {
                (Some(own), Some(ceiling)) => Some(own.min(ceiling)),
                (own, ceiling) => own.or(ceiling),
            },
            mailbox: Limits {
                messages: self.mailbox.messages.min(ceiling.mailbox.messages),
                bytes: self.mailbox.bytes.min(ceiling.mailbox.bytes),
            },
        }
    }
}

impl Default for ProcessConfig {
    /// No rights; one page less than 4 GiB of memory, no fuel limit.
    fn default() -> ProcessConfig {
        ProcessConfig {
            can_compile_modules: false,
            can_create_configs: false,
            can_spawn_processes: false,
            max_memory: u64::from(u32::MAX),
            max_fuel: None,
            mailbox: Limits::default(),
        }
    }
}
