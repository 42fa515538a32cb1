//! What a process may do and how much it may use.

use std::num::NonZeroU64;

use lunatic_account::AccountLimits;
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
    /// May link, monitor and kill processes outside of its branch: those whose account
    /// is neither its own nor below it.
    pub can_signal_outside: bool,
    /// May send messages to processes outside of its branch; without it, to the process
    /// that spawned it only.
    pub can_send_outside: bool,
    /// Is sent messages by processes outside of its branch, and of other nodes; without it, only by
    /// those above the branch, and by the process that spawned it. What others send is dropped.
    pub can_be_sent_to_from_outside: bool,
    /// Shares names and groups with the process that spawned it, although it has an
    /// account of its own.
    pub can_use_outside_names: bool,
    /// The limits of an account of its own below that of its parent; `None` to share the
    /// account of its parent.
    pub account: Option<AccountLimits>,
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
            can_signal_outside: true,
            can_send_outside: true,
            can_be_sent_to_from_outside: true,
            can_use_outside_names: true,
            ..ProcessConfig::default()
        }
    }

    /// This config, with nothing in it that `ceiling` does not allow.
    pub fn capped(&self, ceiling: &ProcessConfig) -> ProcessConfig {
        ProcessConfig {
            can_compile_modules: self.can_compile_modules && ceiling.can_compile_modules,
            can_create_configs: self.can_create_configs && ceiling.can_create_configs,
            can_spawn_processes: self.can_spawn_processes && ceiling.can_spawn_processes,
            can_signal_outside: self.can_signal_outside && ceiling.can_signal_outside,
            can_send_outside: self.can_send_outside && ceiling.can_send_outside,
            can_be_sent_to_from_outside: self.can_be_sent_to_from_outside
                && ceiling.can_be_sent_to_from_outside,
            can_use_outside_names: self.can_use_outside_names && ceiling.can_use_outside_names,
            // An account is below that of the parent, so that its limits hold too.
            account: self.account,
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
    /// No rights but to send messages and to be sent some; one page less than 4 GiB of memory, no fuel limit.
    fn default() -> ProcessConfig {
        ProcessConfig {
            can_compile_modules: false,
            can_create_configs: false,
            can_spawn_processes: false,
            can_signal_outside: false,
            can_send_outside: true,
            can_be_sent_to_from_outside: true,
            can_use_outside_names: false,
            account: None,
            max_memory: u64::from(u32::MAX),
            max_fuel: None,
            mailbox: Limits::default(),
        }
    }
}
