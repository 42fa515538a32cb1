//! How workers wait for sockets and timers.

use std::future::ready;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use lunatic_reactor::Driver;
use lunatic_scheduler::Builder;

/// Makes sure that there is what the reactor of the processes needs, and starts the thread of
/// `async-io`, which the rest of the program uses, unless it runs.
///
/// # Errors
///
/// Fails if the system gives no thread or no descriptors, where `async-io` itself would panic.
pub(crate) fn start() -> io::Result<()> {
    static IS_STARTED: AtomicBool = AtomicBool::new(false);
    if IS_STARTED.load(Ordering::Relaxed) {
        return Ok(());
    }
    lunatic_reactor::start()?;
    let probe = thread::Builder::new().spawn(|| ())?;
    // It does nothing that could panic.
    probe.join().ok();
    async_io::block_on(ready(()));
    IS_STARTED.store(true, Ordering::Relaxed);
    Ok(())
}

/// Lets the workers of a scheduler wait for the sockets and timers of processes, unless those of
/// another runtime in this program do.
///
/// # Errors
///
/// Fails if the system gives no descriptors.
pub(crate) fn drive_by(builder: Builder) -> io::Result<Builder> {
    Ok(match Driver::attach()? {
        Some(driver) => builder.driver(Workers(driver)),
        None => builder,
    })
}

/// The workers as the driver of the reactor.
struct Workers(Driver);

impl lunatic_scheduler::Driver for Workers {
    fn wait(&self, awake: &mut dyn FnMut()) {
        self.0.wait(awake);
    }

    fn poll(&self) {
        self.0.poll();
    }

    fn wake(&self) {
        self.0.wake();
    }

    fn stop(&self) {
        self.0.detach();
    }
}
