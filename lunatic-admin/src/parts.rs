//! Types that are parts of several responses.

use serde::{Deserialize, Serialize};

use crate::process_id::ProcessId;

/// The use of one resource, and its limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// The resource, in the plural, for example `bytes of memory`.
    pub what: String,
    /// The amount in use; `None` if it is not counted.
    pub used: Option<u64>,
    /// The highest amount; `None` if there is no limit.
    pub limit: Option<u64>,
}

/// A child of a supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildEntry {
    /// Its name.
    pub name: String,
    /// The id of its process; `None` while it has none.
    pub pid: Option<ProcessId>,
    /// `running`, `restarting` or `stopped`.
    pub status: String,
    /// How often it was restarted.
    pub restarts: u64,
}
