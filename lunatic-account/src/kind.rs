//! What is counted.

use std::fmt;

/// Something of which an account has a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Bytes that the host keeps: messages, tables, names and so on.
    Memory,
    /// Bytes of linear memory, as far as it may be accessed. They are counted as
    /// [`Memory`](Kind::Memory) too, but not at the root: there only what was written
    /// takes memory of the machine, and that is much less.
    LinearMemory,
    /// Processes that live.
    Processes,
    /// Sockets, open files and directories.
    Descriptors,
    /// Timers that have not fired.
    Timers,
    /// Names and memberships in groups.
    Names,
    /// Units of fuel that processes were given. It is counted only where it is limited, and
    /// never released: see [`Account::spend_fuel`](crate::Account::spend_fuel).
    Fuel,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 7] = [
        Kind::Memory,
        Kind::LinearMemory,
        Kind::Processes,
        Kind::Descriptors,
        Kind::Timers,
        Kind::Names,
        Kind::Fuel,
    ];

    pub(crate) fn index(self) -> usize {
        self as usize
    }

    /// What is counted, in the plural.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Memory => "bytes of memory",
            Kind::LinearMemory => "bytes of linear memory",
            Kind::Processes => "processes",
            Kind::Descriptors => "descriptors",
            Kind::Timers => "timers",
            Kind::Names => "names",
            Kind::Fuel => "units of fuel",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
