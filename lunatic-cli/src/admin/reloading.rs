//! Versions of modules, as they are told at the admin socket.

use std::time::Duration;

use lunatic_admin::{
    ModuleVersions, Refusal, RefusalKind, Reload, ReloadProgress, Reloaded, ReloadedProcess,
    VersionUse,
};
use lunatic_engine::{Module, ModuleHash};
use lunatic_error::{MAX_LOGGED_BYTES, on_one_line, with_causes};
use lunatic_reload::{NamedVersions, Outcome, ProcessReport, ReloadOptions, Report, Version};

use crate::program::ReplaceLimits;
use crate::reloading::{Others, Reloading};
use crate::runtime::Runtime;
use crate::state::State;

/// All modules that have a name.
pub(super) async fn versions(runtime: &Runtime) -> Vec<ModuleVersions> {
    let mut modules = Vec::new();
    for named in runtime.versions() {
        modules.push(module(runtime, named).await);
    }
    modules
}

/// How far the reloads have come that go on.
pub(super) fn progress(runtime: &Runtime) -> Vec<ReloadProgress> {
    let modules = runtime.versions().into_iter();
    let reloads = modules.filter_map(|named| {
        let progress = named.progress?;
        Some(ReloadProgress {
            module: named.name.to_string(),
            done: progress.seen_to,
            total: progress.all,
            goes_back: progress.goes_back,
        })
    });
    reloads.collect()
}

async fn module(runtime: &Runtime, named: NamedVersions<Module<State>>) -> ModuleVersions {
    // Those of the table of versions itself, and of what was asked of it.
    const OWN_HANDLES: usize = 2;
    let mut old = Vec::new();
    for of in &named.old {
        old.push(version(runtime, &named.name, of, OWN_HANDLES).await);
    }
    let mut old = old.into_iter();
    ModuleVersions {
        module: named.name.to_string(),
        current: version(runtime, &named.name, &named.current, OWN_HANDLES).await,
        old: old.next(),
        older: old.collect(),
        offering: named.offering,
        reloading: named.is_reloading,
    }
}

async fn version(
    runtime: &Runtime,
    name: &str,
    version: &Version<Module<State>>,
    own_handles: usize,
) -> VersionUse {
    /// A process has one in its state and one in its body.
    const HANDLES_OF_A_PROCESS: usize = 2;
    let processes = runtime.processes_of(name, &version.hash).await.len();
    let child_records = version.module.records();
    let others = own_handles + HANDLES_OF_A_PROCESS * processes + child_records;
    let entries = version.entries.iter();
    VersionUse {
        hash: ModuleHash::from_bytes(version.hash).to_string(),
        entries: entries
            .map(|(kind, version)| (kind.to_owned(), version))
            .collect(),
        processes,
        child_records,
        handles: version.module.handles().saturating_sub(others),
    }
}

/// Does a reload.
pub(super) async fn reload(
    runtime: &Runtime,
    request: Reload,
    bytes: Vec<u8>,
) -> Result<Reloaded, Refusal> {
    let name = module_name(runtime, &request)?;
    let how = Reloading {
        options: ReloadOptions {
            timeout: Duration::from_millis(request.timeout_ms),
            trial: Duration::from_millis(request.trial_ms),
            keep_going: request.keep_going,
            dry_run: request.dry_run,
        },
        others: match request.others {
            lunatic_admin::Others::Keep => Others::Keep,
            lunatic_admin::Others::Restart => Others::Restart,
            lunatic_admin::Others::Kill => Others::Kill,
            lunatic_admin::Others::Replace => Others::Replace(ReplaceLimits {
                start: Duration::from_millis(request.timeout_ms),
                drain: Duration::from_millis(request.drain_ms),
            }),
        },
        purge: request.purge,
    };
    let report = runtime.reload(&name, bytes, how).await;
    report
        .map(told)
        .map_err(|error| Refusal::new(RefusalKind::Other, with_causes(&error)))
}

/// The module that is meant: one of those that were named, or the only one.
fn module_name(runtime: &Runtime, request: &Reload) -> Result<String, Refusal> {
    let modules = runtime.versions();
    let known = |name: &&String| modules.iter().any(|module| *module.name == ***name);
    if let Some(name) = request.modules.iter().find(known) {
        return Ok(name.clone());
    }
    if let ([only], false) = (modules.as_slice(), request.strict) {
        return Ok(only.name.to_string());
    }
    let names: Vec<_> = modules.iter().map(|module| &*module.name).collect();
    let wanted = request.modules.first().map_or("", String::as_str);
    let text = match names.is_empty() {
        true => format!("there is no module `{wanted}`, nor any other that has a name"),
        false => format!(
            "there is no module `{wanted}`; there are `{}`: name one with --module",
            names.join("`, `")
        ),
    };
    Err(Refusal::new(RefusalKind::BadRequest, text))
}

