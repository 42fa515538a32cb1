//! What processes do all the time.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use lunatic_distributed::{GroupChange, OnLoss};
use lunatic_mailbox::{DataMessage, NodeId, Pid, Tag};
use lunatic_process::{Peers, Signal};

use crate::frame::Frame;
use crate::groups::GroupFrame;
use crate::simulation::network::NodeKey;
use crate::simulation::processes::{REFUSED, end_reason, exit_reason, payload};
use crate::simulation::world::{Event, World};

/// So many processes a node has at least.
const PROCESSES: usize = 6;

/// As long as it may take, with the longest delays, until what is too much at once has left.
const BURST: Duration = Duration::from_secs(12);

impl World {
    /// Something happens on the nodes of a slot.
    pub(crate) fn load(&mut self, slot: usize) {
        if self.now >= self.quiet_from {
            return;
        }
        let keys = 0..self.nodes.len();
        let keys: Vec<_> = keys
            .filter(|key| {
                let node = &self.nodes[*key];
                let is_busy = node.is_attached && !node.is_paused && !node.is_leaving;
                node.is_alive && is_busy && node.slot == slot
            })
            .collect();
        for key in keys {
            // Now and then much at once.
            let times = if self.random.in_1000(20) { 30 } else { 1 };
            for _ in 0..times {
                self.something(key);
            }
            self.pump(key);
        }
        let after = self.random.millis(5, 150);
        self.schedule(after, Event::Load(slot));
    }

    fn something(&mut self, key: NodeKey) {
        let model = self.nodes[key].model.clone();
        let own = loop {
            let state = model.state.lock();
            let pids: Vec<_> = state.processes.keys().copied().collect();
            drop(state);
            if pids.len() >= PROCESSES {
                break *self.random.pick(&pids).expect("there are some");
            }
            let traps = self.random.in_1000(700);
            model.spawn(traps);
        };
        let number = model.number;
        let sessions = self.nodes[key].sessions.clone();
        let truth = self.truth.lock();
        let others: Vec<Pid> = match self.random.in_1000(950) {
            // Not those of another node with the number of one that there is a session with.
            true => truth
                .alive
                .iter()
                .filter(|(pid, node)| {
                    let known = sessions.get(pid.node());
                    known.is_none_or(|known| known.node().id == **node)
                })
                .map(|(pid, _)| *pid)
                .collect(),
            false => truth.dead.keys().copied().collect(),
        };
        drop(truth);
        let others: Vec<_> = others
            .into_iter()
            .filter(|pid| pid.node() != number)
            .collect();
        let sessions = self.nodes[key].sessions.all();
        let has_no_runtime = |node: NodeId| {
            let mut nodes = self.nodes.iter();
            nodes.any(|other| other.id == node && !other.is_attached)
        };
        let peer = match self.random.pick(&sessions) {
            // One that never was there: that is all that can be named of a node without a runtime.
            Some(session)
                if self.random.in_1000(20)
                    || has_no_runtime(session.node().id) && self.random.in_1000(300) =>
            {
                let counter = u64::MAX >> 21;
                Pid::new(session.node().id.number(), counter)
            }
            _ => self.random.pick(&others).copied(),
        };
        let Some(peer) = peer else {
            return;
        };
        let tag = Tag::new(1 + self.random.below(100) as i64);
        if self.random.below(3000) == 0 && self.now + BURST < self.quiet_from {
            // More than may be queued for a node.
            for _ in 0..6 {
                self.send_long(key, own, peer, 5 << 19);
            }
            self.fill_control(key, peer);
            for _ in 0..20 {
                self.join_or_leave(key, own);
            }
            return;
        }
        match self.random.below(100) {
            0..40 => self.send(key, own, peer),
            40..48 => self.ask(key, own, peer),
            48..60 => model.link(own, peer, tag),
            60..68 => {
                // One that is there, if there is one: mostly from both ends at once.
                let state = model.state.lock();
                let linked = state
                    .processes
                    .get(&own)
                    .and_then(|own| own.links.keys().next().copied());
                drop(state);
                let peer = linked.unwrap_or(peer);
                model.unlink(own, peer);
                let other = self.nodes.iter().position(|node| {
                    node.is_alive && !node.is_paused && node.id.number() == peer.node()
                });
                if let Some(other) = other
                    && self.random.in_1000(500)
                {
                    let other_model = self.nodes[other].model.clone();
                    let lives = other_model.state.lock().processes.contains_key(&peer);
                    if lives {
                        other_model.unlink(peer, own);
                        if self.random.in_1000(300) {
                            other_model.link(peer, own, tag);
                        }
                        self.pump(other);
                    }
                }
                if self.random.in_1000(300) {
                    model.link(own, peer, tag);
                }
            }
            68..78 => model.monitor(own, peer),
            78..81 => model.stop_monitoring(own, peer),
            81..84 => {
                model.sessions().signal(None, own, peer, Signal::Kill).ok();
            }
            84..87 => {
                let reason = end_reason(self.random.below(10_000));
                model.die(own, reason);
            }
            87..91 => self.join_or_leave(key, own),
            91 => self.monitor_nodes(key, own),
            92..96 => self.name(key, own),
            _ => self.request(key, own, peer),
        }
    }

