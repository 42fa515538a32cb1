//! The versions of modules, and how another one becomes current.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_io::Timer;
use bytes::Bytes;
use futures_lite::future;
use lunatic_engine::{InstantiateError, LoadError, Module, ModuleHash};
use lunatic_error::with_causes;
use lunatic_mailbox::Pid;
use lunatic_process::guest::code_bits;
use lunatic_process::{Environment, Inspection, Process};
use lunatic_reload::{
    NamedVersions, Outcome, ProcessReport, ReloadError, ReloadOptions, ReloadPlan, ReloadResult,
    Report, Version,
};
use lunatic_supervisor::{ChildProcess, Restart, Supervisor};

use crate::ongoing_reloads::OngoingReload;
use crate::program::{self, Program, ReplaceError, ReplaceLimits};
use crate::reload_counts::Counted;
use crate::runtime::Runtime;
use crate::state::State;
use crate::timeline;

/// What becomes of processes that run the version before and do not offer themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Others {
    /// They go on with the old version.
    #[default]
    Keep,
    /// Those that have a supervisor are stopped and started again by it.
    Restart,
    /// They are killed.
    Kill,
    /// The programs whose root process is one of them are replaced as a whole, all or none; see
    /// [`Program`](crate::Program). But one goes on if processes below its root process have
    /// moved, whose state would be lost.
    Replace(ReplaceLimits),
}

/// How a reload is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reloading {
    /// How processes move that offer themselves.
    pub options: ReloadOptions,
    /// What becomes of the other processes of the version before.
    pub others: Others,
    /// Whether processes that still run the version before the current one are killed, if the
    /// new one is a third, as soon as the others have moved to it. If not, they are an error.
    /// Those of a program that is replaced as a whole are left to that.
    pub purge: bool,
}

/// Why a reload has not been done.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReloadFailure {
    /// The new version cannot be loaded.
    Load(LoadError),
    /// The code cannot be compiled that processes with a budget run, or those without a
    /// guarded memory.
    Prepare(InstantiateError),
    /// The processes cannot move.
    Reload(ReloadError),
    /// The root process cannot be replaced.
    Replace(ReplaceError),
    /// The runtime ended meanwhile.
    ShutDown,
}

/// How long one process may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// A reload whose processes have moved.
struct Reload<'a> {
    /// That of the module.
    name: &'a str,
    /// The current version.
    version: &'a Version<Module<State>>,
    /// The version that was current before, if it was another one.
    before: Option<Version<Module<State>>>,
    /// Programs that are replaced in any case: they have processes that run a version which is
    /// not known any more.
    must_replace: Vec<Program>,
    how: Reloading,
}

/// The version before the current one, which processes run, where a third one is to be current.
struct Third {
    version: Version<Module<State>>,
    /// Programs whose processes are left out, since they are replaced as a whole; and where
    /// those live.
    of_programs: Vec<(Program, Environment)>,
    /// Whether the other processes that run it are ended, once the reload has come to something.
    is_ended: bool,
}

impl Runtime {
    /// Loads a module as the first version of a named one, so that
    /// [`reload`](Runtime::reload) can exchange it. If there is another module of this name
    /// already, `-2`, `-3` and so on is added to the name.
    ///
    /// - `name`: the stem of the name of its file, for example.
    ///
    /// # Errors
    ///
    /// [`LoadError`].
    pub async fn load_version(
        &self,
        name: &str,
        bytes: impl Into<Bytes>,
    ) -> Result<Module<State>, LoadError> {
        let bytes = bytes.into();
        let mut full_name: Arc<str> = name.into();
        let mut number = 1;
        loop {
            if self.versions.current(&full_name).is_some() {
                let hash = *ModuleHash::of(&bytes).as_bytes();
                if let Ok(Some(version)) = self.versions.find(&full_name, &hash) {
                    return Ok(version.module);
                }
                number += 1;
                full_name = format!("{name}-{number}").into();
                continue;
            }
            let module = self
                .loader
                .load_version(full_name.clone(), bytes.clone())
                .await?;
            let version = Version::of(&module);
            if let Some(version) = self.versions.register(&full_name, version) {
                return Ok(version.module);
            }
        }
    }

