//! Runs operations that may block the thread, a bounded number at once.
//!
//! An operation is a closure that makes system calls which may wait, or that
//! computes for long. It is put into a [`Queue`] and run by one of the few
//! threads of that queue; the task that wants its result is suspended meanwhile.
//! The queues that the whole program shares are named by [`Class`].
//!
//! # Layout
//!
//! - `queue`: [`Queue`], the operations that wait and the threads that run them.
//! - `class`: [`Class`], what operations wait for, and how many threads that is
//!   worth.
//! - `drop_later`: [`drop_later`], for what is large, as whoever has it may be a worker.
//! - `fair_queue`: whose operation is next.
//! - `quotas`: how many threads may work for an account.
//! - `memory`: whether there is memory for it.
//! - `compilation`: whether there is time for a compiler.
//! - `single_flight`: [`SingleFlight`], what several ask for and one of them does.
//! - `local_pool`: [`LocalPool`], for values that stay on one thread, divided between guests.
//! - `drive`: how such a thread waits.
//! - `adaptive_spin`: [`AdaptiveSpin`], looking for something before sleeping.
//!
//! # Invariants
//!
//! - What one guest, or the program itself, puts into a queue begins in the order in which it
//!   came; those who ask take turns, and no guest has all threads.
//! - No operation of one queue waits for a thread of another.
//! - An operation whose future is dropped before it has begun is dropped there
//!   and then, and never runs. One that has begun runs to its end.
//! - A panic in an operation ends neither a thread nor a queue.
//! - No foreign value is dropped, and no foreign code runs, while a queue is
//!   locked.
//!
//! # Why queues, and not a semaphore
//!
//! A semaphore before an unbounded pool gives a permit to a task that waits, and
//! nobody else gets that permit until the task is polled. A task that is woken
//! but not polled, because its process does something else first, would keep a
//! thread idle, and two such tasks can wait for each other. Here the operation
//! itself waits, and runs whether its task is polled or not.

mod adaptive_spin;
mod class;
mod compilation;
mod drive;
mod drop_later;
mod fair_queue;
mod local_pool;
mod memory;
mod pool;
mod queue;
mod quotas;
mod single_flight;

pub use adaptive_spin::AdaptiveSpin;
pub use class::{Class, cores};
pub use drop_later::drop_later;
pub use local_pool::{LocalPool, ThreadLimits};
pub use queue::Queue;
pub use single_flight::SingleFlight;

/// Runs the example of the README as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
