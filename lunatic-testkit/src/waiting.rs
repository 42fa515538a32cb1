//! Waits for what must happen.

use std::future::Future;
use std::time::Duration;

use async_io::Timer;
use futures_lite::future;

/// How long [`wait`] waits. Nothing takes that long, but a test that hangs must end.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How often it is looked whether a condition holds.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// Waits for `event` and returns what it yields.
///
/// - `what`: names the event in the message of the panic.
///
/// # Panics
///
/// Panics if the event takes longer than [`PATIENCE`].
#[track_caller]
pub fn wait<T>(what: &str, event: impl Future<Output = T>) -> T {
    in_time(event).unwrap_or_else(|| panic!("waited {PATIENCE:?} in vain for {what}"))
}

/// Waits until `holds` returns true.
///
/// - `what`: names the condition in the message of the panic.
///
/// # Panics
///
/// Panics if that takes longer than [`PATIENCE`].
#[track_caller]
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    wait(what, async {
        while !holds() {
            Timer::after(POLL_INTERVAL).await;
        }
    });
}

/// Waits for `event` and returns what it yields, or nothing if it takes longer than
/// [`PATIENCE`].
pub fn in_time<T>(event: impl Future<Output = T>) -> Option<T> {
    let event = async { Some(event.await) };
    let deadline = async {
        Timer::after(PATIENCE).await;
        None
    };
    future::block_on(future::or(event, deadline))
}
