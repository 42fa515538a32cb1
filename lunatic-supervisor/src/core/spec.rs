//! The flags of a supervisor and the specifications of its children.

use std::time::Duration;

use crate::core::backoff::Backoff;
use crate::core::intensity::Intensity;
use crate::core::spec_error::{MAX_RESTARTS, SpecError};

/// Which children are restarted when one has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// Only the child that has ended.
    #[default]
    OneForOne,
    /// All children.
    OneForAll,
    /// The child that has ended, and the children that were started after it.
    RestForOne,
    /// Only the child that has ended. All children are made from one template while the supervisor
    /// runs, and have no names. They are stopped at the same time.
    SimpleOneForOne,
}

/// Whether a supervisor ends when its significant children have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AutoShutdown {
    /// The supervisor does not end.
    #[default]
    Never,
    /// The supervisor ends when a significant child has ended on its own and is not restarted.
    AnySignificant,
    /// The supervisor ends when the last significant child has ended on its own and is not
    /// restarted.
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
    /// Never. Its specification is removed when it ends.
    Temporary,
}

/// How a child is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShutdownPolicy {
    /// The child is killed.
    BrutalKill,
    /// The child is asked to end, and killed if it has not ended after this time.
    Timeout(Duration),
    /// The child is asked to end, and the supervisor waits until it has.
    Infinity,
}

/// Whether a child supervises others; see [`ChildCounts`](crate::ChildCounts).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChildKind {
    /// The child does not supervise others.
    #[default]
    Worker,
    /// The child supervises others.
    Supervisor,
}

/// The settings of a supervisor as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags {
    /// Which children are restarted.
    pub strategy: Strategy,
    /// How many restarts it does before it gives up.
    pub intensity: Intensity,
    /// Whether it ends with its significant children.
    pub auto_shutdown: AutoShutdown,
    /// How long it waits before a restart. By default it does not wait, as in OTP.
    pub backoff: Option<Backoff>,
}

/// The specification of one child.
///
/// - `S`: how it is started. The state machine does not use that.
///
/// # Examples
///
/// ```
/// use lunatic_mailbox::Wanted;
/// use lunatic_supervisor::{ChildSpec, Restart, ShutdownPolicy, Spec, native};
///
/// let echo = native(|mut own| async move {
///     own.mailbox.receive(Wanted::Any).await;
///     Ok(())
/// });
/// let child = ChildSpec::new("echo", echo)
///     .restart(Restart::Transient)
///     .shutdown(ShutdownPolicy::BrutalKill);
/// assert_eq!(Spec::new("root").child(child).check(), Ok(()));
/// ```
#[derive(Debug, Clone)]
pub struct ChildSpec<S> {
    /// A name that no other child of the supervisor has.
    pub name: String,
    /// Whether it is started again when it ends.
    pub restart: Restart,
    /// How it is stopped.
    pub shutdown: ShutdownPolicy,
    /// Whether it supervises others.
    pub kind: ChildKind,
    /// Whether the supervisor may end when it ends; see [`AutoShutdown`].
    pub significant: bool,
    /// How it is started.
    pub start: S,
}

impl<S> ChildSpec<S> {
    /// Returns the specification of a permanent worker that is killed if it does not end
    /// within 5 seconds when it is asked to.
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

    /// Sets whether it is started again when it ends.
    pub fn restart(mut self, restart: Restart) -> ChildSpec<S> {
        self.restart = restart;
        self
    }

    /// Sets how it is stopped.
    pub fn shutdown(mut self, shutdown: ShutdownPolicy) -> ChildSpec<S> {
        self.shutdown = shutdown;
        self
    }

    /// Makes the child significant: when it ends, the supervisor may end; see [`AutoShutdown`].
    pub fn significant(mut self) -> ChildSpec<S> {
        self.significant = true;
        self
    }
}

impl Flags {
    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// [`SpecError`] if they are not valid.
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

    /// Checks a child that a supervisor with these settings is to have.
    ///
    /// # Errors
    ///
    /// [`SpecError`] if it is not valid, or not together with the settings.
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
