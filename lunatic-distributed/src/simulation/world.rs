//! Nodes, the network between them, and virtual time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lunatic_account::{Account, AccountLimits};
use lunatic_distributed::{
    Action, Cluster, Connection, GroupChange, GroupChanges, LANES, NodeInfo, NodeName, Session,
    Sessions, close_code,
};
use lunatic_mailbox::{NodeId, NodeNumber, Pid};
use lunatic_process::{ExitReason, Peers};
use parking_lot::Mutex;

use crate::outgoing::CONTROL_HIGH_WATER;
use crate::simulation::network::{
    DIAL_LIMIT, Dial, EndState, Host, IDLE_LIMIT, KEEP_ALIVE, LANE_WINDOW, Network, NodeKey,
};
use crate::simulation::processes::{Model, Todo};
use crate::simulation::random::Random;
use crate::simulation::start::Start;
use crate::simulation::truth::Shared;
use crate::simulation::wire_faults::Planted;

/// How long a node that leaves waits until what it says is there.
const LEAVING: Duration = Duration::from_millis(1000);

/// One start of a node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) slot: usize,
    pub(crate) host: Host,
    pub(crate) id: NodeId,
    pub(crate) cluster: Cluster,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) model: Arc<Model>,
    pub(crate) account: Account,
    /// What the cluster has in place of the processes.
    pub(crate) start: Arc<Start>,
    /// Its runtime is there.
    pub(crate) is_attached: bool,
    /// What its thread has not told of groups yet.
    group_changes: GroupChanges,
    tells_groups: bool,
    /// Pays for names and monitors of nodes.
    pub(crate) keeper: Account,
    pub(crate) is_alive: bool,
    pub(crate) is_paused: bool,
    pub(crate) is_leaving: bool,
    /// What has happened while it was paused.
    stash: Vec<Event>,
    tick_at: Option<Duration>,
    /// Processes that are held until an event, as much is queued.
    pub(crate) held: BTreeMap<Pid, event_listener::EventListener>,
    /// What it has asked other nodes, and is not answered yet.
    pub(crate) requests: Arc<Mutex<BTreeSet<u64>>>,
    /// When it was last killed, paused or started: its sessions may end for that.
    pub(crate) disturbed: Duration,
    pub(crate) started: Duration,
    /// It ends, as another has its name or number.
    pub(crate) is_expelled: bool,
    paused_at: Duration,
    /// By so much its clock is behind, as it stood still while the node was stopped.
    pub(crate) behind: Duration,
}

#[derive(Debug)]
pub(crate) enum Event {
    Tick(NodeKey),
    Lane {
        connection: u64,
        to: usize,
        lane: u8,
    },
    Datagram {
        connection: u64,
        to: usize,
        bytes: Vec<u8>,
    },
    KeepAliveDue {
        connection: u64,
        end: usize,
    },
    KeepAlive {
        connection: u64,
        to: usize,
    },
    Heard {
        connection: u64,
        end: usize,
    },
    Idle {
        connection: u64,
        end: usize,
    },
    Closed {
        connection: u64,
        to: usize,
        left: bool,
    },
    DialArrives(usize),
    DialAnswered {
        dial: usize,
        by: NodeKey,
    },
    DialRefused(usize),
    DialLimit(usize),
    Established(u64),
    Die(NodeKey, Pid, ExitReason),
    Answer(NodeKey, Box<Todo>),
    /// A node ends by itself.
    End(NodeKey),
    Resume(NodeKey),
    /// The runtime of a node is there.
    Attach(NodeKey),
    /// The thread of a node tells what has changed in groups.
    Groups(NodeKey),
    Start {
        slot: usize,
        host: Host,
    },
    Heal(Vec<(Host, Host)>),
    Load(usize),
    Fault,
    /// Once a second: has everybody been told who is gone?
    Watch,
    /// The node of a slot is restarted in good order.
    Roll(usize),
}

struct Scheduled {
    at: Duration,
    number: u64,
    event: Event,
}

/// Everything.
pub(crate) struct World {
    pub(crate) now: Duration,
    base: Instant,
    events: BinaryHeap<Reverse<Scheduled>>,
    last: u64,
    pub(crate) random: Random,
    pub(crate) network: Network,
    pub(crate) nodes: Vec<Node>,
    /// Who runs on a host.
    pub(crate) hosts: BTreeMap<Host, NodeKey>,
    pub(crate) slots: usize,
    pub(crate) truth: Shared,
    /// Times in a thousand that a datagram is lost.
    pub(crate) loss: u64,
    /// Latency in microseconds, and by how much it varies.
    pub(crate) latency: (u64, u64),
    pub(crate) planted: Planted,
    pub(crate) handled: u64,
    /// So many events have come since the time has changed.
    at_once: u64,
    /// There is no load and there are no faults from here on.
    pub(crate) quiet_from: Duration,
    /// Times in a thousand that a unit is lost, and sent again later.
    pub(crate) late_units: u64,
    /// Numbers of nodes are below this one.
    pub(crate) numbers: u64,
    /// A node of this slot that has to end is not started again, and takes some time to end.
    pub(crate) ends_for_good: Option<usize>,
}

