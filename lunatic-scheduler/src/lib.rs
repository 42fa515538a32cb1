//! Runs tasks fairly on all cores.
//!
//! A [`Scheduler`] owns a fixed number of worker threads. A task is a future; it
//! runs on whichever worker is free, and what it is nobody here knows.
//!
//! ```
//! let scheduler = lunatic_scheduler::Scheduler::builder().start()?;
//! let (sender, receiver) = async_channel::bounded(1);
//! scheduler.spawn(async move {
//!     sender.send(6 * 7).await.ok();
//! });
//! assert_eq!(receiver.recv_blocking(), Ok(42));
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Layout
//!
//! - [`scheduler`]: [`Scheduler`], [`Builder`].
//! - `worker`: the loop of one worker thread.
//!
//! # Invariants
//!
//! - A task never blocks its worker: whatever can block goes to another thread
//!   pool before it gets here.
//! - The hooks of [`Builder::on_work`] and [`Builder::on_rest`] come in pairs,
//!   worker by worker; an idle scheduler uses no CPU time.
//!
//! # Limits
//!
//! A task that panics takes nothing with it but itself: the panic is caught,
//! and the worker goes on.

pub mod scheduler;
mod worker;

pub use scheduler::{Builder, Scheduler};
