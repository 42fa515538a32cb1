//! Changing the times of a file.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};

/// New times of a file. A time that is `None` is not changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// When it was last read.
    pub accessed: Option<NewTime>,
    /// When its content was last changed.
    pub modified: Option<NewTime>,
}

/// A new time of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewTime {
    /// The time of the call.
    Now,
    /// This time, or the beginning of 1970 if it is before.
    At(SystemTime),
}

impl NewTime {
    fn to_timespec(self) -> Timespec {
        match self {
            NewTime::Now => special(UTIME_NOW),
            NewTime::At(time) => {
                let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
                Timespec {
                    tv_sec: since.as_secs() as i64,
                    tv_nsec: i64::from(since.subsec_nanos()),
                }
            }
        }
    }
}

impl From<Times> for Timestamps {
    fn from(times: Times) -> Timestamps {
        let unchanged = special(UTIME_OMIT);
        Timestamps {
            last_access: times.accessed.map_or(unchanged, NewTime::to_timespec),
            last_modification: times.modified.map_or(unchanged, NewTime::to_timespec),
        }
    }
}

fn special(tv_nsec: i64) -> Timespec {
    Timespec { tv_sec: 0, tv_nsec }
}
