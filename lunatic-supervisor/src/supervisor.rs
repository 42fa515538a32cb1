//! The handle to a running supervisor.

use std::error::Error;
use std::fmt;

use async_channel::Sender;
use lunatic_account::{Account, Charge, Kind};
use lunatic_mailbox::{DataMessage, MessageResource, Pid};
use lunatic_process::{ExitReason, Failure, Process, Role, SpawnError};

use crate::core::{ChildCounts, ChildInfo, ChildKey, ChildSpec, RequestError, SpecError};
use crate::start::{ChildStart, child_bytes};

/// A handle to a supervisor, which may have ended.
///
/// Dropping it does not stop the supervisor. Requests wait until the supervisor has
/// finished what it does, a restart for example.
///
/// # Examples
///
/// ```
/// use futures_lite::future::block_on;
/// use lunatic_process::Environment;
/// use lunatic_supervisor::{ChildSpec, Restart, Spec, native};
///
/// # let scheduler = lunatic_scheduler::Scheduler::builder().start()?;
/// let environment = Environment::new(1, scheduler);
/// block_on(async {
///     let supervisor = Spec::new("root").start(&environment, None).await?;
///     let idle = native(|_| std::future::pending());
///     let child = ChildSpec::new("idle", idle).restart(Restart::Transient);
///     supervisor.start_child(child).await?;
///     assert_eq!(supervisor.count_children().await?.active, 1);
///
///     supervisor.terminate_child("idle").await?;
///     supervisor.delete_child("idle").await?;
///     assert!(supervisor.shut_down().await.is_normal());
///     Ok::<(), Box<dyn std::error::Error>>(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Supervisor {
    process: Process,
    /// The account to which requests are charged until they are answered.
    payer: Option<Account>,
}

/// Names one child of a supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChildId {
    /// The child with this name. Children that are made from a template have none.
    Name(String),
    /// The child with this process, as long as that has not ended.
    Process(Pid),
    /// The child with this number.
    Key(ChildKey),
}

/// A child that was started.
#[derive(Debug, Clone)]
pub struct StartedChild {
    /// The number of the child.
    pub key: ChildKey,
    /// The process of the child, which may have ended already.
    pub process: Process,
}

/// A child, as it is listed.
#[derive(Debug, Clone)]
pub struct ChildProcess {
    /// The name, state and settings of the child.
    pub info: ChildInfo,
    /// The process of the child, if there is one.
    pub process: Option<Process>,
}

/// Why a supervisor was not started.
#[derive(Debug)]
#[non_exhaustive]
pub enum SupervisorError {
    /// The specification of the supervisor is invalid.
    Spec(SpecError),
    /// The process of the supervisor could not be spawned.
    Spawn(SpawnError),
    /// A child could not be started. The children before it were stopped again.
    Child(Failure),
}

/// A request, which is sent to a supervisor as the resource of a message.
pub(crate) enum Call {
    Add(ChildSpec<ChildStart>, Answer),
    /// With the bytes that it keeps.
    AddFromTemplate(Box<Adapt>, usize, Answer),
    Restart(ChildId, Answer),
    Terminate(ChildId, Answer),
    Delete(ChildId, Answer),
    List(Sender<Result<ChildList, RequestError>>),
    Count(Sender<ChildCounts>),
    ShutDown,
}

/// The resource of a message to a supervisor.
pub(crate) struct PaidCall {
    pub(crate) call: Call,
    pub(crate) charge: Option<Charge>,
}

impl MessageResource for PaidCall {
    fn kind(&self) -> &'static str {
        "request to a supervisor"
    }
}

/// All children of a supervisor, and what is charged for the list.
pub(crate) struct ChildList {
    pub(crate) children: Vec<ChildProcess>,
    pub(crate) _charge: Option<Charge>,
}

impl Call {
    /// Returns what it takes until it is answered, in bytes, about.
    fn size(&self) -> u64 {
        /// A message with an answer to come, and its entries in tables of the supervisor.
        const REQUEST_BYTES: u64 = 1024;
        let added = match self {
            Call::Add(child, _) => child_bytes(child.name.len(), &child.start),
            Call::AddFromTemplate(_, bytes, _) => *bytes as u64,
            _ => 0,
        };
        REQUEST_BYTES + added
    }
}

/// Makes a way to start a child from that of the template.
pub(crate) type Adapt = dyn FnOnce(&ChildStart) -> Result<ChildStart, RequestError> + Send;

/// The channel for the answer to a request.
pub(crate) type Answer = Sender<Result<Changed, RequestError>>;

/// The child that a request was about, and its process if it has one.
pub(crate) type Changed = (ChildKey, Option<Process>);

