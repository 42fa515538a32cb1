//! Lists processes without keeping the workers from their work.

use std::cmp::Reverse;

use futures_lite::future;
use lunatic_admin::{
    Describe, Described, MAX_DESCRIBED, MAX_PAGE, ProcessEntry, ProcessId, ProcessOrder,
    ProcessPage, ProcessQuery, cut,
};
use lunatic_mailbox::Pid;
use lunatic_process::{Environment, Inspection, Process, Role};

use crate::admin::asking;

/// So many digits of a hash are told.
const SHOWN_HASH: usize = 12;

/// After so many processes, another client may be answered.
const SLICE: usize = 1000;

/// The processes of an environment that a query asks for.
pub(super) async fn list(environment: &Environment, query: &ProcessQuery) -> ProcessPage {
    let mut processes = environment.processes();
    if let Some(filter) = &query.filter {
        processes = filtered(processes, &filter.to_lowercase()).await;
    }
    // Before processes are woken to describe themselves.
    let running = environment.running();
    let total = processes.len();
    future::yield_now().await;
    if let Some(after) = query.after {
        processes.retain(|process| process.id().to_bits() > after.to_bits());
    }
    let describe = match query.describe {
        Describe::No => false,
        Describe::IfFew => total <= MAX_DESCRIBED,
        Describe::Yes => true,
    };
    if query.sort.has_to_be_asked() {
        let asked = asked(environment, processes).await;
        return page_of(sorted(asked, query), query, total);
    }
    let rest = processes.len().saturating_sub(query.offset);
    let limit = query.limit.min(match describe {
        true => MAX_DESCRIBED,
        false => MAX_PAGE,
    });
    let end = query.offset.saturating_add(limit);
    if query.sort == ProcessOrder::Pid && !query.reverse && end < processes.len() {
        // Only this page is sorted.
        processes.select_nth_unstable_by_key(end, Process::id);
        processes.truncate(end);
    }
    sort(&mut processes, query.sort);
    if query.reverse {
        processes.reverse();
    }
    let page = processes.into_iter().skip(query.offset).take(limit);
    let page: Vec<Process> = page.collect();
    let (descriptions, restarts) = match describe {
        true => (
            asking::describe(&page).await,
            asking::restarts(environment, &page).await,
        ),
        false => Default::default(),
    };
    let mut descriptions = descriptions.into_iter();
    let entries = page.iter().map(|process| {
        let described = descriptions.next().flatten();
        let restarts = restarts.get(&process.id()).copied();
        entry(process, described.as_ref(), restarts, &running)
    });
    ProcessPage {
        processes: entries.collect(),
        total,
        more: rest > limit,
    }
}

/// Processes, and what they say of themselves.
async fn asked(environment: &Environment, processes: Vec<Process>) -> Vec<ProcessEntry> {
    // Before processes are woken to describe themselves.
    let running = environment.running();
    let descriptions = asking::describe(&processes).await;
    let restarts = asking::restarts(environment, &processes).await;
    let described = processes.iter().zip(descriptions);
    described
        .map(|(process, described)| {
            let restarts = restarts.get(&process.id()).copied();
            entry(process, described.as_ref(), restarts, &running)
        })
        .collect()
}

fn sorted(mut entries: Vec<ProcessEntry>, query: &ProcessQuery) -> Vec<ProcessEntry> {
    entries.sort_unstable_by_key(|entry| entry.pid);
    match query.sort {
        ProcessOrder::Module => entries.sort_by_cached_key(|it| {
            let name = |it: &Described| it.module_name.clone().unwrap_or(it.module.clone());
            let name = it.described.as_ref().map(name);
            // What there is comes before what there is not.
            (name.is_none(), name)
        }),
        ProcessOrder::State => entries.sort_by_cached_key(|it| {
            let described = it.described.as_ref();
            let function = described.and_then(|it| it.waiting_in.clone());
            (!it.running, described.is_none(), function)
        }),
        ProcessOrder::Memory => {
            entries.sort_by_key(|it| Reverse(it.described.as_ref().and_then(|it| it.memory)));
        }
        _ => entries.sort_by_key(|it| Reverse(it.restarts)),
    }
    if query.reverse {
        entries.reverse();
    }
    entries
}

fn page_of(entries: Vec<ProcessEntry>, query: &ProcessQuery, total: usize) -> ProcessPage {
    let limit = query.limit.min(MAX_PAGE);
    let more = entries.len().saturating_sub(query.offset) > limit;
    let page = entries.into_iter().skip(query.offset).take(limit);
    ProcessPage {
        processes: page.collect(),
        total,
        more,
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
        ProcessOrder::Parent => processes.sort_by_key(Process::parent),
        _ => {}
    }
}

/// What is listed of a process.
///
/// - `described`: what it has said of itself, if it was asked.
/// - `running`: the processes that threads run.
pub(super) fn entry(
    process: &Process,
    described: Option<&Inspection>,
    restarts: Option<u64>,
    running: &[Pid],
) -> ProcessEntry {
    let info = process.info();
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
        running: running.contains(&info.id),
        cpu_us: (!cpu.is_zero()).then_some(cpu.as_micros() as u64),
        described: described.map(self::described),
        restarts,
        native: !process.answers_requests(),
    }
}

fn described(inspection: &Inspection) -> Described {
    Described {
        module: cut(&inspection.module),
        module_hash: inspection.module_hash.chars().take(SHOWN_HASH).collect(),
        module_name: inspection.version_of.as_deref().map(cut),
        memory: (inspection.memory > 0).then_some(inspection.memory),
        waiting_in: inspection.waiting_in.map(str::to_owned),
    }
}

pub(super) fn id(id: Pid) -> ProcessId {
    ProcessId::from_bits(id.to_bits())
}
