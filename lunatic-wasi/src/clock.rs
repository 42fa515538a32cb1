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
    /// Returns the clock with this number. As in the reference runtime, there are no
    /// clocks of CPU time: `badf`. For other numbers `inval`.
    pub(crate) fn from_id(id: u32) -> Result<Clock, Errno> {
        match id {
            0 => Ok(Clock::Realtime),
            1 => Ok(Clock::Monotonic),
            2 | 3 => Err(Errno::BadDescriptor),
            _ => Err(Errno::Invalid),
        }
    }

    /// Returns the time of this clock in nanoseconds.
    pub(crate) fn now(self) -> u64 {
        nanoseconds(clock_gettime(self.of_host()))
    }

    /// Returns the resolution of this clock in nanoseconds, at least 1.
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

/// Returns the nanoseconds since 1970, 0 for a time before, and the highest number for
/// one that is too late.
fn nanoseconds(time: Timespec) -> u64 {
    let nanoseconds = Duration::try_from(time).map_or(0, |time| time.as_nanos());
    u64::try_from(nanoseconds).unwrap_or(u64::MAX)
}
