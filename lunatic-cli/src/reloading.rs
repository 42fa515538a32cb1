//! The versions of modules, and how another one becomes current.

mod dropped;
mod others;
mod processes;
mod programs;
mod reports;

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use lunatic_engine::{InstantiateError, LoadError, Module, ModuleHash};
use lunatic_reload::{NamedVersions, ReloadError, ReloadOptions, ReloadResult, Report, Version};

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
    /// Whether processes that still run a version before the current one are killed, if that is
    /// not the new one, as soon as the others have moved. If not, they are an error.
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
        let dropped = self.dropped(name, &plan, &programs, how).await?;
        let left_out = dropped.hashes();
        let reload = self
            .versions
            .reload(name, version.clone(), how.options, &left_out);
        let mut report = reload.await.map_err(ReloadFailure::Reload)?;
        if how.options.dry_run {
            self.list_planned(name, version.hash, how.others, &mut report)
                .await;
            self.list_planned_ends(name, &dropped, &mut report).await;
            return Ok(report);
        }
        let is_current = report.from == report.to;
        if is_current || !report.is_back() {
            let reload = Reload {
                name,
                version: &version,
                before: before.filter(|_| !is_current),
                must_replace: dropped.programs(),
                how,
            };
            if let Err(error) = self.see_to_others(&reload, &mut report).await {
                self.keep(name, dropped);
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
        if !report.is_back() {
            self.end_dropped(name, &dropped, &mut report).await;
            return Ok(report);
        }
        if !is_given_up {
            self.list_dropped(name, &dropped, &mut report).await;
        }
        self.keep(name, dropped);
        Ok(report)
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
