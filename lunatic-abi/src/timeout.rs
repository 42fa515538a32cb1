//! The timeout argument of host functions.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_lite::future;
use lunatic_reactor::Timer;

/// The result of a host function whose time limit is over.
pub const TIMED_OUT: u32 = 9027;

/// The time limit that a guest gives a host function.
///
/// ```
/// use futures_lite::future::{block_on, pending, ready};
/// use lunatic_abi::Timeout;
///
/// let none = Timeout::from_millis(0);
/// assert_eq!(block_on(none.limit(ready("there already"))), Some("there already"));
/// assert_eq!(block_on(none.limit(pending::<()>())), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeout(Option<Duration>);

impl Timeout {
    /// No time limit.
    pub const NEVER: Timeout = Timeout(None);

    /// Returns the time limit that an argument of a host function stands for.
    ///
    /// - `millis`: milliseconds; `u64::MAX` is no limit.
    pub fn from_millis(millis: u64) -> Timeout {
        Timeout((millis != u64::MAX).then(|| Duration::from_millis(millis)))
    }

    /// Returns the argument that stands for this time limit; see
    /// [`from_millis`](Timeout::from_millis).
    pub fn as_millis(self) -> u64 {
        self.0.map_or(u64::MAX, |duration| {
            u64::try_from(duration.as_millis()).unwrap_or(u64::MAX - 1)
        })
    }

    /// Begins the time limit now.
    #[inline]
    pub fn begin(self) -> Deadline {
        let timer = self.0.map(|duration| Box::new(Timer::after(duration)));
        Deadline(timer)
    }

    /// Runs `operation` for at most this long. Returns its output, or `None` if the time
    /// was over first.
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

/// The end of a time limit that has begun; for futures that are written by hand, and
/// small.
///
/// ```
/// use std::future::poll_fn;
///
/// use futures_lite::future::{block_on, poll_once};
/// use lunatic_abi::Timeout;
///
/// let mut deadline = Timeout::from_millis(0).begin();
/// block_on(poll_fn(|cx| deadline.poll_passed(cx)));
/// let mut never = Timeout::NEVER.begin();
/// assert_eq!(block_on(poll_once(poll_fn(|cx| never.poll_passed(cx)))), None);
/// ```
#[derive(Debug)]
pub struct Deadline(Option<Box<Timer>>);

impl Deadline {
    /// Returns whether it has passed. If it has not, the task of `cx` is woken when it
    /// does.
    #[inline]
    pub fn poll_passed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            Some(timer) => Pin::new(&mut **timer).poll(cx),
            None => Poll::Pending,
        }
    }
}
