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
use lunatic_process::{Inspection, Process};
use lunatic_reload::{
    NamedVersions, Outcome, ProcessReport, ReloadError, ReloadOptions, ReloadPlan, ReloadResult,
    Report, Version,
};
use lunatic_supervisor::{ChildProcess, Supervisor};

use crate::ongoing_reloads::OngoingReload;
use crate::program::{Program, ReplaceError, ReplaceLimits};
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
    /// If the root process is one of them, it is replaced as a whole; see
    /// [`Program`](crate::Program). But it goes on if processes below it have moved, whose
    /// state would be lost.
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
    /// new one is a third. If not, they are an error. Those of a program that is replaced as a
    /// whole are left to that.
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
    /// Whether the program is replaced in any case: it has processes that run a version which
    /// is not known any more.
    must_replace: bool,
    how: Reloading,
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
        let program = match how.others {
            Others::Replace(_) => self.replaceable(name, &version).await?,
            _ => None,
        };
        let left_out = self.end_third(name, &plan, program.as_ref(), how).await?;
        let reload = self.versions.reload(name, version.clone(), how.options);
        let mut report = reload.await.map_err(ReloadFailure::Reload)?;
        if how.options.dry_run {
            return Ok(report);
        }
        let is_current = report.from == report.to;
        if is_current || !report.is_back() {
            let reload = Reload {
                name,
                version: &version,
                before: before.filter(|_| !is_current),
                must_replace: left_out.is_some(),
                how,
            };
            if let Err(error) = self.see_to_others(&reload, &mut report).await {
                if let Some(third) = left_out {
                    self.versions.keep_old(name, third);
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
        if let (true, Some(third)) = (is_given_up, left_out) {
            self.versions.keep_old(name, third);
        }
        Ok(report)
    }

    /// The program whose root process runs another version of a module and offers nothing.
    ///
    /// # Errors
    ///
    /// [`ReloadFailure::Replace`] if it cannot be replaced.
    async fn replaceable(
        &self,
        name: &str,
        version: &Version<Module<State>>,
    ) -> Result<Option<Program>, ReloadFailure> {
        let Some(program) = self.programs.of(name) else {
            return Ok(None);
        };
        let root = program.process();
        if self.versions.offering(name).contains(&root.id()) {
            return Ok(None);
        }
        let described = described(&root, PATIENCE).await;
        let version = ModuleHash::from_bytes(version.hash).to_string();
        if described.is_none_or(|root| root.module_hash == version) {
            return Ok(None);
        }
        let checked = self.check_replaceable();
        checked.map_err(ReloadFailure::Replace)?;
        Ok(Some(program))
    }

    /// Sees to the processes that run the version before the current one and offer nothing.
    async fn see_to_others(
        &self,
        reload: &Reload<'_>,
        report: &mut Report,
    ) -> Result<(), ReloadFailure> {
        let mut seen_to = Vec::new();
        match reload.how.others {
            Others::Keep => {}
            Others::Restart => seen_to = self.restart_others(reload.name).await,
            Others::Kill => seen_to = self.kill_others(reload.name).await,
            Others::Replace(limits) => {
                let program = self.replaceable(reload.name, reload.version).await?;
                if let Some(program) = program {
                    let root = self.replace(&program, reload, limits, report).await?;
                    seen_to = vec![root];
                } else if self.programs.of(reload.name).is_none() {
                    let why = "it is no root process of a program, which alone is replaced; \
                               use --others restart or kill";
                    let others = self.others_of(reload.name).await;
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
        // One that has declined may have been seen to after that.
        let pids: BTreeSet<Pid> = seen_to.iter().map(|process| process.pid).collect();
        report
            .processes
            .retain(|process| !pids.contains(&process.pid));
        report.processes.extend(seen_to);
        report.processes.sort_by_key(|process| process.pid);
        Ok(())
    }

    /// Replaces a program as a whole, unless processes of it have moved; what becomes of its
    /// root process.
    async fn replace(
        &self,
        program: &Program,
        reload: &Reload<'_>,
        limits: ReplaceLimits,
        report: &mut Report,
    ) -> Result<ProcessReport, ReloadFailure> {
        let (root, environment) = (program.process(), program.environment());
        let offering = self.versions.offering(reload.name);
        let mut with_state: BTreeSet<Pid> = offering.into_iter().collect();
        with_state.extend(report.processes.iter().filter_map(|process| {
            let is_moved = matches!(process.outcome, Outcome::Moved { .. });
            is_moved.then_some(process.pid)
        }));
        with_state.retain(|pid| environment.exists(*pid));
        if !with_state.is_empty() && !reload.must_replace {
            let why = format!(
                "the root process offers nothing, and is not replaced because {} of its processes \
                 have moved and would end with it; let it offer its state too, or end it with \
                 --others kill",
                with_state.len()
            );
            return Ok(kept(&root, &why));
        }
        let module = &reload.version.module;
        let outcome = match program.replace(self, module, limits).await {
            Ok(_) => {
                for process in &mut report.processes {
                    if with_state.contains(&process.pid) {
                        process.outcome = Outcome::Ended;
                    }
                }
                Outcome::Replaced
            }
            Err(error) => {
                if let Some(before) = &reload.before {
                    self.move_back(before, reload, report).await?;
                }
                Outcome::Failed {
                    why: with_causes(&error).to_string(),
                }
            }
        };
        Ok(ProcessReport {
            pid: root.id(),
            kind: String::new(),
            outcome,
        })
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
        let back = self.versions.reload(reload.name, before.clone(), options);
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

    /// Makes sure that no process runs the version before the current one, which will be
    /// forgotten. Returns it if those are left out that a program has which will be replaced
    /// as a whole, and so has to be.
    ///
    /// - `program`: whose root process runs another version and offers nothing.
    async fn end_third(
        &self,
        name: &str,
        plan: &ReloadPlan<Module<State>>,
        program: Option<&Program>,
        how: Reloading,
    ) -> Result<Option<Version<Module<State>>>, ReloadFailure> {
        let Some(third) = &plan.dropped else {
            return Ok(None);
        };
        let mut processes = self.processes_of(name, &third.hash).await;
        let of_all = processes.len();
        if let Some(program) = program {
            let root = program.process().id();
            // It would be killed.
            let is_forced = how.purge && processes.iter().any(|process| process.id() == root);
            if is_forced || !plan.movable.iter().any(|moves| program.has(*moves)) {
                processes.retain(|process| !program.has(process.id()));
            }
        }
        let are_left_out = processes.len() < of_all;
        if !how.purge && !processes.is_empty() {
            let processes = processes.iter().map(Process::id).collect();
            return Err(ReloadFailure::Reload(ReloadError::ThirdVersion {
                hash: ModuleHash::from_bytes(third.hash).to_string(),
                processes,
            }));
        }
        if !how.options.dry_run {
            end(&processes).await;
        }
        Ok(are_left_out.then(|| third.clone()))
    }

    /// The processes that run the version before the current one and do not offer themselves.
    async fn others_of(&self, name: &str) -> Vec<Process> {
        let Some(hash) = self.versions.old(name) else {
            return Vec::new();
        };
        let mut processes = self.processes_of(name, &hash).await;
        let offering = self.versions.offering(name);
        processes.retain(|process| !offering.contains(&process.id()));
        processes
    }

    /// Kills the processes that run the version before the current one and do not offer
    /// themselves.
    async fn kill_others(&self, name: &str) -> Vec<ProcessReport> {
        let others = self.others_of(name).await;
        end(&others).await;
        let killed = others.iter().map(|other| ProcessReport {
            pid: other.id(),
            kind: String::new(),
            outcome: Outcome::Killed,
        });
        killed.collect()
    }

    /// Has the supervisors of the processes that run the version before the current one and do
    /// not offer themselves restart them.
    async fn restart_others(&self, name: &str) -> Vec<ProcessReport> {
        let others = self.others_of(name).await;
        let mut reports = BTreeMap::new();
        for other in &others {
            let outcome = restart(other).await;
            let report = ProcessReport {
                pid: other.id(),
                kind: String::new(),
                outcome,
            };
            reports.insert(other.id(), report);
        }
        // Who had no supervisor may have ended with others.
        let left: BTreeMap<Pid, Process> = self
            .others_of(name)
            .await
            .into_iter()
            .map(|left| (left.id(), left))
            .collect();
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
        /// When all have taken so long, each has only [`LITTLE_PATIENCE`].
        const PATIENCE_FOR_ALL: Duration = Duration::from_secs(10);
        const LITTLE_PATIENCE: Duration = Duration::from_millis(50);
        let started = Instant::now();
        let hash = ModuleHash::from_bytes(*hash).to_string();
        let mut found = Vec::new();
        for environment in self.environments() {
            for process in environment.processes() {
                if !process.answers_requests() {
                    // It is native.
                    continue;
                }
                let patience = match started.elapsed() < PATIENCE_FOR_ALL {
                    true => PATIENCE,
                    false => LITTLE_PATIENCE,
                };
                let runs_it = described(&process, patience).await.is_some_and(|process| {
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

/// Has the supervisor of a process stop it and start it again, and returns what becomes of
/// it. That is no restart that counts against the intensity of the supervisor, as it is asked
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
