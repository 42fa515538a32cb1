//! The processes that run a version of a module.

use std::time::{Duration, Instant};

use async_io::Timer;
use futures_lite::future;
use lunatic_engine::ModuleHash;
use lunatic_process::guest::code_bits;
use lunatic_process::{Inspection, Process};

use crate::runtime::Runtime;

/// How long one process may take to answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

impl Runtime {
    /// The processes that run a version of a module. Each is asked; one that does not answer
    /// in time is left out.
    ///
    /// - `name`: that of the module. The same bytes may have been loaded as another one, or as
    ///   none.
    pub(crate) async fn processes_of(&self, name: &str, hash: &[u8; 32]) -> Vec<Process> {
        self.processes_within(name, &[*hash], None, None).await
    }

    /// The processes that run one of several versions; as [`processes_of`](Runtime::processes_of).
    ///
    /// - `hashes`: those of the versions.
    /// - `without`: the hash of a version; those that offer themselves, or have moved to that, are
    ///   not asked.
    /// - `patience`: those that are not found within this time are left out.
    pub(super) async fn processes_within(
        &self,
        name: &str,
        hashes: &[[u8; 32]],
        without: Option<&[u8; 32]>,
        patience: Option<Duration>,
    ) -> Vec<Process> {
        /// When all have taken so long, each has only [`LITTLE_PATIENCE`].
        const PATIENCE_FOR_ALL: Duration = Duration::from_secs(10);
        const LITTLE_PATIENCE: Duration = Duration::from_millis(50);
        let started = Instant::now();
        let hashes = hashes.iter().map(|hash| ModuleHash::from_bytes(*hash));
        let code: Vec<_> = hashes
            .map(|hash| (code_bits(hash), hash.to_string()))
            .collect();
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
                if runs != 0 && code.iter().all(|(bits, _)| runs != *bits) {
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
                    code.iter().any(|(_, hash)| process.module_hash == *hash)
                        && process.version_of.as_deref() == Some(name)
                });
                if runs_it {
                    found.push(process);
                }
            }
        }
        found
    }

    /// Whether a process was replaced together with its program and ends with its connections,
    /// or has ended.
    pub(super) fn is_ending(&self, process: &Process) -> bool {
        // In this order: it may end in between.
        self.programs.is_draining(process.id()) || !process.is_alive()
    }
}

/// What a process tells of itself, if it does so in time.
pub(super) async fn described(process: &Process, patience: Duration) -> Option<Inspection> {
    let late = async {
        Timer::after(patience).await;
        None
    };
    future::or(process.describe(), late).await
}

/// Kills processes, and waits until they have ended.
pub(super) async fn end(processes: &[Process]) {
    for process in processes {
        process.kill();
    }
    for process in processes {
        process.wait().await;
    }
}
