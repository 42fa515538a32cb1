//! The decisions of a supervisor as a state machine, without processes and without a
//! clock of its own.

mod action;
pub(crate) mod backoff;
pub(crate) mod child;
pub(crate) mod end;
pub(crate) mod event;
pub(crate) mod input;
pub(crate) mod intensity;
mod machine;
pub(crate) mod spec;
pub(crate) mod spec_error;

pub use action::Action;
pub use end::End;
pub use input::{Input, Request, RequestId};
pub use machine::Machine;

// These are public at the root of the crate.
pub(crate) use backoff::Backoff;
pub(crate) use child::{ChildCounts, ChildInfo, ChildKey, Shared};
pub(crate) use event::{ChildRef, SupervisorEvent};
pub(crate) use input::RequestError;
pub(crate) use intensity::{Intensity, RestartCount};
pub(crate) use spec::{AutoShutdown, ChildKind, ChildSpec, Flags, ShutdownPolicy, Strategy};
pub(crate) use spec_error::{MAX_CHILDREN, MAX_LEVELS, SpecError};
#[cfg(feature = "guest")]
pub(crate) use {child::ChildStatus, spec::Restart};
