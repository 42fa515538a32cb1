//! Tests of gossip, in virtual time.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failed expectation fails the test, and figures are for people"
)]

use std::cmp::Reverse;
use std::collections::BTreeMap;

use foca::{Codec, Header, Message};

use super::*;

/// Gossip of nodes that all have sessions with each other, in virtual time.
struct Gossip {
    nodes: Vec<Membership>,
    by_id: BTreeMap<NodeId, usize>,
    alive: Vec<bool>,
    base: Instant,
    now: Duration,
    last: u64,
    /// By time and number: to whom, and what.
    events: BTreeMap<(Duration, u64), Event>,
    ticks: Vec<Option<Duration>>,
    bytes: Vec<u64>,
    /// Nodes that others take for down: who, whom, and when.
    downs: Vec<(usize, NodeId, Duration)>,
    random: u64,
    /// One datagram in so many is lost.
    loss: u64,
}

enum Event {
    /// From a node to the one of this index.
    Datagram(NodeId, usize, Vec<u8>),
    Tick(usize),
}

fn node(number: u64) -> NodeInfo {
    NodeInfo {
        id: NodeId::from_bits(number << 20 | (number + 1)),
        name: format!("node{number}").parse().unwrap(),
        address: SocketAddr::from(([10, 0, (number / 250) as u8, (number % 250) as u8], 4000)),
        generation: 0,
        tags: BTreeMap::new(),
    }
}

impl Gossip {
    fn new(count: u64) -> Gossip {
        let infos: Vec<_> = (0..count).map(node).collect();
        let mut nodes = Vec::new();
        for (number, own) in infos.iter().enumerate() {
            let mut node = Membership::new(own, number as u64);
            let others = infos.iter().filter(|other| other.id != own.id);
            let alive = others.map(|other| Member::alive(MemberId::of(other)));
            node.foca
                .apply_many(alive, false, &mut node.runtime)
                .unwrap();
            node.fit_size();
            nodes.push(node);
        }
        let ids = infos.iter().enumerate();
        let mut gossip = Gossip {
            by_id: ids.map(|(index, info)| (info.id, index)).collect(),
            alive: vec![true; nodes.len()],
            base: Instant::now(),
            now: Duration::ZERO,
            last: 0,
            events: BTreeMap::new(),
            ticks: vec![None; nodes.len()],
            bytes: vec![0; nodes.len()],
            downs: Vec::new(),
            random: 1,
            loss: 100,
            nodes,
        };
        for index in 0..gossip.nodes.len() {
            // They have not all started at once.
            let now = gossip.base + Duration::from_micros(gossip.random(3_000_000));
            gossip.nodes[index].drain(now);
            gossip.follow(index);
        }
        gossip
    }

    fn random(&mut self, below: u64) -> u64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % below
    }

    fn schedule(&mut self, at: Duration, event: Event) {
        self.last += 1;
        self.events.insert((at, self.last), event);
    }

    fn follow(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let changes = node.take_changes();
        let datagrams = node.take_datagrams();
        let deadline = node.deadline();
        let from = node.foca.identity().id;
        for change in changes {
            if let Change::Down(member) = change {
                self.downs.push((index, member.id, self.now));
            }
        }
        for (to, bytes) in datagrams {
            self.bytes[index] += bytes.len() as u64;
            if self.random(self.loss) > 0
                && let Some(to) = self.by_id.get(&to.id).copied()
            {
                let at = self.now + Duration::from_micros(200 + self.random(2000));
                self.schedule(at, Event::Datagram(from, to, bytes));
            }
        }
        let Some(deadline) = deadline else { return };
        let at = (deadline - self.base).max(self.now);
        if self.ticks[index].is_none_or(|before| at < before) {
            self.ticks[index] = Some(at);
            self.schedule(at, Event::Tick(index));
        }
    }

    fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(entry) = self.events.first_entry() {
            if entry.key().0 > until {
                break;
            }
            let ((at, _), event) = entry.remove_entry();
            self.now = at;
            let now = self.base + at;
            let index = match &event {
                Event::Datagram(_, index, _) | Event::Tick(index) => *index,
            };
            if !self.alive[index] {
                continue;
            }
            match event {
                Event::Datagram(from, _, bytes) => {
                    self.nodes[index].datagram(from, &bytes, now);
                }
                Event::Tick(_) => {
                    self.ticks[index] = None;
                    self.nodes[index].tick(now);
                }
            }
            self.follow(index);
        }
        self.now = until;
    }

    /// Ends a node, and returns after what time the others know.
    fn kill(&mut self, index: usize) -> Vec<Duration> {
        self.alive[index] = false;
        self.downs.clear();
        let begun = self.now;
        self.run_for(Duration::from_secs(30));
        let id = self.nodes[index].foca.identity().id;
        let of_it = self.downs.iter().filter(|(_, down, _)| *down == id);
        of_it.map(|(_, _, at)| *at - begun).collect()
    }
}

