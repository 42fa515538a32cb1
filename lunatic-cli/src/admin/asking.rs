//! Asks processes what only they know, without keeping the workers from their work.

use std::time::{Duration, Instant};

use async_io::Timer;
use futures_lite::future;
use lunatic_mailbox::{Pid, PidMap, PidSet};
use lunatic_process::{Environment, Inspection, Process};
use lunatic_supervisor::{ChildProcess, Supervisor};

/// How long the processes of one answer may take, all together.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// So many processes are woken at once: what else is ready to run waits for these few.
const BATCH: usize = 16;

/// So many supervisors are asked for one answer.
const MAX_SUPERVISORS: usize = 64;

/// A supervisor lists its children at once, on a worker; one with more is not asked.
const MAX_CHILDREN: usize = 1000;

/// Asks processes to describe themselves, some at a time. One that is native, has ended, or
/// does not answer in time has no answer.
pub(super) async fn describe(processes: &[Process]) -> Vec<Option<Inspection>> {
    let deadline = Instant::now() + PATIENCE;
    let mut answers = Vec::with_capacity(processes.len());
    for batch in processes.chunks(BATCH) {
        let asked = batch.iter().map(|process| {
            let is_asked = process.answers_requests() && Instant::now() < deadline;
            is_asked.then(|| Box::pin(process.describe()))
        });
        let mut asked: Vec<_> = asked.collect();
        let mut ready = Vec::with_capacity(BATCH);
        for asked in &mut asked {
            ready.push(match asked {
                // All are woken before the first answer is waited for.
                Some(asked) => future::poll_once(asked).await,
                None => Some(None),
            });
        }
        for (ready, asked) in ready.into_iter().zip(asked) {
            answers.push(match (ready, asked) {
                (None, Some(asked)) => before(deadline, asked).await,
                (answer, _) => answer.flatten(),
            });
        }
    }
    answers
}

/// Asks the supervisors among the parents of processes how often each child was started again.
pub(super) async fn restarts(environment: &Environment, processes: &[Process]) -> PidMap<u64> {
    let deadline = Instant::now() + PATIENCE;
    let parents: PidSet = processes
        .iter()
        .filter_map(|process| process.info().parent)
        .collect();
    let supervisors = parents
        .into_iter()
        .filter_map(|parent: Pid| Supervisor::of(environment.process(parent)?))
        .take(MAX_SUPERVISORS);
    let mut restarts = PidMap::default();
    for supervisor in supervisors {
        let children = children(&supervisor, deadline).await.into_iter();
        restarts
            .extend(children.filter_map(|child| Some((child.process?.id(), child.info.restarts))));
    }
    restarts
}

/// The children of a supervisor; none if there are too many to ask, or it does not answer in
/// time.
pub(super) async fn children(supervisor: &Supervisor, deadline: Instant) -> Vec<ChildProcess> {
    if supervisor.process().info().links > MAX_CHILDREN {
        return Vec::new();
    }
    let asked = async { supervisor.which_children().await.ok() };
    before(deadline, asked).await.unwrap_or_default()
}

/// The answer, if it comes in time.
pub(super) async fn before<T>(
    deadline: Instant,
    answer: impl Future<Output = Option<T>>,
) -> Option<T> {
    let late = async {
        Timer::at(deadline).await;
        None
    };
    future::or(answer, late).await
}
