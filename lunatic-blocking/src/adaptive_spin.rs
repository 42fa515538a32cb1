//! Polling for something for a short time, instead of sleeping until it is there.

use std::hint;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::class::cores;

/// Polls for something that is expected soon, before the thread waits for it in another way: to
/// sleep and to be woken takes some ten microseconds.
///
/// It costs the time of a processor, so it is done only while that pays. After a time in which
/// nothing was found, the next ones are left out: first one, then two, up to 64 in a row. It is
/// never done where there is but one processor, and it ends when another thread wants this one.
///
/// ```
/// use std::sync::mpsc::channel;
/// use std::time::Duration;
///
/// use lunatic_blocking::AdaptiveSpin;
///
/// let spin = AdaptiveSpin::new(Duration::from_micros(50));
/// let (sender, receiver) = channel();
/// assert_eq!(spin.poll(|| receiver.try_recv().ok()), None);
/// sender.send(1)?;
/// assert_eq!(spin.poll(|| receiver.try_recv().ok()), Some(1));
/// # Ok::<(), std::sync::mpsc::SendError<i32>>(())
/// ```
#[derive(Debug)]
pub struct AdaptiveSpin {
    longest: Duration,
    /// How many times in a row nothing was found.
    failures: AtomicU32,
    /// How many are left out before the next.
    left_out: AtomicU32,
}

/// At most 2⁶ times are left out in a row.
const MOST_FAILURES: u32 = 6;

/// If a thread yields the processor and gets it back after this time or later, other threads want
/// it.
const DISTURBED: Duration = Duration::from_micros(10);

fn has_several_cores() -> bool {
    cores().get() > 1
}

impl AdaptiveSpin {
    /// Returns a new one.
    ///
    /// - `longest`: the longest time to poll.
    pub const fn new(longest: Duration) -> AdaptiveSpin {
        AdaptiveSpin {
            longest,
            failures: AtomicU32::new(0),
            left_out: AtomicU32::new(0),
        }
    }

    /// Calls `find` until it finds something, for a short time at most, and always once.
    pub fn poll<T>(&self, mut find: impl FnMut() -> Option<T>) -> Option<T> {
        if let Some(found) = find() {
            return Some(found);
        }
        if !has_several_cores() || self.is_left_out() {
            return None;
        }
        let begin = Instant::now();
        let mut last = begin;
        loop {
            for _ in 0..4 {
                hint::spin_loop();
                if let Some(found) = find() {
                    self.failures.store(0, Ordering::Relaxed);
                    return Some(found);
                }
            }
            thread::yield_now();
            let now = Instant::now();
            if now - begin >= self.longest || now - last >= DISTURBED {
                self.fail();
                return None;
            }
            last = now;
        }
    }

    fn is_left_out(&self) -> bool {
        let left_out = self.left_out.load(Ordering::Relaxed);
        if left_out > 0 {
            self.left_out.store(left_out - 1, Ordering::Relaxed);
        }
        left_out > 0
    }

    fn fail(&self) {
        let failures = self.failures.load(Ordering::Relaxed);
        self.left_out.store(1 << failures, Ordering::Relaxed);
        let failures = (failures + 1).min(MOST_FAILURES);
        self.failures.store(failures, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// How often it calls `find`, if that finds nothing.
    fn calls(spin: &AdaptiveSpin) -> u32 {
        let calls = Cell::new(0);
        let found = spin.poll(|| {
            calls.set(calls.get() + 1);
            None::<()>
        });
        assert_eq!(found, None);
        calls.get()
    }

    #[test]
    fn looks_that_fail_are_left_out_more_and_more_until_one_succeeds() {
        if !has_several_cores() {
            return;
        }
        let spin = AdaptiveSpin::new(Duration::from_micros(50));
        for left_out in [1, 2, 4, 8, 16, 32, 64, 64] {
            assert!(calls(&spin) > 1, "{left_out}");
            for _ in 0..left_out {
                assert_eq!(calls(&spin), 1, "{left_out}");
            }
        }
        let mut calls_until_found = 3;
        let found = spin.poll(|| {
            calls_until_found -= 1;
            (calls_until_found == 0).then_some(())
        });
        assert_eq!(found, Some(()));
        assert!(calls(&spin) > 1);
        assert_eq!(calls(&spin), 1);
        assert!(calls(&spin) > 1);
    }

    #[test]
    fn what_is_there_is_found_whether_looks_are_left_out_or_not() {
        let spin = AdaptiveSpin::new(Duration::from_micros(50));
        for _ in 0..10 {
            calls(&spin);
            assert_eq!(spin.poll(|| Some(1)), Some(1));
        }
    }
}