    /// The modules that were loaded under a name, with their versions.
    pub fn versions(&self) -> Vec<NamedVersions<Module<State>>> {
        self.versions.list()
    }

    /// Makes another version of a module the current one, and moves the processes to it
    /// that offer themselves; see [`lunatic_reload`]. Then it sees to the others of the version
    /// before: also if the version is the current one already, so that what a reload has kept
    /// can be seen to later. It is done even if nobody waits for it any more.
    ///
    /// - `name`: that of the module.
    /// - `bytes`: the new version, or an old one.
    ///
    /// # Errors
    ///
    /// [`ReloadFailure`]; all is as it was then.
    pub async fn reload(
        &self,
        name: &str,
        bytes: Vec<u8>,
        how: Reloading,
    ) -> Result<Report, ReloadFailure> {
        let hash = *ModuleHash::of(&bytes).as_bytes();
        let (runtime, name) = (self.clone(), name.to_owned());
        let reload = self.detached(async move {
            let began = Instant::now();
            let result = runtime.reload_uncounted(&name, hash, bytes, how).await;
            timeline::tell("reload", 0, began);
            if !how.options.dry_run {
                runtime.count(&result);
            }
            result
        });
        reload.await.unwrap_or(Err(ReloadFailure::ShutDown))
    }

    fn count(&self, result: &Result<Report, ReloadFailure>) {
        let result = result.as_ref().map(|report| report.result);
        self.reloads.count(match result {
            Ok(ReloadResult::Moved) => Counted::Moved,
            Ok(ReloadResult::Partly) => Counted::Partly,
            Ok(ReloadResult::Unchanged) => Counted::Unchanged,
            Err(_) => Counted::Refused,
        });
    }

