//! Native processes.

use std::future::Future;
use std::num::NonZeroUsize;

use futures_lite::future;
use lunatic_mailbox::{DataMessage, Mailbox, Tag, Wanted};
use lunatic_process::{Context, Environment, ExitReason, Failure, Process, SpawnOptions};
use lunatic_scheduler::Scheduler;

use crate::wait;

/// An environment with a scheduler of its own.
///
/// # Panics
///
/// Panics if the system has no threads left.
pub fn environment() -> Environment {
    Environment::new(1, scheduler())
}

/// A scheduler with three workers.
///
/// # Panics
///
/// Panics if the system has no threads left.
pub fn scheduler() -> Scheduler {
    let workers = NonZeroUsize::MIN.saturating_add(2);
    Scheduler::builder()
        .workers(workers)
        .start()
        .expect("threads")
}

/// Starts a process with the default options.
///
/// # Panics
///
/// Panics if the environment is full.
#[track_caller]
pub fn spawn<F>(environment: &Environment, body: impl FnOnce(Context) -> F) -> Process
where
    F: Future<Output = Result<(), Failure>> + Send + 'static,
{
    environment
        .spawn(SpawnOptions::default(), body)
        .expect("an environment with room")
}

/// Starts a process that does nothing, and traps link deaths.
///
/// # Panics
///
/// Panics if the environment is full.
#[track_caller]
pub fn idle(environment: &Environment) -> Process {
    let process = spawn(environment, |own| async move {
        let _kept = own;
        future::pending().await
    });
    process.die_when_link_dies(false);
    process
}

/// Starts a process that does nothing, and returns it with its mailbox.
///
/// # Panics
///
/// Panics if the environment is full.
#[track_caller]
pub fn open(environment: &Environment) -> (Process, Mailbox) {
    let mut mailbox = None;
    let process = spawn(environment, |own| {
        mailbox = Some(own.mailbox);
        future::pending()
    });
    (process, mailbox.expect("a body gets its mailbox"))
}

/// Starts a process that ends with `outcome` at the first message.
///
/// # Panics
///
/// Panics if the environment is full.
#[track_caller]
pub fn ends(environment: &Environment, outcome: Result<(), &'static str>) -> Process {
    spawn(environment, move |mut own| async move {
        own.mailbox.receive(Wanted::Any).await;
        outcome.map_err(Failure::new)
    })
}

/// Sends an empty message.
///
/// # Panics
///
/// Panics if the process has ended.
#[track_caller]
pub fn wake(process: &Process) {
    process.send(DataMessage::default().into()).expect("alive");
}

/// The tag with this number; nothing for 0, which is no tag.
pub fn tag(value: i64) -> Option<Tag> {
    Tag::new(value)
}

/// Waits for the end of a process, and returns how it ended.
///
/// # Panics
///
/// Panics if the process runs longer than [`PATIENCE`](crate::PATIENCE).
#[track_caller]
pub fn end_of(process: &Process) -> ExitReason {
    wait(
        &format!("the end of process {}", process.id()),
        process.wait(),
    )
}
