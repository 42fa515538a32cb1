//! What has to be true at any time, and at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lunatic_account::Kind;
use lunatic_mailbox::{NodeId, Pid};

use crate::simulation::network::{EndState, NodeKey};
use crate::simulation::world::World;

/// So long after something has happened to it a node may lose a session.
const REASON: Duration = Duration::from_secs(12);

/// By then, a node is told that another is gone, which is promised.
const DETECTION: Duration = Duration::from_secs(6);

/// By so much a start may be taken for later than it was: what tells of a clock is late.
const TOLD_LATE: Duration = Duration::from_secs(6);

/// So much may wait for one node: 8 MiB and one message of each process.
const QUEUED: usize = 32 << 20;

impl World {
    /// After each call into a node.
    pub(crate) fn check_node(&mut self, key: NodeKey) {
        let model = self.nodes[key].model.clone();
        let mut state = model.state.lock();
        if !std::mem::take(&mut state.has_changed) {
            return;
        }
        let sessions = self.nodes[key].sessions.all();
        let open: BTreeSet<NodeId> = sessions.iter().map(|session| session.node().id).collect();
        let up: BTreeSet<NodeId> = state.up.keys().copied().collect();
        if open != up {
            let what = format!("{} has sessions with {open:?}, told {up:?}", model.name);
            self.truth.lock().fail(what);
        }
        let own = model.number;
        let is_there =
            |pid: &Pid| pid.node() == own || up.iter().any(|node| node.number() == pid.node());
        if let Some((name, pid)) = state.names.iter().find(|(_, pid)| !is_there(pid)) {
            let what = format!("{}: {name} belongs to {pid}, which is gone", model.name);
            self.truth.lock().fail(what);
        }
        let downs = std::mem::take(&mut state.downs);
        drop(state);
        self.nodes[key].start.check(&up);
        for down in downs {
            if !self.has_reason(key, down) {
                let what = format!("{} lost its session with {down} for no reason", model.name);
                self.truth.lock().fail(what);
            }
        }
        if let Some(session) = sessions
            .iter()
            .find(|session| session.queued_bytes() > QUEUED)
        {
            let what = format!("{} has queued {} bytes", model.name, session.queued_bytes());
            self.truth.lock().fail(what);
        }
    }

    /// Nobody has a session with a node that has long been gone.
    pub(crate) fn check_told(&mut self) {
        let is_long_ago = |at: Duration| at + DETECTION < self.now;
        for node in &self.nodes {
            if !node.is_alive || node.is_paused || !is_long_ago(node.disturbed) {
                continue;
            }
            for session in node.sessions.all() {
                let id = session.node().id;
                let is_gone = |other: &crate::simulation::world::Node| {
                    other.id == id && !other.is_alive && is_long_ago(other.disturbed)
                };
                if self.nodes.iter().any(is_gone) {
                    let name = &node.model.name;
                    self.wrong(format!(
                        "{name} still has a session with {id}, which is gone"
                    ));
                }
            }
        }
    }

    fn has_reason(&self, key: NodeKey, other: NodeId) -> bool {
        let is_recent = |at: Duration| at + REASON > self.now;
        let is_disturbed = |key: NodeKey| {
            let node = &self.nodes[key];
            !node.is_alive || node.is_paused || is_recent(node.disturbed)
        };
        let Some(other) = self.nodes.iter().position(|node| node.id == other) else {
            return false;
        };
        let (a, b) = (self.nodes[key].host, self.nodes[other].host);
        let is_cut = |way| {
            let cut = self.network.last_cut.get(&way);
            !self.network.is_open(way.0, way.1) || cut.is_some_and(|at| is_recent(*at))
        };
        // Another of its name has come, or was there until a short while ago.
        let slots = [self.nodes[key].slot, self.nodes[other].slot];
        let has_double = slots.iter().any(|slot| {
            let runs = |node: &&crate::simulation::world::Node| {
                let was_there = node.is_expelled && is_recent(node.disturbed);
                node.slot == *slot && (node.is_alive || was_there)
            };
            self.nodes.iter().filter(runs).count() > 1
        });
        // Or another of its number.
        let numbers = [key, other].map(|key| self.nodes[key].id.number());
        let has_double = has_double
            || numbers.iter().any(|number| {
                let has_it = |node: &&crate::simulation::world::Node| {
                    node.id.number() == *number && (node.is_alive || is_recent(node.disturbed))
                };
                self.nodes.iter().filter(has_it).count() > 1
            });
        is_disturbed(key) || is_disturbed(other) || is_cut((a, b)) || is_cut((b, a)) || has_double
    }

    /// A node has to end: another has its name or number that was started earlier, and not all of
    /// them end.
    pub(crate) fn check_expelled(&mut self, key: NodeKey) {
        if std::mem::replace(&mut self.nodes[key].is_expelled, true) {
            return;
        }
        self.truth.lock().counts.expelled += 1;
        let name = &self.nodes[key].model.name;
        if self.earlier_than(key).next().is_none() {
            self.wrong(format!("{name} ends, and there is no earlier start"));
        }
        if !self
            .rivals_of(key)
            .iter()
            .any(|other| !self.nodes[*other].is_expelled)
        {
            self.wrong(format!(
                "{name} ends, and so do all others of its name or number"
            ));
        }
    }

