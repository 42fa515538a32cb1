//! What a node does with its connections: a state machine without IO and clock.

mod frames;
mod greeting;
mod rate;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lunatic_mailbox::{NodeId, NodeNumber, Pid};
use lunatic_process::Signal;

use crate::NodeName;
use crate::cluster::rate::Rate;
use crate::cluster_clock::ClusterClock;
use crate::dials::Dials;
use crate::frame::Frame;
use crate::global::{GlobalFrame, GlobalNames, Output};
use crate::group_changes::GroupChanges;
use crate::groups::{GroupChange, GroupReplica, frames_of};
use crate::handshake::{Hello, Refusal};
use crate::incoming::Incoming;
use crate::local::{LocalNode, NodeEvent};
use crate::membership::{Change, Membership};
use crate::node_info::NodeInfo;
use crate::outgoing::{CONTROL_HIGH_WATER, CONTROL_LOW_WATER};
use crate::session::Session;
use crate::sessions::Sessions;
use crate::start::Start;

/// How long a connection may take to say who it is.
const GREETING_LIMIT: Duration = Duration::from_secs(5);

/// So many connections that nodes of one name have dialled may be without a session; one more ends the
/// oldest. Mostly there is one.
const MAX_GREETING: usize = 4;

/// How long a node may take to answer when another wants its name.
const HOLDER_LIMIT: Duration = Duration::from_millis(1500);

/// How much later the node with the higher id dials, so that both do not do it at once.
const SECOND_DIALLER: Duration = Duration::from_millis(500);

/// So many nodes a node tells itself that it was wrongly taken for down.
const ANNOUNCED_TO: usize = 4;

/// So many processes are told of the end of a session, and memberships forgotten, before the other
/// connections have their turn: a node may have had a million.
const TOLD_AT_ONCE: usize = 4096;

/// How often it is looked whether gossip knows all with whom there is a session.
const REPAIR_PERIOD: Duration = Duration::from_secs(2);

/// The number of a connection, chosen by who makes connections; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Connection(pub u64);

/// The codes with which connections are closed.
pub mod close_code {
    /// The session is not needed, or another takes its place.
    pub const DONE: u32 = 0;
    /// The node has left the cluster.
    pub const LEFT: u32 = 1;
    /// The session was refused.
    pub const REFUSED: u32 = 2;
    /// What was received is not in the protocol.
    pub const PROTOCOL: u32 = 3;
    /// The other node has said nothing in time.
    pub const TIMED_OUT: u32 = 4;
    /// The certificate is not accepted any more.
    pub const NOT_TRUSTED: u32 = 5;
}

/// What is to be done with connections, in order.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Dial an address; then comes [`Cluster::connected`] or [`Cluster::dial_failed`].
    Dial(SocketAddr),
    /// Write a unit to the lane 0 of a connection.
    Write(Connection, Vec<u8>),
    /// Send a datagram.
    Datagram(Connection, Vec<u8>),
    /// Close a connection with one of the [codes](close_code); nothing more is said of it.
    Close(Connection, u32, &'static str),
}

/// One node of a cluster, from its own point of view.
///
/// What happens to connections comes in, each time with the time; what is to be done comes
/// out of [`take_actions`](Cluster::take_actions). What processes send each other does not pass
/// through here: it is in the [`Session`]s.
pub struct Cluster {
    own: NodeInfo,
    clock: ClusterClock,
    local: Arc<dyn LocalNode>,
    sessions: Arc<Sessions>,
    connections: BTreeMap<Connection, Known>,
    dials: Dials,
    membership: Membership,
    groups: GroupReplica,
    /// What those were not told for whom much of this kind waits already.
    untold: BTreeMap<Connection, GroupChanges>,
    global: GlobalNames,
    registrations: HashMap<u64, Decide>,
    last_registration: u64,
    /// The names that are claimed when nobody has much waiting for it any more, in order.
    unclaimed: VecDeque<Unclaimed>,
    /// What is left to be told of sessions that have ended, in order.
    ending: VecDeque<Ending>,
    actions: Vec<Action>,
    random: u64,
    /// It is about to leave.
    is_draining: bool,
    is_leaving: bool,
    /// It has to end, as an earlier start has its name or number.
    is_expelled: bool,
    /// It has been part of a cluster.
    has_joined: bool,
    /// When gossip is repaired next.
    repair_at: Instant,
}

