//! The inputs of the state machine of a supervisor: events and requests.

use std::error::Error;
use std::fmt;

use lunatic_account::Exceeded;
use lunatic_process::ExitReason;

use crate::core::child::ChildKey;
use crate::core::end::End;
use crate::core::spec::ChildSpec;
use crate::core::spec_error::SpecError;

/// Something that has happened; see [`Machine`](crate::core::Machine).
#[derive(Debug)]
pub enum Input<S> {
    /// The supervisor begins to start its children.
    Begin,
    /// A child was started.
    Started(ChildKey),
    /// A child could not be started.
    StartFailed(ChildKey, ExitReason),
    /// The process of a child has ended.
    Exited(ChildKey, ExitReason),
    /// The time of [`Machine::next_timeout`](crate::core::Machine::next_timeout) has
    /// come.
    Timeout,
    /// A request was made.
    Request(RequestId, Request<S>),
    /// The supervisor is asked to end, for this reason.
    ShutDown(End),
}

/// The number of a request, which its [`Action::Reply`](crate::core::Action::Reply)
/// has too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(pub u64);

/// A request to a running supervisor.
#[derive(Debug)]
pub enum Request<S> {
    /// Adds a child and starts it.
    Add(ChildSpec<S>),
    /// Starts another child from the template, in the way of the template or in this
    /// one.
    AddFromTemplate(Option<S>),
    /// Starts a child that is stopped.
    Restart(ChildKey),
    /// Stops a child.
    Terminate(ChildKey),
    /// Removes a child that is stopped.
    Delete(ChildKey),
}

/// Why a supervisor does not do what it is asked to do.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum RequestError {
    /// There is no such child.
    NotFound,
    /// The child runs.
    Running,
    /// The child has ended and will be restarted.
    Restarting,
    /// There is a running child with this name.
    AlreadyStarted(ChildKey),
    /// There is a stopped child with this name.
    AlreadyPresent,
    /// The request is one for children from a template, and the supervisor has none; or
    /// the other way round.
    WrongStrategy,
    /// Children from this template take no further arguments.
    NoArguments,
    /// The specification of the child is not valid.
    Spec(SpecError),
    /// The account of the supervisor has no memory left for another child, or that of the caller
    /// for the request.
    Exceeded(Exceeded),
    /// The child did not start.
    StartFailed(ExitReason),
    /// The supervisor ends, or has ended.
    ShuttingDown,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RequestError::NotFound => f.write_str("there is no such child"),
            RequestError::Running => f.write_str("the child runs"),
            RequestError::Restarting => f.write_str("the child is being restarted"),
            RequestError::AlreadyStarted(_) => {
                f.write_str("there is a child of that name, and it runs")
            }
            RequestError::AlreadyPresent => {
                f.write_str("there is a child of that name, and it is stopped")
            }
            RequestError::WrongStrategy => {
                f.write_str("simple_one_for_one, and only that, makes children from a template")
            }
            RequestError::NoArguments => f.write_str("the template takes no further arguments"),
            RequestError::Spec(error) => error.fmt(f),
            RequestError::Exceeded(exceeded) => exceeded.fmt(f),
            RequestError::StartFailed(reason) => write!(f, "the child did not start: {reason}"),
            RequestError::ShuttingDown => f.write_str("the supervisor has ended, or is about to"),
        }
    }
}

impl Error for RequestError {}
