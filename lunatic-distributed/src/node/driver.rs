//! The thread of a node: what the socket, the cluster and other threads want of each other.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_channel::{Receiver, Sender};
use lunatic_mailbox::{NodeId, Pid};
use lunatic_quic::{CloseReason, ConnectionId, Endpoint, Event, counted_as};
use lunatic_trust::{Credentials, PeerIdentity, Refusal};
use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;

use crate::NodeName;
use crate::cluster::{Action, Cluster, Connection, Decide, close_code};
use crate::frame::CONTROL;
use crate::group_changes::GroupChanges;
use crate::local::{Answer, LocalNode};
use crate::node::background::{Background, Task};
use crate::node::late::Late;
use crate::node::unreached::NO_ANSWER;
use crate::node::{Peer, Unconnected};
use crate::session::Session;
use crate::sessions::Sessions;

/// How long what is queued may take to leave when a node stops.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

/// So many that want to join are heard at once.
const MAX_JOINING: usize = 16;

/// So many of them from one address (of IPv6: one network of 64 bits), so that it does not keep
/// others out.
const MAX_JOINING_FROM_ONE: usize = MAX_JOINING / 2;

/// How long who wants to join may take.
const JOINING_LIMIT: Duration = Duration::from_secs(10);

/// So many events are seen to before the others have their turn.
const EVENTS_AT_ONCE: usize = 1024;

/// What other threads want of the thread of a node.
pub(super) enum Command {
    /// The addresses of the seeds are these now.
    Seeds(Vec<SocketAddr>),
    /// Credentials have changed; these names are not trusted any more.
    Credentials {
        revocations: bool,
    },
    /// The answer to who wants to join.
    Joined(Connection, Vec<u8>),
    /// The answer to who wants another certificate, and the chain of that if it was issued.
    Renewed(Answer, Vec<u8>, Vec<CertificateDer<'static>>),
    /// Ask a node that has the directory of the cluster for another certificate.
    Renew(Vec<u8>, Sender<Vec<u8>>),
    Register {
        name: String,
        process: Pid,
        decide: Decide,
    },
    Unregister {
        name: String,
        process: Pid,
    },
    /// From here on, this is what the other nodes reach.
    Attach(Arc<dyn LocalNode>),
    Peers(Sender<Vec<Peer>>),
    Unconnected(Sender<Vec<Unconnected>>),
    IsKnown(NodeId, Sender<bool>),
    Suspicions(Sender<u64>),
    /// The node is about to leave.
    Drain,
    Stop,
}

/// What is said of a node that has been dialled, and has ended the connection for that reason.
const NOT_TRUSTED: &str = "it does not accept this node, and its log says why";

/// Whether another node has ended a connection as it does not accept the certificate of this one.
fn is_not_trusted(reason: &CloseReason) -> bool {
    match reason {
        CloseReason::Tls { by_peer, .. } => *by_peer,
        CloseReason::ByPeer { code, .. } => *code == close_code::NOT_TRUSTED,
        _ => false,
    }
}

/// Owns the socket and the cluster.
pub(super) struct Driver {
    endpoint: Endpoint,
    cluster: Cluster,
    sessions: Arc<Sessions>,
    credentials: Credentials,
    commands: Receiver<Command>,
    late: Arc<Late>,
    group_changes: Arc<Mutex<GroupChanges>>,
    /// The numbers that the cluster has for connections, and what the socket calls them.
    ids: BTreeMap<Connection, ConnectionId>,
    known: HashMap<ConnectionId, Known>,
    last: u64,
}

/// A connection.
struct Known {
    number: Connection,
    /// The address, if this node has dialled it.
    dialled: Option<SocketAddr>,
    stage: Stage,
    since: Instant,
    /// A frame has come.
    is_heard: bool,
}

enum Stage {
    Dialling,
    /// The cluster knows of it.
    Member(Vec<CertificateDer<'static>>),
    /// Somebody who wants to join.
    Joining {
        /// By whom it is [counted](counted_as).
        from: IpAddr,
        until: Instant,
        /// The one request that is taken has come.
        has_asked: bool,
    },
}

impl Driver {
    pub(super) fn new(
        endpoint: Endpoint,
        cluster: Cluster,
        sessions: Arc<Sessions>,
        credentials: Credentials,
        commands: Receiver<Command>,
        late: Arc<Late>,
        group_changes: Arc<Mutex<GroupChanges>>,
    ) -> Driver {
        Driver {
            endpoint,
            cluster,
            sessions,
            credentials,
            commands,
            late,
            group_changes,
            ids: BTreeMap::new(),
            known: HashMap::new(),
            last: 0,
        }
    }

