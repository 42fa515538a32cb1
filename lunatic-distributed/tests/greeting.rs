//! Who takes whom, step by step: what simulations have shown to go wrong.
#![allow(clippy::expect_used, reason = "a failed expectation fails the test")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lunatic_distributed::{
    Action, Answer, Cluster, Connection, Expelled, GroupChange, Incoming, LANES, LocalNode,
    NodeEvent, NodeInfo, NotDelivered, PROTOCOL, Refusal, Sessions,
};
use lunatic_mailbox::{NodeId, Pid};
use lunatic_process::{Effect, ExitReason, Signal};
use parking_lot::Mutex;

/// A node without processes.
#[derive(Default)]
struct Local(Mutex<Vec<NodeEvent>>);

impl LocalNode for Local {
    fn deliver(&self, _: Incoming<'_>) -> Result<(), NotDelivered> {
        Ok(())
    }

    fn signal(&self, _: Pid, _: Pid, _: Signal) -> Result<Effect, ExitReason> {
        Err(ExitReason::NoProcess)
    }

    fn request(&self, _: Pid, _: &[u8], _: Answer) {}

    fn group_changed(&self, _: GroupChange) {}

    fn global_name_changed(&self, _: &str, _: Option<Pid>) {}

    fn global_name_lost(&self, _: &str, _: Pid, _: Pid) {}

    fn node_event(&self, event: NodeEvent) {
        self.0.lock().push(event);
    }
}

struct Node {
    cluster: Cluster,
    sessions: Arc<Sessions>,
    local: Arc<Local>,
    written: Vec<(Connection, u8, Vec<u8>)>,
    closed: Vec<Connection>,
}

fn address(host: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], 4000))
}

impl Node {
    fn new(name: &str, id: u64, host: u8, now: Instant) -> Node {
        Node::start(name, id, host, 0, now)
    }

    fn start(name: &str, id: u64, host: u8, generation: u64, now: Instant) -> Node {
        let id = NodeId::from_bits(id);
        let own = NodeInfo {
            id,
            name: name.parse().expect("it is a name"),
            address: address(host),
            generation,
            tags: BTreeMap::new(),
        };
        let local = Arc::new(Local::default());
        let sessions = Arc::new(Sessions::new(id, || ()));
        let cluster = Cluster::new(own, local.clone(), sessions.clone(), 1, now);
        Node {
            cluster,
            sessions,
            local,
            written: Vec::new(),
            closed: Vec::new(),
        }
    }

    fn follow(&mut self) {
        for action in self.cluster.take_actions() {
            match action {
                Action::Write(connection, bytes) => self.written.push((connection, 0, bytes)),
                Action::Close(connection, ..) => self.closed.push(connection),
                _ => {}
            }
        }
        for session in self.sessions.take_queued() {
            for lane in (0..LANES).filter(|_| session.is_ready()) {
                while let Some(unit) = session.take(lane) {
                    let unit = unit.to_vec();
                    self.written.push((session.connection(), lane, unit));
                }
            }
        }
    }

    fn take_events(&self) -> Vec<NodeEvent> {
        std::mem::take(&mut self.local.0.lock())
    }

    fn up(&self) -> Vec<NodeId> {
        let all = self.sessions.all();
        all.iter().map(|session| session.node().id).collect()
    }
}

/// What one has written arrives at the other.
fn carry(from: &mut Node, to: &mut Node, now: Instant) {
    from.follow();
    for (connection, lane, unit) in std::mem::take(&mut from.written) {
        to.cluster.unit(connection, lane, &unit, now);
    }
    to.follow();
}

/// What each has written arrives at the other end of its connection, until nobody writes any more.
fn settle(nodes: &mut [&mut Node], now: Instant) {
    for _ in 0..20 {
        let mut written = Vec::new();
        for (index, node) in nodes.iter_mut().enumerate() {
            node.follow();
            let units = std::mem::take(&mut node.written);
            written.extend(units.into_iter().map(|unit| (index, unit)));
        }
        if written.is_empty() {
            return;
        }
        for (from, (connection, lane, unit)) in written {
            // Who does not have the connection takes no notice.
            let others = nodes.iter_mut().enumerate();
            for (_, node) in others.filter(|(index, _)| *index != from) {
                node.cluster.unit(connection, lane, &unit, now);
            }
        }
    }
    panic!("they never stop");
}

