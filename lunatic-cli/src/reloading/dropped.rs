//! The versions that a reload drops, and the processes that still run them.

use lunatic_engine::{Module, ModuleHash};
use lunatic_process::{Environment, Process};
use lunatic_reload::{ReloadError, ReloadPlan, Report, Version};

use super::processes::end;
use super::reports::{add, kept, killed, planned};
use super::{ReloadFailure, Reloading};
use crate::program::Program;
use crate::runtime::Runtime;
use crate::state::State;

/// Versions before the current one that processes run, where another one is to be current.
#[derive(Default)]
pub(super) struct Dropped {
    versions: Vec<Version<Module<State>>>,
    /// Programs whose processes are left out, since they are replaced as a whole; and where
    /// those live.
    of_programs: Vec<(Program, Environment)>,
    /// Whether the other processes that run them are ended, once the reload has come to something.
    are_ended: bool,
}

impl Runtime {
    /// The versions before the current one that a reload will drop, if processes run them.
    ///
    /// - `programs`: whose root process runs another version and offers nothing.
    ///
    /// # Errors
    ///
    /// [`ReloadError::ThirdVersion`] if processes run one that are not to be ended.
    pub(super) async fn dropped(
        &self,
        name: &str,
        plan: &ReloadPlan<Module<State>>,
        programs: &[Program],
        how: Reloading,
    ) -> Result<Dropped, ReloadFailure> {
        let mut dropped = Dropped {
            are_ended: how.purge,
            ..Dropped::default()
        };
        for version in &plan.dropped {
            let mut processes = self.processes_of(name, &version.hash).await;
            // Who was replaced ends by itself.
            processes.retain(|process| !self.is_ending(process));
            if processes.is_empty() {
                continue;
            }
            dropped.leave_to_programs(&mut processes, plan, programs);
            if !how.purge && !processes.is_empty() {
                let processes = processes.iter().map(Process::id).collect();
                return Err(ReloadFailure::Reload(ReloadError::ThirdVersion {
                    hash: ModuleHash::from_bytes(version.hash).to_string(),
                    processes,
                }));
            }
            dropped.versions.push(version.clone());
        }
        Ok(dropped)
    }

    /// Kills the processes that run versions which are not known any more.
    pub(super) async fn end_dropped(&self, name: &str, dropped: &Dropped, report: &mut Report) {
        if !dropped.are_ended {
            return;
        }
        let processes = self.processes_of_dropped(name, dropped).await;
        end(&processes).await;
        let killed = processes.iter().map(killed).collect();
        add(report, killed);
    }

    /// Tells of the processes that run versions which were to be dropped, and go on.
    pub(super) async fn list_dropped(&self, name: &str, dropped: &Dropped, report: &mut Report) {
        let processes = self.processes_of_dropped(name, dropped).await;
        let why = "it runs the version before the old one, and all were to go back";
        let all = processes.iter().map(|process| kept(process, why));
        add(report, all.collect());
    }

    /// Tells of the processes that would be killed.
    pub(super) async fn list_planned_ends(
        &self,
        name: &str,
        dropped: &Dropped,
        report: &mut Report,
    ) {
        if dropped.are_ended {
            let processes = self.processes_of_dropped(name, dropped).await;
            let would_end = processes
                .iter()
                .map(|process| planned(process, "would be killed (--purge)"));
            add(report, would_end.collect());
        }
    }

    /// Keeps the versions: the reload that was to drop them has gone back.
    pub(super) fn keep(&self, name: &str, dropped: Dropped) {
        for version in dropped.versions {
            self.versions.keep_old(name, version);
        }
    }

    /// The processes that run versions which are dropped, and are not left to something else.
    async fn processes_of_dropped(&self, name: &str, dropped: &Dropped) -> Vec<Process> {
        let hashes = dropped.hashes();
        let mut processes = self.processes_within(name, &hashes, None, None).await;
        for (_, environment) in &dropped.of_programs {
            processes.retain(|process| process.environment().id() != environment.id());
        }
        processes.retain(|process| !self.is_ending(process));
        processes
    }
}

impl Dropped {
    /// The hashes of the versions.
    pub(super) fn hashes(&self) -> Vec<[u8; 32]> {
        self.versions.iter().map(|version| version.hash).collect()
    }

    /// The programs whose processes are left out.
    pub(super) fn programs(&self) -> Vec<Program> {
        let programs = self.of_programs.iter();
        programs.map(|(program, _)| program.clone()).collect()
    }

    /// Takes out of the processes of a version those that end with their programs, which are
    /// replaced.
    fn leave_to_programs(
        &mut self,
        processes: &mut Vec<Process>,
        plan: &ReloadPlan<Module<State>>,
        programs: &[Program],
    ) {
        for program in programs {
            let (environment, root) = (program.environment(), program.process().id());
            // It would be killed.
            let is_root = |process: &Process| process.id() == root;
            let is_forced = self.are_ended && processes.iter().any(is_root);
            if is_forced || !plan.movable.iter().any(|moves| program.has(*moves)) {
                let of_all = processes.len();
                processes.retain(|process| process.environment().id() != environment.id());
                let is_known = self.of_programs.iter().any(|(known, _)| known.is(program));
                if processes.len() < of_all && !is_known {
                    self.of_programs.push((program.clone(), environment));
                }
            }
        }
    }
}
