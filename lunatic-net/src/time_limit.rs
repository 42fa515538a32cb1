//! How long an operation on a socket may take.

use std::future::{self, Future};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use lunatic_reactor::Timer;

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

/// Like [`ReusableTimer::within`], with a timer that is used once, or none.
pub(crate) async fn within<F: Future>(limit: Option<Duration>, operation: F) -> Option<F::Output> {
    match limit {
        None => Some(operation.await),
        Some(limit) => ReusableTimer::default().within(limit, operation).await,
    }
}

/// A timer that is set once for many operations.
///
/// Setting a timer takes a lock that all share, and can take a system call. A server with a
/// time limit for each request would do both for each request. So the timer of an operation that is done stays set. When it fires, the operation of
/// that moment sets it again for the rest of its time.
#[derive(Debug, Default)]
pub(crate) struct ReusableTimer {
    /// When it fires, which is never after the deadline of the operation.
    set: Option<(Instant, Timer)>,
}

impl ReusableTimer {
    /// Runs an operation, and returns its output, or `None` if it takes longer than
    /// `limit`.
    ///
    /// The operation is polled once before the time is checked, so even with a limit of
    /// 0 it succeeds if its output is there already. If the operation is dropped, the
    /// timer is not kept.
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
            // A limit beyond what the clock can represent is none.
            match *deadline.get_or_insert_with(|| Instant::now().checked_add(limit)) {
                Some(deadline) => timer.poll(deadline, context).map(|()| None),
                None => Poll::Pending,
            }
        })
        .await;
        *self = timer;
        outcome
    }

    /// Is ready when the deadline is over.
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
