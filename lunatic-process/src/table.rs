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
struct Shard(RwLock<Part>);

#[derive(Default)]
struct Part {
    processes: PidMap<Process>,
    /// How many messages have arrived at those that have left the table.
    messages: u64,
}

impl ProcessTable {
    pub(crate) fn new() -> ProcessTable {
        ProcessTable {
            shards: std::array::from_fn(|_| Shard::default()),
        }
    }

    pub(crate) fn insert(&self, process: Process) {
        let id = process.id();
        self.shard(id).write().processes.insert(id, process);
    }

    pub(crate) fn remove(&self, id: Pid) -> Option<Process> {
        let mut part = self.shard(id).write();
        let process = part.processes.remove(&id)?;
        part.messages += process.arrived_messages();
        Some(process)
    }

    pub(crate) fn get(&self, id: Pid) -> Option<Process> {
        self.shard(id).read().processes.get(&id).cloned()
    }

    /// Calls `look` with the process, if there is one. Spares the clone of
    /// [`get`](ProcessTable::get); `look` must not touch the table.
    pub(crate) fn with<R>(&self, id: Pid, look: impl FnOnce(&Process) -> R) -> Option<R> {
        self.shard(id).read().processes.get(&id).map(look)
    }

    pub(crate) fn contains(&self, id: Pid) -> bool {
        self.shard(id).read().processes.contains_key(&id)
    }

    pub(crate) fn all(&self) -> Vec<Process> {
        self.shards
            .iter()
            .flat_map(|shard| {
                shard
                    .0
                    .read()
                    .processes
                    .values()
                    .cloned()
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    /// How many messages have arrived at all processes there were.
    pub(crate) fn message_count(&self) -> u64 {
        let counts = self.shards.iter().map(|shard| {
            let part = shard.0.read();
            let living = part.processes.values().map(Process::arrived_messages);
            part.messages + living.sum::<u64>()
        });
        counts.sum()
    }

    fn shard(&self, id: Pid) -> &RwLock<Part> {
        &self.shards[id.counter() as usize % SHARDS].0
    }
}