    /// Runs until it is told to stop.
    pub(super) fn run(mut self, background: Background) {
        loop {
            let now = Instant::now();
            while let Ok(command) = self.commands.try_recv() {
                if let Command::Stop = command {
                    return self.stop(&background, now);
                }
                self.command(command, now);
            }
            self.tell_group_changes();
            while let Ok((request, answer)) = self.late.renewals().try_recv() {
                self.renewal_asked(&background, request, answer);
            }
            for _ in 0..EVENTS_AT_ONCE {
                let Some(event) = self.endpoint.next_event() else {
                    break;
                };
                self.event(event, &background, now);
            }
            if self.late.take_revoked() {
                self.credentials_changed(true, now);
            }
            self.end_joining(now);
            self.cluster.tick(now);
            self.perform(now);
            self.send_queued();
            let until = self.cluster.deadline();
            if let Err(error) = self.endpoint.wait(until) {
                tracing::warn!("the socket of the node: {error}");
                // It is not to be tried again and again without a pause.
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }

    /// Tells the other nodes what has changed in groups.
    fn tell_group_changes(&mut self) {
        let changes = self.group_changes.lock().take();
        for change in changes {
            self.cluster.group_changed(change);
        }
    }

    fn command(&mut self, command: Command, now: Instant) {
        match command {
            Command::Seeds(seeds) => self.cluster.set_seeds(&seeds, now),
            Command::Credentials { revocations } => self.credentials_changed(revocations, now),
            Command::Joined(connection, bytes) => {
                if let Some(id) = self.ids.get(&connection) {
                    // Who has joined closes the connection.
                    self.endpoint.send(*id, 0, bytes.into());
                }
            }
            Command::Renewed(answer, bytes, chain) => self.renewed(&answer, &bytes, chain),
            Command::Renew(request, sender) => self.ask_for_renewal(&request, sender),
            Command::Register {
                name,
                process,
                decide,
            } => self.cluster.register_global(name, process, decide),
            Command::Unregister { name, process } => {
                self.cluster.unregister_global(&name, process);
            }
            Command::Attach(local) => {
                if self.late.attach(local) {
                    self.cluster.tell_memberships();
                }
            }
            Command::Peers(sender) => {
                sender.try_send(self.peers()).ok();
            }
            Command::Unconnected(sender) => {
                let nodes = self.cluster.unconnected().into_iter();
                let nodes = nodes.map(|member| Unconnected {
                    id: member.id,
                    name: member.name,
                    address: member.address,
                });
                sender.try_send(nodes.collect()).ok();
            }
            Command::IsKnown(node, sender) => {
                let is_known = self.cluster.known_nodes().contains(&node);
                sender.try_send(is_known).ok();
            }
            Command::Suspicions(sender) => {
                sender.try_send(self.cluster.suspicions()).ok();
            }
            Command::Drain => self.cluster.drain(),
            Command::Stop => {}
        }
    }

    fn event(&mut self, event: Event, background: &Background, now: Instant) {
        match event {
            Event::Connected {
                id,
                remote,
                certificates,
                alpn,
                ..
            } => self.connected(id, remote, certificates, alpn.as_deref(), now),
            Event::Frame { id, lane, bytes } => {
                let Some(known) = self.known.get_mut(&id) else {
                    return;
                };
                let number = known.number;
                if !std::mem::replace(&mut known.is_heard, true)
                    && let Some(address) = known.dialled
                {
                    self.late.unreached().reached(address);
                }
                match &mut known.stage {
                    Stage::Member(_) => self.cluster.unit(number, lane, &bytes, now),
                    Stage::Joining { has_asked, .. } if lane == 0 && !*has_asked => {
                        *has_asked = true;
                        background.give(Task::Join(number, bytes.to_vec()));
                    }
                    Stage::Joining { .. } => {
                        self.endpoint
                            .close(id, close_code::PROTOCOL, "one request is enough");
                        self.forget(id);
                    }
                    Stage::Dialling => {}
                }
            }
            Event::Datagram { id, bytes } => {
                if let Some(known) = self.known.get(&id) {
                    self.cluster.datagram(known.number, &bytes, now);
                }
            }
            Event::Writable { id, .. } => {
                let number = self.known.get(&id).map(|known| known.number);
                let sessions = self.sessions.all();
                let of_it = |session: &&Arc<Session>| Some(session.connection()) == number;
                if let Some(session) = sessions.iter().find(of_it) {
                    self.send(session);
                }
            }
            Event::Closed { id, reason } => self.closed(id, &reason, now),
            Event::Rejected { remote, reason } => {
                let refusal = self.refusal_of(&reason);
                // Anybody can cause it.
                if self.late.admits_log_line() {
                    match refusal {
                        Some(refusal) => {
                            let why = refusal.explained();
                            tracing::warn!("refused a connection from {remote}: {why}");
                        }
                        None => tracing::info!("refused a connection from {remote}: {reason}"),
                    }
                }
            }
            _ => {}
        }
        self.perform(now);
    }

    fn connected(
        &mut self,
        id: ConnectionId,
        remote: SocketAddr,
        certificates: Vec<CertificateDer<'static>>,
        protocol: Option<&[u8]>,
        now: Instant,
    ) {
        let admitted = self
            .credentials
            .admit(protocol, Some(&certificates), SystemTime::now());
        let dialled = self.known.get(&id).and_then(|known| known.dialled);
        let (stage, name) = match admitted {
            Ok(PeerIdentity::Member(name)) => (Stage::Member(certificates), Some(name)),
            Ok(PeerIdentity::Joining) if self.has_room_for_joining(remote.ip()) => {
                let joining = Stage::Joining {
                    from: counted_as(remote.ip()),
                    until: now + JOINING_LIMIT,
                    has_asked: false,
                };
                (joining, None)
            }
            Ok(PeerIdentity::Joining) => return self.not_admitted(id, dialled, now),
            Err(refusal) => {
                if self.late.admits_log_line() {
                    let why = refusal.explained();
                    tracing::warn!("refused a connection of {remote}: {why}");
                }
                return self.not_admitted(id, dialled, now);
            }
        };
        let number = self.number(id);
        self.known.insert(
            id,
            Known {
                number,
                dialled,
                stage,
                since: now,
                is_heard: false,
            },
        );
        if let Some(name) = name {
            self.cluster.connected(number, name, dialled, now);
        }
    }

    fn not_admitted(&mut self, id: ConnectionId, dialled: Option<SocketAddr>, now: Instant) {
        self.endpoint.close(id, close_code::NOT_TRUSTED, "refused");
        self.forget(id);
        if let Some(address) = dialled {
            self.cluster.dial_failed(address, now);
        }
    }

    fn closed(&mut self, id: ConnectionId, reason: &CloseReason, now: Instant) {
        let Some(known) = self.forget(id) else {
            return;
        };
        tracing::debug!("a connection has ended: {reason}");
        let left = matches!(reason, CloseReason::ByPeer { code, .. } if *code == close_code::LEFT);
        match (known.stage, known.dialled) {
            (Stage::Member(_), dialled) => {
                // A node that is dialled looks at the certificate of this one last, perhaps when this
                // one has taken it for connected.
                if let Some(address) = dialled.filter(|_| !known.is_heard)
                    && is_not_trusted(reason)
                {
                    let why = format!("{NOT_TRUSTED}: {reason}");
                    if self.late.unreached().failed(address, why.clone(), now) {
                        tracing::warn!("cannot connect to the node at {address}: {why}");
                    }
                }
                self.cluster.closed(known.number, left, now);
            }
            (Stage::Dialling, Some(address)) => {
                let why = match (self.refusal_of(reason), reason) {
                    (Some(refusal), _) => refusal.explained(),
                    (None, CloseReason::TimedOut) => NO_ANSWER.to_owned(),
                    (None, reason) if is_not_trusted(reason) => format!("{NOT_TRUSTED}: {reason}"),
                    (None, reason) => reason.to_string(),
                };
                let is_tls = matches!(reason, CloseReason::Tls { .. });
                let unreached = self.late.unreached();
                if unreached.failed(address, why.clone(), now) && is_tls {
                    tracing::warn!("cannot connect to the node at {address}: {why}");
                }
                self.cluster.dial_failed(address, now);
            }
            _ => {}
        }
    }

    /// Why this node has refused the other in a handshake, if it has: the error does not say it.
    fn refusal_of(&self, reason: &CloseReason) -> Option<Refusal> {
        match reason {
            CloseReason::Tls {
                text,
                by_peer: false,
                ..
            } => self.credentials.take_refusal(text),
            _ => None,
        }
    }

    /// Does what the cluster wants.
    fn perform(&mut self, now: Instant) {
        loop {
            let actions = self.cluster.take_actions();
            if actions.is_empty() {
                return;
            }
            for action in actions {
                self.perform_one(action, now);
            }
        }
    }

    fn perform_one(&mut self, action: Action, now: Instant) {
        match action {
            Action::Dial(address) => match self.endpoint.dial(address, "lunatic") {
                Ok(id) => {
                    let number = self.number(id);
                    let known = Known {
                        number,
                        dialled: Some(address),
                        stage: Stage::Dialling,
                        since: now,
                        is_heard: false,
                    };
                    self.known.insert(id, known);
                }
                Err(error) => {
                    tracing::debug!("cannot dial {address}: {error}");
                    let listens = self.endpoint.local_addr();
                    let reason = match address.is_ipv6() && listens.is_ipv4() {
                        true => format!(
                            "{error}: this node listens at an IPv4 address; to reach IPv6 as well, it has \
                             to listen at [::]:{}",
                            listens.port()
                        ),
                        false => error.to_string(),
                    };
                    self.late.unreached().failed(address, reason, now);
                    self.cluster.dial_failed(address, now);
                }
            },
            Action::Write(connection, bytes) => {
                if let Some(id) = self.ids.get(&connection) {
                    self.endpoint.send(*id, 0, bytes.into());
                }
            }
            Action::Datagram(connection, bytes) => {
                if let Some(id) = self.ids.get(&connection) {
                    self.endpoint.send_datagram(*id, bytes.into());
                }
            }
            Action::Close(connection, code, reason) => {
                if let Some(id) = self.ids.get(&connection).copied() {
                    self.endpoint.close(id, code, reason);
                    self.forget(id);
                }
            }
        }
    }

    /// Sends what processes have queued.
    fn send_queued(&mut self) {
        for session in self.sessions.take_queued() {
            self.send(&session);
        }
    }

    fn send(&mut self, session: &Arc<Session>) {
        let Some(id) = self.ids.get(&session.connection()).copied() else {
            return;
        };
        // The other side learns of the session by the lane 0, behind which others may come in.
        let mut open = match session.is_ready() {
            true => u64::MAX,
            false => 1 << CONTROL,
        };
        let endpoint = &mut self.endpoint;
        while let Some((lane, unit)) = session.take_next(&mut open, |lane| endpoint.room(id, lane))
        {
            endpoint.send_chunks(id, lane, unit.as_slice());
        }
    }

    fn credentials_changed(&mut self, revocations: bool, now: Instant) {
        let chains = self.known.values().filter_map(|known| match &known.stage {
            Stage::Member(chain) => Some(chain),
            _ => None,
        });
        let refused = chains.filter_map(|chain| {
            let refusal = self.credentials.check_open(chain).err()?;
            let name = match &refusal {
                Refusal::Revoked { name, .. } => Some(name),
                Refusal::WrongAuthority { claimed, .. } => claimed.as_ref(),
                _ => None,
            };
            Some((name?.clone(), refusal))
        });
        let refused: Vec<(NodeName, Refusal)> = refused.collect();
        if revocations {
            for list in self.credentials.revocations().iter() {
                self.cluster.tell_revocations(list.as_bytes());
            }
        }
        for (name, refusal) in refused {
            tracing::warn!(node = %name, "the session ends: {}", refusal.explained());
            self.cluster.distrust(&name, now);
        }
    }

    /// Asks all, as only some have the directory of the cluster. The others answer with nothing.
    fn ask_for_renewal(&mut self, request: &[u8], sender: Sender<Vec<u8>>) {
        let mut marked = vec![super::late::FOR_RENEWAL];
        marked.extend_from_slice(request);
        let from = crate::session::host_of(self.sessions.own().number());
        for session in self.sessions.all() {
            let sender = sender.clone();
            let respond = move |response: Result<&[u8], _>| {
                if let Ok(response) = response
                    && !response.is_empty()
                {
                    sender.try_send(response.to_vec()).ok();
                }
            };
            session.request(from, None, &marked, Box::new(respond));
        }
    }

    fn renewal_asked(&mut self, background: &Background, request: Vec<u8>, answer: Answer) {
        let chain = answer.connection().and_then(|connection| {
            let id = self.ids.get(&connection)?;
            match &self.known.get(id)?.stage {
                Stage::Member(chain) => Some(chain.clone()),
                _ => None,
            }
        });
        match chain {
            Some(chain) if self.credentials.authority().is_some() => {
                background.give(Task::Renew(request, chain, answer));
            }
            _ => answer.send(None, &[]),
        }
    }

    /// Answers who wants another certificate. If one was issued, that is what the node has from here on:
    /// by the one that it showed when it connected it may be known no more when it asks again.
    fn renewed(&mut self, answer: &Answer, bytes: &[u8], chain: Vec<CertificateDer<'static>>) {
        let id = answer.connection().and_then(|of| self.ids.get(&of));
        if let Some(known) = id.and_then(|id| self.known.get_mut(id))
            && let Stage::Member(shown) = &mut known.stage
            && !chain.is_empty()
        {
            *shown = chain;
        }
        answer.send(None, bytes);
    }

    fn has_room_for_joining(&self, ip: IpAddr) -> bool {
        let joining = self.known.values().filter_map(|known| match known.stage {
            Stage::Joining { from, .. } => Some(from),
            _ => None,
        });
        let of_it = joining.clone().filter(|from| *from == counted_as(ip));
        joining.count() < MAX_JOINING && of_it.count() < MAX_JOINING_FROM_ONE
    }

    fn end_joining(&mut self, now: Instant) {
        let late = self
            .known
            .iter()
            .filter_map(|(id, known)| match known.stage {
                Stage::Joining { until, .. } if until <= now => Some(*id),
                _ => None,
            });
        for id in late.collect::<Vec<_>>() {
            self.endpoint.close(id, close_code::TIMED_OUT, "too late");
            self.forget(id);
        }
    }

    fn peers(&self) -> Vec<Peer> {
        let sessions = self.sessions.all();
        let peers = sessions.iter().filter_map(|session| {
            let id = self.ids.get(&session.connection())?;
            let stats = self.endpoint.stats(*id)?;
            let since = self.known.get(id)?.since;
            Some(Peer {
                info: session.node().clone(),
                round_trip: stats.rtt,
                queued_bytes: session.queued_bytes() + stats.queued_bytes,
                sent_bytes: stats.sent_bytes,
                received_bytes: stats.received_bytes,
                connected_for: since.elapsed(),
            })
        });
        peers.collect()
    }

    /// Leaves, sends what is queued, and ends. Each of the others ends its session when it has read
    /// all.
    fn stop(mut self, background: &Background, now: Instant) {
        // Whoever waits for the answer to what comes now is told that there is none.
        self.commands.close();
        while self.commands.try_recv().is_ok() {}
        self.late.leave();
        self.cluster.leave(now);
        self.perform(now);
        let end = now + FLUSH_LIMIT;
        loop {
            self.send_queued();
            for session in self.sessions.all() {
                self.send(&session);
            }
            let now = Instant::now();
            if self.sessions.count() == 0 || now >= end {
                break;
            }
            let soon = now + Duration::from_millis(10);
            if self.endpoint.wait(Some(soon.min(end))).is_err() {
                break;
            }
            while let Some(event) = self.endpoint.next_event() {
                self.event(event, background, Instant::now());
            }
        }
        let limit = Duration::from_millis(500);
        self.endpoint
            .shut_down(close_code::LEFT, "left", limit)
            .ok();
        let now = Instant::now();
        for known in std::mem::take(&mut self.known).into_values() {
            self.cluster.closed(known.number, true, now);
        }
    }

    /// The number of a connection for the cluster.
    fn number(&mut self, id: ConnectionId) -> Connection {
        if let Some(known) = self.known.get(&id) {
            return known.number;
        }
        self.last += 1;
        let number = Connection(self.last);
        self.ids.insert(number, id);
        number
    }

    fn forget(&mut self, id: ConnectionId) -> Option<Known> {
        let known = self.known.remove(&id)?;
        self.ids.remove(&known.number);
        Some(known)
    }
}
