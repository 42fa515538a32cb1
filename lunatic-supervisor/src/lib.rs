//! OTP's supervisors for processes, native and wasm.
//!
//! A supervisor is a process that starts others, its children, and restarts
//! those that end. Which, when, how often, and in what order they are stopped is
//! what it is told by flags and child specifications, as in Erlang/OTP 24 and
//! later, whose words are used here.
//!
//! # Layout
//!
//! - [`core`]: the decisions as a pure state machine, [`core::Machine`].
//! - [`spec`]: [`Spec`], a supervisor and its children as data.
//! - [`start`]: [`StartChild`], how a child is started.
//! - [`supervisor`]: [`Supervisor`], the handle to a running one.
//! - `driver`: the process that does what the state machine decides.
//! - `log`: what is told of restarts, and how a storm of them stays readable.
//! - `guest`: children that are wasm instances, and `lunatic::supervisor`
//!   (feature `guest`, on by default).
//!
//! # Invariants
//!
//! - A supervisor never dies of a child, and never outlives its parent.
//! - A child is linked to its supervisor for all of its life: a supervisor that
//!   is killed takes along whoever does not trap that.
//! - The death of a child is heard once, and costs no search.
//! - Nothing a child does or leaves undone keeps a supervisor from being killed.

pub mod core;
mod driver;
#[cfg(feature = "guest")]
pub mod guest;
mod log;
pub mod spec;
pub mod start;
pub mod supervisor;

pub use core::{
    AutoShutdown, Backoff, ChildCounts, ChildInfo, ChildKey, ChildKind, ChildRef, ChildSpec,
    ChildStatus, Flags, Intensity, RequestError, Restart, RestartCount, ShutdownPolicy, SpecError,
    Strategy, SupervisorEvent,
};
pub use spec::{Observer, Spec};
pub use start::{ChildContext, ChildStart, StartChild, Starting, native};
pub use supervisor::{ChildId, ChildProcess, StartedChild, Supervisor, SupervisorError};

/// The examples in the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
