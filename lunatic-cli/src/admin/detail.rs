//! Tells all that is known of one process.

use std::time::Instant;

use lunatic_account::{Account, Kind};
use lunatic_admin::{
    ChildEntry, MAX_LISTED, ProcessDetail, ProcessId, QueuedMessage, Refusal, RefusalKind, Usage,
    cut,
};
use lunatic_mailbox::{Pid, Tag};
use lunatic_process::{Detail, Process};
use lunatic_supervisor::{ChildProcess, ChildStatus, Supervisor};

use crate::admin::asking::{self, PATIENCE, before};
use crate::admin::processes;

/// Asks a process, and tells what it answers. One that does not answer in time is told of
/// without.
pub(super) async fn of(process: &Process) -> Result<ProcessDetail, Refusal> {
    let deadline = Instant::now() + PATIENCE;
    // Before it is woken to answer.
    let running = process.environment().running();
    let inspection = match process.answers_requests() {
        true => before(deadline, process.inspect()).await,
        false => None,
    };
    let one = std::slice::from_ref(process);
    let restarts = asking::restarts(process.environment(), one).await;
    let children = match Supervisor::of(process.clone()) {
        Some(supervisor) => asking::children(&supervisor, deadline).await,
        None => Vec::new(),
    };
    let info = process.info();
    if let Some(reason) = &info.exit_reason {
        let text = format!(
            "the process {} has ended while it was looked at: {}",
            info.id,
            cut(&reason.to_string()),
        );
        return Err(Refusal::new(RefusalKind::NoProcess, text));
    }
    let mut detail = ProcessDetail {
        entry: processes::entry(
            process,
            inspection.as_ref(),
            restarts.get(&info.id).copied(),
            &running,
        ),
        backtrace: Vec::new(),
        linked_to: ids(process.links()),
        watchers: ids(process.watchers()),
        names: Vec::new(),
        groups: Vec::new(),
        last_messages: last_messages(process),
        resources: Vec::new(),
        account: usage(process.account()),
        children: children.iter().take(MAX_LISTED).map(child).collect(),
    };
    if let Some(inspection) = inspection {
        let functions = inspection.backtrace.iter();
        detail.backtrace = functions.map(|name| cut(name)).collect();
        inspection
            .details
            .into_iter()
            .for_each(|told| add(&mut detail, told));
    }
    Ok(detail)
}

/// The messages in its mailbox that arrived last.
fn last_messages(process: &Process) -> Vec<QueuedMessage> {
    const MAX: usize = 16;
    let last = process.last_messages(MAX).into_iter();
    let message = |(tag, bytes): (Option<Tag>, usize)| QueuedMessage {
        tag: tag.map(Tag::get),
        bytes: bytes as u64,
    };
    last.map(message).collect()
}

fn add(detail: &mut ProcessDetail, told: Detail) {
    match told {
        Detail::Name {
            kind: "group",
            name,
        } => detail.groups.push(cut(&name)),
        Detail::Name { name, .. } => detail.names.push(cut(&name)),
        Detail::Count { what, used, limit } => detail.resources.push(Usage {
            what: what.to_owned(),
            used: Some(used),
            limit,
        }),
        _ => {}
    }
}

/// In order, the lowest first.
fn ids(mut ids: Vec<Pid>) -> Vec<ProcessId> {
    ids.sort_unstable();
    ids.truncate(MAX_LISTED);
    ids.into_iter().map(processes::id).collect()
}

/// What is charged to an account, and what may be charged to it.
pub(super) fn usage(account: &Account) -> Vec<Usage> {
    let limits = account.limits();
    let is_root = account.parent().is_none();
    let limit = |limit: u64| (limit != u64::MAX).then_some(limit);
    let mut usage: Vec<_> = Kind::ALL
        .into_iter()
        .map(|kind| Usage {
            what: kind.name().to_owned(),
            used: Some(account.used(kind)),
            limit: match kind {
                // It is no limit of the root; see there.
                Kind::LinearMemory if is_root => None,
                kind => limit(limits.of(kind)),
            },
        })
        .collect();
    if let Some(cpu) = limit(limits.cpu) {
        usage.push(Usage {
            what: "microseconds of CPU time in each second".to_owned(),
            used: None,
            limit: Some(cpu),
        });
    }
    usage
}

/// What is told of a child.
pub(super) fn child(child: &ChildProcess) -> ChildEntry {
    let status = match child.info.status {
        ChildStatus::Running => "running",
        ChildStatus::Restarting => "restarting",
        ChildStatus::Stopped => "stopped",
        _ => "unknown",
    };
    let process = child.process.as_ref();
    ChildEntry {
        name: cut(&child.info.name),
        pid: process.map(|process| processes::id(process.id())),
        status: status.to_owned(),
        restarts: child.info.restarts,
    }
}