#[test]
fn timers_are_due_in_order() {
    let now = Instant::now();
    let due = |after: u64, number| Due {
        at: now + Duration::from_millis(after),
        number,
        timer: Timer::RemoveDown(MemberId::of(&node(1))),
    };
    let mut timers: BinaryHeap<_> = [due(5, 1), due(3, 3), due(3, 2)].into();
    let order: Vec<_> = std::iter::from_fn(|| timers.pop().map(|due| due.number)).collect();
    assert_eq!(order, [2, 3, 1]);
}

/// A datagram in which one node tells another of some.
fn telling(from: u64, to: u64, of: impl IntoIterator<Item = Member<MemberId>>) -> Vec<u8> {
    let header = Header {
        src: MemberId::of(&node(from)),
        src_incarnation: 0,
        dst: MemberId::of(&node(to)),
        message: Message::Gossip,
    };
    let of: Vec<_> = of.into_iter().collect();
    let mut bytes = Vec::new();
    PostcardCodec.encode_header(&header, &mut bytes).unwrap();
    bytes.extend((of.len() as u16).to_be_bytes());
    for member in of {
        PostcardCodec.encode_member(&member, &mut bytes).unwrap();
    }
    assert!(bytes.len() <= MAX_DATAGRAM_BYTES);
    bytes
}

#[test]
fn a_node_that_invents_others_makes_this_one_know_of_only_so_many() {
    const AT_ONCE: u64 = 20;
    let now = Instant::now();
    let mut own = Membership::new(&node(0), 1);
    own.connected(&node(1), now);
    let from = node(1).id;
    for first in (2..10_000).step_by(AT_ONCE as usize) {
        let invented = (first..first + AT_ONCE).map(|number| MemberId::of(&node(number)));
        let bytes = telling(1, 0, invented.map(Member::alive));
        own.datagram(from, &bytes, now);
    }
    let known = own.foca.iter_membership_state().len();
    assert!(
        (MAX_KNOWN..MAX_KNOWN + AT_ONCE as usize).contains(&known),
        "{known}"
    );
    // What is known is heard of, beside what is not.
    let is_up = |own: &Membership, number| {
        let id = node(number).id;
        own.members().any(|member| member.id == id)
    };
    assert!(is_up(&own, 2) && !is_up(&own, 9_999));
    let news = [
        Member::alive(MemberId::of(&node(9_998))),
        Member::down(MemberId::of(&node(2))),
        Member::alive(MemberId::of(&node(9_999))),
    ];
    own.datagram(from, &telling(1, 0, news), now);
    assert!(!is_up(&own, 2) && !is_up(&own, 9_999));
    // One with which there is a session is known.
    own.connected(&node(9_999), now);
    assert!(is_up(&own, 9_999));
}

#[test]
fn a_node_gossips_in_its_own_name_alone() {
    let now = Instant::now();
    let mut own = Membership::new(&node(0), 1);
    own.connected(&node(1), now);
    let news = || telling(1, 0, [Member::alive(MemberId::of(&node(7)))]);
    own.datagram(node(2).id, &news(), now);
    assert_eq!(own.members().count(), 1);
    own.datagram(node(1).id, &news(), now);
    assert_eq!(own.members().count(), 2);
}

#[test]
fn the_death_of_one_of_twenty_nodes_is_known_to_all_in_15_s() {
    let mut gossip = Gossip::new(20);
    gossip.run_for(Duration::from_secs(20));
    assert_eq!(gossip.downs, [], "nobody is taken for down that lives");
    let known = gossip.kill(7);
    assert_eq!(known.len(), 19);
    assert!(known.iter().max() < Some(&Duration::from_secs(15)));
}

#[test]
#[ignore = "takes long: cargo xtask simulate --thousand"]
fn a_death_is_known_to_a_thousand_nodes_in_15_s() {
    let mut gossip = Gossip::new(1000);
    gossip.run_for(Duration::from_secs(30));
    gossip.bytes.fill(0);
    gossip.run_for(Duration::from_secs(60));
    let wrong = gossip.downs.len();
    let all: u64 = gossip.bytes.iter().sum();
    let most = gossip.bytes.iter().max().unwrap();
    eprintln!(
        "gossip of a node: {} bytes/s, at most {} bytes/s; {wrong} nodes wrongly down",
        all / 60_000,
        most / 60
    );
    assert!(most / 60 <= 20_000);
    for victim in [3, 500, 999] {
        gossip.bytes.fill(0);
        let mut known = gossip.kill(victim);
        known.sort_by_key(|at| Reverse(*at));
        let most = gossip.bytes.iter().max().unwrap();
        eprintln!(
            "a death is known to {} nodes after {:?}, to half of them after {:?}; at most {} bytes/s",
            known.len(),
            known[0],
            known[known.len() / 2],
            most / 30
        );
        let alive = gossip.alive.iter().filter(|alive| **alive).count();
        assert_eq!(known.len(), alive);
        assert!(known[0] <= Duration::from_secs(15));
        assert!(most / 30 <= 20_000);
    }
}
