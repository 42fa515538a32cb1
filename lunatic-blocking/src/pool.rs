//! Whether the crate `blocking` can have threads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Returns whether `blocking` may be given something to run: the system gives us a thread.
///
/// If it gives none, `blocking` tries to start its first thread again and again without a pause.
/// A thread that it has started stays, so once is enough.
pub(crate) fn has_threads() -> bool {
    static HAS_THREADS: AtomicBool = AtomicBool::new(false);
    if HAS_THREADS.load(Ordering::Relaxed) {
        return true;
    }
    let probe = thread::Builder::new().spawn(|| ());
    let is_given = probe.is_ok_and(|thread| thread.join().is_ok());
    HAS_THREADS.store(is_given, Ordering::Relaxed);
    is_given
}