impl World {
    pub(crate) fn new(seed: u64, slots: usize, truth: Shared, planted: Planted) -> World {
        let mut random = Random::new(seed);
        let latency = *random
            .pick(&[(100, 100), (500, 2000), (20_000, 5_000), (50_000, 100_000)])
            .expect("there are some");
        World {
            now: Duration::ZERO,
            base: Instant::now(),
            events: BinaryHeap::new(),
            last: 0,
            loss: *random.pick(&[0, 10, 50, 200]).expect("there are some"),
            latency,
            random,
            network: Network::default(),
            nodes: Vec::new(),
            hosts: BTreeMap::new(),
            slots,
            truth,
            planted,
            handled: 0,
            at_once: 0,
            quiet_from: Duration::MAX,
            late_units: 0,
            // Few, so that now and then two have the same.
            numbers: 200,
            ends_for_good: None,
        }
    }

    pub(crate) fn schedule(&mut self, after: Duration, event: Event) {
        self.schedule_at(self.now + after, event);
    }

    pub(crate) fn schedule_at(&mut self, at: Duration, event: Event) {
        self.last += 1;
        let number = self.last;
        self.events.push(Reverse(Scheduled { at, number, event }));
    }

    pub(crate) fn trace(&self, what: impl FnOnce() -> String) {
        self.truth.lock().trace(what);
    }

    /// What the clock of a node shows.
    fn instant_of(&self, key: NodeKey) -> Instant {
        self.base + self.now - self.nodes[key].behind
    }

    fn delay(&mut self) -> Duration {
        let (latency, jitter) = self.latency;
        Duration::from_micros(latency + self.random.below(jitter + 1))
    }

    /// Runs until a time, or until something is wrong.
    pub(crate) fn run_until(&mut self, until: Duration) {
        while let Some(Reverse(next)) = self.events.peek() {
            if next.at > until {
                break;
            }
            let Some(Reverse(Scheduled { at, event, .. })) = self.events.pop() else {
                return;
            };
            self.at_once = if at == self.now { self.at_once + 1 } else { 0 };
            self.now = at;
            self.handled += 1;
            {
                let mut truth = self.truth.lock();
                truth.now = at;
                if self.at_once > 50_000 {
                    truth.fail(format!("no time passes: {event:?}"));
                }
                if truth.failure.is_some() {
                    return;
                }
            }
            self.handle(event);
        }
        self.now = until;
        self.truth.lock().now = until;
    }

    /// The node that an event is for, if it is for one.
    fn whose(&self, event: &Event) -> Option<NodeKey> {
        match event {
            Event::Tick(node)
            | Event::Attach(node)
            | Event::Groups(node)
            | Event::Die(node, ..)
            | Event::Answer(node, _)
            | Event::End(node) => Some(*node),
            Event::Lane {
                connection,
                to: end,
                ..
            }
            | Event::Datagram {
                connection,
                to: end,
                ..
            }
            | Event::KeepAliveDue { connection, end }
            | Event::KeepAlive {
                connection,
                to: end,
            }
            | Event::Heard { connection, end }
            | Event::Idle { connection, end }
            | Event::Closed {
                connection,
                to: end,
                ..
            } => {
                let ends = &self.network.connections.get(connection)?.ends;
                Some(ends[*end].node)
            }
            Event::Established(connection) => {
                Some(self.network.connections.get(connection)?.ends[1].node)
            }
            Event::DialAnswered { dial, .. }
            | Event::DialRefused(dial)
            | Event::DialLimit(dial) => Some(self.network.dials[*dial].from),
            _ => None,
        }
    }

