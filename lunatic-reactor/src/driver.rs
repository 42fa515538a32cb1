//! A thread of the program that waits for all others.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::reactor::Reactor;

/// Lets threads of the program wait for what all tasks wait for, instead of a thread of the reactor.
///
/// There is one driver at most. As long as there is one, somebody has to call
/// [`wait`](Driver::wait), or [`poll`](Driver::poll) now and then: nothing else wakes the tasks that
/// wait for a [`Source`](crate::Source) or a [`Timer`](crate::Timer). When it is dropped, a thread of
/// the reactor waits again.
///
/// # Examples
///
/// ```
/// use std::pin::pin;
/// use std::time::Duration;
///
/// use futures_lite::future::{block_on, poll_once};
/// use lunatic_reactor::{Driver, Timer};
///
/// let driver = Driver::attach()?.expect("there is no other one");
/// assert!(Driver::attach()?.is_none());
/// let mut timer = pin!(Timer::after(Duration::from_millis(1)));
/// while block_on(poll_once(timer.as_mut())).is_none() {
///     driver.wait(&mut || println!("this thread does not wait any more"));
/// }
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct Driver {
    reactor: &'static Reactor,
    is_detached: AtomicBool,
}

impl Driver {
    /// Returns the driver, unless there is one already.
    ///
    /// # Errors
    ///
    /// Fails if the system gives no descriptors for the reactor.
    pub fn attach() -> io::Result<Option<Driver>> {
        let reactor = Reactor::get()?;
        Ok(reactor.attach().then(|| Driver {
            reactor,
            is_detached: AtomicBool::new(false),
        }))
    }

    /// Blocks this thread until something is ready, a time is over, or [`wake`](Driver::wake) is
    /// called. Then calls `awake`, and after that wakes the tasks that wait for it. If more tasks wait
    /// than are woken at once, the next call does not block.
    ///
    /// It may return without any reason. If another thread waits, this one first waits for that one.
    pub fn wait(&self, awake: &mut dyn FnMut()) {
        match self.is_detached.load(Ordering::SeqCst) {
            true => awake(),
            false => self.reactor.wait(awake),
        }
    }

    /// Wakes the tasks for which something is ready, without blocking: no more than some hundred.
    pub fn poll(&self) {
        self.reactor.poll();
    }

    /// Makes the thread in [`wait`](Driver::wait) return. If there is none, the next call does not
    /// block.
    pub fn wake(&self) {
        self.reactor.wake();
    }
}

impl Driver {
    /// Lets a thread of the reactor wait again, as dropping the driver does. From now on, nothing waits
    /// in [`wait`](Driver::wait).
    pub fn detach(&self) {
        if !self.is_detached.swap(true, Ordering::SeqCst) {
            self.reactor.detach();
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.detach();
    }
}
