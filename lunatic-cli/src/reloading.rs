//! The versions of modules, and how another one becomes current.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_io::Timer;
use bytes::Bytes;
use futures_lite::future;
use lunatic_engine::{InstantiateError, LoadError, Module, ModuleHash};
use lunatic_error::with_causes;
use lunatic_process::Process;
use lunatic_reload::{
    NamedVersions, Outcome, ProcessReport, ReloadError, ReloadOptions, ReloadResult, Report,
    Version,
};

use lunatic_supervisor::{ChildProcess, Supervisor};

use crate::program::{Program, ReplaceLimits};
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
    /// [`Program`](crate::Program).
    Replace(ReplaceLimits),
}

/// How a reload is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reloading {
    /// How processes move that offer themselves.
    pub options: ReloadOptions,
    /// What becomes of the other processes of the version before.
    pub others: Others,
    /// Whether processes that still run the version before the current one are killed. If
    /// not, they are an error.
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
    /// The runtime ended meanwhile.
    ShutDown,
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
    /// that offer themselves; see [`lunatic_reload`].
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
        let is_done = !how.options.dry_run;
        let began = Instant::now();
        let result = self.reload_uncounted(name, bytes, how).await;
        timeline::tell("reload", 0, began);
        if is_done {
            self.reloads
                .count(match result.as_ref().map(|report| report.result) {
                    Ok(ReloadResult::Moved) => Counted::Moved,
                    Ok(ReloadResult::Partly) => Counted::Partly,
                    Ok(ReloadResult::Unchanged) => Counted::Unchanged,
                    Err(_) => Counted::Refused,
                });
        }
        result
    }

    /// How many reloads there were, by what came of them.
    pub(crate) fn reload_counts(&self) -> [(&'static str, u64); 4] {
        self.reloads.get()
    }

    async fn reload_uncounted(
        &self,
        name: &str,
        bytes: Vec<u8>,
        how: Reloading,
    ) -> Result<Report, ReloadFailure> {
        let hash = *ModuleHash::of(&bytes).as_bytes();
        let known = self.versions.find(name, &hash);
        let version = match known.map_err(ReloadFailure::Reload)? {
            Some(version) => version,
            None => {
                let loaded = self.loader.load_version(name.into(), bytes.into()).await;
                Version::of(&loaded.map_err(ReloadFailure::Load)?)
            }
        };
        let before = self.versions.current(name);
        if let Some(before) = &before {
            // Else the first processes that run such code would wait for it while they move.
            let prepared = version.module.prepare_like(&before.module).await;
            prepared.map_err(ReloadFailure::Prepare)?;
        }
        if !how.options.dry_run {
            self.end_third(name, &version, how.purge).await?;
        }
        let mut report = self.move_to(name, &version, how.options).await?;
        if how.options.dry_run || report.from == report.to {
            return Ok(report);
        }
        if !report.is_back() {
            report = self
                .see_to_others(name, &version, before, how, report)
                .await?;
        }
        let is_given_up = report.result == ReloadResult::Unchanged;
        if is_given_up && self.processes_of(&version.hash).await.is_empty() {
            // Nobody is left that runs it.
            self.versions.forget_old(name, &version.hash);
        }
        Ok(report)
    }

    /// Sees to the processes that run the version before the current one and offer nothing.
    ///
    /// - `before`: that version.
    async fn see_to_others(
        &self,
        name: &str,
        version: &Version<Module<State>>,
        before: Option<Version<Module<State>>>,
        how: Reloading,
        mut report: Report,
    ) -> Result<Report, ReloadFailure> {
        match how.others {
            Others::Keep => {}
            Others::Restart | Others::Kill => self.end_others(name, how.others).await,
            Others::Replace(limits) => {
                let Some((program, old)) = self.offering_nothing(name, &report) else {
                    return Ok(report);
                };
                let replaced = program.replace(self, &version.module, limits).await;
                let outcome = match &replaced {
                    Ok(_) => Outcome::Replaced,
                    Err(error) => Outcome::Failed {
                        why: with_causes(error).to_string(),
                    },
                };
                if let (Err(_), Some(before)) = (&replaced, before) {
                    // All or nothing.
                    report = self.move_to(name, &before, how.options).await?;
                    std::mem::swap(&mut report.from, &mut report.to);
                    report.result = match report.result {
                        ReloadResult::Moved => ReloadResult::Unchanged,
                        result => result,
                    };
                }
                report.processes.push(ProcessReport {
                    pid: old.id(),
                    kind: String::new(),
                    outcome,
                });
            }
        }
        Ok(report)
    }

    /// Makes a version the current one, and moves the processes that offer themselves.
    async fn move_to(
        &self,
        name: &str,
        version: &Version<Module<State>>,
        options: ReloadOptions,
    ) -> Result<Report, ReloadFailure> {
        let (sender, receiver) = async_channel::bounded(1);
        let (versions, name) = (self.versions.clone(), name.to_owned());
        let version = version.clone();
        // A task of its own: it must go on when who has asked for it is gone.
        self.scheduler.spawn(async move {
            let report = versions.reload(&name, version, options).await;
            sender.try_send(report).ok();
        });
        let report = receiver.recv().await.map_err(|_| ReloadFailure::ShutDown)?;
        report.map_err(ReloadFailure::Reload)
    }

    /// The program of a module and its root process, if that does not offer itself.
    ///
    /// - `report`: what has become of those that do.
    fn offering_nothing(&self, name: &str, report: &Report) -> Option<(Program, Process)> {
        let program = self.programs.of(name)?;
        let process = program.process();
        let mut reported = report.processes.iter();
        let is_reported = reported.any(|reported| reported.pid == process.id());
        let offering = self.versions.old_and_offering(name);
        let offers =
            is_reported || offering.is_some_and(|(_, offering)| offering.contains(&process.id()));
        (!offers).then_some((program, process))
    }

    /// Makes sure that no process runs the version before the current one, which will be
    /// forgotten.
    async fn end_third(
        &self,
        name: &str,
        new: &Version<Module<State>>,
        purge: bool,
    ) -> Result<(), ReloadFailure> {
        let third = self.versions.third(name, new).await;
        let Some(third) = third.map_err(ReloadFailure::Reload)? else {
            return Ok(());
        };
        let processes = self.processes_of(&third.hash).await;
        if !purge && !processes.is_empty() {
            let processes = processes.iter().map(Process::id).collect();
            return Err(ReloadFailure::Reload(ReloadError::ThirdVersion {
                hash: ModuleHash::from_bytes(third.hash).to_string(),
                processes,
            }));
        }
        for process in processes {
            process.kill();
            process.wait().await;
        }
        Ok(())
    }

    /// Sees to the processes that run the version before the current one and do not offer
    /// themselves: kills them, or has their supervisors restart them.
    async fn end_others(&self, name: &str, others: Others) {
        let Some((hash, offering)) = self.versions.old_and_offering(name) else {
            return;
        };
        for process in self.processes_of(&hash).await {
            if offering.contains(&process.id()) {
                continue;
            }
            match others {
                Others::Kill => process.kill(),
                _ => restart(&process).await,
            }
        }
    }

    /// The processes that run a version of a module. Each is asked; one that does not answer
    /// in time, as it has used up its CPU time for example, is left out.
    pub(crate) async fn processes_of(&self, hash: &[u8; 32]) -> Vec<Process> {
        /// How long one process may take.
        const PATIENCE: Duration = Duration::from_millis(200);
        /// When all have taken so long, each has only [`LITTLE_PATIENCE`].
        const PATIENCE_FOR_ALL: Duration = Duration::from_secs(5);
        const LITTLE_PATIENCE: Duration = Duration::from_millis(2);
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
                let late = async {
                    Timer::after(patience).await;
                    None
                };
                let described = future::or(process.describe(), late).await;
                if described.is_some_and(|described| described.module_hash == hash) {
                    found.push(process);
                }
            }
        }
        found
    }
}

