//! How a process is spawned, or why it is not.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use lunatic_account::{Account, BranchError, Exceeded};
use lunatic_mailbox::{Limits, Mailbox, Pid, Tag};

use crate::failure::Failure;
use crate::info::Role;
use crate::process::Process;

/// How a process is to start.
#[derive(Debug, Clone, Default)]
pub struct SpawnOptions {
    /// Links the new process to another before any of its code runs.
    pub link: Option<SpawnLink>,
    /// To whom the process and what it makes the host keep is charged; `None` is the
    /// account of the environment.
    pub account: Option<Account>,
    /// Messages to processes whose account is neither its own nor below it are refused,
    /// except to the process that spawns it.
    pub sends_within_branch: bool,
    /// Messages of processes outside of its branch are dropped, except of those above the
    /// branch, and of the process that spawns it.
    pub is_sent_to_within_branch: bool,
    /// What is done with it before any of its code runs, after it was linked.
    pub at_birth: Option<AtBirth>,
    /// Its body answers [requests](crate::Request), as wasm instances do.
    pub answers_requests: bool,
    /// How much its mailbox holds.
    pub mailbox: Limits,
    /// Whoever spawns it waits for it and tells of its failure: it is not logged
    /// as a warning too.
    pub awaited: bool,
    /// The process that spawns it, for information.
    pub parent: Option<Pid>,
    /// What it is for.
    pub role: Role,
    /// What happens to its links becomes messages from the start; see
    /// [`Process::trap_exits`].
    pub trap_exits: bool,
    /// The name for people, in logs.
    pub label: Option<Arc<str>>,
}

/// What is done with a new process before any of its code runs.
#[derive(Clone)]
pub struct AtBirth(pub(crate) Arc<dyn Fn(&Process) + Send + Sync>);

impl AtBirth {
    /// - `act`: must not block.
    pub fn new(act: impl Fn(&Process) + Send + Sync + 'static) -> AtBirth {
        AtBirth(Arc::new(act))
    }
}

impl fmt::Debug for AtBirth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AtBirth")
    }
}

/// A link between a process and the one it spawns.
#[derive(Debug, Clone)]
pub struct SpawnLink {
    /// Who spawns.
    pub parent: Process,
    /// What the parent is told when the child dies; the child is told no tag.
    pub tag: Option<Tag>,
}

/// What a body gets to know of itself.
#[derive(Debug)]
pub struct Context {
    /// The process it is.
    pub process: Process,
    /// Its mailbox.
    pub mailbox: Mailbox,
}

/// Why there is no new process.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpawnError {
    /// The environment holds as many processes as it may.
    TooManyProcesses {
        /// That many.
        limit: usize,
    },
    /// A limit of the account is reached.
    Exceeded(Exceeded),
    /// There is no account for the limits that the process was to have.
    Branch(BranchError),
    /// The environment is being shut down.
    ShuttingDown,
    /// All ids were used.
    OutOfIds,
    /// The account has a limit of fuel, and the process would have none.
    NoBudget,
    /// The module needs more than the limits of the process allow.
    ExceedsLimits(Failure),
    /// The process was spawned and has ended, because its instance could not be
    /// made: its start function failed, for example.
    StartFailed(Failure),
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SpawnError::TooManyProcesses { limit } => {
                write!(f, "there are {limit} processes already, as many as may be")
            }
            SpawnError::Exceeded(exceeded) => exceeded.fmt(f),
            SpawnError::Branch(error) => error.fmt(f),
            SpawnError::ShuttingDown => f.write_str("the environment is being shut down"),
            SpawnError::ExceedsLimits(failure) | SpawnError::StartFailed(failure) => failure.fmt(f),
            SpawnError::NoBudget => {
                f.write_str("the account has a limit of fuel, so a process has to have one, too")
            }
            SpawnError::OutOfIds => f.write_str("all process ids of this node were used"),
        }
    }
}

impl Error for SpawnError {}
