//! Who uses one direction of a stream: one operation at a time.

use std::future::Future;
use std::time::Instant;

use async_lock::Mutex;

use crate::errors::StreamError;
use crate::time_limit::{Alarm, TimeLimit, within};

/// One direction of a stream. Operations on it queue up; one that is dropped gives
/// up its turn, or its place in the queue.
#[derive(Debug)]
pub(crate) struct Turn(Mutex<Alarm>);

impl Turn {
    pub(crate) fn new() -> Turn {
        Turn(Mutex::new(Alarm::default()))
    }

    /// Waits for the turn and runs an operation, both together for no longer than
    /// the limit.
    pub(crate) async fn run<R>(
        &self,
        limit: &TimeLimit,
        operation: impl Future<Output = Result<R, StreamError>>,
    ) -> Result<R, StreamError> {
        let Some(limit) = limit.get() else {
            let _turn = self.0.lock().await;
            return operation.await;
        };
        let (mut alarm, left) = match self.0.try_lock() {
            Some(alarm) => (alarm, limit),
            None => {
                let start = Instant::now();
                let turn = within(Some(limit), self.0.lock()).await;
                let alarm = turn.ok_or(StreamError::TimedOut)?;
                (alarm, limit.saturating_sub(start.elapsed()))
            }
        };
        alarm
            .within(left, operation)
            .await
            .unwrap_or(Err(StreamError::TimedOut))
    }
}
