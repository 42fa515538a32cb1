//! Tools for the tests of several crates of Lunatic.
//!
//! # Layout
//!
//! - [`wait`], [`wait_until`]: wait for events, with a time limit.
//! - [`environment`], [`spawn`], [`idle`] …: native processes.
//! - [`Wire`]: a network that can be cut, delays and loses packets.
//! - [`program`]: programs that are run to their end.
//! - [`Random`]: random numbers from a seed.
//! - `browser`: a headless Chromium.
//! - [`built`]: guests that `cargo xtask guests` has built.
//! - `guest`, with the feature of that name: a WebAssembly instance whose host
//!   functions a test calls one by one.
//!
//! # Invariants
//!
//! - It is only ever a dev-dependency, and knows nothing of `lunatic-cli`.

#[cfg(unix)]
pub mod browser;
pub mod built;
#[cfg(feature = "guest")]
pub mod guest;
mod processes;
pub mod program;
mod random;
mod skipping;
mod waiting;
mod wire;

pub use processes::{end_of, ends, environment, idle, open, scheduler, spawn, tag, wake};
pub use random::Random;
pub use skipping::skipped;
pub use waiting::{TIMEOUT, in_time, wait, wait_until};
pub use wire::{Plug, Wire};

/// The examples in the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
