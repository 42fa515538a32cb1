//! Messages that arrive later.
//!
//! [`Timers`] run actions when their time has come. All of them share one
//! queue and one task, so that a million pending timers are a million entries in
//! a map and nothing more.
//!
//! # Layout
//!
//! - [`queue`]: [`TimerQueue`], what is due when, with time passed in.
//! - [`timers`]: [`Timers`], the queue with a clock.
//! - `guest`: the namespace `lunatic::timer` (feature `guest`, on by default).
//!
//! # Invariants
//!
//! - Nothing here knows what a timer does when it fires, and no lock is held
//!   while it does.
//! - A timer fires or is cancelled, never both, and whoever cancels is told
//!   which.

#[cfg(feature = "guest")]
pub mod guest;
pub mod queue;
pub mod timers;

pub use queue::{TimerKey, TimerQueue};
pub use timers::{MAX_TIMERS, Timer, Timers, TooManyTimers};

/// The examples in the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