    fn is_there_or_was(&self, key: NodeKey) -> bool {
        let node = &self.nodes[key];
        node.is_alive || node.disturbed + REASON > self.now
    }

    /// The nodes that have the name or number of one, or of one of those, and are there, or were a
    /// short while ago.
    fn rivals_of(&self, key: NodeKey) -> BTreeSet<NodeKey> {
        let mut rivals = BTreeSet::from([key]);
        loop {
            let is_rival = |other: &NodeKey| {
                let other = &self.nodes[*other];
                let mut rivals = rivals.iter().map(|rival| &self.nodes[*rival]);
                rivals
                    .any(|rival| rival.slot == other.slot || rival.id.number() == other.id.number())
            };
            let there = (0..self.nodes.len()).filter(|other| self.is_there_or_was(*other));
            let more: BTreeSet<_> = there.filter(is_rival).chain([key]).collect();
            if more == rivals {
                return rivals;
            }
            rivals = more;
        }
    }

    /// The nodes that have the name or number of one, were not started later, and are there, or were
    /// a short while ago.
    fn earlier_than(&self, key: NodeKey) -> impl Iterator<Item = NodeKey> {
        let node = &self.nodes[key];
        // For how long a node has been running, it knows by its own clock, and what the clock of the
        // cluster shows, by that of another one.
        let behind = self.nodes.iter().map(|node| node.behind).max();
        let told_late = TOLD_LATE + behind.unwrap_or_default() * 2;
        let is_there = |key: &NodeKey| {
            let other = &self.nodes[*key];
            let is_same = other.slot == node.slot || other.id.number() == node.id.number();
            is_same && self.is_there_or_was(*key) && other.started < node.started + told_late
        };
        let others = (0..self.nodes.len()).filter(|other| *other != key);
        others.filter(is_there).collect::<Vec<_>>().into_iter()
    }

    /// At the end of everything, nothing is left of what processes have beside them.
    fn check_kept(&mut self, key: NodeKey) {
        let node = &self.nodes[key];
        let state = node.model.state.lock();
        let names = state.processes.values().map(|own| own.names.len() as u64);
        let monitors = node.start.told.lock().len() as u64;
        let names = names.sum::<u64>() + monitors;
        let held = node.keeper.used(Kind::Names);
        let pids: Vec<Pid> = state.processes.keys().copied().collect();
        let name = node.model.name.clone();
        drop(state);
        if names != held {
            self.wrong(format!("{name}: {held} names are paid for, not {names}"));
        }
        for pid in pids {
            node.model.held.ended(pid);
            node.start.ended(pid);
        }
        let memory = node.keeper.used(Kind::Memory);
        if memory > 0 {
            let what = format!("{name}: {memory} bytes of names and monitors are kept");
            self.wrong(what);
        }
    }

    fn living(&self) -> Vec<NodeKey> {
        let keys = 0..self.nodes.len();
        keys.filter(|key| self.nodes[*key].is_alive).collect()
    }

    fn wrong(&self, what: String) {
        self.truth.lock().fail(what);
    }

    /// 5 s after everything is healed.
    pub(crate) fn check_names_and_groups(&mut self) {
        let living = self.living();
        let mut groups: BTreeMap<(String, String, Pid), u64> = BTreeMap::new();
        let mut names: BTreeMap<String, BTreeSet<Pid>> = BTreeMap::new();
        for key in &living {
            let state = self.nodes[*key].model.state.lock();
            for (pid, process) in &state.processes {
                for (scope, group) in &process.groups {
                    let key = (scope.clone(), group.clone(), *pid);
                    *groups.entry(key).or_default() += 1;
                }
                for name in &process.names {
                    names.entry(name.clone()).or_default().insert(*pid);
                }
            }
        }
        for (name, owners) in &names {
            if owners.len() > 1 {
                self.wrong(format!("{name} belongs to {owners:?}"));
            }
        }
        for key in living {
            let model = self.nodes[key].model.clone();
            let state = model.state.lock();
            let expected: BTreeMap<_, _> = groups
                .iter()
                .filter(|((_, _, pid), _)| pid.node() != model.number)
                .map(|(key, times)| (key.clone(), *times))
                .collect();
            let known: BTreeMap<_, _> = self.nodes[key]
                .start
                .attached
                .globals()
                .into_iter()
                .collect();
            let is_attached = self.nodes[key].is_attached;
            if is_attached && state.groups != expected {
                let others = self.nodes.iter().filter(|other| other.is_alive);
                let queued = others.filter_map(|other| {
                    let session = other.sessions.with_node(self.nodes[key].id)?;
                    Some((other.model.name.as_str(), session.queued_bytes()))
                });
                let queued: Vec<_> = queued.filter(|(_, queued)| *queued > 0).collect();
                let what = format!(
                    "{}: groups {:?}, not {expected:?}; for it are queued: {queued:?}",
                    model.name, state.groups
                );
                self.wrong(what);
            }
            let owner =
                |(name, owners): (&String, &BTreeSet<Pid>)| Some((name.clone(), *owners.first()?));
            let expected: BTreeMap<_, _> = names.iter().filter_map(owner).collect();
            if known != expected || is_attached && state.names != expected {
                let what = format!(
                    "{}: names {:?} and {known:?}, not {expected:?}",
                    model.name, state.names
                );
                self.wrong(what);
            }
        }
    }