    fn handle(&mut self, event: Event) {
        if let Some(node) = self.whose(&event)
            && let Some(node) = self.nodes.get_mut(node)
            && node.is_paused
        {
            node.stash.push(event);
            return;
        }
        match event {
            Event::Tick(node) => self.tick(node),
            Event::Lane {
                connection,
                to,
                lane,
            } => self.lane(connection, to, lane),
            Event::Datagram {
                connection,
                to,
                bytes,
            } => self.datagram(connection, to, &bytes),
            Event::KeepAliveDue { connection, end } => self.keep_alive_due(connection, end),
            Event::KeepAlive { connection, to } => self.keep_alive(connection, to),
            Event::Heard { connection, end } => self.heard(connection, end),
            Event::Idle { connection, end } => self.idle(connection, end),
            Event::Closed {
                connection,
                to,
                left,
            } => self.end_closed(connection, to, left),
            Event::DialArrives(dial) => self.dial_arrives(dial),
            Event::DialAnswered { dial, by } => self.dial_answered(dial, by),
            Event::DialRefused(dial) | Event::DialLimit(dial) => self.dial_over(dial),
            Event::Established(connection) => self.established(connection),
            Event::Die(node, process, reason) => {
                self.nodes[node].model.clone().die(process, reason);
                self.pump(node);
            }
            Event::Answer(node, todo) => self.answer(node, *todo),
            Event::End(node) => self.end_node(node),
            Event::Resume(node) => self.resume(node),
            Event::Attach(node) => self.attach(node),
            Event::Groups(node) => self.tell_groups(node),
            Event::Start { slot, host } => self.start(slot, host),
            Event::Heal(ways) => self.heal(&ways),
            Event::Load(slot) => self.load(slot),
            Event::Fault => self.fault(),
            Event::Watch => {
                self.check_told();
                self.schedule(Duration::from_secs(1), Event::Watch);
            }
            Event::Roll(slot) => self.roll(slot),
        }
    }

    // Nodes.

    pub(crate) fn address_of(host: Host) -> SocketAddr {
        SocketAddr::from(([10, 0, (host / 250) as u8, (host % 250) as u8 + 1], 4000))
    }

    fn host_of(address: SocketAddr) -> Host {
        match address {
            SocketAddr::V4(address) => {
                let [_, _, high, low] = address.ip().octets();
                usize::from(high) * 250 + usize::from(low) - 1
            }
            SocketAddr::V6(_) => usize::MAX,
        }
    }

    fn free_number(&mut self) -> NodeNumber {
        let value = 1 + self.random.below(self.numbers) as u32;
        NodeNumber::new(value).expect("it is small")
    }

    /// Starts a node, unless one runs on the host.
    pub(crate) fn start(&mut self, slot: usize, host: Host) {
        if self.hosts.contains_key(&host) {
            return;
        }
        let number = self.free_number();
        let id = NodeId::from_bits(self.random.next() << 20 | u64::from(number.get()));
        let name = format!("node{slot}");
        let key = self.nodes.len();
        let node_name: NodeName = name.parse().expect("it is short");
        let own = NodeInfo {
            id,
            name: node_name,
            address: World::address_of(host),
            generation: 0,
            tags: BTreeMap::new(),
        };
        let mut model = Model::new(
            &format!("{name}/{key}"),
            number,
            key as u64 * 100_000,
            self.truth.clone(),
        );
        model.keeps_names = self.planted.keeps_names();
        model.steps_apart = self.planted.steps_apart();
        let model = Arc::new(model);
        let mut start = Start::new(model.clone());
        start.forgets = self.planted.forgets_nodes();
        let start = Arc::new(start);
        let sessions = Arc::new(Sessions::new(id, || ()));
        model.sessions.set(sessions.clone()).ok();
        let watchers = model.watchers.clone();
        sessions.on_monitor(move |watcher| {
            watchers.lock().insert(watcher);
        });
        let seed = self.random.next();
        let now = self.base + self.now;
        let mut cluster = Cluster::new(own, start.clone(), sessions.clone(), seed, now);
        // Where three of the nodes can be.
        let seeds = (0..self.slots.min(3)).flat_map(|slot| [slot, slot + self.slots]);
        let seeds: Vec<_> = seeds.map(World::address_of).collect();
        cluster.set_seeds(&seeds, now);
        self.trace(|| format!("{name}/{key} starts on host {host} as {id}, number {number}"));
        self.nodes.push(Node {
            slot,
            host,
            id,
            cluster,
            sessions,
            model: model.clone(),
            account: Account::root(AccountLimits::UNLIMITED),
            start,
            is_attached: false,
            group_changes: GroupChanges::default(),
            tells_groups: false,
            keeper: Account::root(AccountLimits::UNLIMITED),
            is_alive: true,
            is_paused: false,
            is_leaving: false,
            stash: Vec::new(),
            tick_at: None,
            held: BTreeMap::new(),
            requests: Arc::default(),
            disturbed: self.now,
            started: self.now,
            is_expelled: false,
            paused_at: Duration::ZERO,
            behind: Duration::ZERO,
        });
        self.hosts.insert(host, key);
        // The runtime is there at once, or when the node has had time to join.
        let after = match self.random.in_1000(400) {
            true => Duration::ZERO,
            false => self.random.millis(0, 2_000),
        };
        self.schedule(after, Event::Attach(key));
        self.pump(key);
    }