/// One dials the other, which hears the greeting.
fn dial(from: &mut Node, to: &mut Node, connection: u64, now: Instant) {
    let connection = Connection(connection);
    let (name, other) = (from.cluster.own().name.clone(), to.cluster.own());
    let (other, at) = (other.name.clone(), other.address);
    from.cluster.connected(connection, other, Some(at), now);
    to.cluster.connected(connection, name, None, now);
    carry(from, to, now);
}

fn connect(from: &mut Node, to: &mut Node, connection: u64, now: Instant) {
    dial(from, to, connection, now);
    for _ in 0..2 {
        carry(to, from, now);
        carry(from, to, now);
    }
    assert!(from.up().contains(&to.cluster.own().id));
    assert!(to.up().contains(&from.cluster.own().id));
}

#[test]
fn a_node_that_leaves_has_nothing_due_all_the_time() {
    let mut now = Instant::now();
    let mut node = Node::new("a", 1, 1, now);
    node.cluster.set_seeds(&[address(2)], now);
    node.cluster.leave(now);
    for _ in 0..100 {
        let Some(deadline) = node.cluster.deadline() else {
            return;
        };
        assert!(deadline > now, "it is never done");
        now = deadline;
        node.cluster.tick(now);
    }
}

#[test]
fn who_leaves_is_not_left_by_the_others() {
    let now = Instant::now();
    let (mut a, mut b) = (Node::new("a", 1, 1, now), Node::new("b", 2, 2, now));
    connect(&mut a, &mut b, 1, now);
    a.cluster.leave(now);
    carry(&mut a, &mut b, now);
    let is_left = |node: &Node| {
        let downs = node
            .take_events()
            .into_iter()
            .filter_map(|event| match event {
                NodeEvent::Down { left, .. } => Some(left),
                _ => None,
            });
        downs.collect::<Vec<_>>()
    };
    assert_eq!(is_left(&b), [true]);
    // The other closes the connection with the same code.
    a.cluster.closed(Connection(1), true, now);
    assert_eq!(is_left(&a), [false]);
}

#[test]
fn a_node_that_speaks_another_version_of_the_protocol_is_told_which_one_this_is() {
    let now = Instant::now();
    let (mut a, mut b) = (Node::new("a", 1, 1, now), Node::new("b", 2, 2, now));
    let connection = Connection(1);
    let (name, other) = (a.cluster.own().name.clone(), b.cluster.own().name.clone());
    a.cluster
        .connected(connection, other, Some(address(2)), now);
    b.cluster.connected(connection, name, None, now);
    a.follow();
    let (_, _, mut hello) = a.written.pop().expect("it has greeted");
    // The version is behind the kind of the frame; what follows may be anything.
    assert_eq!(u16::from(hello[1]), PROTOCOL);
    hello[1] += 1;
    hello.truncate(5);
    b.cluster.unit(connection, 0, &hello, now);
    assert!(b.up().is_empty());
    carry(&mut b, &mut a, now);
    let events = a.take_events();
    let is_refused = |event: &NodeEvent| {
        let NodeEvent::Refused { refusal, .. } = event else {
            return false;
        };
        *refusal == Refusal::Protocol { version: PROTOCOL }
    };
    assert!(events.iter().any(is_refused), "{events:?}");
    assert!(a.up().is_empty() && a.closed.contains(&connection));
}

