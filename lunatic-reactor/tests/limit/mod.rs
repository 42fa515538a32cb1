//! A time limit for a test, which does not need what is tested.

use std::panic::resume_unwind;
use std::thread;
use std::time::Duration;

/// Runs a test on a thread of its own.
///
/// # Panics
///
/// Panics if it does, or if it takes longer than a minute.
pub(crate) fn in_time(test: impl FnOnce() + Send + 'static) {
    let thread = thread::spawn(test);
    for _ in 0..60_000 {
        if thread.is_finished() {
            return thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("it took too long");
}
