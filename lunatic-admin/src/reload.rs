//! Reloads, as they are asked for and told of.

use serde::{Deserialize, Serialize};

use crate::process_id::ProcessId;

/// Another version of a module becomes the current one. Its bytes follow the line of the
/// request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reload {
    /// The names that the module may have: the first that there is. If there is none of
    /// them and only one module, that is meant, unless `strict` is set.
    pub modules: Vec<String>,
    /// Whether only the names count.
    #[serde(default)]
    pub strict: bool,
    /// How long it is waited for processes to reach a safe point, in milliseconds.
    #[serde(default = "thirty_seconds")]
    pub timeout_ms: u64,
    /// If a process that has moved fails within this time, all go back. In milliseconds.
    #[serde(default)]
    pub trial_ms: u64,
    /// Nothing goes back if an attempt fails.
    #[serde(default)]
    pub keep_going: bool,
    /// Only what would happen is told.
    #[serde(default)]
    pub dry_run: bool,
    /// Processes that still run the version before the current one are killed.
    #[serde(default)]
    pub purge: bool,
    /// What becomes of processes that offer nothing.
    #[serde(default)]
    pub others: Others,
    /// How long the connections of processes that are replaced may go on, in milliseconds.
    #[serde(default = "thirty_seconds")]
    pub drain_ms: u64,
}

/// What becomes of processes that run the version before and offer nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Others {
    /// They go on with the old version.
    #[default]
    Keep,
    /// Those that have a supervisor are restarted by it.
    Restart,
    /// They are killed.
    Kill,
    /// A new root process takes the place of the old one, with its sockets.
    Replace,
}

/// What a reload has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// The name of the module.
    pub module: String,
    /// The hash of the version that was current.
    pub from: String,
    /// The hash of the version that was to become current.
    pub to: String,
    /// The result of all.
    pub result: ReloadResult,
    /// What has become of each process, in the order of their ids. Of very many, those that have
    /// moved are left out first.
    pub processes: Vec<ReloadedProcess>,
    /// How many processes are left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: usize,
}

/// The result of a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReloadResult {
    /// The new version is current, and all processes that offered themselves run it.
    Moved,
    /// Nothing has changed.
    Unchanged,
    /// Some processes run the one version, some the other.
    Partly,
}

/// What has become of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadedProcess {
    /// The process.
    pub pid: ProcessId,
    /// Its kind; empty if it has offered nothing.
    pub kind: String,
    /// `not_asked`, `moved`, `went_back`, `late`, `ended`, `failed`, `declined`, `stuck`; or, of
    /// one that has offered nothing, `replaced`, `restarted`, `killed` or `kept`.
    pub outcome: String,
    /// The same for people, on one line.
    pub text: String,
    /// How long it ran neither the one version nor the other, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause_us: Option<u64>,
}

/// How far a reload has come that moves processes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadProgress {
    /// The name of the module.
    pub module: String,
    /// Of so many processes it is known what becomes of them.
    pub seen_to: usize,
    /// Of so many in all.
    pub all: usize,
    /// Whether they go back to the old version.
    pub goes_back: bool,
}

/// The versions of a module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleVersions {
    /// The name.
    pub module: String,
    /// The version that is current.
    pub current: VersionUse,
    /// The version before, if there was one.
    pub old: Option<VersionUse>,
    /// How many processes offer to move.
    pub offering: usize,
    /// Whether a reload goes on.
    pub reloading: bool,
}

/// A version, and what keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionUse {
    /// The hash of its bytes.
    pub hash: String,
    /// What it can take over: kinds, each with a version of the state.
    pub entries: Vec<(String, i64)>,
    /// How many processes run it.
    pub processes: usize,
    /// How many others have a handle of it: child records, and tables and messages of
    /// guests.
    pub handles: usize,
}

fn thirty_seconds() -> u64 {
    30_000
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}