/// Is called with the decision about a name.
pub type Decide = Box<dyn FnOnce(Result<(), crate::NameTaken>) + Send>;

/// A name that is to be claimed, and for whom.
struct Unclaimed {
    name: String,
    process: Pid,
    decide: Decide,
}

/// What is left to be told of a session that has ended.
struct Ending {
    node: NodeNumber,
    since: Instant,
    /// Who is told what, each with the process in whose name.
    signals: std::vec::IntoIter<(Pid, Pid, Signal)>,
    /// The memberships of the other node.
    left: Box<dyn Iterator<Item = GroupChange> + Send>,
}

/// A connection.
struct Known {
    /// The name in the certificate.
    name: NodeName,
    /// The address that was dialled, if this node has.
    dialled: Option<SocketAddr>,
    state: State,
    since: Instant,
    /// When the node there was started, as it has told last.
    start: Option<Start>,
    /// When this node has greeted, and whose clock it had then.
    greeted: Option<(Instant, Option<NodeId>)>,
    incoming: Incoming,
    revocations: Rate,
    /// How often the node there tells of its clock.
    clocks: Rate,
}

enum State {
    /// One side has to speak.
    Greeting {
        until: Instant,
    },
    /// Somebody of the same name as another is asked whether it still lives.
    Waiting {
        hello: Box<Hello>,
        holder: Connection,
        until: Instant,
    },
    /// This node has refused; the other side closes, or time does.
    Refused {
        until: Instant,
    },
    Open(Arc<Session>),
}

impl Cluster {
    /// - `random`: the seed of the random choices.
    pub fn new(
        own: NodeInfo,
        local: Arc<dyn LocalNode>,
        sessions: Arc<Sessions>,
        random: u64,
        now: Instant,
    ) -> Cluster {
        Cluster {
            clock: ClusterClock::new(own.id, now),
            membership: Membership::new(&own, random),
            global: GlobalNames::new(own.id),
            own,
            local,
            sessions,
            connections: BTreeMap::new(),
            dials: Dials::default(),
            groups: GroupReplica::default(),
            untold: BTreeMap::new(),
            registrations: HashMap::new(),
            last_registration: 0,
            unclaimed: VecDeque::new(),
            ending: VecDeque::new(),
            actions: Vec::new(),
            random: random | 1,
            is_draining: false,
            is_leaving: false,
            is_expelled: false,
            has_joined: false,
            repair_at: now + REPAIR_PERIOD,
        }
    }

    /// This node.
    pub fn own(&self) -> &NodeInfo {
        &self.own
    }

    /// What is to be done since the last call.
    pub fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// The addresses to ask for other nodes, as long as this one lives.
    pub fn set_seeds(&mut self, seeds: &[SocketAddr], now: Instant) {
        self.dials.set_seeds(seeds, now);
    }