    fn attach(&mut self, key: NodeKey) {
        if !self.nodes[key].is_alive {
            return;
        }
        let traps: Vec<bool> = (0..6).map(|_| self.random.in_1000(700)).collect();
        let node = &mut self.nodes[key];
        node.is_attached = true;
        let (model, start) = (node.model.clone(), node.start.clone());
        model.attach(start.attached.globals(), &traps);
        model.state.lock().is_attaching = true;
        start.attached.attach(model.clone());
        model.state.lock().is_attaching = false;
        if !self.planted.forgets_memberships() {
            let before = self.truth.lock().counts.memberships;
            model.state.lock().is_attaching = true;
            self.nodes[key].cluster.tell_memberships();
            model.state.lock().is_attaching = false;
            let mut truth = self.truth.lock();
            truth.counts.memberships_before += truth.counts.memberships - before;
        }
        let name = &model.name;
        self.trace(|| format!("{name} has a runtime"));
        self.pump(key);
    }

    /// A process has joined or left a group, which the thread of the node tells soon.
    pub(crate) fn group_changed(&mut self, key: NodeKey, change: GroupChange) {
        let after = self.random.millis(0, 5);
        let node = &mut self.nodes[key];
        node.group_changes.add(change);
        if !std::mem::replace(&mut node.tells_groups, true) {
            self.schedule(after, Event::Groups(key));
        }
    }

    fn tell_groups(&mut self, key: NodeKey) {
        let node = &mut self.nodes[key];
        node.tells_groups = false;
        if !node.is_alive {
            return;
        }
        let sessions = node.sessions.all();
        let is_full = |session: &Arc<Session>| session.queued_control_bytes() > CONTROL_HIGH_WATER;
        let is_untold = sessions.iter().any(is_full);
        for change in node.group_changes.take() {
            node.cluster.group_changed(change);
            self.truth.lock().counts.untold += u64::from(is_untold);
        }
        self.pump(key);
    }

    /// `kill -9`, or the end of a node that has left.
    pub(crate) fn kill(&mut self, key: NodeKey) {
        let now = self.now;
        let node = &mut self.nodes[key];
        if !std::mem::replace(&mut node.is_alive, false) {
            return;
        }
        node.is_paused = false;
        node.disturbed = now;
        node.stash.clear();
        let host = node.host;
        let model = node.model.clone();
        self.hosts.remove(&host);
        self.trace(|| format!("{} is gone", model.name));
        let mut truth = self.truth.lock();
        for process in model.state.lock().processes.keys() {
            truth.alive.remove(process);
        }
        drop(truth);
        let ends = self.ends_of(key);
        for (connection, end) in ends {
            self.network.end_gone(connection, end);
        }
        for dial in &mut self.network.dials {
            dial.is_over |= dial.from == key;
        }
    }

    fn ends_of(&self, key: NodeKey) -> Vec<(u64, usize)> {
        let connections = self.network.connections.iter();
        let ends = connections.flat_map(|(connection, wired)| {
            let of_node = move |(_, end): &(usize, &crate::simulation::network::End)| {
                end.node == key && end.state != EndState::Gone
            };
            let ends = wired.ends.iter().enumerate().filter(of_node);
            ends.map(|(end, _)| (*connection, end))
        });
        ends.collect()
    }

    /// A node ends by itself, as another has its name or number; another start of it comes.
    fn end_node(&mut self, key: NodeKey) {
        if !self.nodes[key].is_alive {
            return;
        }
        let (slot, host) = (self.nodes[key].slot, self.nodes[key].host);
        self.kill(key);
        let runs = |node: &Node| node.is_alive && node.slot == slot;
        if !self.nodes.iter().any(runs) && self.ends_for_good != Some(slot) {
            let after = self.random.millis(10, 400);
            self.schedule(after, Event::Start { slot, host });
        }
    }

    pub(crate) fn pause(&mut self, key: NodeKey, for_time: Duration) {
        let node = &mut self.nodes[key];
        if node.is_alive && !node.is_paused {
            node.is_paused = true;
            node.paused_at = self.now;
            let name = node.model.name.clone();
            self.trace(|| format!("{name} is stopped for {for_time:?}"));
            self.schedule(for_time, Event::Resume(key));
        }
    }

    fn resume(&mut self, key: NodeKey) {
        let now = self.now;
        let stands_still = self.random.in_1000(250);
        let node = &mut self.nodes[key];
        if !node.is_alive || !std::mem::replace(&mut node.is_paused, false) {
            return;
        }
        node.disturbed = now;
        // Its whole host was, and its clock has stood still.
        if stands_still {
            node.behind += now - node.paused_at;
            self.truth.lock().counts.clocks_behind += 1;
        }
        let mut stash = std::mem::take(&mut node.stash);
        let name = node.model.name.clone();
        self.trace(|| format!("{name} goes on"));
        match self.random.below(3) {
            // What is due comes before what has arrived, or the other way round.
            0 => stash.sort_by_key(|event| !matches!(event, Event::Tick(_) | Event::Idle { .. })),
            1 => stash.sort_by_key(|event| matches!(event, Event::Tick(_) | Event::Idle { .. })),
            _ => {}
        }
        for event in stash {
            self.schedule(Duration::ZERO, event);
        }
        // Lanes may have room meanwhile.
        for session in self.nodes[key].sessions.all() {
            self.drain(key, &session);
        }
    }

