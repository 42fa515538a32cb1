//! Messages that arrive later.
//!
//! [`Timers`] run actions when their time has come. All of them share one
//! queue and one task, so that a million pending timers are a million entries in
//! a map and nothing more.
//!
//! ```
//! use std::time::Duration;
//! use lunatic_timer::Timers;
//!
//! let timers = Timers::new();
//! let (sender, receiver) = std::sync::mpsc::channel();
//! let late = timers.after(Duration::from_secs(3600), || unreachable!())?;
//! timers.after(Duration::from_millis(1), move || sender.send("now").unwrap_or(()))?;
//! assert!(late.cancel());
//!
//! let heard = async { while receiver.try_recv().is_err() { futures_lite::future::yield_now().await } };
//! futures_lite::future::block_on(futures_lite::future::or(timers.run(), heard));
//! # Ok::<(), lunatic_timer::TooManyTimers>(())
//! ```
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
//!
//! # Limits
//!
//! Timers are as exact as the clock of `async-io`, about a millisecond. There
//! are at most [`MAX_TIMERS`] pending at once.

#[cfg(feature = "guest")]
pub mod guest;
pub mod queue;
pub mod timers;

pub use queue::{TimerKey, TimerQueue};
pub use timers::{MAX_TIMERS, Timer, Timers, TooManyTimers};
