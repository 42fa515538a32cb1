//! What a cluster has of its node before the runtime is there, and what is beside the processes:
//! who is told of nodes, and which names are held.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lunatic_distributed::{
    Answer, Attached, GroupChange, Incoming, LocalNode, NodeEvent, NodeMonitors, NodeWatcher,
    NotDelivered,
};
use lunatic_mailbox::{DataMessage, NodeId, Pid};
use lunatic_process::{Effect, ExitReason, Signal};
use parking_lot::Mutex;

use crate::simulation::processes::Model;
use crate::simulation::truth::Shared;

/// A node whose runtime comes later than it does.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) attached: Attached,
    pub(crate) model: Arc<Model>,
    pub(crate) monitors: NodeMonitors<Watcher>,
    /// What the processes know that are told of nodes.
    pub(crate) told: Arc<Mutex<BTreeMap<Pid, BTreeSet<NodeId>>>>,
    /// Nobody is told of a lost node; a planted fault.
    pub(crate) forgets: bool,
}

impl Start {
    pub(crate) fn new(model: Arc<Model>) -> Start {
        Start {
            attached: Attached::default(),
            model,
            monitors: NodeMonitors::default(),
            told: Arc::default(),
            forgets: false,
        }
    }

    pub(crate) fn watcher(&self, process: Pid) -> Watcher {
        Watcher {
            process,
            told: self.told.clone(),
            truth: self.model.truth.clone(),
        }
    }

    /// A process has ended.
    pub(crate) fn ended(&self, process: Pid) {
        if self.monitors.end(process) != self.told.lock().remove(&process).is_some() {
            let what =
                format!("{process} monitors nodes, or does not, and its end shows otherwise");
            self.model.truth.lock().fail(what);
        }
    }

    /// Everybody who is told of nodes knows those with which there are sessions.
    pub(crate) fn check(&self, up: &BTreeSet<NodeId>) {
        for (process, known) in self.told.lock().iter() {
            if known != up {
                let name = &self.model.name;
                let what = format!("{name}: {process} was told of {known:?}, not {up:?}");
                self.model.truth.lock().fail(what);
            }
        }
    }

    fn is_attached(&self) -> bool {
        self.attached.local().is_some()
    }
}

impl LocalNode for Start {
    fn deliver(&self, message: Incoming<'_>) -> Result<(), NotDelivered> {
        if !self.is_attached() {
            self.model.message_arrives(&message);
        }
        self.attached.deliver(message)
    }

    fn signal(&self, from: Pid, to: Pid, signal: Signal) -> Result<Effect, ExitReason> {
        if !self.is_attached() {
            self.model.signal_arrives(to, &signal);
        }
        self.attached.signal(from, to, signal)
    }

    fn request(&self, from: Pid, request: &[u8], answer: Answer) {
        if !self.is_attached() {
            self.model.truth.lock().counts.early += 1;
        }
        self.attached.request(from, request, answer);
    }

    fn group_changed(&self, change: GroupChange) {
        self.attached.group_changed(change);
    }

    fn global_name_changed(&self, name: &str, process: Option<Pid>) {
        let before = self.attached.global(name);
        self.attached.global_name_changed(name, process);
        if before == process {
            let what = format!("name {name} has not changed: {process:?}");
            self.model.truth.lock().fail(what);
        }
    }

    fn global_name_lost(&self, name: &str, process: Pid, winner: Pid) {
        self.attached.global_name_lost(name, process, winner);
    }

    fn node_event(&self, event: NodeEvent) {
        // What is true of sessions does not wait for a runtime.
        self.model.session_event(&event);
        if !(self.forgets && matches!(event, NodeEvent::Down { .. })) {
            self.monitors.event(&event);
        }
        self.attached.node_event(event);
    }
}

/// A process as it is told of nodes.
#[derive(Debug, Clone)]
pub(crate) struct Watcher {
    process: Pid,
    told: Arc<Mutex<BTreeMap<Pid, BTreeSet<NodeId>>>>,
    truth: Shared,
}

impl NodeWatcher for Watcher {
    fn id(&self) -> Pid {
        self.process
    }

    fn tell(&self, message: DataMessage) {
        let process = self.process;
        self.truth.lock().counts.node_notices += 1;
        let bytes = message.bytes();
        let (Some((change, _)), Some((id, name))) = (
            bytes.split_first_chunk::<4>(),
            bytes
                .get(8..)
                .and_then(|rest| rest.split_first_chunk::<8>()),
        ) else {
            return self
                .truth
                .lock()
                .fail(format!("{process} is told {bytes:?}"));
        };
        let (change, id) = (u32::from_le_bytes(*change), u64::from_le_bytes(*id));
        let node = NodeId::from_bits(id);
        let mut told = self.told.lock();
        let known = told.entry(process).or_default();
        let is_news = match change {
            0 | 1 => known.insert(node),
            _ => known.remove(&node),
        };
        if !is_news || change > 3 || !name.starts_with(b"node") {
            let what = format!("{process} is told {change} of {node}, which it knew");
            self.truth.lock().fail(what);
        }
    }
}
