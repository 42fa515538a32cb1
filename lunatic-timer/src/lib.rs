//! Messages that arrive later.
//!
//! [`Timers`] run actions at a later time. All timers share one task, so
//! that each pending timer costs an entry in a map and nothing else.
//!
//! # Layout
//!
//! - `queue`: [`TimerQueue`], a queue sorted by time, which has no clock itself.
//! - `lines`: several queues, which take turns when much is due at once.
//! - `timers`: [`Timers`], the queues with a clock.
//! - `guest`: the namespace `lunatic::timer` (feature `guest`, on by default).
//!
//! # Invariants
//!
//! - No lock is held while the action of a timer runs.
//! - A timer either fires or is cancelled, and [`Timer::cancel`] returns which.

#[cfg(feature = "guest")]
pub mod guest;
mod lines;
mod queue;
mod timers;

pub use queue::{TimerKey, TimerQueue};
pub use timers::{MAX_TIMERS, Timer, Timers, TooManyTimers};

/// The examples in the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
