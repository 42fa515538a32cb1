//! How long an operation on a socket may take.

use std::future::{self, Future};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_io::Timer;

/// A time limit that all handles of a socket share.
#[derive(Debug)]
pub(crate) struct TimeLimit {
    /// Milliseconds, or [`NONE`].
    millis: AtomicU64,
}

const NONE: u64 = u64::MAX;

impl TimeLimit {
    /// No limit, until one is set.
    pub(crate) const fn none() -> TimeLimit {
        TimeLimit {
            millis: AtomicU64::new(NONE),
        }
    }

    pub(crate) fn set(&self, limit: Option<Duration>) {
        let millis = limit.map_or(NONE, |limit| {
            u64::try_from(limit.as_millis()).unwrap_or(NONE)
        });
        self.millis.store(millis, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> Option<Duration> {
        match self.millis.load(Ordering::Relaxed) {
            NONE => None,
            millis => Some(Duration::from_millis(millis)),
        }
    }
}

/// Runs an operation for at most this long; `None` if the time was over first.
/// For what it promises see [`ReusableTimer::within`].
pub(crate) async fn within<F: Future>(limit: Option<Duration>, operation: F) -> Option<F::Output> {
    match limit {
        None => Some(operation.await),
        Some(limit) => ReusableTimer::default().within(limit, operation).await,
    }
}

/// A timer that is set once for many operations.
///
/// To set a timer is a call of the kernel, to wake the thread that waits for the
/// first one. A server that waits for each request no longer than ten seconds
/// would do that for each request. So a timer that an operation leaves behind is
/// kept; when it rings, the operation of that moment sets it again for the rest of
/// its time.
#[derive(Debug, Default)]
pub(crate) struct ReusableTimer {
    /// When it rings; never later than what it is for.
    set: Option<(Instant, Timer)>,
}

impl ReusableTimer {
    /// Runs an operation for at most this long; `None` if the time was over first.
    ///
    /// The operation is polled once before the clock is looked at, so that even a
    /// limit of 0 succeeds if the result is there already. An operation that is
    /// dropped leaves no timer behind.
    pub(crate) async fn within<F: Future>(
        &mut self,
        limit: Duration,
        operation: F,
    ) -> Option<F::Output> {
        let mut operation = pin!(operation);
        let mut deadline = None;
        let mut timer = ReusableTimer {
            set: self.set.take(),
        };
        let outcome = future::poll_fn(|context| {
            if let Poll::Ready(output) = operation.as_mut().poll(context) {
                return Poll::Ready(Some(output));
            }
            // A limit beyond what the clock can show is none.
            match *deadline.get_or_insert_with(|| Instant::now().checked_add(limit)) {
                Some(deadline) => timer.poll(deadline, context).map(|()| None),
                None => Poll::Pending,
            }
        })
        .await;
        *self = timer;
        outcome
    }

    /// Whether the deadline is over; the task is woken when it is.
    fn poll(&mut self, deadline: Instant, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let (when, timer) = match &mut self.set {
                Some(set) if set.0 <= deadline => set,
                set => set.insert((deadline, Timer::at(deadline))),
            };
            ready!(Pin::new(timer).poll(context));
            let is_over = *when >= deadline;
            self.set = None;
            if is_over {
                return Poll::Ready(());
            }
        }
    }
}
