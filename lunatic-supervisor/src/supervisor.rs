//! The handle to a running supervisor.

use std::error::Error;
use std::fmt;

use async_channel::Sender;
use lunatic_mailbox::{DataMessage, MessageResource, Pid};
use lunatic_process::{ExitReason, Failure, Process, Role, SpawnError};

use crate::core::{ChildCounts, ChildInfo, ChildKey, ChildSpec, RequestError, SpecError};
use crate::start::ChildStart;

/// A supervisor, alive or dead; clone it freely.
///
/// Dropping the handle does nothing. What is asked of a supervisor is done when
/// it is done with what it does, a restart for example.
#[derive(Debug, Clone)]
pub struct Supervisor {
    process: Process,
}

/// One child among those of a supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChildId {
    /// By its name; those made from a template have none.
    Name(String),
    /// By its process, while that lives.
    Process(Pid),
    /// By its number.
    Key(ChildKey),
}

/// A child that was started.
#[derive(Debug, Clone)]
pub struct StartedChild {
    /// Which one.
    pub key: ChildKey,
    /// Its process; it may have ended already.
    pub process: Process,
}

/// A child, as it is listed.
#[derive(Debug, Clone)]
pub struct ChildProcess {
    /// What there is to say of it.
    pub info: ChildInfo,
    /// Its process, if there is one.
    pub process: Option<Process>,
}

/// Why a supervisor was not started.
#[derive(Debug)]
#[non_exhaustive]
pub enum SupervisorError {
    /// It cannot be as it is specified.
    Spec(SpecError),
    /// The environment takes no more.
    Spawn(SpawnError),
    /// A child could not be started; those before it were stopped again.
    Child(Failure),
}

/// What is sent to a supervisor as the resource of a message.
pub(crate) enum Call {
    Add(ChildSpec<ChildStart>, Answer),
    AddFromTemplate(Box<Adapt>, Answer),
    Restart(ChildId, Answer),
    Terminate(ChildId, Answer),
    Delete(ChildId, Answer),
    List(Sender<Vec<ChildProcess>>),
    Count(Sender<ChildCounts>),
    ShutDown,
}

impl MessageResource for Call {
    fn kind(&self) -> &'static str {
        "request to a supervisor"
    }
}

/// Makes a start from that of the template.
pub(crate) type Adapt = dyn FnOnce(&ChildStart) -> Result<ChildStart, RequestError> + Send;

/// Where the answer to a change goes: the child, and its process if it has one.
pub(crate) type Answer = Sender<Result<Changed, RequestError>>;

pub(crate) type Changed = (ChildKey, Option<Process>);

impl Supervisor {
    pub(crate) fn new(process: Process) -> Supervisor {
        Supervisor { process }
    }

    /// The supervisor that is this process; `None` if it has ended, or is none.
    pub fn of(process: Process) -> Option<Supervisor> {
        let is_supervisor = process.role() == Role::Supervisor && process.is_alive();
        is_supervisor.then_some(Supervisor { process })
    }

    /// Its process: to be killed, monitored, linked to.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Adds a child and starts it.
    ///
    /// # Errors
    ///
    /// [`RequestError`]; then there is no such child.
    pub async fn start_child(
        &self,
        child: ChildSpec<ChildStart>,
    ) -> Result<StartedChild, RequestError> {
        let changed = self.change(|answer| Call::Add(child, answer)).await?;
        started(changed)
    }

    /// Starts another child from the template.
    ///
    /// # Errors
    ///
    /// [`RequestError`]; then there is no such child.
    pub async fn start_from_template(&self) -> Result<StartedChild, RequestError> {
        self.start_like_template(|template| Ok(template.clone()))
            .await
    }

    /// Starts another child in a way that is made from the template's, with
    /// further arguments for example.
    ///
    /// # Errors
    ///
    /// [`RequestError`], what `adapt` fails with too; then there is no such child.
    pub async fn start_like_template(
        &self,
        adapt: impl FnOnce(&ChildStart) -> Result<ChildStart, RequestError> + Send + 'static,
    ) -> Result<StartedChild, RequestError> {
        let adapt = Box::new(adapt);
        let changed = self
            .change(|answer| Call::AddFromTemplate(adapt, answer))
            .await?;
        started(changed)
    }