    /// Whether a process may send; it may not while much is queued.
    fn may_send(&mut self, key: NodeKey, own: Pid) -> bool {
        let Some(hold) = self.nodes[key].held.get_mut(&own) else {
            return true;
        };
        let mut context = Context::from_waker(Waker::noop());
        let goes_on = Pin::new(hold).poll(&mut context).is_ready();
        if goes_on {
            self.nodes[key].held.remove(&own);
        }
        goes_on
    }

    fn send(&mut self, key: NodeKey, own: Pid, peer: Pid) {
        let length = match self.random.below(1000) {
            0..800 => self.random.below(200),
            800..950 => self.random.below(5000),
            950..980 => 65_000 + self.random.below(1200),
            980..997 => self.random.below(400_000),
            _ => self.random.below(3 << 20),
        };
        self.send_long(key, own, peer, length);
    }

    fn send_long(&mut self, key: NodeKey, own: Pid, peer: Pid, length: u64) {
        if !self.may_send(key, own) {
            return;
        }
        let Some(session) = self.nodes[key].sessions.get(peer.node()) else {
            return;
        };
        let connection = session.connection().0;
        let number = self
            .truth
            .lock()
            .sent
            .get(&(connection, own, peer))
            .copied()
            .unwrap_or(0);
        let mark = if self.random.in_1000(3) { REFUSED } else { 0 };
        let payload = payload(mark, connection, number, length as usize);
        let mut message = DataMessage::new(None, payload);
        let payer = self.nodes[key].account.clone();
        match session.send(Some(&payer), own, peer, &mut message) {
            Ok(hold) => {
                let mut truth = self.truth.lock();
                *truth.sent.entry((connection, own, peer)).or_default() += 1;
                if let Some(hold) = hold {
                    truth.counts.held += 1;
                    self.nodes[key].held.insert(own, hold);
                }
            }
            Err(error) => self
                .truth
                .lock()
                .fail(format!("a message is not sent: {error:?}")),
        }
    }

    /// A signal whose place among the messages is checked.
    fn ask(&mut self, key: NodeKey, own: Pid, peer: Pid) {
        let Some(session) = self.nodes[key].sessions.get(peer.node()) else {
            return;
        };
        let connection = session.connection().0;
        let mut truth = self.truth.lock();
        let number = truth.sent.entry((connection, own, peer)).or_default();
        *number += 1;
        let tag = Tag::new((connection << 24 | *number) as i64);
        let reason = exit_reason(*number);
        drop(truth);
        let exit = Signal::Exit {
            from: own,
            tag,
            reason,
        };
        self.nodes[key].sessions.signal(None, own, peer, exit).ok();
    }

    /// More waits for a node that is about the nodes themselves than there may be before changes of
    /// groups are kept back: changes that say nothing, as they are of processes of a third node.
    fn fill_control(&mut self, key: NodeKey, peer: Pid) {
        let change = GroupChange {
            scope: "scope".into(),
            group: "g".repeat(1000),
            process: Pid::from_bits(1),
            joined: true,
        };
        let frame = Frame::Groups(GroupFrame(vec![change; 512]));
        let session = self.nodes[key].sessions.get(peer.node());
        if let Some(session) = session {
            (0..12).for_each(|_| session.control(&frame));
        }
    }

    fn join_or_leave(&mut self, key: NodeKey, own: Pid) {
        let group = format!("group{}", self.random.below(3));
        let leaves = self.random.in_1000(400);
        let model = self.nodes[key].model.clone();
        let mut state = model.state.lock();
        let Some(process) = state.processes.get_mut(&own) else {
            return;
        };
        let known = process.groups.iter().position(|(_, known)| *known == group);
        let joined = match known {
            Some(known) if leaves => {
                process.groups.remove(known);
                false
            }
            _ if leaves => return,
            _ => {
                process.groups.push(("scope".into(), group.clone()));
                true
            }
        };
        drop(state);
        let change = GroupChange {
            scope: "scope".into(),
            group,
            process: own,
            joined,
        };
        self.group_changed(key, change);
    }