    pub(crate) fn is_gossip_complete(&self) -> bool {
        let living = self.living();
        let knows_all = |key: &NodeKey| {
            let known = self.nodes[*key].cluster.known_nodes();
            let others = living.iter().filter(|other| *other != key);
            others
                .map(|other| self.nodes[*other].id)
                .all(|other| known.contains(&other))
        };
        living.iter().all(knows_all)
    }

    /// At the end.
    pub(crate) fn check_all(&mut self) {
        let living = self.living();
        let slots: BTreeSet<_> = living.iter().map(|key| self.nodes[*key].slot).collect();
        if slots.len() != living.len() || slots.len() != self.slots {
            self.wrong(format!("living nodes: {living:?}, of slots {slots:?}"));
        }
        let ids: BTreeSet<_> = living.iter().map(|key| self.nodes[*key].id).collect();
        let mut links: BTreeSet<(Pid, Pid)> = BTreeSet::new();
        let mut watchers: BTreeSet<(Pid, Pid)> = BTreeSet::new();
        let mut watching: BTreeSet<(Pid, Pid)> = BTreeSet::new();
        for key in &living {
            let node = &self.nodes[*key];
            let name = &node.model.name;
            let up: BTreeSet<_> = node.model.state.lock().up.keys().copied().collect();
            let mut expected = ids.clone();
            expected.remove(&node.id);
            if up != expected {
                self.wrong(format!("{name}: has {up:?}, not {expected:?}"));
            }
            let known: BTreeSet<_> = node.cluster.known_nodes().into_iter().collect();
            if known != expected {
                self.wrong(format!("{name}: gossip has {known:?}, not {expected:?}"));
            }
            let requests = node.requests.lock().len();
            if requests > 0 {
                self.wrong(format!("{name}: {requests} requests are not answered"));
            }
            if !node.is_attached {
                self.wrong(format!("{name}: it has no runtime"));
            }
            let memory = node.account.used(Kind::Memory);
            if memory > 0 {
                self.wrong(format!("{name}: {memory} bytes are still paid for"));
            }
            for session in node.sessions.all() {
                let queued = session.queued_bytes();
                if queued > 0 || !session.is_empty() {
                    self.wrong(format!("{name}: {queued} bytes are queued"));
                }
                if !session.is_ready() {
                    self.wrong(format!("{name}: a session is not ready"));
                }
            }
            for (pid, process) in &node.model.state.lock().processes {
                links.extend(process.links.keys().map(|peer| (*pid, *peer)));
                watchers.extend(process.watchers.iter().map(|watcher| (*watcher, *pid)));
                watching.extend(process.watching.iter().map(|watched| (*pid, *watched)));
            }
        }
        for key in living {
            self.check_kept(key);
        }
        let truth = self.truth.clone();
        let mut truth = truth.lock();
        for (own, peer) in &links {
            if !truth.alive.contains_key(peer) || !links.contains(&(*peer, *own)) {
                truth.fail(format!(
                    "{own} is linked to {peer}, but not the other way round"
                ));
            }
        }
        for (watcher, watched) in &watchers {
            if !watching.contains(&(*watcher, *watched)) {
                truth.fail(format!(
                    "{watched} is monitored by {watcher}, which does not know it"
                ));
            }
        }
        for (watcher, watched) in &watching {
            let is_known = truth.monitors.contains(&(*watcher, *watched));
            let is_alive = truth.alive.contains_key(watched);
            // Who monitors one that is not there is told nothing.
            let is_right = match is_alive {
                true => watchers.contains(&(*watcher, *watched)),
                false => !is_known,
            };
            if !is_right {
                truth.fail(format!(
                    "{watcher} monitors {watched}, which does not know it"
                ));
            }
        }
        for (connection, wired) in &self.network.connections {
            let nodes = &self.nodes;
            let is_open = |end: &crate::simulation::network::End| {
                end.state == EndState::Open && nodes[end.node].is_alive
            };
            if !wired.ends.iter().all(is_open) {
                truth.fail(format!("connection {connection} is half there"));
                continue;
            }
            let sent: Vec<_> = truth
                .sent
                .range((*connection, Pid::from_bits(0), Pid::from_bits(0))..)
                .take_while(|((of, ..), _)| of == connection)
                .map(|(key, count)| (*key, *count))
                .collect();
            for (key, sent) in sent {
                let received = truth.received.get(&key).copied().unwrap_or(0);
                if sent != received {
                    truth.fail(format!("of {sent} messages {received} have come: {key:?}"));
                }
            }
        }
    }
}
