//! The target `wire`: the units and datagrams of another node.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lunatic_distributed::{
    Action, Answer, Cluster, Connection, GroupChange, Incoming, LANES, LocalNode, NodeEvent,
    NodeInfo, NotDelivered, Sessions,
};
use lunatic_mailbox::{DataMessage, NodeId, Pid, Tag};
use lunatic_process::{Effect, ExitReason, Signal};

use crate::panics;

/// A node whose only processes are those with an even counter.
struct Local;

impl LocalNode for Local {
    fn deliver(&self, message: Incoming<'_>) -> Result<(), NotDelivered> {
        match message.to.to_bits() % 2 {
            0 => Ok(()),
            _ => Err(NotDelivered::Refused),
        }
    }

    fn signal(&self, _from: Pid, to: Pid, _signal: Signal) -> Result<Effect, ExitReason> {
        match to.to_bits() % 2 {
            0 => Ok(Effect::NONE),
            _ => Err(ExitReason::NoProcess),
        }
    }

    fn request(&self, from: Pid, request: &[u8], answer: Answer) {
        answer.send(Some(from), request);
    }

    fn group_changed(&self, _change: GroupChange) {}

    fn global_name_changed(&self, _name: &str, _process: Option<Pid>) {}

    fn global_name_lost(&self, _name: &str, _process: Pid, _winner: Pid) {}

    fn node_event(&self, _event: NodeEvent) {}
}

struct Node {
    cluster: Cluster,
    sessions: Arc<Sessions>,
}

/// Where an input says that a datagram comes.
const DATAGRAM: u8 = LANES;

const CONNECTION: Connection = Connection(1);

impl Node {
    fn new(number: u64, now: Instant) -> Node {
        let id = NodeId::from_bits(number);
        let own = NodeInfo {
            id,
            name: format!("node{number}").parse().unwrap(),
            address: ([127, 0, 0, 1], number as u16).into(),
            generation: 1,
            tags: Default::default(),
        };
        let sessions = Arc::new(Sessions::new(id, || {}));
        let cluster = Cluster::new(own, Arc::new(Local), sessions.clone(), number, now);
        Node { cluster, sessions }
    }

    fn arrives(&mut self, connection: Connection, place: u8, bytes: &[u8], now: Instant) {
        match place {
            DATAGRAM => self.cluster.datagram(connection, bytes, now),
            lane => self.cluster.unit(connection, lane, bytes, now),
        }
    }

    /// Returns the units that it writes, with their streams.
    fn written(&mut self) -> Vec<(u8, Vec<u8>)> {
        let mut written = Vec::new();
        for action in self.cluster.take_actions() {
            match action {
                Action::Write(_, unit) => written.push((0, unit)),
                Action::Datagram(_, bytes) => written.push((DATAGRAM, bytes)),
                _ => {}
            }
        }
        for session in self.sessions.take_queued() {
            for lane in 0..LANES {
                while let Some(unit) = session.take(lane) {
                    written.push((lane, unit.to_vec()));
                }
            }
        }
        written
    }
}

/// Two nodes that have greeted each other.
fn nodes(now: Instant) -> [Node; 2] {
    let mut nodes = [Node::new(1, now), Node::new(2, now)];
    let names = nodes.each_ref().map(|node| node.cluster.own().name.clone());
    let address = nodes[1].cluster.own().address;
    let [of_first, of_second] = names;
    nodes[0]
        .cluster
        .connected(CONNECTION, of_second, Some(address), now);
    nodes[1].cluster.connected(CONNECTION, of_first, None, now);
    exchange(&mut nodes, now);
    assert!(nodes.iter().all(|node| node.sessions.count() == 1));
    nodes
}

/// Gives each what the other has written, until both are silent.
fn exchange(nodes: &mut [Node; 2], now: Instant) {
    for _ in 0..16 {
        for (from, to) in [(0, 1), (1, 0)] {
            for (place, bytes) in nodes[from].written() {
                nodes[to].arrives(CONNECTION, place, &bytes, now);
            }
        }
    }
}

