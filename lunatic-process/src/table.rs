//! The processes of an environment by id.

use lunatic_mailbox::{Pid, PidMap};
use parking_lot::RwLock;

use crate::process::Process;

/// So many parts with a lock each that cores rarely meet at one.
const SHARDS: usize = 64;

/// A map from ids to processes that all cores use at once.
pub(crate) struct ProcessTable {
    shards: [Shard; SHARDS],
}

/// A part of the table, on a cache line of its own.
#[derive(Default)]
#[repr(align(64))]
struct Shard(RwLock<PidMap<Process>>);

impl ProcessTable {
    pub(crate) fn new() -> ProcessTable {
        ProcessTable {
            shards: std::array::from_fn(|_| Shard::default()),
        }
    }

    pub(crate) fn insert(&self, process: Process) {
        let id = process.id();
        self.shard(id).write().insert(id, process);
    }

    pub(crate) fn remove(&self, id: Pid) -> Option<Process> {
        self.shard(id).write().remove(&id)
    }

    pub(crate) fn get(&self, id: Pid) -> Option<Process> {
        self.shard(id).read().get(&id).cloned()
    }

    /// Calls `look` with the process, if there is one. Spares the clone of
    /// [`get`](ProcessTable::get); `look` must not touch the table.
    pub(crate) fn with<R>(&self, id: Pid, look: impl FnOnce(&Process) -> R) -> Option<R> {
        self.shard(id).read().get(&id).map(look)
    }

    pub(crate) fn contains(&self, id: Pid) -> bool {
        self.shard(id).read().contains_key(&id)
    }

    pub(crate) fn all(&self) -> Vec<Process> {
        self.shards
            .iter()
            .flat_map(|shard| shard.0.read().values().cloned().collect::<Vec<_>>())
            .collect()
    }

    /// Calls `look` with about `max` processes; it must not touch the table.
    pub(crate) fn look(&self, max: usize, mut look: impl FnMut(&Process)) {
        let in_each = max.div_ceil(SHARDS);
        for shard in &self.shards {
            shard.0.read().values().take(in_each).for_each(&mut look);
        }
    }

    fn shard(&self, id: Pid) -> &RwLock<PidMap<Process>> {
        &self.shards[id.counter() as usize % SHARDS].0
    }
}