impl Supervisor {
    pub(crate) fn new(process: Process) -> Supervisor {
        Supervisor {
            process,
            payer: None,
        }
    }

    /// Returns the handle to the supervisor that runs as this process, or `None` if the
    /// process has ended or is no supervisor.
    pub fn of(process: Process) -> Option<Supervisor> {
        let is_supervisor = process.role() == Role::Supervisor && process.is_alive();
        is_supervisor.then(|| Supervisor::new(process))
    }

    /// Returns the handle with an account to which requests are charged, and lists of children
    /// until they are received. Without this they are not charged.
    pub fn paid_by(mut self, payer: Account) -> Supervisor {
        self.payer = Some(payer);
        self
    }

    /// Returns its process, which can be monitored, linked to or killed.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Adds a child and starts it.
    ///
    /// # Errors
    ///
    /// [`RequestError`] if it could not be started. It is not added then.
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
    /// [`RequestError`] if it could not be started.
    pub async fn start_from_template(&self) -> Result<StartedChild, RequestError> {
        self.start_like_template(0, |template| Ok(template.clone()))
            .await
    }

    /// Starts another child in a way that `adapt` makes from that of the template, with
    /// further arguments for example.
    ///
    /// - `bytes`: what `adapt` keeps, about; it is charged with the request.
    ///
    /// # Errors
    ///
    /// [`RequestError`] if `adapt` fails, or the child could not be started.
    pub async fn start_like_template(
        &self,
        bytes: usize,
        adapt: impl FnOnce(&ChildStart) -> Result<ChildStart, RequestError> + Send + 'static,
    ) -> Result<StartedChild, RequestError> {
        let adapt = Box::new(adapt);
        let changed = self
            .change(|answer| Call::AddFromTemplate(adapt, bytes, answer))
            .await?;
        started(changed)
    }

    /// Starts a child that is stopped.
    ///
    /// # Errors
    ///
    /// [`RequestError`] if it is not stopped, or could not be started.
    pub async fn restart_child(
        &self,
        child: impl Into<ChildId>,
    ) -> Result<StartedChild, RequestError> {
        let child = child.into();
        let changed = self.change(|answer| Call::Restart(child, answer)).await?;
        started(changed)
    }

    /// Stops a child. Its specification is kept, unless the child is temporary or was
    /// made from a template.
    ///
    /// # Errors
    ///
    /// [`RequestError`] if there is no such child.
    pub async fn terminate_child(&self, child: impl Into<ChildId>) -> Result<(), RequestError> {
        let child = child.into();
        let changed = self.change(|answer| Call::Terminate(child, answer));
        changed.await.map(|_| ())
    }

    /// Removes a child that is stopped.
    ///
    /// # Errors
    ///
    /// [`RequestError`] if it is not stopped, or there is no such child.
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
        self.list_children().await.map(|list| list.children)
    }

    pub(crate) async fn list_children(&self) -> Result<ChildList, RequestError> {
        self.call(Call::List).await?
    }

    /// Counts the children, even while the supervisor is busy.
    ///
    /// # Errors
    ///
    /// [`RequestError::ShuttingDown`] if it has ended.
    pub async fn count_children(&self) -> Result<ChildCounts, RequestError> {
        self.call(Call::Count).await
    }

    /// Asks it to stop its children, the last one first, and then to end normally. This
    /// returns at once; see [`shut_down`](Supervisor::shut_down).
    pub fn stop(&self) {
        // It fails if the supervisor has ended.
        self.request_stop().ok();
    }

    /// Like [`stop`](Supervisor::stop), but fails if the request cannot be charged.
    pub(crate) fn request_stop(&self) -> Result<(), RequestError> {
        self.send(Call::ShutDown)
    }

    /// Asks it to stop its children and to end, waits until it has ended, and returns
    /// for what reason.
    pub async fn shut_down(&self) -> ExitReason {
        self.stop();
        self.wait().await
    }

    /// Waits until it has ended, and returns for what reason, which is
    /// [`ExitReason::Shutdown`] if it gave up.
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
        let charge = self.payer.as_ref();
        let charge = charge.map(|payer| Charge::new(payer, Kind::Memory, call.size()));
        let charge = charge.transpose().map_err(RequestError::Exceeded)?;
        let mut message = DataMessage::default();
        message.push(PaidCall { call, charge });
        let sent = self.process.send(message.into());
        sent.map_err(|_| RequestError::ShuttingDown)
    }
}

fn started((key, process): Changed) -> Result<StartedChild, RequestError> {
    // A child that was started and has ended since will be restarted.
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
