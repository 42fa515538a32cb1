//! The processes of old versions that offer nothing: they are kept, started again or killed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_io::Timer;
use futures_lite::future;
use lunatic_mailbox::Pid;
use lunatic_process::Process;
use lunatic_reload::{Outcome, ProcessReport, ReloadResult, Report};
use lunatic_supervisor::{ChildProcess, Restart, Supervisor};

use super::processes::end;
use super::reports::{add, kept, killed, planned};
use super::{Others, Reload, ReloadFailure};
use crate::runtime::Runtime;

/// How long processes are looked for that are only to be listed.
const TO_LIST: Duration = Duration::from_secs(2);

impl Runtime {
    /// Sees to the processes that run versions before the current one and offer nothing.
    pub(super) async fn see_to_others(
        &self,
        reload: &Reload<'_>,
        report: &mut Report,
    ) -> Result<(), ReloadFailure> {
        let mut seen_to = Vec::new();
        let (old, new) = (self.versions.old(reload.name), &reload.version.hash);
        match reload.how.others {
            Others::Keep => {
                // That they go on was asked for.
                self.list_kept(reload.name, &old, new, report).await;
            }
            Others::Restart => {
                let timeout = reload.how.options.timeout;
                seen_to = self.restart_others(reload.name, new, timeout).await;
            }
            Others::Kill => seen_to = self.kill_others(reload.name, new).await,
            Others::Replace(limits) => {
                let programs = self.replaceable(reload.name, reload.version).await?;
                let has_none = self.programs.of(reload.name).is_empty();
                if !programs.is_empty() {
                    seen_to = self.replace(&programs, reload, limits, report).await?;
                } else if has_none {
                    let why = "it is no root process of a program, which alone is replaced; \
                               use --others restart or kill";
                    let others = self.others_of(reload.name, &old, new, None).await;
                    seen_to.extend(others.iter().map(|other| kept(other, why)));
                }
            }
        }
        let is_kept = |seen_to: &ProcessReport| matches!(seen_to.outcome, Outcome::Kept { .. });
        let is_done = |seen_to: &ProcessReport| {
            use Outcome::{Killed, Replaced, Restarted};
            matches!(seen_to.outcome, Killed | Replaced | Restarted)
        };
        let (is_done, is_kept) = (seen_to.iter().any(is_done), seen_to.iter().any(is_kept));
        report.result = match (report.result, is_done, is_kept) {
            // It was the current version before.
            (ReloadResult::Unchanged, true, false) => ReloadResult::Moved,
            (ReloadResult::Unchanged, true, true) => ReloadResult::Partly,
            (ReloadResult::Moved, _, true) => ReloadResult::Partly,
            (result, _, _) => result,
        };
        add(report, seen_to);
        Ok(())
    }

    /// The processes that run one of some versions and neither offer themselves nor have moved to
    /// another.
    ///
    /// - `hashes`: those of the versions.
    /// - `new`: the hash of the other.
    /// - `patience`: those that are not found within this time are left out.
    pub(super) async fn others_of(
        &self,
        name: &str,
        hashes: &[[u8; 32]],
        new: &[u8; 32],
        patience: Option<Duration>,
    ) -> Vec<Process> {
        let mut processes = self
            .processes_within(name, hashes, Some(new), patience)
            .await;
        // Meanwhile some may have offered themselves, or moved.
        let taking_part = self.versions.taking_part(name, new);
        processes
            .retain(|process| !taking_part.contains(&process.id()) && !self.is_ending(process));
        processes
    }

    /// The processes that run versions before the current one, do not offer themselves, and
    /// have had the time to.
    pub(super) async fn others_to_end(&self, name: &str, new: &[u8; 32]) -> Vec<Process> {
        /// From its start, or its move, until a process offers itself.
        const TO_OFFER: Duration = Duration::from_millis(200);
        let old = self.versions.old(name);
        let mut others = self.others_of(name, &old, new, None).await;
        if !others.is_empty() {
            Timer::after(TO_OFFER).await;
            let taking_part = self.versions.taking_part(name, new);
            others.retain(|other| !taking_part.contains(&other.id()));
        }
        others
    }

    /// Tells of the processes that run some versions, offer nothing and go on.
    pub(super) async fn list_kept(
        &self,
        name: &str,
        hashes: &[[u8; 32]],
        new: &[u8; 32],
        report: &mut Report,
    ) {
        let others = self.others_of(name, hashes, new, Some(TO_LIST)).await;
        let others = others.iter().map(|other| kept(other, "it offers nothing"));
        add(report, others.collect());
    }

