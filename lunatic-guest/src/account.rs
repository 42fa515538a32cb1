//! Accounts: how much the processes of a branch may use together (ABI §26).
//!
//! A process that is spawned under a config with a limit gets an account of its own,
//! and all processes that it spawns share that account. The limits hold for all of
//! them together.
//!
//! A config is named by its id, which `ProcessConfig::id` of the `lunatic` crate
//! returns.
//!
//! ```no_run
//! use lunatic_guest::account::{self, Kind, Limits, Right};
//! # let config = 0;
//!
//! Limits::default().memory(32 << 20).processes(64).cpu(50_000).set(config);
//! account::grant(config, Right::SendOutside, false);
//! println!("{} bytes are used here", account::used(Kind::Memory));
//! ```

use crate::process::ProcessId;
use crate::sys::account as sys;

/// Something of which an account has a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Bytes that the host keeps, and bytes of linear memory.
    Memory,
    /// Processes that live.
    Processes,
    /// Sockets, open files and directories.
    Descriptors,
    /// Timers that have not fired.
    Timers,
    /// Names and memberships in groups.
    Names,
}

/// What processes with a config may do outside of their branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Right {
    /// Link, monitor and kill processes.
    SignalOutside,
    /// Send messages to other processes than the one that spawned it.
    SendOutside,
    /// Use the names and groups of the process that spawned it.
    UseOutsideNames,
    /// Be sent messages by other processes than those above the branch and the one that
    /// spawned it.
    BeSentToFromOutside,
}

/// How much a branch may use; nothing is limited that is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    memory: Option<u64>,
    processes: Option<u64>,
    descriptors: Option<u64>,
    timers: Option<u64>,
    names: Option<u64>,
    cpu: Option<u64>,
    cpu_weight: Option<u64>,
    fuel: Option<u64>,
    output: Option<u64>,
    threads: Option<u64>,
    compile_time: Option<u64>,
    log_lines: Option<u64>,
}

/// What the host has for "no limit".
const NONE: u64 = u64::MAX;

/// The numbers of the limit on CPU time and of the weight, which are not counted as [`Kind`]s
/// are.
const CPU: u32 = 5;
const CPU_WEIGHT: u32 = 6;

/// The number of the limit of fuel.
const FUEL: u32 = 7;

/// The number of the limit on what is printed.
const OUTPUT: u32 = 8;

/// The numbers of the limits on threads, on the time of the compiler, and on lines of the log.
const THREADS: u32 = 9;
const COMPILE_TIME: u32 = 10;
const LOG_LINES: u32 = 11;

impl Limits {
    /// So many bytes of memory, linear memory and what the host keeps together.
    pub fn memory(mut self, bytes: u64) -> Limits {
        self.memory = Some(bytes);
        self
    }

    /// So many processes alive at once.
    pub fn processes(mut self, count: u64) -> Limits {
        self.processes = Some(count);
        self
    }

    /// So many sockets, open files and directories.
    pub fn descriptors(mut self, count: u64) -> Limits {
        self.descriptors = Some(count);
        self
    }

    /// So many timers that have not fired.
    pub fn timers(mut self, count: u64) -> Limits {
        self.timers = Some(count);
        self
    }

    /// So many names and memberships in groups.
    pub fn names(mut self, count: u64) -> Limits {
        self.names = Some(count);
        self
    }

    /// So many microseconds of CPU time in each second.
    pub fn cpu(mut self, microseconds: u64) -> Limits {
        self.cpu = Some(microseconds);
        self
    }

    /// How much of the processors the branch gets beside others if there are not enough for
    /// all, from 1 to 10 000; 100 is what a branch has of which nothing else is said.
    pub fn cpu_weight(mut self, weight: u64) -> Limits {
        self.cpu_weight = Some(weight);
        self
    }

    /// So many units of 100 000 fuel that processes of the branch may be given, of all that it
    /// ever spawns. A process without a fuel limit is not spawned there.
    pub fn fuel(mut self, units: u64) -> Limits {
        self.fuel = Some(units);
        self
    }

