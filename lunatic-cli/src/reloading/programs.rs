//! Programs that are replaced as a whole, and what moves back if they cannot be.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lunatic_engine::{Module, ModuleHash};
use lunatic_error::with_causes;
use lunatic_mailbox::Pid;
use lunatic_reload::{Outcome, ProcessReport, ReloadOptions, ReloadResult, Report, Version};

use super::processes::{PATIENCE, described};
use super::reports::kept;
use super::{Reload, ReloadFailure};
use crate::program::{self, Program, ReplaceLimits};
use crate::runtime::Runtime;
use crate::state::State;

impl Runtime {
    /// The programs whose root process runs another version of a module and offers nothing.
    ///
    /// # Errors
    ///
    /// [`ReloadFailure::Replace`] if they cannot be replaced.
    pub(super) async fn replaceable(
        &self,
        name: &str,
        version: &Version<Module<State>>,
    ) -> Result<Vec<Program>, ReloadFailure> {
        let mut programs = self.programs.of(name);
        let hash = ModuleHash::from_bytes(version.hash).to_string();
        let mut others = BTreeSet::new();
        for program in &programs {
            let root = program.process();
            let described = described(&root, PATIENCE).await;
            if described.is_some_and(|root| root.module_hash != hash) {
                others.insert(root.id());
            }
        }
        let taking_part = self.versions.taking_part(name, &version.hash);
        programs.retain(|program| {
            let root = program.process().id();
            others.contains(&root) && !taking_part.contains(&root)
        });
        if !programs.is_empty() {
            let checked = self.check_replaceable();
            checked.map_err(ReloadFailure::Replace)?;
        }
        Ok(programs)
    }

    /// Replaces programs as a whole, but those of which processes have moved; what becomes of
    /// their root processes.
    pub(super) async fn replace(
        &self,
        programs: &[Program],
        reload: &Reload<'_>,
        limits: ReplaceLimits,
        report: &mut Report,
    ) -> Result<Vec<ProcessReport>, ReloadFailure> {
        let offering = self.versions.offering(reload.name);
        let mut with_state: BTreeSet<Pid> = offering.into_iter().collect();
        with_state.extend(report.processes.iter().filter_map(|process| {
            let is_moved = matches!(process.outcome, Outcome::Moved { .. });
            is_moved.then_some(process.pid)
        }));
        let (mut roots, mut replaced, mut ended) = (Vec::new(), Vec::new(), BTreeSet::new());
        for program in programs {
            let has = |pid: &&Pid| program.has(**pid);
            let within: Vec<Pid> = with_state.iter().filter(has).copied().collect();
            let must = reload.must_replace.iter().any(|other| other.is(program));
            if within.is_empty() || must {
                ended.extend(within);
                replaced.push((program.clone(), program.process()));
                continue;
            }
            let why = format!(
                "the root process offers nothing, and is not replaced because {} of its processes \
                 have moved and would end with it; let it offer its state too, or end it with \
                 --others kill",
                within.len()
            );
            roots.push(kept(&program.process(), &why));
        }
        let of_all: Vec<Program> = replaced
            .iter()
            .map(|(program, _)| program.clone())
            .collect();
        let module = &reload.version.module;
        let failed = program::replace_all(&of_all, self, module, limits).await;
        match &failed {
            Ok(()) => {
                for process in &mut report.processes {
                    if ended.contains(&process.pid) {
                        process.outcome = Outcome::Ended;
                    }
                }
            }
            Err(_) => {
                if let Some(before) = &reload.before {
                    self.move_back(before, reload, report).await?;
                }
            }
        }
        roots.extend(replaced.iter().map(|(program, root)| match &failed {
            Ok(()) => ProcessReport {
                pid: root.id(),
                kind: String::new(),
                outcome: Outcome::Replaced,
            },
            Err((failed, error)) if failed.is(program) => ProcessReport {
                pid: root.id(),
                kind: String::new(),
                outcome: Outcome::Failed {
                    why: with_causes(error).to_string(),
                },
            },
            Err(_) => kept(root, "another program of the module could not be replaced"),
        }));
        Ok(roots)
    }

    /// All or nothing: what has moved moves back.
    ///
    /// - `before`: the version that was the current one.
    pub(super) async fn move_back(
        &self,
        before: &Version<Module<State>>,
        reload: &Reload<'_>,
        report: &mut Report,
    ) -> Result<(), ReloadFailure> {
        let options = ReloadOptions {
            trial: Duration::ZERO,
            keep_going: true,
            ..reload.how.options
        };
        let versions = &self.versions;
        let back = versions.reload(reload.name, before.clone(), options, &[]);
        let back = back.await.map_err(ReloadFailure::Reload)?;
        report.result = match back.result {
            ReloadResult::Moved => ReloadResult::Unchanged,
            ReloadResult::Partly | ReloadResult::Unchanged => ReloadResult::Partly,
        };
        let mut back: BTreeMap<Pid, ProcessReport> = back
            .processes
            .into_iter()
            .map(|process| (process.pid, process))
            .collect();
        for process in &mut report.processes {
            if let Some(back) = back.remove(&process.pid) {
                process.outcome = of_way_back(back.outcome);
            }
        }
        let come_since = back.into_values().map(|process| ProcessReport {
            outcome: of_way_back(process.outcome),
            ..process
        });
        report.processes.extend(come_since);
        Ok(())
    }
}

/// What became of a process, by what became of it when it was to move back.
fn of_way_back(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Moved { .. } => Outcome::WentBack,
        Outcome::Failed { why } | Outcome::Declined { why } => Outcome::Stuck { why },
        Outcome::Late => Outcome::Stuck {
            why: "it has not reached a safe point in time".to_owned(),
        },
        outcome => outcome,
    }
}