    /// Tells what would become of the processes that offer nothing, if a version were current.
    pub(super) async fn list_planned(
        &self,
        name: &str,
        new: [u8; 32],
        others: Others,
        report: &mut Report,
    ) {
        let what = match others {
            Others::Keep => "would go on with the old version, as it offers nothing",
            Others::Restart => "would be restarted by its supervisor, if it has one",
            Others::Kill => "would be killed",
            Others::Replace(_) => "would be replaced with its program, if it is of one",
        };
        let Some(current) = self.versions.current(name) else {
            return;
        };
        let mut old = self.versions.old(name);
        old.push(current.hash);
        old.retain(|hash| *hash != new);
        let others = self.others_of(name, &old, &new, Some(TO_LIST)).await;
        let others = others.iter().map(|other| planned(other, what));
        add(report, others.collect());
    }

    /// Kills the processes that run versions before the current one and do not offer
    /// themselves.
    pub(super) async fn kill_others(&self, name: &str, new: &[u8; 32]) -> Vec<ProcessReport> {
        let others = self.others_to_end(name, new).await;
        end(&others).await;
        others.iter().map(killed).collect()
    }

    /// Has the supervisors of the processes that run versions before the current one and do
    /// not offer themselves restart them.
    ///
    /// - `timeout`: how long is waited for one of them. It is done later, then, and those of the
    ///   same supervisor are left alone.
    pub(super) async fn restart_others(
        &self,
        name: &str,
        new: &[u8; 32],
        timeout: Duration,
    ) -> Vec<ProcessReport> {
        let others = self.others_to_end(name, new).await;
        let mut reports = BTreeMap::new();
        let mut late = BTreeSet::new();
        for other in others {
            let (pid, supervisor) = (other.id(), other.parent());
            let restarting = async {
                match late.contains(&supervisor) {
                    true => None,
                    // A child that is stopped is to be started in any case.
                    false => self.detached(async move { restart(&other).await }).await,
                }
            };
            let in_time = async {
                Timer::after(timeout).await;
                None
            };
            let outcome = future::or(restarting, in_time).await;
            let outcome = outcome.unwrap_or_else(|| {
                late.insert(supervisor);
                Outcome::Kept {
                    why: "its supervisor has not restarted it in time".to_owned(),
                }
            });
            let kind = String::new();
            let report = ProcessReport { pid, kind, outcome };
            reports.insert(pid, report);
        }
        let old = self.versions.old(name);
        // Who had no supervisor may have ended with others.
        let left = self.others_of(name, &old, new, None).await;
        let left: BTreeMap<Pid, Process> = left.into_iter().map(|left| (left.id(), left)).collect();
        for report in reports.values_mut() {
            let is_kept = matches!(report.outcome, Outcome::Kept { .. });
            if is_kept && !left.contains_key(&report.pid) {
                report.outcome = Outcome::Ended;
            }
        }
        for (pid, process) in &left {
            let why = "it was started as that version again";
            reports.entry(*pid).or_insert_with(|| kept(process, why));
        }
        reports.into_values().collect()
    }
}

/// Has the supervisor of a process stop it and start it again, unless it is temporary, and
/// returns what becomes of it. That is no restart that counts against the intensity of the supervisor, as it is asked
/// for.
async fn restart(process: &Process) -> Outcome {
    let environment = process.environment();
    let parent = process.info().parent;
    let parent = parent.and_then(|parent| environment.process(parent));
    let no_supervisor = || Outcome::Kept {
        why: "it has no supervisor; --others kill ends it".to_owned(),
    };
    let Some(supervisor) = parent.and_then(Supervisor::of) else {
        return no_supervisor();
    };
    let children = supervisor.which_children().await.unwrap_or_default();
    let is_it = |child: &&ChildProcess| {
        let of_child = child.process.as_ref();
        of_child.is_some_and(|of_child| of_child.id() == process.id())
    };
    let Some(child) = children.iter().find(is_it) else {
        return no_supervisor();
    };
    if child.info.restart == Restart::Temporary {
        return Outcome::Kept {
            why: "it is temporary: its supervisor does not start it again; --others kill ends it"
                .to_owned(),
        };
    }
    let name = child.info.name.to_string();
    match supervisor.terminate_child(name.clone()).await {
        Ok(()) => match supervisor.restart_child(name).await {
            Ok(_) => Outcome::Restarted,
            Err(error) => {
                tracing::warn!("a child was not started again: {error}");
                Outcome::Killed
            }
        },
        // It was made from a template, so it can only be killed; that counts.
        Err(_) => {
            process.kill();
            Outcome::Killed
        }
    }
}
