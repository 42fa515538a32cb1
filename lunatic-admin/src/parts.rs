//! What several answers are made of.

use serde::{Deserialize, Serialize};

use crate::process_id::ProcessId;

/// How much there is of something, and how much there may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Of what, in the plural.
    pub what: String,
    /// So much; `None` if that is not counted.
    pub used: Option<u64>,
    /// So much at most; `None` if there is no limit.
    pub limit: Option<u64>,
}

/// A child of a supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildEntry {
    /// Its name.
    pub name: String,
    /// Its process, if it has one now.
    pub pid: Option<ProcessId>,
    /// `running`, `restarting` or `stopped`.
    pub status: String,
    /// How often it was started again.
    pub restarts: u64,
}
