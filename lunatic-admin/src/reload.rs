//! The requests and responses about reloads.

use serde::{Deserialize, Serialize};

use crate::process_id::ProcessId;

/// A request to make another version of a module the current one. The bytes of the module follow
/// the line of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reload {
    /// The names that the module may have; the first existing one is taken. If none of them exists
    /// and there is only one module, that one is taken, unless `strict` is set.
    pub modules: Vec<String>,
    /// Whether only a module with one of the names is taken.
    #[serde(default)]
    pub strict: bool,
    /// The time limit for processes to reach a safe point, in milliseconds.
    #[serde(default = "thirty_seconds")]
    pub timeout_ms: u64,
    /// The time in which the failure of a process that has moved makes all processes go back, in
    /// milliseconds.
    #[serde(default)]
    pub trial_ms: u64,
    /// Whether the reload continues if an attempt fails, instead of going back.
    #[serde(default)]
    pub keep_going: bool,
    /// Whether to report only what would happen.
    #[serde(default)]
    pub dry_run: bool,
    /// Whether processes that still run an older version than the current one are killed.
    #[serde(default)]
    pub purge: bool,
    /// What happens to processes without an offer.
    #[serde(default)]
    pub others: Others,
    /// The time limit for the connections of processes that are replaced, in milliseconds.
    #[serde(default = "thirty_seconds")]
    pub drain_ms: u64,
}

/// What happens to processes that run the old version and have made no offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Others {
    /// They continue with the old version.
    #[default]
    Keep,
    /// Processes with a supervisor are restarted by it.
    Restart,
    /// They are killed.
    Kill,
    /// A new root process replaces the old one, and gets its sockets.
    Replace,
}

/// The result of a reload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// The name of the module.
    pub module: String,
    /// The hash of the version that was current.
    pub from: String,
    /// The hash of the version that was requested.
    pub to: String,
    /// The result for all processes together.
    pub result: ReloadResult,
    /// The outcome of each process, in the order of their ids. If there are very many, processes
    /// that have moved are left out first.
    pub processes: Vec<ReloadedProcess>,
    /// The number of processes that are left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: usize,
}

/// The result of a reload for all processes together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReloadResult {
    /// The new version is current, and all processes with an offer run it.
    Moved,
    /// Nothing has changed.
    Unchanged,
    /// Some processes run the new version, some the old one.
    Partly,
}

/// The outcome of a reload for one process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadedProcess {
    /// The process.
    pub pid: ProcessId,
    /// Its kind; empty if it has made no offer.
    pub kind: String,
    /// `not_asked`, `not_asked_in_time`, `called_off`, `moved`, `went_back`, `late`, `ended`,
    /// `failed`, `declined`, `stuck`; or, of a process without an offer, `replaced`, `restarted`,
    /// `killed`, `kept` or, if nothing is done, `planned`.
    pub outcome: String,
    /// The outcome as text for people, on one line.
    pub text: String,
    /// The time in which neither version of it ran, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause_us: Option<u64>,
}

/// The progress of a reload that is moving processes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadProgress {
    /// The name of the module.
    pub module: String,
    /// The number of processes whose outcome is known.
    #[serde(rename = "seen_to")]
    pub done: usize,
    /// The number of processes that take part.
    #[serde(rename = "all")]
    pub total: usize,
    /// Whether the processes are going back to the old version.
    pub goes_back: bool,
}

/// The versions of a module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleVersions {
    /// The name.
    pub module: String,
    /// The version that is current.
    pub current: VersionUse,
    /// The previous version, if there is one.
    pub old: Option<VersionUse>,
    /// Versions before that one which processes still run: a reload was to end those processes and
    /// has gone back in part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub older: Vec<VersionUse>,
    /// The number of processes that offer to move.
    pub offering: usize,
    /// Whether a reload is in progress.
    pub reloading: bool,
}

/// A version, and its users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionUse {
    /// The hash of its bytes.
    pub hash: String,
    /// The kinds of processes that it can take over, each with a version of the state.
    pub entries: Vec<(String, i64)>,
    /// The number of processes that run it.
    pub processes: usize,
    /// The number of children of supervisors that are started from it.
    #[serde(default)]
    pub child_records: usize,
    /// The number of other handles of it, in tables and messages of guests.
    pub handles: usize,
}

fn thirty_seconds() -> u64 {
    30_000
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}