/// Has the supervisor of a process, if it has one, stop it and start it again. That is no
/// restart that counts against the intensity of the supervisor, as it is asked for.
async fn restart(process: &Process) {
    let environment = process.environment();
    let parent = process.info().parent;
    let parent = parent.and_then(|parent| environment.process(parent));
    let Some(supervisor) = parent.and_then(Supervisor::of) else {
        return;
    };
    let children = supervisor.which_children().await.unwrap_or_default();
    let is_it = |child: &&ChildProcess| {
        let of_child = child.process.as_ref();
        of_child.is_some_and(|of_child| of_child.id() == process.id())
    };
    let Some(child) = children.iter().find(is_it) else {
        return;
    };
    let name = child.info.name.to_string();
    match supervisor.terminate_child(name.clone()).await {
        Ok(()) => {
            if let Err(error) = supervisor.restart_child(name).await {
                tracing::warn!("a child was not started again: {error}");
            }
        }
        // It was made from a template, so it can only be killed; that counts.
        Err(_) => process.kill(),
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
            ReloadFailure::ShutDown => f.write_str("the runtime has ended"),
        }
    }
}

impl Error for ReloadFailure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ReloadFailure::Load(error) => Some(error),
            ReloadFailure::Prepare(error) => Some(error),
            ReloadFailure::Reload(_) | ReloadFailure::ShutDown => None,
        }
    }
}
