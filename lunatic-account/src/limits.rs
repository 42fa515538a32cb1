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
    /// Sockets, open files and directories. Of those of the root, a branch directly below it has
    /// no more than are left for others.
    pub descriptors: u64,
    /// Timers that have not fired.
    pub timers: u64,
    /// Names and memberships in groups.
    pub names: u64,
    /// Microseconds of CPU time in each second.
    pub cpu: u64,
    /// How much of the processors it gets beside others, if there are not enough for all:
    /// from 1 to 10 000, other numbers are taken for the nearest; `u64::MAX` for 100. It is
    /// a part of what the account above gets, so it is no limit of those below.
    pub cpu_weight: u64,
    /// Units of fuel that its processes may be given together, as long as there is the account.
    /// A process that has no fuel limit of its own is not spawned then.
    pub fuel: u64,
    /// Bytes that its processes may print in each second, to standard output and standard error
    /// together.
    pub output: u64,
    /// How many threads work for its processes at once, of each of the kinds of work that may
    /// block: computing, files, disks and look-ups. None is taken for one. Others wait.
    pub threads: u64,
    /// Microseconds in each second for which modules are compiled for its processes. Others wait.
    pub compile_time: u64,
    /// Lines of the log in each second that its processes may cause. Others are dropped and
    /// counted.
    pub log_lines: u64,
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
        cpu_weight: u64::MAX,
        fuel: u64::MAX,
        output: u64::MAX,
        threads: u64::MAX,
        compile_time: u64::MAX,
        log_lines: u64::MAX,
    };

    /// The limit of a kind.
    pub fn of(&self, kind: Kind) -> u64 {
        match kind {
            Kind::Memory | Kind::LinearMemory => self.memory,
            Kind::Processes => self.processes,
            Kind::Descriptors => self.descriptors,
            Kind::Timers => self.timers,
            Kind::Names => self.names,
            Kind::Fuel => self.fuel,
        }
    }

    /// These limits, none higher than that of `ceiling`, and the weight of `ceiling` if that
    /// has one.
    pub fn capped(&self, ceiling: &AccountLimits) -> AccountLimits {
        AccountLimits {
            memory: self.memory.min(ceiling.memory),
            processes: self.processes.min(ceiling.processes),
            descriptors: self.descriptors.min(ceiling.descriptors),
            timers: self.timers.min(ceiling.timers),
            names: self.names.min(ceiling.names),
            cpu: self.cpu.min(ceiling.cpu),
            fuel: self.fuel.min(ceiling.fuel),
            output: self.output.min(ceiling.output),
            threads: self.threads.min(ceiling.threads),
            compile_time: self.compile_time.min(ceiling.compile_time),
            log_lines: self.log_lines.min(ceiling.log_lines),
            cpu_weight: match ceiling.cpu_weight {
                u64::MAX => self.cpu_weight,
                weight => weight,
            },
        }
    }
}

impl Default for AccountLimits {
    fn default() -> AccountLimits {
        AccountLimits::UNLIMITED
    }
}
