//! What a supervisor is to do: its flags and its children's specifications.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::core::backoff::Backoff;
use crate::core::intensity::Intensity;

/// The highest number of restarts that an [`Intensity`] may allow: each is
/// remembered for the whole period.
pub const MAX_RESTARTS: u32 = 1_000_000;

/// The highest number of children of one supervisor, running or not.
pub const MAX_CHILDREN: usize = 1 << 20;

/// Which children are restarted when one has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// That one.
    #[default]
    OneForOne,
    /// All.
    OneForAll,
    /// That one, and those that were started after it.
    RestForOne,
    /// That one. All children are made from one template, come and go, and have
    /// no names; they are stopped all at once.
    SimpleOneForOne,
}

/// Whether a supervisor ends when its significant children have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AutoShutdown {
    /// It does not.
    #[default]
    Never,
    /// When one of them has ended on its own and is not restarted.
    AnySignificant,
    /// When the last of them has.
    AllSignificant,
}

/// Whether a child that has ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Restart {
    /// Always.
    #[default]
    Permanent,
    /// Unless it ended normally or was shut down.
    Transient,
    /// Never; its specification goes with it.
    Temporary,
}

/// How a child is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShutdownPolicy {
    /// It is killed.
    BrutalKill,
    /// It is asked to end, and killed if it has not after this time.
    Timeout(Duration),
    /// It is asked to end, and has all the time it wants.
    Infinity,
}

/// Whether a child supervises others; see [`ChildCounts`](crate::ChildCounts).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChildKind {
    /// It does not.
    #[default]
    Worker,
    /// It does.
    Supervisor,
}

/// What is said of a supervisor as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags {
    /// Which children are restarted.
    pub strategy: Strategy,
    /// How many restarts there may be, before the supervisor gives up.
    pub intensity: Intensity,
    /// Whether it ends with its significant children.
    pub auto_shutdown: AutoShutdown,
    /// How long it waits before a restart; by default not at all, as OTP.
    pub backoff: Option<Backoff>,
}

/// What is said of one child.
///
/// - `S`: how it is started; nothing to the state machine.
#[derive(Debug, Clone)]
pub struct ChildSpec<S> {
    /// A name that no other child of the supervisor has.
    pub name: String,
    /// Whether it is started again.
    pub restart: Restart,
    /// How it is stopped.
    pub shutdown: ShutdownPolicy,
    /// Whether it supervises others.
    pub kind: ChildKind,
    /// Whether its end may be the end of the supervisor; see [`AutoShutdown`].
    pub significant: bool,
    /// How it is started.
    pub start: S,
}

impl<S> ChildSpec<S> {
    /// A permanent worker that has 5 seconds to end when it is asked to.
    pub fn new(name: impl Into<String>, start: S) -> ChildSpec<S> {
        const WORKER: Duration = Duration::from_secs(5);
        ChildSpec {
            name: name.into(),
            restart: Restart::default(),
            shutdown: ShutdownPolicy::Timeout(WORKER),
            kind: ChildKind::Worker,
            significant: false,
            start,
        }
    }

    /// Whether it is started again.
    pub fn restart(mut self, restart: Restart) -> ChildSpec<S> {
        self.restart = restart;
        self
    }

    /// How it is stopped.
    pub fn shutdown(mut self, shutdown: ShutdownPolicy) -> ChildSpec<S> {
        self.shutdown = shutdown;
        self
    }

    /// Its end may be the end of the supervisor.
    pub fn significant(mut self) -> ChildSpec<S> {
        self.significant = true;
        self
    }
}

/// What cannot be asked of a supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpecError {
    /// Two children have one name.
    DuplicateName(String),
    /// A child has no name.
    EmptyName,
    /// Restarts are counted over no time at all.
    ZeroPeriod,
    /// More restarts are allowed than [`MAX_RESTARTS`].
    TooManyRestarts(u32),
    /// The first delay is longer than the longest.
    BackoffBeyondMaximum,
    /// The share of chance in a delay is more than 100 %.
    JitterAboveAll(u8),
    /// A child is significant, and the supervisor never looks at that.
    SignificantForNothing(String),
    /// A child is significant and always restarted, so it never ends for good.
    SignificantAndPermanent(String),
    /// [`Strategy::SimpleOneForOne`] takes one child, the template.
    NotOneTemplate(usize),
    /// There are [`MAX_CHILDREN`] already.
    TooManyChildren,
}

impl Flags {
    /// Checks what can be checked without children.
    ///
    /// # Errors
    ///
    /// [`SpecError`].
    pub fn check(&self) -> Result<(), SpecError> {
        let Intensity { restarts, period } = self.intensity;
        if period.is_zero() {
            return Err(SpecError::ZeroPeriod);
        }
        if restarts > MAX_RESTARTS {
            return Err(SpecError::TooManyRestarts(restarts));
        }
        self.backoff.map_or(Ok(()), |backoff| backoff.check())
    }

    /// Checks a child against the flags.
    ///
    /// # Errors
    ///
    /// [`SpecError`].
    pub fn check_child<S>(&self, child: &ChildSpec<S>) -> Result<(), SpecError> {
        if child.name.is_empty() {
            return Err(SpecError::EmptyName);
        }
        if child.significant && self.auto_shutdown == AutoShutdown::Never {
            return Err(SpecError::SignificantForNothing(child.name.clone()));
        }
        if child.significant && child.restart == Restart::Permanent {
            return Err(SpecError::SignificantAndPermanent(child.name.clone()));
        }
        Ok(())
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SpecError::DuplicateName(name) => write!(f, "two children are named `{name}`"),
            SpecError::EmptyName => f.write_str("a child has no name"),
            SpecError::ZeroPeriod => {
                f.write_str("the period in which restarts are counted is zero")
            }
            SpecError::TooManyRestarts(restarts) => write!(
                f,
                "{restarts} restarts are allowed, and {MAX_RESTARTS} are the most that can be counted"
            ),
            SpecError::BackoffBeyondMaximum => {
                f.write_str("the first delay of the backoff is longer than its longest")
            }
            SpecError::JitterAboveAll(percent) => {
                write!(f, "a jitter of {percent} % is more than the whole delay")
            }
            SpecError::SignificantForNothing(name) => write!(
                f,
                "the child `{name}` is significant, but the supervisor never shuts down by that"
            ),
            SpecError::SignificantAndPermanent(name) => write!(
                f,
                "the child `{name}` is significant and permanent, so it would never end for good"
            ),
            SpecError::TooManyChildren => {
                write!(f, "a supervisor has at most {MAX_CHILDREN} children")
            }
            SpecError::NotOneTemplate(count) => write!(
                f,
                "simple_one_for_one takes one child, its template, and not {count}"
            ),
        }
    }
}

impl Error for SpecError {}
