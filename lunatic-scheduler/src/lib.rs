//! Runs tasks fairly on all cores.
//!
//! A [`Scheduler`] owns a fixed number of worker threads. A task is a future, and
//! runs on any worker that is free.
//!
//! # Layout
//!
//! - `scheduler`: [`Scheduler`] and [`Builder`].
//! - `worker`: the loop of one worker thread.
//! - `queues`: the queues of tasks, from which workers take and steal.
//! - `processors`: on which processors the workers run.
//! - `stats`: [`SchedulerStats`], what is counted.
//! - `idle`: which workers sleep, and which one is woken for a task.
//! - `driver`: [`Driver`], what a worker without tasks waits for besides them.
//!
//! # Invariants
//!
//! - A task must not block its worker. Work that can block belongs in another
//!   thread pool.
//! - Each worker calls the hooks of [`Builder::on_work`] and [`Builder::on_rest`]
//!   alternately. An idle scheduler uses no CPU time.
//! - If there is a [`Driver`], one sleeping worker waits in it. While none does, workers look between
//!   two tasks.

#[cfg(not(lunatic_loom))]
mod driver;
#[cfg(not(lunatic_loom))]
#[allow(unreachable_pub, reason = "the model check is outside of the crate")]
mod idle;
#[cfg(lunatic_loom)]
#[doc(hidden)]
#[allow(missing_docs, reason = "only the model check sees this")]
pub mod idle;
#[cfg(not(lunatic_loom))]
mod processors;
#[cfg(not(lunatic_loom))]
mod queues;
#[cfg(not(lunatic_loom))]
mod scheduler;
#[cfg(not(lunatic_loom))]
mod stats;
#[cfg(not(lunatic_loom))]
mod worker;

#[cfg(not(lunatic_loom))]
pub use driver::Driver;
#[cfg(not(lunatic_loom))]
pub use scheduler::{Builder, Scheduler};
#[cfg(not(lunatic_loom))]
pub use stats::{SchedulerStats, WorkerStats};

/// The examples in the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
