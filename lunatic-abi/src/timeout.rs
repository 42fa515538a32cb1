//! The timeout argument of host functions.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::time::Duration;

use async_io::Timer;
use futures_lite::future;
use wasmtime::Caller;

use crate::memory::{AbiHost, Guest};

/// The result code for "the time is over" everywhere in the interface.
pub const TIMED_OUT: u32 = 9027;

/// A timeout as guests give it: milliseconds, all bits set means never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeout(Option<Duration>);

impl Timeout {
    /// Never.
    pub const NEVER: Timeout = Timeout(None);

    /// Reads the argument of a host function.
    ///
    /// - `millis`: milliseconds; `u64::MAX` means no timeout.
    pub fn from_millis(millis: u64) -> Timeout {
        Timeout((millis != u64::MAX).then(|| Duration::from_millis(millis)))
    }

    /// The argument that [`Timeout::from_millis`] would read back.
    pub fn as_millis(self) -> u64 {
        self.0.map_or(u64::MAX, |duration| {
            u64::try_from(duration.as_millis()).unwrap_or(u64::MAX - 1)
        })
    }

    /// Runs `operation` for at most this long; `None` if the time was over first.
    ///
    /// The operation is polled once before the clock is looked at, so that even
    /// a timeout of 0 succeeds if the result is there already (ABI §0).
    pub async fn limit<F: Future>(self, operation: F) -> Option<F::Output> {
        let Some(duration) = self.0 else {
            return Some(operation.await);
        };
        let mut operation = pin!(operation);
        if let Some(output) = future::poll_once(operation.as_mut()).await {
            return Some(output);
        }
        let expired = async {
            Timer::after(duration).await;
            None
        };
        future::or(async { Some(operation.await) }, expired).await
    }
}

/// Waits for `future` on behalf of a guest, and answers meanwhile what the runtime
/// asks of the process.
///
/// - `function`: the name of the host function that waits.
pub async fn wait<T: AbiHost, F: Future>(
    caller: &mut Caller<'_, T>,
    function: &'static str,
    future: F,
) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        caller.answer_requests(function);
        future.as_mut().poll(cx)
    })
    .await
}

/// Waits for so long on behalf of a guest.
///
/// - `millis`: milliseconds; `u64::MAX` means for ever.
/// - `function`: the name of the host function that waits.
pub async fn sleep<T: AbiHost>(caller: &mut Caller<'_, T>, function: &'static str, millis: u64) {
    let timeout = Timeout::from_millis(millis);
    wait(caller, function, timeout.limit(future::pending::<()>())).await;
}
