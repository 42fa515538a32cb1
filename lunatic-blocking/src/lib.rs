//! Runs operations that may block the thread, a bounded number at once.
//!
//! An operation is a closure that makes system calls which may wait, or that computes for long. It
//! is put into a [`Queue`] and run by one of the few threads of that queue, while the task that
//! wants its result is suspended. [`Class`] names the queues that the whole program shares.
//!
//! # Layout
//!
//! - `queue`: [`Queue`], the operations that wait.
//! - `threads`: the threads that run them.
//! - `class`: [`Class`], the queues of the program, with their number of threads.
//! - `drop_later`: [`drop_later`] and [`DropLater`], for large values that a worker should not
//!   drop.
//! - `fair_queue`: decides whose operation is next.
//! - `quotas`: the number of threads that may work for an account.
//! - `memory`: decides whether there is memory for an operation.
//! - `compilation`: decides whether an account has time for a compiler.
//! - `single_flight`: [`SingleFlight`], an operation that several callers want and one of them
//!   runs.
//! - `local_pool`: [`LocalPool`], for values that stay on one thread, divided between guests.
//! - `block_on`: runs a future on such a thread.
//! - `adaptive_spin`: [`AdaptiveSpin`], polling for a moment before sleeping.
//!
//! # Invariants
//!
//! - Operations of one guest, or of the program itself, begin in the order in which they came.
//!   Guests take turns, and no guest has all threads.
//! - No operation of one queue waits for a thread of another.
//! - An operation whose future is dropped before it has begun is dropped at once, and never runs.
//!   An operation that has begun runs to its end.
//! - A panic in an operation ends neither a thread nor a queue.
//! - No foreign value is dropped, and no foreign code runs, while a queue is
//!   locked.
//!
//! # Why queues, and not a semaphore
//!
//! A semaphore before an unbounded pool gives a permit to a waiting task, and no other task gets
//! that permit until that task is polled. A task that is woken but not polled, because its process
//! does something else first, would keep a thread idle, and two such tasks can wait for each other.
//! Here the operation itself waits, and runs whether its task is polled or not.

mod adaptive_spin;
mod block_on;
mod class;
mod compilation;
mod drop_later;
mod fair_queue;
mod local_pool;
mod memory;
mod queue;
mod quotas;
mod single_flight;
mod threads;

pub use adaptive_spin::AdaptiveSpin;
pub use class::{Class, cores};
pub use drop_later::{DropLater, drop_later};
pub use local_pool::{LocalPool, ThreadLimits};
pub use queue::Queue;
pub use single_flight::SingleFlight;

/// Runs the example of the README as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