    pub(crate) fn leave(&mut self, key: NodeKey) {
        let now = self.instant_of(key);
        self.nodes[key].is_leaving = true;
        self.nodes[key].disturbed = self.now;
        let name = self.nodes[key].model.name.clone();
        self.trace(|| format!("{name} leaves"));
        self.nodes[key].cluster.leave(now);
        self.pump(key);
        self.schedule(LEAVING, Event::End(key));
    }

    fn tick(&mut self, key: NodeKey) {
        let now = self.instant_of(key);
        let node = &mut self.nodes[key];
        if node.is_alive && node.tick_at.is_some_and(|at| at <= self.now) {
            node.tick_at = None;
            node.cluster.tick(now);
            self.pump(key);
        }
    }

    /// Does what a call into a node has made necessary.
    pub(crate) fn pump(&mut self, key: NodeKey) {
        for _ in 0..10_000 {
            if !self.nodes[key].is_alive {
                return;
            }
            let actions = self.nodes[key].cluster.take_actions();
            let queued = self.nodes[key].sessions.take_queued();
            let (todo, ended) = {
                let mut state = self.nodes[key].model.state.lock();
                (
                    std::mem::take(&mut state.todo),
                    std::mem::take(&mut state.ended),
                )
            };
            for process in ended {
                self.nodes[key].start.ended(process);
            }
            if actions.is_empty() && queued.is_empty() && todo.is_empty() {
                self.schedule_tick(key);
                self.check_node(key);
                return;
            }
            for action in actions {
                self.act(key, action);
            }
            for session in queued {
                self.drain(key, &session);
            }
            for todo in todo {
                self.todo(key, todo);
            }
        }
        let name = self.nodes[key].model.name.clone();
        self.truth.lock().fail(format!("{name} is never done"));
    }

    fn schedule_tick(&mut self, key: NodeKey) {
        let base = self.base;
        let now = self.now;
        let node = &mut self.nodes[key];
        let Some(deadline) = node.cluster.deadline() else {
            return;
        };
        // A node may be late, but not too early.
        let at = (deadline.saturating_duration_since(base) + node.behind).max(now);
        if node.tick_at.is_none_or(|before| at < before) {
            node.tick_at = Some(at);
            self.schedule_at(at, Event::Tick(key));
        }
    }

    fn todo(&mut self, key: NodeKey, todo: Todo) {
        let after = self.random.millis(0, 3);
        match todo {
            Todo::Die(process, reason) => self.schedule(after, Event::Die(key, process, reason)),
            Todo::Group(change) => self.group_changed(key, change),
            Todo::Unregister(name, process) => {
                self.nodes[key].cluster.unregister_global(&name, process);
            }
            Todo::Expelled => {
                self.check_expelled(key);
                let after = match self.ends_for_good == Some(self.nodes[key].slot) {
                    true => self.random.millis(0, 1000),
                    false => after,
                };
                self.schedule(after, Event::End(key));
            }
            todo @ (Todo::Answer(..) | Todo::SpawnLinked(..) | Todo::SecondStep(..)) => {
                self.schedule(after, Event::Answer(key, Box::new(todo)));
            }
        }
    }

    fn answer(&mut self, key: NodeKey, todo: Todo) {
        if !self.nodes[key].is_alive {
            return;
        }
        match todo {
            Todo::Answer(answer, request) => answer.send(None, &request),
            Todo::SpawnLinked(answer, parent, request) => {
                let model = self.nodes[key].model.clone();
                let child = model.spawn(self.random.in_1000(500));
                if answer.link(child, None).is_ok() {
                    let mut state = model.state.lock();
                    if let Some(child) = state.processes.get_mut(&child) {
                        child.links.insert(parent, None);
                    }
                    drop(state);
                    answer.send(Some(child), &request);
                }
            }
            Todo::SecondStep(from, to, signal) => {
                let sessions = self.nodes[key].model.sessions();
                Peers::signal(sessions, None, from, to, signal).ok();
            }
            _ => {}
        }
        self.pump(key);
    }

    fn act(&mut self, key: NodeKey, action: Action) {
        match action {
            Action::Dial(address) => self.dial(key, World::host_of(address)),
            Action::Write(connection, bytes) => self.send_unit(key, connection.0, 0, bytes),
            Action::Datagram(connection, bytes) => self.send_datagram(key, connection.0, bytes),
            Action::Close(connection, code, reason) => {
                let name = self.nodes[key].model.name.clone();
                let connection = connection.0;
                self.trace(|| format!("{name} closes connection {connection}: {code} {reason}"));
                self.close(key, connection, code == close_code::LEFT);
            }
        }
    }

