//! The databases of a process, in a build without the feature `sqlite`: it has none.

use std::sync::Arc;

use lunatic_abi::host_functions;
use lunatic_sqlite::SqliteLimits;

use crate::state::State;

/// How much a process might do with databases: what it hands on to processes of other nodes, which
/// may have the feature.
#[derive(Debug)]
pub(super) struct GuestSqlite {
    limits: Arc<SqliteLimits>,
}

host_functions! {
    /// Registers nothing.
    pub(super) fn add_to_linker(Linker<State>);
    /// No functions.
    pub(super) const HOST_FUNCTIONS;
}

impl GuestSqlite {
    pub(super) fn new(limits: Arc<SqliteLimits>) -> GuestSqlite {
        GuestSqlite { limits }
    }

    pub(super) fn limits(&self) -> &Arc<SqliteLimits> {
        &self.limits
    }
}
