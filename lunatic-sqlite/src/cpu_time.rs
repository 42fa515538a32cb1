//! The CPU time that SQLite takes, for an account that has a limit of it.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use async_io::Timer;
use lunatic_account::Account;
use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};

/// Counts the CPU time of the thread of a connection while it works for it.
pub(crate) struct CpuTime {
    account: Account,
    counted: Mutex<Counted>,
}

/// Until when it was counted.
#[derive(Debug, Clone, Copy)]
struct Counted {
    at: Instant,
    /// The CPU time of the thread then.
    time: Duration,
}

/// A wait is looked at so often whether it is still wanted.
const LONGEST_WAIT: Duration = Duration::from_millis(10);

impl CpuTime {
    /// Returns what counts for an account; `None` if it has no limit, nor has one above it.
    pub(crate) fn of(account: &Account) -> Option<Arc<CpuTime>> {
        let counts = account.limits_cpu();
        counts.then(|| {
            Arc::new(CpuTime {
                account: account.clone(),
                counted: Mutex::new(Counted::now()),
            })
        })
    }

    /// Waits until the account may use CPU time, or nobody wants that any more.
    pub(crate) async fn wait(&self, is_in_vain: impl Fn() -> bool) {
        while let Some(delay) = self.delay()
            && !is_in_vain()
        {
            Timer::after(delay).await;
        }
    }

    /// Counts what was used until now, if it was not shortly before, and keeps the thread until the
    /// account may use more, or what runs is to end. SQLite calls this while a statement runs.
    pub(crate) fn pause(&self, must_end: impl Fn() -> bool) {
        const INTERVAL: Duration = Duration::from_millis(2);
        if self.counted.lock().at.elapsed() < INTERVAL {
            return;
        }
        self.count();
        while let Some(delay) = self.delay()
            && !must_end()
        {
            thread::sleep(delay);
        }
    }

    /// How long to wait before it is looked again; `None` if the account may use CPU time.
    fn delay(&self) -> Option<Duration> {
        let delay = self.account.cpu_delay(Instant::now());
        (!delay.is_zero()).then(|| delay.min(LONGEST_WAIT))
    }

    fn begin(&self) {
        *self.counted.lock() = Counted::now();
    }

    fn count(&self) {
        let now = Counted::now();
        let before = std::mem::replace(&mut *self.counted.lock(), now);
        let used = now.time.saturating_sub(before.time);
        self.account.use_cpu(now.at, used);
    }
}

impl Counted {
    fn now() -> Counted {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Counted {
            at: Instant::now(),
            time: Duration::try_from(time).unwrap_or_default(),
        }
    }
}

/// Counts the CPU time that polling a future takes.
///
/// - `cpu_time`: `None` if nobody counts it.
pub(crate) async fn counted<F: Future>(cpu_time: Option<Arc<CpuTime>>, future: F) -> F::Output {
    let Some(cpu_time) = cpu_time else {
        return future.await;
    };
    let mut future = pin!(future);
    poll_fn(|context| {
        cpu_time.begin();
        let polled = future.as_mut().poll(context);
        cpu_time.count();
        polled
    })
    .await
}