    // Dialling.

    fn dial(&mut self, key: NodeKey, to: Host) {
        let from_host = self.nodes[key].host;
        let dial = self.network.dials.len();
        self.network.dials.push(Dial {
            from: key,
            from_host,
            to,
            is_over: false,
        });
        // The first packet is repeated once in that time.
        for after in [Duration::ZERO, Duration::from_secs(1)] {
            let delay = self.delay();
            self.schedule(after + delay, Event::DialArrives(dial));
        }
        self.schedule(DIAL_LIMIT, Event::DialLimit(dial));
    }

    fn dial_arrives(&mut self, dial: usize) {
        let Dial {
            from_host,
            to,
            is_over,
            ..
        } = self.network.dials[dial];
        if is_over || !self.network.is_open(from_host, to) {
            return;
        }
        let delay = self.delay();
        match self.hosts.get(&to) {
            Some(by) if self.nodes[*by].is_paused => {}
            Some(by) => self.schedule(delay, Event::DialAnswered { dial, by: *by }),
            None => self.schedule(delay, Event::DialRefused(dial)),
        }
    }

    fn dial_answered(&mut self, dial: usize, by: NodeKey) {
        let Dial {
            from,
            from_host,
            to,
            is_over,
        } = self.network.dials[dial];
        if is_over || !self.nodes[by].is_alive || !self.network.is_open(to, from_host) {
            return;
        }
        self.network.dials[dial].is_over = true;
        let connection = self.network.connect(dial, by, self.now);
        let name = self.nodes[by].cluster.own().name.clone();
        self.trace(|| format!("connection {connection} from node {from} to node {by}"));
        let now = self.instant_of(from);
        let address = World::address_of(to);
        self.begin_end(connection, 0);
        let delay = self.delay();
        self.schedule(delay, Event::Established(connection));
        self.nodes[from]
            .cluster
            .connected(Connection(connection), name, Some(address), now);
        self.pump(from);
    }

    fn dial_over(&mut self, dial: usize) {
        let Dial {
            from, to, is_over, ..
        } = self.network.dials[dial];
        if is_over || !self.nodes[from].is_alive {
            return;
        }
        self.network.dials[dial].is_over = true;
        let now = self.instant_of(from);
        self.nodes[from]
            .cluster
            .dial_failed(World::address_of(to), now);
        self.pump(from);
    }

    /// The last packet of the handshake has come to who was dialled.
    fn established(&mut self, connection: u64) {
        let Some((from, to)) = self.network.way_to(connection, 1) else {
            return;
        };
        let Some(end) = self.network.end(connection, 1) else {
            return;
        };
        let (node, state) = (end.node, end.state);
        if state != EndState::Pending || !self.nodes[node].is_alive {
            return;
        }
        if !self.network.is_open(from, to) {
            // It is repeated.
            let is_wanted = self
                .network
                .end(connection, 0)
                .is_some_and(|end| end.state == EndState::Open);
            match is_wanted {
                true => self.schedule(Duration::from_millis(300), Event::Established(connection)),
                false => self.network.end_gone(connection, 1),
            }
            return;
        }
        let now = self.now;
        if let Some(end) = self.network.end(connection, 1) {
            end.state = EndState::Open;
            end.last_heard = now;
        }
        self.begin_end(connection, 1);
        let Some(dialler) = self.network.end(connection, 0).map(|end| end.node) else {
            return;
        };
        let name = self.nodes[dialler].cluster.own().name.clone();
        let now = self.instant_of(node);
        self.nodes[node]
            .cluster
            .connected(Connection(connection), name, None, now);
        self.pump(node);
        for lane in 0..LANES {
            self.lane(connection, 1, lane);
        }
    }

    fn begin_end(&mut self, connection: u64, end: usize) {
        self.schedule(KEEP_ALIVE, Event::KeepAliveDue { connection, end });
        self.schedule(IDLE_LIMIT, Event::Idle { connection, end });
    }

    // Connections.

    fn is_end_open(&mut self, connection: u64, end: usize) -> bool {
        let end = self.network.end(connection, end);
        end.is_some_and(|end| end.state == EndState::Open)
    }

    /// Lets lanes carry what a session has queued.
    pub(crate) fn drain(&mut self, key: NodeKey, session: &Arc<Session>) {
        if !session.is_ready() {
            return;
        }
        let connection = session.connection().0;
        let Some(own) = self.network.end_of(connection, key) else {
            return;
        };
        let mut open = u64::MAX;
        loop {
            let network = &mut self.network;
            let room = |lane| {
                let other = network.end(connection, 1 - own);
                let bytes = other.map(|other| other.lanes[usize::from(lane)].bytes);
                bytes.map_or(0, |bytes| LANE_WINDOW.saturating_sub(bytes))
            };
            let Some((lane, unit)) = session.take_next(&mut open, room) else {
                return;
            };
            self.send_unit(key, connection, lane, unit.to_vec());
        }
    }

