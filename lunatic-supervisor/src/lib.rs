//! OTP's supervisors for processes, native and wasm.
//!
//! A supervisor is a process that starts other processes, its children, and restarts those that
//! end. Flags and child specifications say which children are restarted, when and how often, and in
//! which order they are stopped. They are those of Erlang/OTP 24 and later, and have the same
//! names.
//!
//! # Layout
//!
//! - [`core`]: the decisions of a supervisor as a state machine, [`core::Machine`].
//! - `spec`: [`Spec`], a supervisor and its children as data.
//! - `start`: [`StartChild`], starts a child.
//! - `supervisor`: [`Supervisor`], the handle to a running one.
//! - `driver`: the process that executes the decisions of the state machine.
//! - `log`: logs restarts, a few lines in a second at most.
//! - `restarts`: [`restarts()`], the number of restarts of all children.
//! - `guest`: children that are wasm instances, and `lunatic::supervisor`
//!   (feature `guest`, on by default).
//!
//! # Invariants
//!
//! - The end of a child never ends its supervisor as a link would, and a supervisor
//!   never outlives its parent.
//! - A child is linked to its supervisor as long as it lives. So when the supervisor is
//!   killed, its children end, except those that trap link deaths.
//! - A supervisor learns of the end of each child exactly once, and finds the child
//!   without a search.
//! - A child cannot keep its supervisor from being killed.

pub mod core;
mod driver;
#[cfg(feature = "guest")]
pub mod guest;
mod log;
mod restarts;
mod spec;
mod start;
mod supervisor;

pub use crate::core::backoff::Backoff;
pub use crate::core::child::{ChildCounts, ChildInfo, ChildKey, ChildStatus};
pub use crate::core::event::{ChildRef, SupervisorEvent};
pub use crate::core::input::RequestError;
pub use crate::core::intensity::{Intensity, RestartCount};
pub use crate::core::spec::{
    AutoShutdown, ChildKind, ChildSpec, Flags, Restart, ShutdownPolicy, Strategy,
};
pub use crate::core::spec_error::{MAX_CHILDREN, MAX_LEVELS, MAX_RESTARTS, SpecError};
pub use restarts::restarts;
pub use spec::{Observer, Spec};
pub use start::{ChildContext, ChildStart, StartChild, Starting, native};
pub use supervisor::{ChildId, ChildProcess, StartedChild, Supervisor, SupervisorError};

/// The examples in the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
