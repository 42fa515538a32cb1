//! Runs tasks fairly on all cores.
//!
//! A [`Scheduler`] owns a fixed number of worker threads. A task is a future; it
//! runs on whichever worker is free, and what it is nobody here knows.
//!
//! # Layout
//!
//! - [`scheduler`]: [`Scheduler`], [`Builder`].
//! - `worker`: the loop of one worker thread.
//! - `queues`: where tasks wait, and from where they are stolen.
//! - `idle`: who sleeps, and who is woken.
//!
//! # Invariants
//!
//! - A task never blocks its worker: whatever can block goes to another thread
//!   pool before it gets here.
//! - The hooks of [`Builder::on_work`] and [`Builder::on_rest`] come in pairs,
//!   worker by worker; an idle scheduler uses no CPU time.

#[cfg(not(lunatic_loom))]
#[allow(unreachable_pub, reason = "the model check is outside of the crate")]
mod idle;
#[cfg(lunatic_loom)]
#[doc(hidden)]
#[allow(missing_docs, reason = "only the model check sees this")]
pub mod idle;
#[cfg(not(lunatic_loom))]
mod queues;
#[cfg(not(lunatic_loom))]
pub mod scheduler;
#[cfg(not(lunatic_loom))]
mod worker;

#[cfg(not(lunatic_loom))]
pub use scheduler::{Builder, Scheduler};

/// The examples in the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
