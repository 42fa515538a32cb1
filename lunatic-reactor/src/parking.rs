//! Whether the thread that waits for events has to be woken by a system call.
//!
//! A thread that wakes it makes a system call only if it really waits. If it is about to, it finds the
//! wake-up when it begins; so no wake-up is lost, and one that comes too early costs no more than one
//! look for events.

#[cfg(lunatic_loom)]
use loom::sync::atomic::{AtomicU8, Ordering};
#[cfg(not(lunatic_loom))]
use std::sync::atomic::{AtomicU8, Ordering};

/// Nobody waits.
const IDLE: u8 = 0;
/// A thread waits, or is about to.
const WAITING: u8 = 1;
/// It was woken, or the next one is to be.
const UNPARKED: u8 = 2;

/// The state of the one thread that waits.
#[derive(Debug)]
pub struct Parking(AtomicU8);

impl Parking {
    /// Nobody waits.
    #[allow(clippy::new_without_default, reason = "loom's atomics have none")]
    pub fn new() -> Parking {
        Parking(AtomicU8::new(IDLE))
    }

    /// Begins to wait. Returns whether the thread may block: it may not if it was woken before.
    pub fn begin(&self) -> bool {
        self.0.swap(WAITING, Ordering::SeqCst) != UNPARKED
    }

    /// Ends what [`begin`](Parking::begin) began.
    pub fn end(&self) {
        self.0.swap(IDLE, Ordering::SeqCst);
    }

    /// Whether a thread waits, or is about to, and was not woken.
    pub fn is_waiting(&self) -> bool {
        self.0.load(Ordering::SeqCst) == WAITING
    }

    /// Wakes the thread that waits, or the next one that begins to. Returns whether this takes a
    /// system call.
    pub fn unpark(&self) -> bool {
        self.0.swap(UNPARKED, Ordering::SeqCst) == WAITING
    }
}
