//! Lists processes without keeping the workers from their work.

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use async_io::Timer;
use futures_lite::future;
use lunatic_admin::{
    Described, MAX_DESCRIBED, MAX_PAGE, ProcessEntry, ProcessId, ProcessOrder, ProcessPage,
    ProcessQuery, cut,
};
use lunatic_mailbox::Pid;
use lunatic_process::{Environment, Inspection, Process, ProcessInfo, Role};

/// So many processes are woken at once: what else is ready to run waits for these few.
/// So many digits of a hash are told.
const SHOWN_HASH: usize = 12;

const BATCH: usize = 16;

/// How long the processes of one list may take to answer, all together.
const PATIENCE: Duration = Duration::from_secs(1);

/// After so many processes, another client may be answered.
const SLICE: usize = 1000;

/// The processes of an environment that a query asks for.
pub(super) async fn list(environment: &Environment, query: &ProcessQuery) -> ProcessPage {
    let mut processes = environment.processes();
    if let Some(filter) = &query.filter {
        processes = filtered(processes, &filter.to_lowercase()).await;
    }
    let total = processes.len();
    future::yield_now().await;
    sort(&mut processes, query.sort);
    if let Some(after) = query.after {
        processes.retain(|process| process.id().to_bits() > after.to_bits());
    }
    let rest = processes.len().saturating_sub(query.offset);
    let limit = query.limit.min(MAX_PAGE);
    let page: Vec<Process> = processes
        .into_iter()
        .skip(query.offset)
        .take(limit)
        .collect();
    let mut descriptions = match query.describe {
        true => describe(&page[..page.len().min(MAX_DESCRIBED)]).await,
        false => Vec::new(),
    }
    .into_iter();
    let entries = page.iter().map(|process| {
        let described = descriptions.next().flatten();
        entry(process.info(), described.map(self::described))
    });
    ProcessPage {
        processes: entries.collect(),
        total,
        more: rest > limit,
    }
}

async fn filtered(processes: Vec<Process>, filter: &str) -> Vec<Process> {
    let mut found = Vec::new();
    for slice in processes.chunks(SLICE) {
        found.extend(slice.iter().filter(|it| matches(it, filter)).cloned());
        future::yield_now().await;
    }
    found
}

/// Whether a filter, in lower case, is the id of a process or of its parent, or in its label.
fn matches(process: &Process, filter: &str) -> bool {
    let info = process.info();
    let is_id = |id: Pid| id.to_string() == filter;
    is_id(info.id)
        || info.parent.is_some_and(is_id)
        || info
            .label
            .is_some_and(|label| label.to_lowercase().contains(filter))
}

fn sort(processes: &mut [Process], order: ProcessOrder) {
    // Equal ones are in the order of their ids.
    processes.sort_unstable_by_key(Process::id);
    match order {
        ProcessOrder::Label => processes.sort_by_cached_key(|process| {
            let label = process.label();
            (label.is_none(), label)
        }),
        ProcessOrder::Mailbox => {
            processes.sort_by_cached_key(|process| Reverse(process.queued_messages()));
        }
        ProcessOrder::Cpu => {
            processes.sort_by_cached_key(|process| Reverse(process.info().cpu_time));
        }
        ProcessOrder::Links => {
            processes.sort_by_cached_key(|process| Reverse(process.info().links));
        }
        _ => {}
    }
}

/// Asks processes what only they know, some at a time. One that is native, has ended, or does
/// not answer in time has no answer.
async fn describe(processes: &[Process]) -> Vec<Option<Inspection>> {
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

async fn before<T>(deadline: Instant, answer: impl Future<Output = Option<T>>) -> Option<T> {
    let late = async {
        Timer::at(deadline).await;
        None
    };
    future::or(answer, late).await
}

fn entry(info: ProcessInfo, described: Option<Described>) -> ProcessEntry {
    let cpu = info.cpu_time;
    ProcessEntry {
        pid: id(info.id),
        parent: info.parent.map(id),
        supervisor: info.role == Role::Supervisor,
        label: info.label.as_deref().map(cut),
        exiting: info.is_exiting,
        mailbox: info.queued_messages,
        links: info.links,
        monitored_by: info.watchers,
        cpu_us: (!cpu.is_zero()).then_some(cpu.as_micros() as u64),
        described,
    }
}

fn described(inspection: Inspection) -> Described {
    Described {
        module: cut(&inspection.module),
        module_hash: inspection.module_hash.chars().take(SHOWN_HASH).collect(),
        memory: (inspection.memory > 0).then_some(inspection.memory),
        waiting_in: inspection.waiting_in.map(str::to_owned),
    }
}

fn id(id: Pid) -> ProcessId {
    ProcessId::from_bits(id.to_bits())
}
