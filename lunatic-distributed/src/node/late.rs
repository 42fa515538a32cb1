//! What the other nodes reach, and what a node asks of itself from other threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use async_channel::{Receiver, Sender};
use lunatic_account::{Account, RateBudget};
use lunatic_mailbox::{NodeNumber, Pid};
use lunatic_process::{Effect, ExitReason, Signal};
use lunatic_trust::Credentials;
use parking_lot::Mutex;

use crate::attached::Attached;
use crate::expelled::{Expelled, Expulsion};
use crate::groups::GroupChange;
use crate::handshake::Refusal;
use crate::local::{Answer, Incoming, LocalNode, NodeEvent, NotDelivered};
use crate::node::gone::{Gone, GoneNode};
use crate::node::unreached::Unreached;
use crate::node_monitors::NodeMonitors;

/// What a request to a node is for, its first byte.
const FOR_LOCAL: u8 = 0;
pub(super) const FOR_RENEWAL: u8 = 1;

/// So many lines of the log strangers, and other nodes by lists that are not accepted, may cause in
/// a second.
const LOG_LINES: u64 = 1;

/// A request for a certificate, and how it is answered.
type Renewal = (Vec<u8>, Answer);

/// Passes what comes from other nodes on, as soon as there is somebody to take it, and keeps
/// what the thread of the node is to see to.
pub(super) struct Late {
    attached: Attached,
    port: u16,
    credentials: Credentials,
    monitors: Arc<NodeMonitors>,
    gone: Gone,
    /// More certificates are revoked than were before.
    has_revoked: AtomicBool,
    /// What happened before anybody was there: the first events of the node.
    events: (Sender<NodeEvent>, Receiver<NodeEvent>),
    /// The requests for certificates, with who asks.
    renewals: (Sender<Renewal>, Receiver<Renewal>),
    log_lines: Mutex<RateBudget>,
    expulsion: Expulsion,
    unreached: Unreached,
    /// This node leaves, which ends its sessions.
    is_leaving: AtomicBool,
}

impl Late {
    /// - `port`: where the node listens.
    /// - `monitors`: the processes that are told of nodes that come and go.
    /// - `seeds`: as `host:port`.
    pub(super) fn new(
        port: u16,
        credentials: Credentials,
        monitors: Arc<NodeMonitors>,
        seeds: &[String],
    ) -> Late {
        Late {
            attached: Attached::default(),
            port,
            credentials,
            monitors,
            gone: Gone::default(),
            has_revoked: AtomicBool::new(false),
            events: async_channel::bounded(64),
            renewals: async_channel::bounded(16),
            log_lines: Mutex::new(RateBudget::new(LOG_LINES)),
            expulsion: Expulsion::default(),
            unreached: Unreached::new(seeds),
            is_leaving: AtomicBool::new(false),
        }
    }

    /// Returns whether it is the first.
    pub(super) fn attach(&self, local: Arc<dyn LocalNode>) -> bool {
        self.attached.attach(local)
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

    /// From here on, no session is lost.
    pub(super) fn leave(&self) {
        self.is_leaving.store(true, Ordering::Relaxed);
    }

    /// Why seeds and others could not be reached.
    pub(super) fn unreached(&self) -> &Unreached {
        &self.unreached
    }

    /// Waits until the node can be part of its cluster no longer.
    pub(super) async fn expelled(&self) -> Expelled {
        self.expulsion.wait().await
    }

    /// Whether a line may be logged that a stranger causes.
    pub(super) fn admits_log_line(&self) -> bool {
        self.log_lines.lock().try_spend(Instant::now(), 1)
    }

    /// How many sessions were lost.
    pub(super) fn lost(&self) -> u64 {
        self.gone.lost()
    }

    /// The nodes whose sessions have ended.
    pub(super) fn gone(&self) -> Vec<GoneNode> {
        self.gone.all(Instant::now())
    }

    /// Who has a name that is unique in the cluster.
    pub(super) fn global(&self, name: &str) -> Option<Pid> {
        self.attached.global(name)
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
        self.attached.deliver(message)
    }

    fn signal(&self, from: Pid, to: Pid, signal: Signal) -> Result<Effect, ExitReason> {
        self.attached.signal(from, to, signal)
    }

    fn request(&self, from: Pid, request: &[u8], answer: Answer) {
        match request.split_first() {
            Some((&FOR_LOCAL, request)) => self.attached.request(from, request, answer),
            Some((&FOR_RENEWAL, request)) => {
                // If there are many, those who ask do so again.
                self.renewals.0.try_send((request.to_vec(), answer)).ok();
            }
            // An empty answer says that nothing is known of such requests.
            _ => answer.send(None, &[]),
        }
    }

    fn account_of(&self, node: NodeNumber) -> Option<Account> {
        self.attached.account_of(node)
    }

    fn group_changed(&self, change: GroupChange) {
        self.attached.group_changed(change);
    }

    fn global_name_changed(&self, name: &str, process: Option<Pid>) {
        self.attached.global_name_changed(name, process);
    }

    fn global_name_lost(&self, name: &str, process: Pid, winner: Pid) {
        self.attached.global_name_lost(name, process, winner);
    }

    fn revocations(&self, list: &[u8]) {
        match self.credentials.accept_revocations(list) {
            Ok(true) => self.has_revoked.store(true, Ordering::Relaxed),
            Ok(false) => {}
            Err(error) => {
                if self.admits_log_line() {
                    let why = lunatic_error::with_causes(&error);
                    tracing::warn!("a list of revoked certificates: {why}");
                }
            }
        }
    }

    fn known_revocations(&self) -> Vec<Vec<u8>> {
        let lists = self.credentials.revocations();
        lists.iter().map(|list| list.as_bytes().to_vec()).collect()
    }

    fn node_event(&self, event: NodeEvent) {
        let is_leaving = self.is_leaving.load(Ordering::Relaxed);
        match &event {
            NodeEvent::Down { node, .. } if is_leaving => {
                tracing::debug!(node = %node.name, "left by this node");
            }
            NodeEvent::Up(node) => tracing::info!(node = %node.name, "connected"),
            NodeEvent::Down { node, left: true } => tracing::info!(node = %node.name, "left"),
            NodeEvent::Down { node, .. } => tracing::warn!(node = %node.name, "connection lost"),
            NodeEvent::Refused {
                address, refusal, ..
            } => {
                tracing::debug!("{address} refuses this node: {refusal}");
                match refusal {
                    Refusal::Itself => self.unreached.is_itself(*address, Instant::now()),
                    _ => {
                        let reason = refusal.to_string();
                        self.unreached.failed(*address, reason, Instant::now());
                    }
                }
            }
            NodeEvent::NumberTaken => tracing::debug!("another node has the number of this one"),
        }
        let expelled = self.expulsion.event(&event);
        if let Some(expelled) = expelled
            && self.attached.local().is_some()
        {
            tracing::error!("{expelled}");
        }
        if !is_leaving {
            self.gone.event(&event, Instant::now());
        }
        self.monitors.event(&event);
        match self.attached.local() {
            Some(local) => local.node_event(event),
            // Whoever waits for the start looks at the first ones only.
            None => drop(self.events.0.try_send(event)),
        }
    }
}