#[test]
fn a_holder_that_answers_keeps_its_name_and_a_silent_one_loses_it() {
    for answers in [true, false] {
        let now = Instant::now();
        let (mut a, mut b) = (Node::new("a", 1, 1, now), Node::new("b", 2, 2, now));
        connect(&mut a, &mut b, 1, now);
        let mut newcomer = Node::new("a", 1 << 20 | 3, 3, now);
        // It is told that a start is remembered, and is a later one from then on.
        dial(&mut newcomer, &mut b, 2, now);
        carry(&mut b, &mut newcomer, now);
        assert_eq!(newcomer.cluster.own().generation, 1);
        dial(&mut newcomer, &mut b, 3, now);
        assert!(newcomer.up().is_empty());
        let asked = std::mem::take(&mut b.written);
        if answers {
            for (connection, lane, unit) in asked {
                a.cluster.unit(connection, lane, &unit, now);
            }
            carry(&mut a, &mut b, now);
            carry(&mut b, &mut newcomer, now);
            assert_eq!(b.up(), [a.cluster.own().id]);
            let events = newcomer.take_events();
            let is_refused = |event: &NodeEvent| {
                matches!(
                    event,
                    NodeEvent::Refused {
                        refusal: Refusal::NameTaken { .. },
                        is_joining: true,
                        ..
                    }
                )
            };
            assert!(events.iter().any(is_refused), "{events:?}");
        } else {
            b.cluster.tick(now + Duration::from_secs(2));
            carry(&mut b, &mut newcomer, now);
            assert_eq!(b.up(), [newcomer.cluster.own().id]);
            assert_eq!(newcomer.up(), [b.cluster.own().id]);
            assert!(b.closed.contains(&Connection(1)));
        }
    }
}

#[test]
fn a_holder_that_dials_again_keeps_its_name() {
    let now = Instant::now();
    let (mut a, mut b) = (Node::new("a", 1, 1, now), Node::new("b", 2, 2, now));
    connect(&mut a, &mut b, 1, now);
    let mut newcomer = Node::new("a", 1 << 20 | 3, 3, now);
    dial(&mut newcomer, &mut b, 2, now);
    carry(&mut b, &mut newcomer, now);
    dial(&mut newcomer, &mut b, 3, now);
    // For the holder the session is over, for the other not yet.
    a.cluster.closed(Connection(1), false, now);
    dial(&mut a, &mut b, 4, now);
    assert_eq!(b.up(), [a.cluster.own().id]);
    let ups = b
        .take_events()
        .into_iter()
        .filter(|event| matches!(event, NodeEvent::Up(_)));
    assert_eq!(ups.count(), 2, "the holder, twice");
}

#[test]
fn two_that_wait_for_names_and_have_one_number_do_not_both_come_in() {
    let now = Instant::now();
    let mut b = Node::new("b", 2, 2, now);
    let mut holders = [Node::new("x", 11, 11, now), Node::new("y", 12, 12, now)];
    for (index, holder) in holders.iter_mut().enumerate() {
        connect(holder, &mut b, 1 + index as u64, now);
    }
    let id = |upper: u64| upper << 20 | 7;
    let mut newcomers = [
        Node::new("x", id(5), 21, now),
        Node::new("y", id(6), 22, now),
    ];
    for (index, newcomer) in newcomers.iter_mut().enumerate() {
        let index = index as u64;
        dial(newcomer, &mut b, 10 + index, now);
        carry(&mut b, newcomer, now);
        dial(newcomer, &mut b, 20 + index, now);
        b.follow();
        b.written.clear();
    }
    b.cluster.tick(now + Duration::from_secs(2));
    b.cluster.tick(now + Duration::from_secs(2));
    b.follow();
    assert_eq!(
        b.up()
            .iter()
            .filter(|node| node.number().get() == 7)
            .count(),
        1
    );
    assert_eq!(b.up().len(), 1);
}

#[test]
fn a_start_that_was_not_remembered_everywhere_becomes_a_later_one_without_ending() {
    let now = Instant::now();
    let (mut a, mut b) = (Node::new("a", 1, 1, now), Node::new("b", 2, 2, now));
    connect(&mut a, &mut b, 1, now);
    a.cluster.closed(Connection(1), false, now);
    b.cluster.closed(Connection(1), false, now);
    // Another start of the first is in a session with a node that knows nothing of that.
    let mut again = Node::new("a", 1 << 20 | 3, 3, now);
    let mut c = Node::new("c", 4, 4, now);
    connect(&mut again, &mut c, 2, now);
    dial(&mut again, &mut b, 3, now);
    carry(&mut b, &mut again, now);
    connect(&mut again, &mut b, 4, now);
    assert_eq!(again.cluster.own().generation, 1);
    assert_eq!(again.up().len(), 2);
    let is_refused = |event: &NodeEvent| matches!(event, NodeEvent::Refused { .. });
    assert!(!again.take_events().iter().any(is_refused));
}