/// Inputs of what nodes really send: greetings, messages, requests, groups, names, gossip and an
/// end in good order.
pub fn examples() -> Vec<Vec<u8>> {
    let now = Instant::now();
    let mut nodes = nodes(now);
    let [one, _] = &mut nodes;
    let node = |number: u64| NodeId::from_bits(number).number();
    let pid = |number: u64, counter: u64| Pid::new(node(number), counter).unwrap();
    let session = one.sessions.all().remove(0);
    let mut message = DataMessage::new(Tag::new(7), vec![1; 40]);
    session
        .send(None, pid(1, 2), pid(2, 4), &mut message)
        .map(drop)
        .ok();
    session.request(pid(1, 2), None, b"request", Box::new(|_| {}));
    one.cluster.group_changed(GroupChange {
        scope: "scope".into(),
        group: "group".into(),
        process: pid(1, 2),
        joined: true,
    });
    one.cluster
        .register_global("name".to_owned(), pid(1, 2), Box::new(|_| {}));
    let mut inputs = vec![packed(&one.written())];
    let mut later = now;
    for _ in 0..20 {
        later += Duration::from_millis(500);
        one.cluster.tick(later);
        inputs.push(packed(&one.written()));
    }
    one.cluster.leave(later);
    inputs.push(packed(&one.written()));
    let mut greeting = vec![0xff, 0];
    let mut first = Node::new(1, now);
    let name = nodes[1].cluster.own().name.clone();
    let address = nodes[1].cluster.own().address;
    first
        .cluster
        .connected(CONNECTION, name, Some(address), now);
    greeting.extend(packed(&first.written()));
    inputs.push(greeting);
    inputs.retain(|input| !input.is_empty());
    inputs
}

/// Encodes units as an input; units that are too long for an input are left out.
fn packed(units: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut input = Vec::new();
    for (place, bytes) in units {
        if let Ok(length) = u8::try_from(bytes.len()) {
            input.extend([*place, length]);
            input.extend(bytes);
        }
    }
    input
}

/// Tries an input: units and datagrams that one node sends to another, each after a byte for the
/// stream and a byte for its length. Then another node greets this one, and gets a session: a node
/// of the cluster can claim anything about others, but keeps none out permanently.
pub fn run(input: &[u8]) {
    panics::watch();
    let mut now = Instant::now();
    let mut both = match input.first() {
        // Before they have greeted each other.
        Some(0xff) => {
            let mut nodes = [Node::new(1, now), Node::new(2, now)];
            let name = nodes[0].cluster.own().name.clone();
            nodes[1].cluster.connected(CONNECTION, name, None, now);
            nodes
        }
        _ => nodes(now),
    };
    let mut rest = input;
    while let [place, length, behind @ ..] = rest {
        let length = usize::from(*length).min(behind.len());
        let (bytes, next) = behind.split_at(length);
        let cluster = &mut both[1].cluster;
        match place % 40 {
            lane @ 0..LANES => cluster.unit(CONNECTION, lane, bytes, now),
            LANES..38 => cluster.datagram(CONNECTION, bytes, now),
            38 => cluster.tick(now),
            _ => now += Duration::from_millis(500),
        }
        both[1].written();
        rest = next;
    }
    now += Duration::from_secs(600);
    let node = &mut both[1];
    node.cluster.closed(CONNECTION, false, now);
    node.cluster.tick(now);
    node.cluster.take_actions();
    node.written();
    let mut other = Node::new(3, now);
    // Told that a later start of it is known, it is a later one when it dials again.
    for connection in [7, 8].map(Connection) {
        let names = [&other, &*node].map(|node| node.cluster.own().name.clone());
        let [of_other, of_node] = names;
        let address = node.cluster.own().address;
        node.cluster.connected(connection, of_other, None, now);
        other
            .cluster
            .connected(connection, of_node, Some(address), now);
        for _ in 0..4 {
            for (place, bytes) in other.written() {
                node.arrives(connection, place, &bytes, now);
            }
            for (place, bytes) in node.written() {
                other.arrives(connection, place, &bytes, now);
            }
        }
    }
    assert_eq!(other.sessions.count(), 1);
    panics::assert_none();
}