    fn send_unit(&mut self, key: NodeKey, connection: u64, lane: u8, bytes: Vec<u8>) {
        let Some(own) = self.network.end_of(connection, key) else {
            return;
        };
        if bytes.len() > lunatic_distributed::MAX_UNIT_BYTES {
            let length = bytes.len();
            self.truth.lock().fail(format!("a unit of {length} bytes"));
        }
        if !self.is_end_open(connection, own) {
            return;
        }
        let to = 1 - own;
        let mut at = self.now + self.delay();
        if self.late_units > 0 && self.random.in_1000(self.late_units) {
            at += self.random.millis(100, 1000);
        }
        // 1 Gbit/s.
        at += Duration::from_nanos(bytes.len() as u64 * 8);
        let Some(end) = self.network.end(connection, to) else {
            return;
        };
        if end.state == EndState::Gone {
            return;
        }
        let wire = &mut end.lanes[usize::from(lane)];
        if let Some((before, _)) = wire.units.back() {
            at = at.max(*before);
        }
        wire.bytes += bytes.len();
        wire.units.push_back((at, bytes));
        self.planted.sent(&mut self.random, connection, lane, wire);
        self.schedule_at(
            at,
            Event::Lane {
                connection,
                to,
                lane,
            },
        );
    }

    /// What has arrived of a lane is taken in.
    fn lane(&mut self, connection: u64, to: usize, lane: u8) {
        let Some((from_host, to_host)) = self.network.way_to(connection, to) else {
            return;
        };
        let mut has_room = false;
        while self.is_end_open(connection, to) && self.network.is_open(from_host, to_host) {
            let now = self.now;
            let Some(end) = self.network.end(connection, to) else {
                return;
            };
            let key = end.node;
            let wire = &mut end.lanes[usize::from(lane)];
            if wire.units.front().is_none_or(|(at, _)| *at > now) {
                break;
            }
            let Some((_, bytes)) = wire.units.pop_front() else {
                break;
            };
            wire.bytes = wire.bytes.saturating_sub(bytes.len());
            has_room = true;
            end.last_heard = now;
            self.unit(key, connection, to, lane, &bytes);
            let old =
                self.planted
                    .old_unit(&mut self.random, &self.network, connection, to, lane, bytes);
            if let Some(old) = old {
                self.unit(key, connection, to, lane, &old);
            }
        }
        if has_room
            && let Some(sender) = self.network.end(connection, 1 - to)
            && sender.state == EndState::Open
        {
            let sender = sender.node;
            if self.nodes[sender].is_paused || !self.nodes[sender].is_alive {
                return;
            }
            let receiver = self.network.end(connection, to).map(|end| end.node);
            let number = receiver.map(|receiver| self.nodes[receiver].id.number());
            let session = number.and_then(|number| self.nodes[sender].sessions.get(number));
            if let Some(session) = session
                && session.connection().0 == connection
                && !session.is_empty()
            {
                self.drain(sender, &session);
            }
        }
    }

    fn unit(&mut self, key: NodeKey, connection: u64, to: usize, lane: u8, bytes: &[u8]) {
        let now = self.instant_of(key);
        let Some(peer) = self.network.end(connection, 1 - to) else {
            return;
        };
        let peer = self.nodes[peer.node].id.number();
        self.nodes[key].model.state.lock().serving = Some((connection, peer));
        self.nodes[key]
            .cluster
            .unit(Connection(connection), lane, bytes, now);
        self.nodes[key].model.state.lock().serving = None;
        self.pump(key);
    }

    fn send_datagram(&mut self, key: NodeKey, connection: u64, bytes: Vec<u8>) {
        let Some(own) = self.network.end_of(connection, key) else {
            return;
        };
        if self.is_end_open(connection, own) && !self.random.in_1000(self.loss) {
            let delay = self.delay();
            let to = 1 - own;
            self.schedule(
                delay,
                Event::Datagram {
                    connection,
                    to,
                    bytes,
                },
            );
        }
    }

    fn datagram(&mut self, connection: u64, to: usize, bytes: &[u8]) {
        let Some((from_host, to_host)) = self.network.way_to(connection, to) else {
            return;
        };
        if self.network.is_open(from_host, to_host) && self.is_end_open(connection, to) {
            let virtual_now = self.now;
            let Some(end) = self.network.end(connection, to) else {
                return;
            };
            end.last_heard = virtual_now;
            let key = end.node;
            let now = self.instant_of(key);
            self.nodes[key]
                .cluster
                .datagram(Connection(connection), bytes, now);
            self.pump(key);
        }
    }