    /// How many reloads there were, by what came of them.
    pub(crate) fn reload_counts(&self) -> [(&'static str, u64); 4] {
        self.reloads.get()
    }

    async fn reload_uncounted(
        &self,
        name: &str,
        hash: [u8; 32],
        bytes: Vec<u8>,
        how: Reloading,
    ) -> Result<Report, ReloadFailure> {
        let known = self.versions.find(name, &hash);
        let version = match known.map_err(ReloadFailure::Reload)? {
            Some(version) => version,
            None => {
                let loaded = self.loader.load_version(name.into(), bytes.into()).await;
                Version::of(&loaded.map_err(ReloadFailure::Load)?)
            }
        };
        let ongoing = OngoingReload::begin(&self.ongoing_reloads, name);
        let _ongoing = ongoing.map_err(ReloadFailure::Reload)?;
        let before = self.versions.current(name);
        if let Some(before) = &before {
            // Else the first processes that run such code would wait for it while they move.
            let prepared = version.module.prepare_like(&before.module).await;
            prepared.map_err(ReloadFailure::Prepare)?;
        }
        let plan = self.versions.plan(name, &version).await;
        let plan = plan.map_err(ReloadFailure::Reload)?;
        let programs = match how.others {
            Others::Replace(_) => self.replaceable(name, &version).await?,
            _ => Vec::new(),
        };
        let third = self.third(name, &plan, &programs, how).await?;
        let left_out = third.as_ref().map(|third| third.version.hash);
        let reload = self
            .versions
            .reload(name, version.clone(), how.options, left_out);
        let mut report = reload.await.map_err(ReloadFailure::Reload)?;
        if how.options.dry_run {
            if let (Others::Keep, Some(before)) = (how.others, before) {
                self.list_kept(name, &before.hash, &version.hash, &mut report)
                    .await;
            }
            return Ok(report);
        }
        let is_current = report.from == report.to;
        if is_current || !report.is_back() {
            let reload = Reload {
                name,
                version: &version,
                before: before.filter(|_| !is_current),
                must_replace: third.as_ref().map_or_else(Vec::new, Third::programs),
                how,
            };
            if let Err(error) = self.see_to_others(&reload, &mut report).await {
                if let Some(third) = third {
                    self.versions.keep_old(name, third.version);
                }
                return Err(error);
            }
        }
        if is_current {
            return Ok(report);
        }
        let is_given_up = report.result == ReloadResult::Unchanged;
        if is_given_up && self.processes_of(name, &version.hash).await.is_empty() {
            // Nobody is left that runs it.
            self.versions.forget_old(name, &version.hash);
        }
        match third {
            Some(third) if is_given_up => self.versions.keep_old(name, third.version),
            Some(third) if !report.is_back() => self.end_third(name, &third, &mut report).await,
            Some(third) => self.list_third(name, &third, &mut report).await,
            None => {}
        }
        Ok(report)
    }

    /// The programs whose root process runs another version of a module and offers nothing.
    ///
    /// # Errors
    ///
    /// [`ReloadFailure::Replace`] if they cannot be replaced.
    async fn replaceable(
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

    /// Sees to the processes that run the version before the current one and offer nothing.
    async fn see_to_others(
        &self,
        reload: &Reload<'_>,
        report: &mut Report,
    ) -> Result<(), ReloadFailure> {
        let mut seen_to = Vec::new();
        let (old, new) = (self.versions.old(reload.name), &reload.version.hash);
        match reload.how.others {
            Others::Keep => {
                // That they go on was asked for.
                if let Some(old) = old {
                    self.list_kept(reload.name, &old, new, report).await;
                }
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
                } else if let (true, Some(old)) = (has_none, old) {
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

    /// Replaces programs as a whole, but those of which processes have moved; what becomes of
    /// their root processes.
    async fn replace(
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
    async fn move_back(
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
        let back = versions.reload(reload.name, before.clone(), options, None);
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

    /// The version before the current one, which will be forgotten, if processes run it.
    ///
    /// - `programs`: whose root process runs another version and offers nothing.
    ///
    /// # Errors
    ///
    /// [`ReloadError::ThirdVersion`] if processes run it that are not to be ended.
    async fn third(
        &self,
        name: &str,
        plan: &ReloadPlan<Module<State>>,
        programs: &[Program],
        how: Reloading,
    ) -> Result<Option<Third>, ReloadFailure> {
        let Some(version) = plan.dropped.clone() else {
            return Ok(None);
        };
        let mut processes = self.processes_of(name, &version.hash).await;
        // Who was replaced ends by itself.
        processes.retain(|process| !self.is_ending(process));
        if processes.is_empty() {
            return Ok(None);
        }
        let mut of_programs = Vec::new();
        for program in programs {
            let (environment, root) = (program.environment(), program.process().id());
            // It would be killed.
            let is_forced = how.purge && processes.iter().any(|process| process.id() == root);
            if is_forced || !plan.movable.iter().any(|moves| program.has(*moves)) {
                let of_all = processes.len();
                processes.retain(|process| !environment.exists(process.id()));
                if processes.len() < of_all {
                    of_programs.push((program.clone(), environment));
                }
            }
        }
        if !how.purge && !processes.is_empty() {
            let processes = processes.iter().map(Process::id).collect();
            return Err(ReloadFailure::Reload(ReloadError::ThirdVersion {
                hash: ModuleHash::from_bytes(version.hash).to_string(),
                processes,
            }));
        }
        Ok(Some(Third {
            version,
            of_programs,
            is_ended: how.purge,
        }))
    }

    /// Kills the processes that run a version which is forgotten now.
    async fn end_third(&self, name: &str, third: &Third, report: &mut Report) {
        if !third.is_ended {
            return;
        }
        let processes = self.processes_of_third(name, third).await;
        end(&processes).await;
        let killed = processes.iter().map(killed).collect();
        add(report, killed);
    }

    /// Tells of the processes that run a version which is forgotten now, and go on.
    async fn list_third(&self, name: &str, third: &Third, report: &mut Report) {
        let processes = self.processes_of_third(name, third).await;
        let why = "it runs the version before the old one, and all were to go back";
        let all = processes.iter().map(|process| kept(process, why));
        add(report, all.collect());
    }

    /// The processes that run a version which is forgotten now, and are not left to something
    /// else.
    async fn processes_of_third(&self, name: &str, third: &Third) -> Vec<Process> {
        let mut processes = self.processes_of(name, &third.version.hash).await;
        for (_, environment) in &third.of_programs {
            processes.retain(|process| !environment.exists(process.id()));
        }
        // Whoever does not live there may have ended just now.
        processes.retain(|process| !self.is_ending(process));
        processes
    }

    /// Whether a process was replaced together with its program and ends with its connections,
    /// or has ended.
    fn is_ending(&self, process: &Process) -> bool {
        // In this order: it may end in between.
        self.programs.is_draining(process.id()) || !process.is_alive()
    }

    /// The processes that run a version and neither offer themselves nor have moved to another.
    ///
    /// - `hash`: of the version.
    /// - `new`: the hash of the other.
    /// - `patience`: those that are not found within this time are left out.
    async fn others_of(
        &self,
        name: &str,
        hash: &[u8; 32],
        new: &[u8; 32],
        patience: Option<Duration>,
    ) -> Vec<Process> {
        let mut processes = self.processes_within(name, hash, Some(new), patience).await;
        // Meanwhile some may have offered themselves, or moved.
        let taking_part = self.versions.taking_part(name, new);
        processes
            .retain(|process| !taking_part.contains(&process.id()) && !self.is_ending(process));
        processes
    }

    /// The processes that run the version before the current one, do not offer themselves, and
    /// have had the time to.
    async fn others_to_end(&self, name: &str, new: &[u8; 32]) -> Vec<Process> {
        /// From its start, or its move, until a process offers itself.
        const TO_OFFER: Duration = Duration::from_millis(200);
        let Some(old) = self.versions.old(name) else {
            return Vec::new();
        };
        let mut others = self.others_of(name, &old, new, None).await;
        if !others.is_empty() {
            Timer::after(TO_OFFER).await;
            let taking_part = self.versions.taking_part(name, new);
            others.retain(|other| !taking_part.contains(&other.id()));
        }
        others
    }

    /// Tells of the processes that run a version, offer nothing and go on.
    async fn list_kept(&self, name: &str, hash: &[u8; 32], new: &[u8; 32], report: &mut Report) {
        /// To list them is not worth more.
        const PATIENCE_FOR_ALL: Duration = Duration::from_secs(2);
        let patience = Some(PATIENCE_FOR_ALL);
        let others = self.others_of(name, hash, new, patience).await;
        let others = others.iter().map(|other| kept(other, "it offers nothing"));
        add(report, others.collect());
    }

    /// Kills the processes that run the version before the current one and do not offer
    /// themselves.
    async fn kill_others(&self, name: &str, new: &[u8; 32]) -> Vec<ProcessReport> {
        let others = self.others_to_end(name, new).await;
        end(&others).await;
        others.iter().map(killed).collect()
    }

    /// Has the supervisors of the processes that run the version before the current one and do
    /// not offer themselves restart them.
    ///
    /// - `timeout`: how long is waited for one of them. It is done later, then, and those of the
    ///   same supervisor are left alone.
    async fn restart_others(
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
        let Some(old) = self.versions.old(name) else {
            return reports.into_values().collect();
        };
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

    /// The processes that run a version of a module. Each is asked; one that does not answer
    /// in time is left out.
    ///
    /// - `name`: that of the module. The same bytes may have been loaded as another one, or as
    ///   none.
    pub(crate) async fn processes_of(&self, name: &str, hash: &[u8; 32]) -> Vec<Process> {
        self.processes_within(name, hash, None, None).await
    }

    /// As [`processes_of`](Runtime::processes_of).
    ///
    /// - `without`: the hash of a version; those that offer themselves, or have moved to that, are
    ///   not asked.
    /// - `patience`: those that are not found within this time are left out.
    async fn processes_within(
        &self,
        name: &str,
        hash: &[u8; 32],
        without: Option<&[u8; 32]>,
        patience: Option<Duration>,
    ) -> Vec<Process> {
        /// When all have taken so long, each has only [`LITTLE_PATIENCE`].
        const PATIENCE_FOR_ALL: Duration = Duration::from_secs(10);
        const LITTLE_PATIENCE: Duration = Duration::from_millis(50);
        let started = Instant::now();
        let hash = ModuleHash::from_bytes(*hash);
        let (bits, hash) = (code_bits(hash), hash.to_string());
        let left_out = without.map(|new| self.versions.taking_part(name, new));
        let left_out = left_out.unwrap_or_default();
        let mut found = Vec::new();
        for environment in self.environments() {
            for process in environment.processes() {
                if !process.answers_requests() || left_out.contains(&process.id()) {
                    // Those that answer none are native.
                    continue;
                }
                let runs = process.code_bits();
                if runs != 0 && runs != bits {
                    // To ask it would wake it.
                    continue;
                }
                let so_far = started.elapsed();
                let left = patience.map_or(PATIENCE, |all| all.saturating_sub(so_far));
                if left.is_zero() {
                    return found;
                }
                let patience = match so_far < PATIENCE_FOR_ALL {
                    true => PATIENCE,
                    false => LITTLE_PATIENCE,
                };
                let runs_it = described(&process, patience.min(left)).await;
                let runs_it = runs_it.is_some_and(|process| {
                    process.module_hash == hash && process.version_of.as_deref() == Some(name)
                });
                if runs_it {
                    found.push(process);
                }
            }
        }
        found
    }
}

impl Third {
    /// The programs whose processes are left out.
    fn programs(&self) -> Vec<Program> {
        let programs = self.of_programs.iter();
        programs.map(|(program, _)| program.clone()).collect()
    }
}

/// What a process tells of itself, if it does so in time.
async fn described(process: &Process, patience: Duration) -> Option<Inspection> {
    let late = async {
        Timer::after(patience).await;
        None
    };
    future::or(process.describe(), late).await
}

/// Kills processes, and waits until they have ended.
async fn end(processes: &[Process]) {
    for process in processes {
        process.kill();
    }
    for process in processes {
        process.wait().await;
    }
}

/// Adds what became of processes. One that has declined may have been seen to after that.
fn add(report: &mut Report, more: Vec<ProcessReport>) {
    let pids: BTreeSet<Pid> = more.iter().map(|process| process.pid).collect();
    let processes = &mut report.processes;
    processes.retain(|process| !pids.contains(&process.pid));
    processes.extend(more);
    processes.sort_by_key(|process| process.pid);
}

fn killed(process: &Process) -> ProcessReport {
    ProcessReport {
        pid: process.id(),
        kind: String::new(),
        outcome: Outcome::Killed,
    }
}

/// A process that was to be seen to and goes on as the old version.
fn kept(process: &Process, why: &str) -> ProcessReport {
    ProcessReport {
        pid: process.id(),
        kind: String::new(),
        outcome: Outcome::Kept {
            why: why.to_owned(),
        },
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

impl fmt::Display for ReloadFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReloadFailure::Load(_) => f.write_str("the new version cannot be loaded"),
            ReloadFailure::Prepare(_) => {
                f.write_str("the new version cannot be compiled to all that the old one was")
            }
            ReloadFailure::Reload(error) => error.fmt(f),
            ReloadFailure::Replace(_) => f.write_str("the root process cannot be replaced"),
            ReloadFailure::ShutDown => f.write_str("the runtime has ended"),
        }
    }
}

impl Error for ReloadFailure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ReloadFailure::Load(error) => Some(error),
            ReloadFailure::Prepare(error) => Some(error),
            ReloadFailure::Replace(error) => Some(error),
            ReloadFailure::Reload(_) | ReloadFailure::ShutDown => None,
        }
    }
}