#[test]
fn whatever_start_of_a_node_is_remembered_the_next_one_gets_in() {
    for remembered in [0, 1, 7, 1 << 62, 1 << 63, u64::MAX - 1, u64::MAX] {
        let now = Instant::now();
        let mut b = Node::new("b", 2, 2, now);
        let mut a = Node::start("a", 1, 1, remembered, now);
        connect(&mut a, &mut b, 1, now);
        a.cluster.closed(Connection(1), false, now);
        b.cluster.closed(Connection(1), false, now);
        let mut next = Node::new("a", 1 << 20 | 3, 3, now);
        dial(&mut next, &mut b, 2, now);
        for _ in 0..2 {
            carry(&mut b, &mut next, now);
            carry(&mut next, &mut b, now);
        }
        if next.up().is_empty() {
            let later = remembered.wrapping_add(1);
            assert_eq!(next.cluster.own().generation, later);
            connect(&mut next, &mut b, 3, now);
        }
        assert_eq!(next.up().len(), 1, "{remembered}");
    }
}

/// Whether a node was told that another has its name or its number.
fn is_expelled(node: &Node) -> bool {
    let events = node.take_events();
    events.iter().any(|event| Expelled::by(event).is_some())
}

/// What is not told to any node is lost; what is due happens.
fn close(from: &mut Node, to: &mut Node, now: Instant) {
    from.follow();
    for connection in std::mem::take(&mut from.closed) {
        to.cluster.closed(connection, false, now);
    }
    to.follow();
}

/// Two nodes that cannot both be in a cluster, the earlier start first, and one of each half of the
/// cluster, which are connected when the halves meet.
fn two_halves(of_one_name: bool, begun: Instant) -> ([Node; 4], Instant) {
    let later = begun + Duration::from_secs(60);
    let names = if of_one_name { ["x", "x"] } else { ["x", "y"] };
    // The higher id does not decide, as one is clearly later.
    let mut earlier = Node::new(names[0], 9 << 20 | 7, 1, begun);
    let mut a = Node::new("a", 3, 3, begun);
    connect(&mut earlier, &mut a, 1, begun);
    let number = if of_one_name { 8 } else { 7 };
    let mut double = Node::new(names[1], 5 << 20 | number, 2, later);
    let mut b = Node::new("b", 4, 4, begun);
    connect(&mut double, &mut b, 2, later);
    let now = later + Duration::from_secs(30);
    dial(&mut a, &mut b, 3, now);
    settle(&mut [&mut earlier, &mut double, &mut a, &mut b], now);
    assert!(a.up().len() == 2 && b.up().len() == 2);
    for node in [&earlier, &double, &a, &b] {
        node.take_events();
    }
    ([earlier, double, a, b], now)
}

#[test]
fn of_two_nodes_with_one_name_or_number_that_third_ones_know_the_later_start_ends() {
    for of_one_name in [true, false] {
        let ([mut earlier, mut double, mut a, mut b], now) =
            two_halves(of_one_name, Instant::now());
        // The earlier one dials who knows the later one, which gives way.
        for connection in [10, 11, 12] {
            dial(&mut earlier, &mut b, connection, now);
            settle(&mut [&mut earlier, &mut double, &mut a, &mut b], now);
        }
        close(&mut b, &mut double, now);
        assert!(b.up().contains(&earlier.cluster.own().id));
        assert!(!b.up().contains(&double.cluster.own().id));
        assert!(double.up().is_empty());
        // The later one is refused when it dials again, by the one and the other.
        for (connection, other) in [(20, &mut b), (30, &mut a)] {
            for connection in connection..connection + 3 {
                dial(&mut double, other, connection, now);
                // Whether the earlier one answers.
                settle(&mut [&mut earlier, &mut double, &mut *other], now);
            }
            assert!(is_expelled(&double), "{of_one_name}");
            assert!(other.up().contains(&earlier.cluster.own().id));
        }
        assert!(!is_expelled(&earlier));
    }
}

