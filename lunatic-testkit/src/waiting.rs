//! Waits for events, with a time limit.

use std::future::Future;
use std::time::Duration;

use async_io::Timer;
use futures_lite::future;

/// The time after which [`wait`] panics. No event of a test takes that long, but a test that
/// hangs must end.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// The time between two checks of a condition.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// Waits for `event` and returns its output.
///
/// - `what`: the name of the event, for the message of the panic.
///
/// # Panics
///
/// Panics if the event takes longer than [`TIMEOUT`].
#[track_caller]
pub fn wait<T>(what: &str, event: impl Future<Output = T>) -> T {
    in_time(event).unwrap_or_else(|| panic!("waited {TIMEOUT:?} in vain for {what}"))
}

/// Waits until `holds` returns true.
///
/// - `what`: the name of the condition, for the message of the panic.
///
/// # Panics
///
/// Panics if that takes longer than [`TIMEOUT`].
#[track_caller]
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    wait(what, async {
        while !holds() {
            Timer::after(POLL_INTERVAL).await;
        }
    });
}

/// Waits for `event` and returns its output, or `None` if it takes longer than [`TIMEOUT`].
pub fn in_time<T>(event: impl Future<Output = T>) -> Option<T> {
    let event = async { Some(event.await) };
    let deadline = async {
        Timer::after(TIMEOUT).await;
        None
    };
    future::block_on(future::or(event, deadline))
}