    /// A process is told of nodes from now on, is told anew, or no longer.
    fn monitor_nodes(&mut self, key: NodeKey, own: Pid) {
        let stops = self.random.in_1000(300);
        let node = &self.nodes[key];
        let start = &node.start;
        if stops {
            start.ended(own);
            return;
        }
        // Who is told anew hears of all again.
        start
            .told
            .lock()
            .insert(own, std::collections::BTreeSet::new());
        let begun = start
            .monitors
            .begin(&node.sessions, &start.watcher(own), None, &node.keeper);
        if let Err(error) = begun {
            self.truth
                .lock()
                .fail(format!("{own} is not told: {error}"));
        }
    }

    /// What `Node::register_for` and `Node::unregister_global` do.
    fn name(&mut self, key: NodeKey, own: Pid) {
        let name = format!("name{}", self.random.below(4));
        let gives_up = self.random.in_1000(300);
        let kills = self.random.in_1000(300);
        let twice = self.random.in_1000(200);
        let model = self.nodes[key].model.clone();
        if gives_up {
            let mut state = model.state.lock();
            if let Some(process) = state.processes.get_mut(&own) {
                process.names.remove(&name);
            }
            drop(state);
            // By the thread of the node, a moment later: it is not under the lock.
            model.held.give_up(own, &name, || ());
            self.nodes[key].cluster.unregister_global(&name, own);
            return;
        }
        for _ in 0..=usize::from(twice) {
            let on_loss = if kills {
                OnLoss::Kill
            } else {
                OnLoss::Tell(None)
            };
            self.register(key, own, name.clone(), on_loss);
        }
    }

    fn register(&mut self, key: NodeKey, own: Pid, name: String, on_loss: OnLoss) {
        let model = self.nodes[key].model.clone();
        let mut state = model.state.lock();
        let Some(process) = state.processes.get_mut(&own) else {
            return;
        };
        let again = process.on_loss.insert(name.clone(), on_loss).is_some();
        drop(state);
        self.truth.lock().counts.names_again += u64::from(again);
        let (decided, decider) = (name.clone(), model.clone());
        let decide = Box::new(move |result: Result<(), _>| {
            let model = decider;
            let mut truth = model.truth.lock();
            truth.trace(|| format!("{decided} for {own}: {result:?}"));
            truth.counts.names += u64::from(result.is_ok());
            drop(truth);
            model.held.decided(own, &decided, result.is_ok());
            let mut state = model.state.lock();
            if let Some(process) = state.processes.get_mut(&own)
                && result.is_ok()
                && process.names.insert(decided.clone())
            {
                let mut truth = model.truth.lock();
                let now = truth.now;
                truth.named.insert((decided, own), now);
            }
        });
        let wanted = name.clone();
        let node = &mut self.nodes[key];
        let cluster = &mut node.cluster;
        let mut claimed = None;
        let claim = || claimed = Some((wanted, decide));
        let held = model.held.hold(own, &name, on_loss, &node.keeper, claim);
        // By the thread of the node, a moment later: it is not under the lock.
        match (held, claimed) {
            (Ok(_), Some((name, decide))) => cluster.register_global(name, own, decide),
            held => {
                let what = format!("{own} cannot hold a name: {:?}", held.0);
                self.truth.lock().fail(what);
            }
        }
    }

    fn request(&mut self, key: NodeKey, own: Pid, peer: Pid) {
        let Some(session) = self.nodes[key].sessions.get(peer.node()) else {
            return;
        };
        let id = self.random.next();
        let kind = self.random.below(3) as u8;
        let mut request = vec![kind];
        request.extend_from_slice(&id.to_le_bytes());
        if self.random.in_1000(50) {
            request.resize(100_000, kind);
        }
        let requests = self.nodes[key].requests.clone();
        requests.lock().insert(id);
        let truth = self.truth.clone();
        let expected = request.clone();
        let respond = Box::new(move |response: Result<&[u8], _>| {
            let mut truth = truth.lock();
            if !requests.lock().remove(&id) {
                truth.fail(format!("request {id} is answered twice"));
            }
            match response {
                Ok(response) if response == expected => truth.counts.responses += 1,
                Ok(_) => truth.fail(format!("request {id} has the answer to another")),
                Err(_) => truth.counts.responses_lost += 1,
            }
        });
        let payer = self.nodes[key].account.clone();
        session.request(own, Some(&payer), &request, respond);
    }

    pub(crate) fn begin_load(&mut self) {
        for slot in 0..self.slots {
            self.schedule(Duration::from_secs(1), Event::Load(slot));
        }
    }
}
