//! What a supervisor hears.

use std::error::Error;
use std::fmt;

use lunatic_process::ExitReason;

use crate::core::action::End;
use crate::core::child::ChildKey;
use crate::core::spec::{ChildSpec, SpecError};

/// Something that has happened.
#[derive(Debug)]
pub enum Input<S> {
    /// The supervisor begins: its children are to be started.
    Begin,
    /// A child that was to be started is there.
    Started(ChildKey),
    /// A child that was to be started could not be.
    StartFailed(ChildKey, ExitReason),
    /// The process of a child has ended.
    Exited(ChildKey, ExitReason),
    /// It is as late as [`Machine::next_timeout`](crate::core::Machine::next_timeout)
    /// said, or later.
    Timeout,
    /// Somebody wants something.
    Request(RequestId, Request<S>),
    /// The supervisor is to end, for this reason.
    ShutDown(End),
}

/// A request, to be told apart from others by whoever answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(pub u64);

/// What can be wanted of a running supervisor.
#[derive(Debug)]
pub enum Request<S> {
    /// Adds a child and starts it.
    Add(ChildSpec<S>),
    /// Starts another child from the template, in this way if it is to be another
    /// than the template's.
    AddFromTemplate(Option<S>),
    /// Starts a child that is stopped.
    Restart(ChildKey),
    /// Stops a child.
    Terminate(ChildKey),
    /// Removes a child that is stopped.
    Delete(ChildKey),
}

/// Why a supervisor does not do what it is asked for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum RequestError {
    /// There is no such child.
    NotFound,
    /// The child runs.
    Running,
    /// The child has ended and will be restarted.
    Restarting,
    /// There is a running child of that name.
    AlreadyStarted(ChildKey),
    /// There is a stopped child of that name.
    AlreadyPresent,
    /// A supervisor with a template has no other children, and one that has none
    /// makes none from it.
    WrongStrategy,
    /// The template takes no further arguments.
    NoArguments,
    /// The child cannot be as it is specified.
    Spec(SpecError),
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
            RequestError::StartFailed(reason) => write!(f, "the child did not start: {reason}"),
            RequestError::ShuttingDown => f.write_str("the supervisor has ended, or is about to"),
        }
    }
}

impl Error for RequestError {}
