//! What a supervisor decides, as a pure state machine: no IO, time passed in.

mod action;
mod backoff;
mod child;
mod event;
mod input;
mod intensity;
mod machine;
mod spec;

pub use action::{Action, End};
pub use backoff::Backoff;
pub use child::{ChildCounts, ChildInfo, ChildKey, ChildStatus};
pub use event::{ChildRef, SupervisorEvent};
pub use input::{Input, Request, RequestError, RequestId};
pub use intensity::{Intensity, RestartCount};
pub use machine::Machine;
pub use spec::{
    AutoShutdown, ChildKind, ChildSpec, Flags, MAX_CHILDREN, MAX_RESTARTS, Restart, ShutdownPolicy,
    SpecError, Strategy,
};
