//! Why a supervisor ends.

use lunatic_process::ExitReason;

use crate::core::event::ChildRef;
use crate::core::intensity::RestartCount;

/// Why a supervisor ends.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum End {
    /// The supervisor was asked to end, for this reason.
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
