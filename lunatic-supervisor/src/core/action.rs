//! What a supervisor wants done.

use lunatic_process::ExitReason;

use crate::core::child::ChildKey;
use crate::core::event::{ChildRef, SupervisorEvent};
use crate::core::input::{RequestError, RequestId};
use crate::core::intensity::RestartCount;

/// Something to be done, in the order in which it is asked for.
#[derive(Debug)]
#[non_exhaustive]
pub enum Action {
    /// Start a child; answered by [`Input::Started`](crate::core::Input::Started)
    /// or [`Input::StartFailed`](crate::core::Input::StartFailed).
    Start(ChildKey),
    /// Kill the process of a child; answered by
    /// [`Input::Exited`](crate::core::Input::Exited).
    Kill(ChildKey),
    /// Ask a child to end; answered in the same way, but perhaps never.
    AskToEnd(ChildKey),
    /// All children were started for the first time.
    Ready,
    /// Answer a request.
    Reply(RequestId, Result<ChildKey, RequestError>),
    /// Tell whoever wants to know.
    Tell(SupervisorEvent),
    /// All children are stopped, and this is the end.
    End(End),
}

/// Why a supervisor ends.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum End {
    /// Somebody wants it to, for this reason.
    Asked(ExitReason),
    /// There were too many restarts.
    GaveUp(ChildRef, RestartCount),
    /// A significant child has ended, or all have.
    AutoShutdown(ChildRef),
    /// A child could not be started when the supervisor was.
    StartFailed(ChildRef, ExitReason),
}
