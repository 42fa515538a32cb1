//! The actions of a supervisor.

use crate::core::child::ChildKey;
use crate::core::end::End;
use crate::core::event::SupervisorEvent;
use crate::core::input::{RequestError, RequestId};

/// Something that a supervisor has to do; see [`Machine`](crate::core::Machine).
#[derive(Debug)]
#[non_exhaustive]
pub enum Action {
    /// Start a child. [`Input::Started`](crate::core::Input::Started) or
    /// [`Input::StartFailed`](crate::core::Input::StartFailed) has to follow.
    Start(ChildKey),
    /// Kill the process of a child. [`Input::Exited`](crate::core::Input::Exited) has
    /// to follow.
    Kill(ChildKey),
    /// Ask a child to end. [`Input::Exited`](crate::core::Input::Exited) follows when
    /// it does.
    AskToEnd(ChildKey),
    /// All children were started for the first time.
    Ready,
    /// Answer a request.
    Reply(RequestId, Result<ChildKey, RequestError>),
    /// Report an event to the log and to the observer.
    Tell(SupervisorEvent),
    /// All children are stopped, and the supervisor ends.
    End(End),
}