fn told(report: Report) -> Reloaded {
    let listed = listed(&report.processes);
    Reloaded {
        module: report.name,
        from: report.from,
        to: report.to,
        result: match report.result {
            lunatic_reload::ReloadResult::Moved => lunatic_admin::ReloadResult::Moved,
            lunatic_reload::ReloadResult::Unchanged => lunatic_admin::ReloadResult::Unchanged,
            lunatic_reload::ReloadResult::Partly => lunatic_admin::ReloadResult::Partly,
        },
        left_out: report.processes.len() - listed.len(),
        processes: listed.into_iter().map(process).collect(),
    }
}

/// The processes that are told of: an answer has a limit.
fn listed(processes: &[ProcessReport]) -> Vec<&ProcessReport> {
    const MAX_PROCESSES: usize = 10_000;
    /// Of kinds and reasons, which guests may have chosen. Written as JSON, a byte takes six.
    const MAX_BYTES: usize = 8 << 20;
    let is_moved = |process: &&ProcessReport| matches!(process.outcome, Outcome::Moved { .. });
    let moved = processes.iter().filter(is_moved);
    let others = processes.iter().filter(|process| !is_moved(process));
    let mut bytes = 0;
    let mut listed: Vec<&ProcessReport> = others
        .chain(moved)
        .take(MAX_PROCESSES)
        .take_while(|process| {
            bytes += process.kind.len() + text_bytes(&process.outcome);
            bytes <= MAX_BYTES
        })
        .collect();
    listed.sort_by_key(|process| process.pid);
    listed
}

/// At most how long the text of an outcome is.
fn text_bytes(outcome: &Outcome) -> usize {
    match outcome {
        Outcome::Failed { why }
        | Outcome::Declined { why }
        | Outcome::Kept { why }
        | Outcome::Stuck { why } => why.len().min(MAX_LOGGED_BYTES),
        _ => 0,
    }
}

fn process(process: &ProcessReport) -> ReloadedProcess {
    let outcome = match process.outcome {
        Outcome::NotAsked => "not_asked",
        Outcome::NotAskedInTime => "not_asked_in_time",
        Outcome::CalledOff => "called_off",
        Outcome::Moved { .. } => "moved",
        Outcome::WentBack => "went_back",
        Outcome::Late => "late",
        Outcome::Ended => "ended",
        Outcome::Failed { .. } => "failed",
        Outcome::Declined { .. } => "declined",
        Outcome::Replaced => "replaced",
        Outcome::Restarted => "restarted",
        Outcome::Killed => "killed",
        Outcome::Kept { .. } => "kept",
        Outcome::Planned { .. } => "planned",
        Outcome::Stuck { .. } => "stuck",
    };
    ReloadedProcess {
        pid: lunatic_admin::ProcessId::from_bits(process.pid.to_bits()),
        kind: process.kind.clone(),
        outcome: outcome.to_owned(),
        text: on_one_line(&process.outcome, MAX_LOGGED_BYTES).to_string(),
        pause_us: match process.outcome {
            Outcome::Moved { pause_us } => Some(pause_us),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use lunatic_mailbox::Pid;
    use lunatic_reload::ReloadResult;

    use super::*;

    fn report(processes: impl IntoIterator<Item = Outcome>) -> Report {
        let processes = processes.into_iter().enumerate();
        Report {
            name: "app".to_owned(),
            from: "a".to_owned(),
            to: "b".to_owned(),
            result: ReloadResult::Partly,
            processes: processes
                .map(|(number, outcome)| ProcessReport {
                    pid: Pid::from_bits(number as u64 + 1),
                    kind: "worker".to_owned(),
                    outcome,
                })
                .collect(),
        }
    }

    #[test]
    fn of_very_many_processes_those_are_told_of_that_have_not_moved() {
        const MOVED: usize = 50_000;
        let moved = (0..MOVED).map(|_| Outcome::Moved { pause_us: 1 });
        let told = told(report(moved.chain([Outcome::Late, Outcome::Ended])));
        assert_eq!(told.processes.len(), 10_000);
        assert_eq!(told.left_out, MOVED + 2 - 10_000);
        let last: Vec<_> = told.processes[9_998..].iter().collect();
        assert_eq!([&*last[0].outcome, &*last[1].outcome], ["late", "ended"]);
    }

    #[test]
    fn an_answer_with_long_reasons_has_a_limit() {
        let why = "\u{1}".repeat(10_000);
        let failed = (0..9_000).map(|_| Outcome::Failed { why: why.clone() });
        let told = told(report(failed));
        assert_eq!(told.processes.len() + told.left_out, 9_000);
        let answer = serde_json::to_vec(&told).unwrap_or_default();
        assert!(
            (1 << 20..64 << 20).contains(&answer.len()),
            "{}",
            answer.len()
        );
    }
}
