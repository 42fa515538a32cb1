//! The versions of modules, and how another one becomes current.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use lunatic_engine::{InstantiateError, LoadError, Module, ModuleHash};
use lunatic_mailbox::Pid;
use lunatic_process::{Process, Role};
use lunatic_reload::{NamedVersions, ReloadError, ReloadOptions, ReloadResult, Report, Version};

use crate::runtime::Runtime;
use crate::state::State;

/// What becomes of processes that run the version before and do not offer themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Others {
    /// They go on with the old version.
    #[default]
    Keep,
    /// Those that have a supervisor are killed, so that it restarts them.
    Restart,
    /// They are killed.
    Kill,
}

/// Why a reload has not been done.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReloadFailure {
    /// The new version cannot be loaded.
    Load(LoadError),
    /// The code for processes with a budget cannot be compiled.
    Budgets(InstantiateError),
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
        bytes: Vec<u8>,
    ) -> Result<Module<State>, LoadError> {
        let hash = *ModuleHash::of(&bytes).as_bytes();
        let mut full_name: Arc<str> = name.into();
        let mut number = 1;
        loop {
            match self.versions.find(&full_name, &hash) {
                Ok(Some(version)) => return Ok(version.module),
                Ok(None) => {
                    number += 1;
                    full_name = format!("{name}-{number}").into();
                    continue;
                }
                // There is none of this name yet.
                Err(_) => {}
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
    /// - `others`: what becomes of processes of the version before that offer nothing.
    /// - `purge`: whether processes that still run the version before the current one are
    ///   killed. If not, they are an error.
    ///
    /// # Errors
    ///
    /// [`ReloadFailure`]; all is as it was then.
    pub async fn reload(
        &self,
        name: &str,
        bytes: Vec<u8>,
        options: ReloadOptions,
        others: Others,
        purge: bool,
    ) -> Result<Report, ReloadFailure> {
        let hash = *ModuleHash::of(&bytes).as_bytes();
        let known = self
            .versions
            .find(name, &hash)
            .map_err(ReloadFailure::Reload)?;
        let version = match known {
            Some(version) => version,
            None => {
                let loaded = self.loader.load_version(name.into(), bytes).await;
                Version::of(&loaded.map_err(ReloadFailure::Load)?)
            }
        };
        let current = self.versions.current(name);
        if current.is_some_and(|current| current.module.has_budgets()) {
            // Else the first processes with a budget would wait for it while they move.
            let prepared = version.module.prepare_budgets().await;
            prepared.map_err(ReloadFailure::Budgets)?;
        }
        if !options.dry_run {
            self.end_third(name, &version, purge).await?;
        }
        let (sender, receiver) = async_channel::bounded(1);
        let (versions, module_name) = (self.versions.clone(), name.to_owned());
        let new = version.hash;
        // A task of its own: it must go on when who has asked for it is gone.
        self.scheduler.spawn(async move {
            let report = versions.reload(&module_name, version, options).await;
            sender.try_send(report).ok();
        });
        let report = receiver.recv().await.map_err(|_| ReloadFailure::ShutDown)?;
        let report = report.map_err(ReloadFailure::Reload)?;
        if report.result != ReloadResult::Unchanged {
            self.see_to(name, others).await;
        } else if report.from != report.to
            && !options.dry_run
            && self.processes_of(&new).await.is_empty()
        {
            // It was given up, and nobody is left that runs it.
            self.versions.forget_old(name, &new);
        }
        Ok(report)
    }

    /// Makes sure that no process runs the version before the current one, which will be
    /// forgotten.
    async fn end_third(
        &self,
        name: &str,
        new: &Version<Module<State>>,
        purge: bool,
    ) -> Result<(), ReloadFailure> {
        let third = self.versions.third(name, new);
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
    /// themselves.
    async fn see_to(&self, name: &str, others: Others) {
        let old = self.versions.old_and_offering(name);
        let (Some((hash, offering)), false) = (old, others == Others::Keep) else {
            return;
        };
        for process in self.processes_of(&hash).await {
            let is_other = !offering.contains(&process.id());
            if is_other && (others == Others::Kill || self.is_supervised(&process)) {
                process.kill();
            }
        }
    }

    fn is_supervised(&self, process: &Process) -> bool {
        let parent = process.info().parent;
        let is_supervisor = |parent: Pid| {
            let parent = process.environment().process(parent);
            parent.is_some_and(|parent| parent.role() == Role::Supervisor)
        };
        parent.is_some_and(is_supervisor)
    }

    /// The processes that run a version of a module. Each is asked.
    pub(crate) async fn processes_of(&self, hash: &[u8; 32]) -> Vec<Process> {
        let hash = ModuleHash::from_bytes(*hash).to_string();
        let mut found = Vec::new();
        for environment in self.environments() {
            for process in environment.processes() {
                let described = process.describe().await;
                if described.is_some_and(|described| described.module_hash == hash) {
                    found.push(process);
                }
            }
        }
        found
    }
}

impl fmt::Display for ReloadFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReloadFailure::Load(_) => f.write_str("the new version cannot be loaded"),
            ReloadFailure::Budgets(_) => {
                f.write_str("the new version cannot be compiled for processes with a budget")
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
            ReloadFailure::Budgets(error) => Some(error),
            ReloadFailure::Reload(_) | ReloadFailure::ShutDown => None,
        }
    }
}