    /// So many bytes that processes of the branch may print in each second, to standard output
    /// and standard error together. After a pause as many may be printed at once. A process that
    /// prints more waits; nothing is lost.
    pub fn output(mut self, bytes: u64) -> Limits {
        self.output = Some(bytes);
        self
    }

    /// So many threads that work for the branch at once, of each of the kinds of work that may
    /// block: computing, files, disks and look-ups.
    pub fn threads(mut self, count: u64) -> Limits {
        self.threads = Some(count);
        self
    }

    /// So many microseconds in each second for which modules are compiled for the branch.
    pub fn compile_time(mut self, microseconds: u64) -> Limits {
        self.compile_time = Some(microseconds);
        self
    }

    /// So many lines of the runtime's log in each second that the branch may cause. Those that
    /// are more are dropped and counted.
    pub fn log_lines(mut self, lines: u64) -> Limits {
        self.log_lines = Some(lines);
        self
    }

    /// Writes these limits into a config; those that are not set stay as they are.
    ///
    /// # Panics
    ///
    /// The process traps if there is no such config.
    pub fn set(&self, config: u64) {
        let limits = [
            (Kind::Memory.number(), self.memory),
            (Kind::Processes.number(), self.processes),
            (Kind::Descriptors.number(), self.descriptors),
            (Kind::Timers.number(), self.timers),
            (Kind::Names.number(), self.names),
            (CPU, self.cpu),
            (CPU_WEIGHT, self.cpu_weight),
            (FUEL, self.fuel),
            (OUTPUT, self.output),
            (THREADS, self.threads),
            (COMPILE_TIME, self.compile_time),
            (LOG_LINES, self.log_lines),
        ];
        for (kind, limit) in limits {
            if let Some(limit) = limit {
                sys::config_set_limit(config, kind, limit);
            }
        }
    }

    /// The limits in a config.
    ///
    /// # Panics
    ///
    /// The process traps if there is no such config.
    pub fn of_config(config: u64) -> Limits {
        Limits::read(|kind| sys::config_get_limit(config, kind))
    }

    /// The limits of the account of the calling process.
    pub fn own() -> Limits {
        Limits::read(sys::account_limit)
    }

    fn read(limit: impl Fn(u32) -> u64) -> Limits {
        let limit = |kind| Some(limit(kind)).filter(|limit| *limit != NONE);
        Limits {
            memory: limit(Kind::Memory.number()),
            processes: limit(Kind::Processes.number()),
            descriptors: limit(Kind::Descriptors.number()),
            timers: limit(Kind::Timers.number()),
            names: limit(Kind::Names.number()),
            cpu: limit(CPU),
            cpu_weight: limit(CPU_WEIGHT),
            fuel: limit(FUEL),
            output: limit(OUTPUT),
            threads: limit(THREADS),
            compile_time: limit(COMPILE_TIME),
            log_lines: limit(LOG_LINES),
        }
    }
}

impl Kind {
    fn number(self) -> u32 {
        self as u32
    }
}

impl Right {
    fn number(self) -> u32 {
        self as u32
    }
}

/// Grants processes with a config a right, or takes it from them.
///
/// # Panics
///
/// The process traps if there is no such config, and if it grants a right that it does
/// not have.
pub fn grant(config: u64, right: Right, can: bool) {
    sys::config_set_right(config, right.number(), can);
}

/// Whether processes with a config have a right.
///
/// # Panics
///
/// The process traps if there is no such config.
pub fn has(config: u64, right: Right) -> bool {
    sys::config_has_right(config, right.number())
}

/// Permits a process to signal another one outside of its branch, as a supervisor of which it is to
/// make requests. Returns whether it may: nobody has more than 64 such permissions.
///
/// # Panics
///
/// The process traps if it has no right to signal one of the two.
pub fn permit_signals(process: ProcessId, target: ProcessId) -> bool {
    sys::permit_signals(process.0, target.0)
}

/// How much is charged to the account of the calling process and to those below it.
pub fn used(kind: Kind) -> u64 {
    sys::account_used(kind.number())
}