    fn keep_alive_due(&mut self, connection: u64, end: usize) {
        if self.is_end_open(connection, end) {
            let delay = self.delay();
            let to = 1 - end;
            self.schedule(delay, Event::KeepAlive { connection, to });
            self.schedule(KEEP_ALIVE, Event::KeepAliveDue { connection, end });
        }
    }

    /// An end says that it is there, and is answered.
    fn keep_alive(&mut self, connection: u64, to: usize) {
        let Some((from_host, to_host)) = self.network.way_to(connection, to) else {
            return;
        };
        if !self.network.is_open(from_host, to_host) {
            return;
        }
        let delay = self.delay();
        let other = 1 - to;
        let now = self.now;
        let Some(end) = self.network.end(connection, to) else {
            return;
        };
        match end.state {
            EndState::Open => {
                end.last_heard = now;
                self.schedule(
                    delay,
                    Event::Heard {
                        connection,
                        end: other,
                    },
                );
            }
            EndState::Gone => {
                let left = false;
                self.schedule(
                    delay,
                    Event::Closed {
                        connection,
                        to: other,
                        left,
                    },
                );
            }
            EndState::Pending => {}
        }
    }

    fn heard(&mut self, connection: u64, end: usize) {
        let now = self.now;
        if let Some((from_host, to_host)) = self.network.way_to(connection, end)
            && self.network.is_open(from_host, to_host)
            && let Some(end) = self.network.end(connection, end)
        {
            end.last_heard = now;
        }
    }

    fn idle(&mut self, connection: u64, end: usize) {
        if !self.is_end_open(connection, end) {
            return;
        }
        let Some(known) = self.network.end(connection, end) else {
            return;
        };
        let at = known.last_heard + IDLE_LIMIT;
        if at > self.now {
            self.schedule_at(at, Event::Idle { connection, end });
        } else {
            self.trace(|| format!("connection {connection} has timed out at end {end}"));
            self.end_over(connection, end, false);
        }
    }

    /// A node closes a connection.
    fn close(&mut self, key: NodeKey, connection: u64, left: bool) {
        let Some(own) = self.network.end_of(connection, key) else {
            return;
        };
        if self.is_end_open(connection, own) {
            let delay = self.delay();
            let to = 1 - own;
            self.schedule(
                delay,
                Event::Closed {
                    connection,
                    to,
                    left,
                },
            );
            self.network.end_gone(connection, own);
        }
    }

    /// That the other end is gone arrives.
    fn end_closed(&mut self, connection: u64, to: usize, left: bool) {
        if let Some((from_host, to_host)) = self.network.way_to(connection, to)
            && self.network.is_open(from_host, to_host)
        {
            match self.network.end(connection, to).map(|end| end.state) {
                Some(EndState::Pending) => self.network.end_gone(connection, to),
                Some(EndState::Open) => self.end_over(connection, to, left),
                _ => {}
            }
        }
    }

    fn end_over(&mut self, connection: u64, end: usize, left: bool) {
        let Some(key) = self.network.end(connection, end).map(|end| end.node) else {
            return;
        };
        self.network.end_gone(connection, end);
        if self.planted.loses_close(&mut self.random) || !self.nodes[key].is_alive {
            return;
        }
        let now = self.instant_of(key);
        self.trace(|| format!("connection {connection} is over at end {end}, left: {left}"));
        self.nodes[key]
            .cluster
            .closed(Connection(connection), left, now);
        self.pump(key);
    }

    // Cuts.

    pub(crate) fn cut(&mut self, ways: Vec<(Host, Host)>, for_time: Duration) {
        self.trace(|| format!("cut for {for_time:?}: {ways:?}"));
        for (from, to) in &ways {
            self.network.cut(*from, *to);
        }
        self.schedule(for_time, Event::Heal(ways));
    }

    fn heal(&mut self, ways: &[(Host, Host)]) {
        self.trace(|| format!("healed: {ways:?}"));
        for (from, to) in ways {
            self.network.heal(*from, *to, self.now);
        }
        let connections: Vec<_> = self.network.connections.keys().copied().collect();
        for connection in connections {
            for to in [0, 1] {
                let Some(way) = self.network.way_to(connection, to) else {
                    continue;
                };
                if !ways.contains(&way) || !self.network.is_open(way.0, way.1) {
                    continue;
                }
                if !self.is_end_open(connection, 1 - to) {
                    // Nobody is there who would repeat it.
                    self.network.lose_what_is_sent(connection, to);
                    continue;
                }
                for lane in 0..LANES {
                    // It is repeated after a while.
                    let delay = self.delay() + self.random.millis(0, 1500);
                    self.schedule(
                        delay,
                        Event::Lane {
                            connection,
                            to,
                            lane,
                        },
                    );
                }
            }
        }
    }
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Scheduled) -> bool {
        self.number == other.number
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Scheduled) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Scheduled) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}
