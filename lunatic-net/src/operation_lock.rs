//! Runs the operations on one direction of a stream one after the other.

use std::future::Future;
use std::time::Instant;

use async_lock::Mutex;

use crate::errors::StreamError;
use crate::time_limit::{ReusableTimer, TimeLimit, within};

/// A lock for one direction of a stream, which its operations hold one after the other.
/// An operation that is dropped releases it, or leaves the queue for it.
#[derive(Debug)]
pub(crate) struct OperationLock(Mutex<ReusableTimer>);

impl OperationLock {
    pub(crate) fn new() -> OperationLock {
        OperationLock(Mutex::new(ReusableTimer::default()))
    }

    /// Takes the lock and runs an operation. Both together may take no longer than the
    /// limit.
    pub(crate) async fn run<R>(
        &self,
        limit: &TimeLimit,
        operation: impl Future<Output = Result<R, StreamError>>,
    ) -> Result<R, StreamError> {
        let Some(limit) = limit.get() else {
            let _guard = self.0.lock().await;
            return operation.await;
        };
        let (mut timer, left) = match self.0.try_lock() {
            Some(timer) => (timer, limit),
            None => {
                let start = Instant::now();
                let timer = within(Some(limit), self.0.lock()).await;
                let timer = timer.ok_or(StreamError::TimedOut)?;
                (timer, limit.saturating_sub(start.elapsed()))
            }
        };
        timer
            .within(left, operation)
            .await
            .unwrap_or(Err(StreamError::TimedOut))
    }
}
