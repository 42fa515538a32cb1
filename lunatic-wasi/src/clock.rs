//! The clocks that a guest can read.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_getres, clock_gettime};

use crate::errno::Errno;

/// A clock that a guest can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    Realtime,
    Monotonic,
}

impl Clock {
    /// The clock with this number. The clocks of CPU time are refused as the
    /// reference runtime does: a process has no thread whose time it could be.
    pub(crate) fn from_id(id: u32) -> Result<Clock, Errno> {
        match id {
            0 => Ok(Clock::Realtime),
            1 => Ok(Clock::Monotonic),
            2 | 3 => Err(Errno::BadDescriptor),
            _ => Err(Errno::Invalid),
        }
    }

    /// The time of this clock in nanoseconds.
    pub(crate) fn now(self) -> u64 {
        nanoseconds(clock_gettime(self.of_host()))
    }

    /// The resolution of this clock in nanoseconds, at least 1.
    pub(crate) fn resolution(self) -> u64 {
        nanoseconds(clock_getres(self.of_host())).max(1)
    }

    fn of_host(self) -> ClockId {
        match self {
            Clock::Realtime => ClockId::Realtime,
            Clock::Monotonic => ClockId::Monotonic,
        }
    }
}

/// What can be expressed; a time before 1970 counts as 1970.
fn nanoseconds(time: Timespec) -> u64 {
    let nanoseconds = Duration::try_from(time).map_or(0, |time| time.as_nanos());
    u64::try_from(nanoseconds).unwrap_or(u64::MAX)
}
