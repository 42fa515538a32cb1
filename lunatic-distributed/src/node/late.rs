//! What the other nodes reach, from before it is there.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use async_channel::{Receiver, Sender};
use lunatic_mailbox::Pid;
use lunatic_process::{ExitReason, Signal};
use lunatic_trust::Credentials;
use parking_lot::RwLock;

use crate::groups::GroupChange;
use crate::local::{Answer, Incoming, LocalNode, NodeEvent, NotDelivered};
use crate::node_monitors::NodeMonitors;

/// What a request to a node is for, its first byte.
const FOR_LOCAL: u8 = 0;
pub(super) const FOR_RENEWAL: u8 = 1;

/// A request for a certificate, and how it is answered.
type Renewal = (Vec<u8>, Answer);

/// Passes what comes from other nodes on, as soon as there is somebody to take it, and keeps
/// what is asked of it from other threads.
pub(super) struct Late {
    local: OnceLock<Arc<dyn LocalNode>>,
    port: u16,
    credentials: Credentials,
    monitors: Arc<NodeMonitors>,
    /// More certificates are revoked than were before.
    has_revoked: AtomicBool,
    /// What happened before anybody was there: the first events of the node.
    events: (Sender<NodeEvent>, Receiver<NodeEvent>),
    global: RwLock<HashMap<String, Pid>>,
    /// The requests for certificates, with who asks.
    renewals: (Sender<Renewal>, Receiver<Renewal>),
}

impl Late {
    /// - `port`: where the node listens.
    /// - `monitors`: the processes that are told of nodes that come and go.
    pub(super) fn new(port: u16, credentials: Credentials, monitors: Arc<NodeMonitors>) -> Late {
        Late {
            local: OnceLock::new(),
            port,
            credentials,
            monitors,
            has_revoked: AtomicBool::new(false),
            events: async_channel::bounded(64),
            global: RwLock::default(),
            renewals: async_channel::bounded(16),
        }
    }

    /// Returns whether it is the first.
    pub(super) fn attach(&self, local: Arc<dyn LocalNode>) -> bool {
        self.local.set(local).is_ok()
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn events(&self) -> Receiver<NodeEvent> {
        self.events.1.clone()
    }

    pub(super) fn renewals(&self) -> Receiver<Renewal> {
        self.renewals.1.clone()
    }

    /// Whether another node has told of more revoked certificates since the last call.
    pub(super) fn take_revoked(&self) -> bool {
        self.has_revoked.swap(false, Ordering::Relaxed)
    }

    /// Who has a name that is unique in the cluster.
    pub(super) fn global(&self, name: &str) -> Option<Pid> {
        self.global.read().get(name).copied()
    }
}

/// A request that the [`LocalNode`] of the other node answers.
pub(super) fn for_local(request: &[u8]) -> Vec<u8> {
    let mut marked = Vec::with_capacity(request.len() + 1);
    marked.push(FOR_LOCAL);
    marked.extend_from_slice(request);
    marked
}

impl LocalNode for Late {
    fn deliver(&self, message: Incoming<'_>) -> Result<(), NotDelivered> {
        match self.local.get() {
            Some(local) => local.deliver(message),
            None => Ok(()),
        }
    }

    fn signal(&self, from: Pid, to: Pid, signal: Signal) -> Result<(), ExitReason> {
        match self.local.get() {
            Some(local) => local.signal(from, to, signal),
            None => Err(ExitReason::NoProcess),
        }
    }

    fn request(&self, from: Pid, request: &[u8], answer: Answer) {
        match (request.split_first(), self.local.get()) {
            (Some((&FOR_LOCAL, request)), Some(local)) => local.request(from, request, answer),
            (Some((&FOR_RENEWAL, request)), _) => {
                // If there are many, those who ask do so again.
                self.renewals.0.try_send((request.to_vec(), answer)).ok();
            }
            // An empty answer says that nothing is known of such requests.
            _ => answer.send(None, &[]),
        }
    }

    fn group_changed(&self, change: GroupChange) {
        if let Some(local) = self.local.get() {
            local.group_changed(change);
        }
    }

    fn global_name_changed(&self, name: &str, process: Option<Pid>) {
        match process {
            Some(process) => self.global.write().insert(name.into(), process),
            None => self.global.write().remove(name),
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

    fn revocations(&self, list: &[u8]) {
        match self.credentials.accept_revocations(list) {
            Ok(true) => self.has_revoked.store(true, Ordering::Relaxed),
            Ok(false) => {}
            Err(error) => tracing::warn!("a list of revoked certificates: {error}"),
        }
    }

    fn node_event(&self, event: NodeEvent) {
        match &event {
            NodeEvent::Up(node) => tracing::info!(node = %node.name, "connected"),
            NodeEvent::Down { node, left: true } => tracing::info!(node = %node.name, "left"),
            NodeEvent::Down { node, .. } => tracing::warn!(node = %node.name, "connection lost"),
            NodeEvent::Refused {
                address, refusal, ..
            } => tracing::debug!("{address} refuses this node: {refusal}"),
            NodeEvent::NumberTaken => tracing::debug!("another node has the number of this one"),
        }
        self.monitors.event(&event);
        match self.local.get() {
            Some(local) => local.node_event(event),
            // Whoever waits for the start looks at the first ones only.
            None => drop(self.events.0.try_send(event)),
        }
    }
}
