//! What the other nodes reach, from before it is there: a node joins before its runtime starts.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use lunatic_account::Account;
use lunatic_mailbox::{NodeNumber, Pid};
use lunatic_process::{Effect, ExitReason, Signal};
use parking_lot::{Mutex, RwLock};

use crate::groups::GroupChange;
use crate::local::{Answer, Incoming, LocalNode, NodeEvent, NotDelivered};

/// So many requests are kept until there is somebody to see to them.
const MAX_WAITING: usize = 256;

/// So many bytes they have at most.
const MAX_WAITING_BYTES: usize = 1 << 20;

/// Passes what comes from other nodes on, as soon as there is somebody to take it. Until then
/// there are no processes here for them: messages are dropped, and who links or monitors is told
/// that there is no such process. Requests wait, as who is told of a node may ask it for a process at
/// once.
#[derive(Default)]
pub struct Attached {
    local: OnceLock<Arc<dyn LocalNode>>,
    /// The requests that wait, in order.
    waiting: Mutex<Vec<Waiting>>,
    /// The names that are unique in the cluster, from the beginning on.
    names: RwLock<HashMap<String, Pid>>,
}

/// A request that waits.
struct Waiting {
    from: Pid,
    request: Vec<u8>,
    answer: Answer,
}

impl Attached {
    /// From here on, this takes what comes, and what has waited. Returns whether it is the first; only
    /// that counts, and [`Cluster::tell_memberships`](crate::Cluster::tell_memberships) has to be
    /// called for it.
    pub fn attach(&self, local: Arc<dyn LocalNode>) -> bool {
        if self.local.set(local.clone()).is_err() {
            return false;
        }
        for waiting in std::mem::take(&mut *self.waiting.lock()) {
            if waiting.answer.is_awaited() {
                local.request(waiting.from, &waiting.request, waiting.answer);
            }
        }
        true
    }

    /// Keeps a request until there is somebody to see to it. If many wait, it is answered with
    /// nothing.
    fn keep(&self, from: Pid, request: &[u8], answer: Answer) {
        let mut waiting = self.waiting.lock();
        let bytes: usize = waiting.iter().map(|one| one.request.len()).sum();
        if waiting.len() >= MAX_WAITING || bytes + request.len() > MAX_WAITING_BYTES {
            drop(waiting);
            return answer.send(None, &[]);
        }
        let request = request.to_vec();
        waiting.push(Waiting {
            from,
            request,
            answer,
        });
    }

    /// Who takes what comes, if there is somebody.
    pub fn local(&self) -> Option<&Arc<dyn LocalNode>> {
        self.local.get()
    }

    /// Who has a name that is unique in the cluster.
    pub fn global(&self, name: &str) -> Option<Pid> {
        self.names.read().get(name).copied()
    }

    /// All names that are unique in the cluster, in no order.
    pub fn globals(&self) -> Vec<(String, Pid)> {
        let names = self.names.read();
        let names = names.iter().map(|(name, process)| (name.clone(), *process));
        names.collect()
    }
}

impl LocalNode for Attached {
    fn deliver(&self, message: Incoming<'_>) -> Result<(), NotDelivered> {
        match self.local.get() {
            Some(local) => local.deliver(message),
            None => Ok(()),
        }
    }

    fn signal(&self, from: Pid, to: Pid, signal: Signal) -> Result<Effect, ExitReason> {
        match self.local.get() {
            Some(local) => local.signal(from, to, signal),
            None => Err(ExitReason::NoProcess),
        }
    }

    fn account_of(&self, node: NodeNumber) -> Option<Account> {
        self.local.get()?.account_of(node)
    }

    fn request(&self, from: Pid, request: &[u8], answer: Answer) {
        match self.local.get() {
            Some(local) => local.request(from, request, answer),
            None => self.keep(from, request, answer),
        }
    }

    fn group_changed(&self, change: GroupChange) {
        if let Some(local) = self.local.get() {
            local.group_changed(change);
        }
    }

    fn global_name_changed(&self, name: &str, process: Option<Pid>) {
        match process {
            Some(process) => self.names.write().insert(name.into(), process),
            None => self.names.write().remove(name),
        };
        if let Some(local) = self.local.get() {
            local.global_name_changed(name, process);
        }
    }

    fn global_name_lost(&self, name: &str, process: Pid, winner: Pid) {
        if let Some(local) = self.local.get() {
            local.global_name_lost(name, process, winner);
        }
    }

    fn node_event(&self, event: NodeEvent) {
        if let Some(local) = self.local.get() {
            local.node_event(event);
        }
    }
}

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attached")
            .field("is_attached", &self.local.get().is_some())
            .finish_non_exhaustive()
    }
}
