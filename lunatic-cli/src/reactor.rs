//! The thread that waits for sockets and timers.

use std::future::ready;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Starts the thread of `async-io`, unless it runs.
///
/// # Errors
///
/// Fails if the system gives no thread, where `async-io` itself would panic.
pub(crate) fn start() -> io::Result<()> {
    static IS_STARTED: AtomicBool = AtomicBool::new(false);
    if IS_STARTED.load(Ordering::Relaxed) {
        return Ok(());
    }
    let probe = thread::Builder::new().spawn(|| ())?;
    // It does nothing that could panic.
    probe.join().ok();
    async_io::block_on(ready(()));
    IS_STARTED.store(true, Ordering::Relaxed);
    Ok(())
}