    /// Starts a child that is stopped.
    ///
    /// # Errors
    ///
    /// [`RequestError`].
    pub async fn restart_child(
        &self,
        child: impl Into<ChildId>,
    ) -> Result<StartedChild, RequestError> {
        let child = child.into();
        let changed = self.change(|answer| Call::Restart(child, answer)).await?;
        started(changed)
    }

    /// Stops a child. Its specification stays, unless it is temporary or made
    /// from a template.
    ///
    /// # Errors
    ///
    /// [`RequestError`].
    pub async fn terminate_child(&self, child: impl Into<ChildId>) -> Result<(), RequestError> {
        let child = child.into();
        let changed = self.change(|answer| Call::Terminate(child, answer));
        changed.await.map(|_| ())
    }

    /// Removes a child that is stopped.
    ///
    /// # Errors
    ///
    /// [`RequestError`].
    pub async fn delete_child(&self, child: impl Into<ChildId>) -> Result<(), RequestError> {
        let child = child.into();
        let changed = self.change(|answer| Call::Delete(child, answer));
        changed.await.map(|_| ())
    }

    /// Lists the children in the order in which they were added, even while the
    /// supervisor is busy.
    ///
    /// # Errors
    ///
    /// [`RequestError::ShuttingDown`] if it has ended.
    pub async fn which_children(&self) -> Result<Vec<ChildProcess>, RequestError> {
        self.call(Call::List).await
    }

    /// Counts the children, even while the supervisor is busy.
    ///
    /// # Errors
    ///
    /// [`RequestError::ShuttingDown`] if it has ended.
    pub async fn count_children(&self) -> Result<ChildCounts, RequestError> {
        self.call(Call::Count).await
    }

    /// Asks it to stop its children, the last first, and then to end normally.
    /// It says yes or no to nobody: [`wait`](Supervisor::wait) for it.
    pub fn stop(&self) {
        // Who has ended need not be stopped.
        self.send(Call::ShutDown).ok();
    }

    /// Stops it, and waits until it has ended.
    pub async fn shut_down(&self) -> ExitReason {
        self.stop();
        self.wait().await
    }

    /// Waits until it has ended; [`ExitReason::Shutdown`] if it gave up.
    pub async fn wait(&self) -> ExitReason {
        self.process.wait().await
    }

    async fn change(&self, call: impl FnOnce(Answer) -> Call) -> Result<Changed, RequestError> {
        self.call(call).await?
    }

    async fn call<R>(&self, call: impl FnOnce(Sender<R>) -> Call) -> Result<R, RequestError> {
        let (sender, receiver) = async_channel::bounded(1);
        self.send(call(sender))?;
        let answer = receiver.recv().await;
        answer.map_err(|_| RequestError::ShuttingDown)
    }

    fn send(&self, call: Call) -> Result<(), RequestError> {
        let mut message = DataMessage::default();
        message.push(call);
        let sent = self.process.send(message.into());
        sent.map_err(|_| RequestError::ShuttingDown)
    }
}

fn started((key, process): Changed) -> Result<StartedChild, RequestError> {
    // A child that was started and has died since is one that is restarted.
    let process = process.ok_or(RequestError::Restarting)?;
    Ok(StartedChild { key, process })
}

impl From<&str> for ChildId {
    fn from(name: &str) -> ChildId {
        ChildId::Name(name.to_owned())
    }
}

impl From<String> for ChildId {
    fn from(name: String) -> ChildId {
        ChildId::Name(name)
    }
}

impl From<Pid> for ChildId {
    fn from(process: Pid) -> ChildId {
        ChildId::Process(process)
    }
}

impl From<ChildKey> for ChildId {
    fn from(key: ChildKey) -> ChildId {
        ChildId::Key(key)
    }
}

impl fmt::Display for SupervisorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SupervisorError::Spec(error) => error.fmt(f),
            SupervisorError::Spawn(error) => error.fmt(f),
            SupervisorError::Child(failure) => failure.fmt(f),
        }
    }
}

impl Error for SupervisorError {}
