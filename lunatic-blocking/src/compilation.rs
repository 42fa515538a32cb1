//! The time that compilers take.

use std::time::{Duration, Instant};

use async_io::Timer;
use lunatic_account::Account;

/// An operation whose time is counted.
pub(crate) struct Compilation<F> {
    /// The account that is charged; `None` if it is not counted.
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
            since: Instant::now(),
        };
        let result = (self.operation)();
        drop(counted);
        Ok(result)
    }
}

/// Counts the time that has passed since then when it is dropped, also by a panic. A compiler
/// divides its work between threads, so it is not the time of this one.
struct CountedTime {
    payer: Option<Account>,
    since: Instant,
}

impl Drop for CountedTime {
    fn drop(&mut self) {
        if let Some(payer) = &self.payer {
            let now = Instant::now();
            payer.use_compile_time(now, now.saturating_duration_since(self.since));
        }
    }
}
