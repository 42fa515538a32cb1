//! The processes of an environment by id.

use parking_lot::RwLock;
use rustc_hash::FxHashMap;

use crate::process::Process;
use crate::relations::ProcessId;

/// So many parts with a lock each that cores rarely meet at one.
const SHARDS: usize = 64;

/// A map from ids to processes that all cores use at once.
pub(crate) struct ProcessTable {
    shards: [RwLock<FxHashMap<ProcessId, Process>>; SHARDS],
}

impl ProcessTable {
    pub(crate) fn new() -> ProcessTable {
        ProcessTable {
            shards: std::array::from_fn(|_| RwLock::default()),
        }
    }

    pub(crate) fn insert(&self, process: Process) {
        let id = process.id();
        self.shard(id).write().insert(id, process);
    }

    pub(crate) fn remove(&self, id: ProcessId) -> Option<Process> {
        self.shard(id).write().remove(&id)
    }

    pub(crate) fn get(&self, id: ProcessId) -> Option<Process> {
        self.shard(id).read().get(&id).cloned()
    }

    /// Calls `look` with the process, if there is one. Spares the clone of
    /// [`get`](ProcessTable::get); `look` must not touch the table.
    pub(crate) fn with<R>(&self, id: ProcessId, look: impl FnOnce(&Process) -> R) -> Option<R> {
        self.shard(id).read().get(&id).map(look)
    }

    pub(crate) fn contains(&self, id: ProcessId) -> bool {
        self.shard(id).read().contains_key(&id)
    }

    pub(crate) fn all(&self) -> Vec<Process> {
        self.shards
            .iter()
            .flat_map(|shard| shard.read().values().cloned().collect::<Vec<_>>())
            .collect()
    }

    fn shard(&self, id: ProcessId) -> &RwLock<FxHashMap<ProcessId, Process>> {
        &self.shards[id.0 as usize % SHARDS]
    }
}