    /// When [`tick`](Cluster::tick) is to be called at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        let limits = self
            .connections
            .values()
            .filter_map(|known| match &known.state {
                State::Greeting { until }
                | State::Waiting { until, .. }
                | State::Refused { until } => Some(*until),
                State::Open(_) => None,
            });
        // Who leaves, or has to end, dials nobody.
        let is_over = self.is_leaving || self.is_expelled;
        let dials = self.dials.deadline().filter(|_| !is_over);
        // There is more to be done at once.
        let ending = self.ending.front().map(|ending| ending.since);
        let repair = (self.sessions.count() > 0 && !self.is_leaving).then_some(self.repair_at);
        let gossip = self.membership.deadline().into_iter().chain(repair);
        limits.chain(dials).chain(gossip).chain(ending).min()
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Instant) {
        self.end_greetings(now);
        self.end_overrun(now);
        self.tell_endings();
        self.tell_untold();
        self.claim_waiting();
        self.membership.tick(now);
        self.follow_gossip(now);
        if !self.is_leaving {
            self.repair_gossip(now);
            if !self.is_expelled {
                let due = self.dials.due(now);
                self.actions.extend(due.into_iter().map(Action::Dial));
            }
        }
    }

    /// A node with which there is a session lives, whatever gossip says: it is asked until it
    /// has told itself that it does.
    fn repair_gossip(&mut self, now: Instant) {
        if now < self.repair_at {
            return;
        }
        self.repair_at = now + REPAIR_PERIOD;
        self.end_silent(now);
        let known: HashSet<_> = self.membership.members().map(|member| member.id).collect();
        for session in self.sessions.all() {
            if !known.contains(&session.node().id) {
                self.membership.connected(session.node(), now);
            }
        }
        self.follow_gossip(now);
    }

    /// Ends the sessions with nodes that do not answer claims of names: no name could be registered in
    /// the whole cluster. When they are back, they are asked again.
    fn end_silent(&mut self, now: Instant) {
        for number in self.global.overdue(now) {
            if let Some(session) = self.sessions.get(number) {
                let (node, connection) = (&session.node().name, session.connection());
                tracing::warn!(%node, "the node does not answer claims of names");
                self.close(connection, close_code::TIMED_OUT, "claims are not answered");
                self.closed(connection, false, now);
            }
        }
    }

    /// There is a connection.
    ///
    /// - `name`: the name in the certificate of the other side.
    /// - `dialled`: the address, if this node has dialled it.
    pub fn connected(
        &mut self,
        connection: Connection,
        name: NodeName,
        dialled: Option<SocketAddr>,
        now: Instant,
    ) {
        let until = now + GREETING_LIMIT;
        let is_of_use = !self.is_leaving
            && (dialled.is_none() || self.session_named(&name).is_none())
            && self.dialled_before(&name, dialled).is_none();
        if !is_of_use {
            if let Some(address) = dialled {
                // If it is a second address of a node, it is asked again when the session ends.
                self.dials.failed(address, now, 1.0);
                self.note_session_at(address, &name, now);
            }
            self.close(connection, close_code::DONE, "not needed");
            return;
        }
        if dialled.is_none() {
            self.end_oldest_greeting(&name, now);
        }
        let known = Known {
            name,
            dialled,
            state: State::Greeting { until },
            since: now,
            start: None,
            greeted: None,
            incoming: Incoming::default(),
            revocations: Rate::default(),
            clocks: Rate::default(),
        };
        self.connections.insert(connection, known);
        if dialled.is_some() {
            self.greet(connection, now);
        }
    }

    /// A dial has come to nothing.
    pub fn dial_failed(&mut self, address: SocketAddr, now: Instant) {
        let jitter = self.random();
        self.dials.failed(address, now, jitter);
    }

    /// A connection has ended.
    ///
    /// - `left`: the other side has said that it leaves.
    pub fn closed(&mut self, connection: Connection, left: bool, now: Instant) {
        let Some(known) = self.connections.remove(&connection) else {
            return;
        };
        match known.state {
            State::Open(session) => {
                self.session_ended(&session, left, now);
                self.holder_ended(connection, now);
            }
            _ => self.greeting_failed(known.dialled, now),
        }
    }

    /// A datagram has come.
    pub fn datagram(&mut self, connection: Connection, bytes: &[u8], now: Instant) {
        if let Some((_, session)) = self.open_session(connection) {
            self.membership.datagram(session.node().id, bytes, now);
            self.follow_gossip(now);
        }
    }

    /// A process of this node has joined or left a group that all nodes share.
    pub fn group_changed(&mut self, change: GroupChange) {
        let frame = Frame::Groups(self.groups.change(change.clone()));
        for session in self.sessions.all() {
            let connection = session.connection();
            if let Some(untold) = self.untold.get_mut(&connection) {
                untold.add(change.clone());
            } else if session.queued_control_bytes() > CONTROL_HIGH_WATER {
                self.untold
                    .entry(connection)
                    .or_default()
                    .add(change.clone());
            } else {
                session.control(&frame);
            }
        }
    }

    /// Tells the processes of this node which memberships others have, as nobody was there when
    /// they were told.
    pub fn tell_memberships(&mut self) {
        for ending in &mut self.ending {
            // Nobody was told that they had joined.
            ending.left = Box::new(std::iter::empty());
        }
        for change in self.groups.others() {
            self.local.group_changed(change);
        }
    }

    /// Tells those what has changed in groups who have room for it again.
    fn tell_untold(&mut self) {
        if self.untold.is_empty() {
            return;
        }
        for session in self.sessions.all() {
            if session.queued_control_bytes() > CONTROL_LOW_WATER {
                continue;
            }
            let untold = self.untold.remove(&session.connection());
            for frame in untold.map_or_else(Vec::new, |mut untold| frames_of(&untold.take())) {
                session.control(&Frame::Groups(frame));
            }
        }
    }

    /// A process of this node wants a name that is unique in the cluster. While much waits for some
    /// node that is about the nodes themselves, it is not claimed: that node has to agree as well.
    pub fn register_global(&mut self, name: String, process: Pid, decide: Decide) {
        if !self.unclaimed.is_empty() || !self.all_have_room(CONTROL_HIGH_WATER) {
            let unclaimed = Unclaimed {
                name,
                process,
                decide,
            };
            return self.unclaimed.push_back(unclaimed);
        }
        self.claim(name, process, decide);
    }

    /// Whether no more than so many bytes that are about the nodes themselves wait for any node.
    fn all_have_room(&self, water: usize) -> bool {
        let sessions = self.sessions.all();
        sessions
            .iter()
            .all(|session| session.queued_control_bytes() <= water)
    }

    fn claim(&mut self, name: String, process: Pid, decide: Decide) {
        self.last_registration += 1;
        self.registrations.insert(self.last_registration, decide);
        let sessions = self.sessions.all();
        let nodes = sessions.iter().map(|session| session.node().id.number());
        self.global
            .register(self.last_registration, name, process, nodes);
        self.follow_global();
    }

    /// A process of this node gives up a name that is unique in the cluster, or has ended.
    pub fn unregister_global(&mut self, name: &str, process: Pid) {
        let is_it = |one: &Unclaimed| one.process == process && one.name == name;
        while let Some(found) = self.unclaimed.iter().position(is_it) {
            if let Some(unclaimed) = self.unclaimed.remove(found) {
                (unclaimed.decide)(Err(crate::NameTaken { by: process }));
            }
        }
        self.global.unregister(name, process);
        self.follow_global();
    }

    /// Claims what has waited until there is room for it.
    fn claim_waiting(&mut self) {
        if self.unclaimed.is_empty() || !self.all_have_room(CONTROL_LOW_WATER) {
            return;
        }
        while self.all_have_room(CONTROL_HIGH_WATER)
            && let Some(unclaimed) = self.unclaimed.pop_front()
        {
            self.claim(unclaimed.name, unclaimed.process, unclaimed.decide);
        }
    }

    /// This node is about to leave: others look for it no more for what is new. Nothing else changes.
    pub fn drain(&mut self) {
        self.is_draining = true;
        for session in self.sessions.all() {
            session.control(&Frame::Draining);
        }
    }

    /// This node leaves the cluster: it tells the others, dials nobody and takes nobody in.
    pub fn leave(&mut self, now: Instant) {
        self.is_leaving = true;
        self.membership.leave(now);
        self.follow_gossip(now);
        for session in self.sessions.all() {
            session.leave();
        }
    }

    /// The nodes that gossip knows to live, this one not among them.
    pub fn known_nodes(&self) -> Vec<NodeId> {
        self.membership.members().map(|member| member.id).collect()
    }

    /// The nodes that gossip knows to live and with which there is no session.
    #[cfg(feature = "transport")]
    pub(crate) fn unconnected(&self) -> Vec<crate::membership::MemberId> {
        let members = self.membership.members();
        members
            .filter(|member| member.id != self.own.id)
            .filter(|member| self.sessions.with_node(member.id).is_none())
            .cloned()
            .collect()
    }

    /// How often the nodes that live were suspected of being gone.
    #[cfg(feature = "transport")]
    pub(crate) fn suspicions(&self) -> u64 {
        self.membership.suspicions()
    }

    /// Ends the session with a node whose certificate is not accepted any more.
    pub fn distrust(&mut self, name: &NodeName, now: Instant) {
        let of_name = |(_, known): &(&Connection, &Known)| known.name == *name;
        let connections: Vec<_> = self
            .connections
            .iter()
            .filter(of_name)
            .map(|(connection, _)| *connection)
            .collect();
        for connection in connections {
            self.close(connection, close_code::NOT_TRUSTED, "not trusted");
            self.closed(connection, false, now);
        }
    }

    /// Tells all others a list of names whose certificates are revoked.
    pub fn tell_revocations(&self, list: &[u8]) {
        for session in self.sessions.all() {
            session.control(&Frame::Revocations(list));
        }
    }

    fn close(&mut self, connection: Connection, code: u32, reason: &'static str) {
        self.actions.push(Action::Close(connection, code, reason));
    }

    fn hello(&self, now: Instant) -> Hello {
        Hello {
            protocol: crate::handshake::PROTOCOL,
            node: self.own.clone(),
            reading: self.clock.reading(now),
        }
    }

    /// Begins a session over a connection.
    fn begin_session(
        &mut self,
        connection: Connection,
        node: NodeInfo,
        is_ready: bool,
        now: Instant,
    ) {
        self.finish_endings(node.id.number());
        let session = self.sessions.begin(connection, node.clone(), is_ready);
        self.has_joined = true;
        let Some(known) = self.connections.get_mut(&connection) else {
            return;
        };
        known.state = State::Open(session.clone());
        if let Some(address) = known.dialled {
            self.dials.done(address);
            self.dials.session_begun(address, node.id, now);
        }
        self.dials.session_begun(node.address, node.id, now);
        if self.is_draining {
            session.control(&Frame::Draining);
        }
        // Who has not heard of them may let nodes in that are shut out elsewhere.
        for list in self.local.known_revocations() {
            session.control(&Frame::Revocations(&list));
        }
        for frame in self.groups.all() {
            session.control(&Frame::Groups(frame));
        }
        self.global.session_begun(node.id.number());
        self.membership.connected(&node, now);
        self.local.node_event(NodeEvent::Up(node));
        self.follow_global();
        self.follow_gossip(now);
    }

    /// Tells everybody that a session has ended.
    fn session_ended(&mut self, session: &Arc<Session>, left: bool, now: Instant) {
        // Who leaves is left by nobody.
        let left = (left || session.has_left()) && !self.is_leaving;
        let node = session.node().clone();
        self.sessions.end(session);
        self.untold.remove(&session.connection());
        let number = node.id.number();
        self.ending.push_back(Ending {
            node: number,
            since: now,
            signals: session.end().into_iter(),
            left: Box::new(self.groups.forget(number)),
        });
        self.tell_endings();
        self.global.session_ended(number);
        self.dials
            .session_ended(node.id, now, self.dial_delay(node.id));
        if left {
            self.dials.forget(node.id);
            self.membership.left(&node, now);
        }
        self.local.node_event(NodeEvent::Down { node, left });
        self.follow_global();
        self.follow_gossip(now);
    }

    /// Tells some of those who have to know of sessions that have ended, and forgets memberships.
    fn tell_endings(&mut self) {
        let mut room = TOLD_AT_ONCE;
        while let Some(mut ending) = self.ending.pop_front() {
            if !self.tell_some(&mut ending, &mut room) {
                return self.ending.push_front(ending);
            }
        }
    }

    /// Tells all of that, before a session with this node begins, or with another that has its number.
    fn finish_endings(&mut self, node: NodeNumber) {
        for mut ending in std::mem::take(&mut self.ending) {
            let mut room = usize::MAX;
            if ending.node != node || !self.tell_some(&mut ending, &mut room) {
                self.ending.push_back(ending);
            }
        }
    }

    /// Returns whether all have been told.
    ///
    /// - `room`: no more are told; it is counted down.
    fn tell_some(&self, ending: &mut Ending, room: &mut usize) -> bool {
        while *room > 0 {
            *room -= 1;
            if let Some((there, here, signal)) = ending.signals.next() {
                self.tell(there, here, signal);
            } else if let Some(change) = ending.left.next() {
                self.local.group_changed(change);
            } else {
                return true;
            }
        }
        false
    }

    /// Tells a process of this node something. Who has ended meanwhile need not be told.
    fn tell(&self, there: Pid, here: Pid, signal: Signal) {
        if let Ok(effect) = self.local.signal(there, here, signal) {
            effect.happen();
        }
    }

    /// The node with the lower id dials first.
    fn dial_delay(&self, other: NodeId) -> Duration {
        match self.own.id < other {
            true => Duration::from_millis(50),
            false => SECOND_DIALLER,
        }
    }

    /// Does what gossip has made necessary.
    fn follow_gossip(&mut self, now: Instant) {
        self.own.generation = self.membership.own_generation();
        for change in self.membership.take_changes() {
            match change {
                Change::Up(member) if member.id != self.own.id => {
                    let after = self.dial_delay(member.id);
                    self.dials.learn(member.address, member.id, now, after);
                }
                Change::Down(member) => self.dials.is_down(member.address, member.id),
                Change::Rejoined => {
                    let sessions = self.sessions.all();
                    for session in sessions.iter().take(ANNOUNCED_TO) {
                        self.membership.announce_to(session.node(), now);
                    }
                }
                Change::Replaced(member) => self.dials.forget(member.id),
                Change::Up(_) => {}
            }
        }
        for (to, bytes) in self.membership.take_datagrams() {
            if let Some(session) = self.sessions.get(to.id.number())
                && session.node().id == to.id
            {
                let datagram = Action::Datagram(session.connection(), bytes);
                self.actions.push(datagram);
            }
        }
    }

    /// Does what the state of the names has made necessary.
    fn follow_global(&mut self) {
        for output in self.global.take_outputs() {
            match output {
                Output::To(node, frame) => {
                    if let Some(session) = self.sessions.get(node) {
                        match &frame {
                            GlobalFrame::Answer { name, .. } => {
                                let text = name.len();
                                session.answer_control(&Frame::Global(frame), text);
                            }
                            _ => session.control(&Frame::Global(frame)),
                        }
                    }
                }
                Output::ToAll(frame) => {
                    let frame = Frame::Global(frame);
                    for session in self.sessions.all() {
                        session.control(&frame);
                    }
                }
                Output::Decided {
                    registration,
                    result,
                } => {
                    if let Some(decide) = self.registrations.remove(&registration) {
                        decide(result);
                    }
                }
                Output::Lost {
                    name,
                    process,
                    winner,
                } => self.local.global_name_lost(&name, process, winner),
                Output::Changed { name, process } => {
                    self.local.global_name_changed(&name, process);
                }
            }
        }
    }

    fn session_named(&self, name: &NodeName) -> Option<(Connection, Arc<Session>)> {
        let mut open =
            self.connections
                .iter()
                .filter_map(|(connection, known)| match &known.state {
                    State::Open(session) if known.name == *name => {
                        Some((*connection, session.clone()))
                    }
                    _ => None,
                });
        open.next_back()
    }

    /// A connection to a node of this name that this node has dialled at another address,
    /// and that waits for the answer.
    fn dialled_before(&self, name: &NodeName, dialled: Option<SocketAddr>) -> Option<Connection> {
        dialled?;
        self.greeting_dialled(name)
    }

    fn note_session_at(&mut self, address: SocketAddr, name: &NodeName, now: Instant) {
        if let Some((_, session)) = self.session_named(name) {
            self.dials.session_begun(address, session.node().id, now);
        }
    }

    /// A number from 0 to 1.
    fn random(&mut self) -> f64 {
        // xorshift64*: for jitter it is random enough.
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        let bits = self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11;
        bits as f64 / (1_u64 << 53) as f64
    }

    /// The session with a node that has this number and another id.
    fn other_of_number(&self, id: NodeId) -> Option<Arc<Session>> {
        let session = self.sessions.get(id.number())?;
        (session.node().id != id).then_some(session)
    }

    fn refuse(&mut self, connection: Connection, refusal: Refusal) {
        tracing::debug!("refused a node: {refusal}");
        let frame = Frame::Refuse(refusal);
        self.actions
            .push(Action::Write(connection, frame.to_bytes()));
        // The other side closes, or time does.
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster")
            .field("own", &self.own.name)
            .finish_non_exhaustive()
    }
}
