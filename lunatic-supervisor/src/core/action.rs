//! What a supervisor has to do.

use lunatic_process::ExitReason;

use crate::core::child::ChildKey;
use crate::core::event::{ChildRef, SupervisorEvent};
use crate::core::input::{RequestError, RequestId};
use crate::core::intensity::RestartCount;

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

/// Why a supervisor ends.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum End {
    /// It was asked to, for this reason.
    Asked(ExitReason),
    /// There were too many restarts.
    GaveUp(ChildRef, RestartCount),
    /// A significant child has ended and, with [`AutoShutdown::AllSignificant`], it was
    /// the last of them.
    ///
    /// [`AutoShutdown::AllSignificant`]: crate::AutoShutdown::AllSignificant
    AutoShutdown(ChildRef),
    /// A child could not be started when the supervisor started.
    StartFailed(ChildRef, ExitReason),
}
