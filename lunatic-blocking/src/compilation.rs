//! The time that compilers take.

use std::time::{Duration, Instant};

use async_io::Timer;
use lunatic_account::Account;
use rustix::time::{ClockId, Timespec, clock_gettime};

/// An operation whose time is counted.
pub(crate) struct Compilation<F> {
    /// To whose account; `None` if nobody counts it.
    pub(crate) payer: Option<Account>,
    pub(crate) operation: F,
}

impl<F> Compilation<F> {
    /// Waits until the payer may compile something.
    pub(crate) async fn wait_for_time(&self) {
        while let Some(delay) = self.delay() {
            Timer::after(delay).await;
        }
    }

    fn delay(&self) -> Option<Duration> {
        let delay = self.payer.as_ref()?.compile_delay(Instant::now());
        Some(delay).filter(|delay| !delay.is_zero())
    }

    /// Runs the operation, unless the payer may not compile now: then it is given back.
    pub(crate) fn run<R>(self) -> Result<R, Compilation<F>>
    where
        F: FnOnce() -> R,
    {
        if self.delay().is_some() {
            return Err(self);
        }
        let counted = CountedTime {
            payer: self.payer,
            since: cpu_time(),
        };
        let result = (self.operation)();
        drop(counted);
        Ok(result)
    }
}

/// Counts the time from `since` on when it is dropped, also by a panic.
struct CountedTime {
    payer: Option<Account>,
    since: Duration,
}

impl Drop for CountedTime {
    fn drop(&mut self) {
        if let Some(payer) = &self.payer {
            let time = cpu_time().saturating_sub(self.since);
            payer.use_compile_time(Instant::now(), time);
        }
    }
}

/// The time for which this thread has run: what others take from it is not the payer's.
fn cpu_time() -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(tv_nsec).unwrap_or(0))
}
