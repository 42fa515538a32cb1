//! How long an operation on a socket may take.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_io::Timer;
use futures_lite::future;

use crate::errors::StreamError;

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

    /// Runs an operation for at most this long.
    pub(crate) async fn run<R>(
        &self,
        operation: impl Future<Output = Result<R, StreamError>>,
    ) -> Result<R, StreamError> {
        within(self.get(), operation)
            .await
            .unwrap_or(Err(StreamError::TimedOut))
    }
}

/// Runs an operation for at most this long; `None` if the time was over first.
///
/// The operation is polled once before the clock is looked at, so that even a
/// limit of 0 succeeds if the result is there already.
pub(crate) async fn within<F: Future>(limit: Option<Duration>, operation: F) -> Option<F::Output> {
    let Some(limit) = limit else {
        return Some(operation.await);
    };
    let mut operation = pin!(operation);
    if let Some(output) = future::poll_once(operation.as_mut()).await {
        return Some(output);
    }
    let expired = async {
        Timer::after(limit).await;
        None
    };
    future::or(async { Some(operation.await) }, expired).await
}
