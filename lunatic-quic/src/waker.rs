//! Ends a wait from another thread.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::event::{EventfdFlags, eventfd};

/// The thread of the endpoint runs, and nobody has woken it since it last looked.
const AWAKE: u8 = 0;
/// It waits in the kernel, or is about to.
const ASLEEP: u8 = 1;
/// Somebody has woken it.
const WOKEN: u8 = 2;

/// Ends [`Endpoint::wait`](crate::Endpoint::wait) from another thread.
#[derive(Clone)]
pub struct EndpointWaker(Arc<Shared>);

struct Shared {
    state: AtomicU8,
    event: OwnedFd,
}

impl EndpointWaker {
    pub(crate) fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let state = AtomicU8::new(AWAKE);
        Ok(Self(Arc::new(Shared { state, event })))
    }

    /// Makes the present call of `wait` return, or else the next one. What was written before is
    /// seen by the thread that returns from it. Enters the kernel only if that thread sleeps,
    /// and once however often it is called.
    pub fn wake(&self) {
        if self.0.state.swap(WOKEN, Ordering::SeqCst) == ASLEEP {
            // Fails only if the counter is full, and then the thread wakes as well.
            let _ = rustix::io::write(&self.0.event, &1_u64.to_ne_bytes());
        }
    }

    /// Says that the thread is about to sleep; false if it has been woken and must not.
    pub(crate) fn sleep(&self) -> bool {
        self.0
            .state
            .compare_exchange(AWAKE, ASLEEP, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
    }

    /// Says that the thread runs; true if it has been woken since it last did so.
    pub(crate) fn awake(&self) -> bool {
        self.0.state.swap(AWAKE, Ordering::SeqCst) == WOKEN
    }

    /// What becomes readable when the sleeping thread is woken.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.event.as_fd()
    }

    /// Makes it unreadable again.
    pub(crate) fn clear(&self) {
        let _ = rustix::io::read(&self.0.event, &mut [0_u8; 8]);
    }
}

impl fmt::Debug for EndpointWaker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EndpointWaker")
            .finish_non_exhaustive()
    }
}