#[test]
fn of_two_nodes_with_one_name_or_number_that_meet_the_later_start_ends_whichever_dials() {
    for of_one_name in [true, false] {
        for earlier_dials in [true, false] {
            let ([mut earlier, mut double, ..], now) = two_halves(of_one_name, Instant::now());
            let (from, to) = match earlier_dials {
                true => (&mut earlier, &mut double),
                false => (&mut double, &mut earlier),
            };
            dial(from, to, 10, now);
            carry(to, from, now);
            assert!(is_expelled(&double));
            assert!(!is_expelled(&earlier));
            assert_eq!((earlier.up().len(), double.up().len()), (1, 1));
        }
    }
}

#[test]
fn of_nodes_of_one_name_one_is_not_refused_whichever_others_they_meet_and_in_which_order() {
    let begun = Instant::now();
    let at = |millis| begun + Duration::from_millis(millis);
    // All are started within milliseconds, and not in the order of their ids.
    for (started, survivor) in [
        ([0, 1, 2], 0),
        ([2, 1, 0], 2),
        ([1, 0, 1], 1),
        ([5, 5, 5], 0),
    ] {
        let mut rivals: Vec<_> = (0..3)
            .map(|rival| {
                let id = (1 + rival) << 20 | (10 + rival);
                Node::new("x", id, 1 + rival as u8, at(started[rival as usize]))
            })
            .collect();
        let mut others: Vec<_> = (0..3)
            .map(|other| {
                let name = format!("other{other}");
                Node::new(&name, 30 - other, 11 + other as u8, at(3 + other))
            })
            .collect();
        // Each is let in by another node, all of which meet later.
        let now = at(20);
        for (rival, other) in [(2, 0), (1, 1), (0, 2)] {
            let connection = 1 + rival as u64;
            connect(&mut rivals[rival], &mut others[other], connection, now);
        }
        let mut last = 100;
        let mut expelled = [false; 3];
        for _ in 0..6 {
            for (one, another) in [(0, 1), (1, 2), (2, 0)] {
                meet(
                    &mut rivals,
                    &mut others,
                    (3 + one, 3 + another),
                    &mut last,
                    now,
                );
            }
            for rival in 0..3 {
                for other in [1, 0, 2].map(|other| (other + rival) % 3) {
                    meet(&mut rivals, &mut others, (rival, 3 + other), &mut last, now);
                }
                expelled[rival] |= is_expelled(&rivals[rival]);
            }
        }
        let lives: Vec<_> = (0..3).filter(|rival| !expelled[*rival]).collect();
        assert_eq!(lives, [survivor], "{started:?}");
        let id = rivals[survivor].cluster.own().id;
        assert!(others.iter().all(|other| other.up().contains(&id)));
    }
}

/// One node dials another, by their places among all, and everything that is written arrives.
fn meet(
    rivals: &mut [Node],
    others: &mut [Node],
    (from, to): (usize, usize),
    last: &mut u64,
    now: Instant,
) {
    let mut all: Vec<&mut Node> = rivals.iter_mut().chain(others).collect();
    *last += 1;
    let connection = Connection(*last);
    let [dialler, dialled] = [from, to].map(|node| {
        let own = all[node].cluster.own();
        (own.name.clone(), own.address)
    });
    let at = Some(dialled.1);
    all[from].cluster.connected(connection, dialled.0, at, now);
    all[to].cluster.connected(connection, dialler.0, None, now);
    settle(&mut all, now);
    let closed: Vec<_> = all
        .iter_mut()
        .flat_map(|node| std::mem::take(&mut node.closed))
        .collect();
    for connection in closed {
        for node in &mut all {
            node.cluster.closed(connection, false, now);
        }
    }
    settle(&mut all, now);
}
