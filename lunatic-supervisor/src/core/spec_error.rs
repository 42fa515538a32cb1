//! Why a specification is not valid.

use std::error::Error;
use std::fmt;

/// The highest number of restarts that an [`Intensity`](crate::Intensity) may allow. The
/// time of each is kept for the whole period.
pub const MAX_RESTARTS: u32 = 1_000_000;

/// The highest number of children of one supervisor, running or not.
pub const MAX_CHILDREN: usize = 1 << 20;

/// The highest number of levels of supervisors below one. Each level is started,
/// stopped and dropped inside of the one above.
pub const MAX_LEVELS: u32 = 64;

/// Why the specification of a supervisor or of a child is not valid.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpecError {
    /// Two children have the same name.
    DuplicateName(String),
    /// A child has no name.
    EmptyName,
    /// The period in which restarts are counted is zero.
    ZeroPeriod,
    /// More restarts are allowed than [`MAX_RESTARTS`].
    TooManyRestarts(u32),
    /// The first delay is longer than the longest.
    BackoffBeyondMaximum,
    /// The jitter is more than 100 percent.
    JitterAboveAll(u8),
    /// A child is significant, but the supervisor has
    /// [`AutoShutdown::Never`](crate::AutoShutdown::Never).
    SignificantForNothing(String),
    /// A child is significant and permanent, so it would always be restarted.
    SignificantAndPermanent(String),
    /// A supervisor with [`Strategy::SimpleOneForOne`](crate::Strategy::SimpleOneForOne)
    /// has another number of children than one, its template.
    NotOneTemplate(usize),
    /// There are [`MAX_CHILDREN`] children already.
    TooManyChildren,
    /// There are more than [`MAX_LEVELS`] levels of supervisors below one.
    NestedTooDeep,
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
            SpecError::NestedTooDeep => write!(
                f,
                "a supervisor has at most {MAX_LEVELS} levels of supervisors below it"
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
