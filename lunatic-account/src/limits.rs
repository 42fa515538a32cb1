//! How much an account may have.

use serde::{Deserialize, Serialize};

use crate::kind::Kind;

/// How much may be charged to an account and all accounts below it. `u64::MAX` is as
/// much as the accounts above allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountLimits {
    /// Bytes that the host keeps and, unless it is the root, bytes of linear memory.
    pub memory: u64,
    /// Processes alive at once.
    pub processes: u64,
    /// Sockets, open files and directories.
    pub descriptors: u64,
    /// Timers that have not fired.
    pub timers: u64,
    /// Names and memberships in groups.
    pub names: u64,
    /// Microseconds of CPU time in each second.
    pub cpu: u64,
}

impl AccountLimits {
    /// No limits but those of the accounts above.
    pub const UNLIMITED: AccountLimits = AccountLimits {
        memory: u64::MAX,
        processes: u64::MAX,
        descriptors: u64::MAX,
        timers: u64::MAX,
        names: u64::MAX,
        cpu: u64::MAX,
    };

    /// The limit of a kind.
    pub fn of(&self, kind: Kind) -> u64 {
        match kind {
            Kind::Memory | Kind::LinearMemory => self.memory,
            Kind::Processes => self.processes,
            Kind::Descriptors => self.descriptors,
            Kind::Timers => self.timers,
            Kind::Names => self.names,
        }
    }

    /// These limits, none higher than that of `ceiling`.
    pub fn capped(&self, ceiling: &AccountLimits) -> AccountLimits {
        AccountLimits {
            memory: self.memory.min(ceiling.memory),
            processes: self.processes.min(ceiling.processes),
            descriptors: self.descriptors.min(ceiling.descriptors),
            timers: self.timers.min(ceiling.timers),
            names: self.names.min(ceiling.names),
            cpu: self.cpu.min(ceiling.cpu),
        }
    }
}

impl Default for AccountLimits {
    fn default() -> AccountLimits {
        AccountLimits::UNLIMITED
    }
}
