//! Owners that do anything in any order: what is told stays consistent.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use lunatic_quic::{ConnectionId, Event};
use support::{Authority, LIMIT, Node, Random, config};

const LANES: u8 = 3;

/// An endpoint, and what its owner knows.
struct Owner {
    node: Node,
    /// Connections that were dialled or told, and have not ended.
    open: HashMap<ConnectionId, Lanes>,
    /// Those that were told established.
    connected: HashSet<ConnectionId>,
    closed: HashSet<ConnectionId>,
    frames: usize,
}

#[derive(Default)]
struct Lanes {
    sent: [u32; LANES as usize],
    received: [u32; LANES as usize],
}

impl Owner {
    fn new(node: Node) -> Self {
        Self {
            node,
            open: HashMap::new(),
            connected: HashSet::new(),
            closed: HashSet::new(),
            frames: 0,
        }
    }

    /// Takes the events, and checks that each may come now.
    fn step(&mut self) {
        self.node.step();
        for event in self.node.events.drain(..) {
            match event {
                Event::Connected { id, dialled, .. } => {
                    assert!(!self.closed.contains(&id) && self.connected.insert(id));
                    assert_eq!(self.open.contains_key(&id), dialled);
                    self.open.entry(id).or_default();
                }
                Event::Closed { id, .. } => {
                    assert!(self.open.remove(&id).is_some() && self.closed.insert(id));
                }
                Event::Frame { id, lane, bytes } => {
                    assert!(self.connected.contains(&id));
                    let lanes = self.open.get_mut(&id).expect("it has not ended");
                    let number = &mut lanes.received[usize::from(lane)];
                    assert_eq!(bytes[..4], number.to_le_bytes(), "in order, none missing");
                    *number += 1;
                    self.frames += 1;
                }
                Event::Writable { id, .. } | Event::Datagram { id, .. } => {
                    assert!(self.connected.contains(&id) && self.open.contains_key(&id));
                }
                _ => {}
            }
        }
    }

    fn any(&self, random: &mut Random) -> Option<ConnectionId> {
        let mut ids: Vec<_> = self.open.keys().copied().collect();
        ids.sort_unstable();
        let index = random.below(ids.len().max(1) as u64);
        ids.get(usize::try_from(index).unwrap()).copied()
    }

    /// Does something.
    fn act(&mut self, random: &mut Random, others: &[std::net::SocketAddr]) {
        let action = random.below(100);
        if action < 4 {
            let to = others[usize::try_from(random.below(others.len() as u64)).unwrap()];
            if let Ok(id) = self.node.endpoint.dial(to, "localhost") {
                assert!(self.open.insert(id, Lanes::default()).is_none());
            }
            return;
        }
        let Some(id) = self.any(random) else { return };
        let endpoint = &mut self.node.endpoint;
        match action {
            4..6 => endpoint.close(id, 1, "by chance"),
            6..12 => endpoint.set_reading(id, false),
            12..30 => endpoint.set_reading(id, true),
            30..40 => {
                endpoint.send_datagram(id, Bytes::from_static(b"gossip"));
            }
            _ => {
                let lane = random.below(u64::from(LANES)) as u8;
                let lanes = self.open.get_mut(&id).unwrap();
                let number = &mut lanes.sent[usize::from(lane)];
                while endpoint.room(id, lane) > 0 && random.below(20) > 0 {
                    let mut frame = number.to_le_bytes().to_vec();
                    let most = if random.below(10) == 0 { 50_000 } else { 200 };
                    let length = random.below(most);
                    frame.resize(4 + usize::try_from(length).unwrap(), 7);
                    assert!(endpoint.send(id, lane, frame.into()));
                    *number += 1;
                }
            }
        }
    }
}

fn run(seed: u64) {
    let authority = Authority::new();
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let settings = |bind: Option<std::net::SocketAddr>| {
        let mut config = config(&authority);
        config.lanes = LANES;
        config.max_unread = 20_000;
        config.keep_alive = Duration::from_millis(100);
        config.max_connections = 20;
        if let Some(bind) = bind {
            config.bind = bind;
        }
        config
    };
    let mut owners: Vec<Owner> = (0..3)
        .map(|_| Owner::new(Node::new(settings(None))))
        .collect();
    let addresses: Vec<_> = owners.iter().map(|owner| owner.node.addr()).collect();
    let mut frames = 0;
    for _ in 0..2500 {
        for owner in &mut owners {
            owner.act(&mut random, &addresses);
            if random.below(4) > 0 {
                owner.step();
            }
        }
        if random.below(400) == 0 {
            // One is killed and started again, at the same address.
            let index = usize::try_from(random.below(3)).unwrap();
            let killed = owners.remove(index);
            frames += killed.frames;
            drop(killed);
            let again = Node::new(settings(Some(addresses[index])));
            owners.insert(index, Owner::new(again));
        }
    }
    for owner in &mut owners {
        for id in owner.open.keys() {
            owner.node.endpoint.close(*id, 0, "the end");
        }
    }
    let limit = Instant::now() + LIMIT;
    while owners.iter().any(|owner| !owner.open.is_empty()) {
        assert!(Instant::now() < limit, "some have not ended");
        for owner in &mut owners {
            owner.step();
        }
    }
    for owner in &owners {
        // Handshakes of others may be left, which were never told.
        assert!(owner.open.is_empty());
        frames += owner.frames;
    }
    assert!(frames > 1000, "only {frames} frames arrived");
}

#[test]
fn whatever_owners_do_frames_are_in_order_and_each_end_is_told_once() {
    for seed in 1..=4 {
        run(seed);
    }
}
