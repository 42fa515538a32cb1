//! Frames and datagrams: that they arrive, in order, and that what waits is bounded.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lunatic_quic::{ConnectionId, EndpointConfig, Event};
use support::proxy::{Proxy, Wire};
use support::{Authority, LIMIT, Node, Random, config, connect, connect_to, drive, drive_for};

const LANES: u8 = 8;

/// Frames of many sizes for each lane, the same for the same seed.
fn frames(seed: u64, count: usize, largest: u64) -> Vec<Vec<Bytes>> {
    let mut random = Random(seed);
    (0..LANES)
        .map(|_| {
            (0..count)
                .map(|number| {
                    let length = match number % 5 {
                        0 => random.below(largest),
                        1 => 0,
                        _ => random.below(300),
                    };
                    random.bytes(length.try_into().unwrap())
                })
                .collect()
        })
        .collect()
}

/// Sends frames on all lanes as long as there is room.
struct Sender {
    id: ConnectionId,
    frames: Vec<Vec<Bytes>>,
    sent: Vec<usize>,
}

impl Sender {
    fn new(id: ConnectionId, frames: Vec<Vec<Bytes>>) -> Self {
        let sent = vec![0; frames.len()];
        Self { id, frames, sent }
    }

    fn send(&mut self, node: &mut Node) {
        for lane in 0..LANES {
            let (frames, sent) = (
                &self.frames[usize::from(lane)],
                &mut self.sent[usize::from(lane)],
            );
            while *sent < frames.len() && node.endpoint.room(self.id, lane) > 0 {
                assert!(node.endpoint.send(self.id, lane, frames[*sent].clone()));
                *sent += 1;
            }
        }
    }
}

fn count(node: &Node) -> usize {
    let is_frame = |event: &&Event| matches!(event, Event::Frame { .. });
    node.events.iter().filter(is_frame).count()
}

/// Sends in both directions and checks that everything has arrived as it was sent.
fn exchange(
    one: &mut Node,
    other: &mut Node,
    ids: (ConnectionId, ConnectionId),
    each: usize,
    largest: u64,
) {
    let mut there = Sender::new(ids.0, frames(1, each, largest));
    let mut back = Sender::new(ids.1, frames(2, each, largest));
    let total = each * usize::from(LANES);
    drive([one, other], |[one, other]| {
        there.send(one);
        back.send(other);
        count(one) >= total && count(other) >= total
    });
    for lane in 0..LANES {
        assert!(
            other.frames(lane) == there.frames[usize::from(lane)],
            "lane {lane}"
        );
        assert!(
            one.frames(lane) == back.frames[usize::from(lane)],
            "lane {lane} back"
        );
    }
}

fn with_lanes(authority: &Authority) -> EndpointConfig {
    let mut config = config(authority);
    config.lanes = LANES;
    config
}

#[test]
fn frames_arrive_whole_and_in_order_on_every_lane_in_both_directions() {
    let authority = Authority::new();
    let mut one = Node::new(with_lanes(&authority));
    let mut other = Node::new(with_lanes(&authority));
    let ids = connect(&mut one, &mut other);
    exchange(&mut one, &mut other, ids, 400, 200_000);
}

#[test]
fn frames_of_the_largest_size_arrive_while_others_do() {
    let authority = Authority::new();
    let mut one = Node::new(with_lanes(&authority));
    let mut other = Node::new(with_lanes(&authority));
    let ids = connect(&mut one, &mut other);
    exchange(&mut one, &mut other, ids, 20, 1 << 20);
}

#[test]
fn frames_arrive_in_order_over_a_wire_that_loses_and_reorders() {
    let authority = Authority::new();
    let mut one = Node::new(with_lanes(&authority));
    let mut other = Node::new(with_lanes(&authority));
    let wire = Wire {
        lost: 50,
        delay: Duration::from_millis(20),
        jitter: Duration::from_millis(5),
    };
    let proxy = Proxy::new(other.addr(), wire);
    let ids = connect_to(&mut one, &mut other, proxy.addr());
    exchange(&mut one, &mut other, ids, 60, 20_000);
    assert!(proxy.lost() > 0);
    assert!(one.connected() == [ids.0] && other.connected() == [ids.1]);
}

#[test]
fn a_peer_that_does_not_read_takes_the_room_and_nothing_grows() {
    let authority = Authority::new();
    let mut one = Node::new(with_lanes(&authority));
    let mut other = Node::new(with_lanes(&authority));
    let (id, there) = connect(&mut one, &mut other);
    other.endpoint.set_reading(there, false);
    let frame = Bytes::from(vec![1; 60_000]);
    let mut sent = 0_u64;
    let mut quiet = 0;
    drive([&mut one, &mut other], |[one, _]| {
        let before = sent;
        for lane in 0..LANES {
            while one.endpoint.room(id, lane) > 0 {
                assert!(one.endpoint.send(id, lane, frame.clone()));
                sent += frame.len() as u64;
            }
        }
        quiet = if sent == before { quiet + 1 } else { 0 };
        quiet > 2000
    });
    // The windows of flow control of the receiver, and the buffers of the sender.
    assert!(sent < 12 << 20, "{sent} bytes were taken");
    assert!(one.endpoint.stats(id).unwrap().queued_bytes < 2 << 20);
    assert_eq!(other.endpoint.stats(there).unwrap().unread_bytes, 0);
    assert_eq!(count(&other), 0);
    assert!((0..LANES).all(|lane| one.endpoint.room(id, lane) == 0));

    // Once it reads, there is room again on every lane, and nothing is missing.
    one.events
        .retain(|event| !matches!(event, Event::Writable { .. }));
    other.endpoint.set_reading(there, true);
    let expected = usize::try_from(sent).unwrap() / frame.len();
    drive([&mut one, &mut other], |[_, other]| {
        count(other) == expected
    });
    let writable: HashMap<u8, usize> =
        one.events.iter().fold(HashMap::new(), |mut lanes, event| {
            if let Event::Writable { lane, .. } = event {
                *lanes.entry(*lane).or_default() += 1;
            }
            lanes
        });
    assert_eq!(writable.len(), usize::from(LANES));
    assert!((0..LANES).all(|lane| one.endpoint.room(id, lane) > 0));
}

#[test]
fn an_owner_that_takes_no_events_holds_the_peer() {
    let authority = Authority::new();
    let mut one = Node::new(with_lanes(&authority));
    let mut slow = with_lanes(&authority);
    slow.max_unread = 100_000;
    let mut other = Node::new(slow);
    let (id, there) = connect(&mut one, &mut other);
    let frame = Bytes::from(vec![1; 1000]);
    for _ in 0..250 {
        assert!(one.endpoint.send(id, 1, frame.clone()));
    }
    // Drives the other without taking its events.
    let end = std::time::Instant::now() + Duration::from_secs(1);
    while std::time::Instant::now() < end {
        one.step();
        other
            .endpoint
            .wait(Some(std::time::Instant::now()))
            .unwrap();
    }
    let unread = other.endpoint.stats(there).unwrap().unread_bytes;
    assert!((100_000..102_000).contains(&unread), "{unread} bytes");
    drive([&mut one, &mut other], |[_, other]| count(other) == 250);
}

#[test]
fn the_first_lane_has_room_when_all_others_are_full() {
    let authority = Authority::new();
    let mut one = Node::new(with_lanes(&authority));
    let mut other = Node::new(with_lanes(&authority));
    let (id, there) = connect(&mut one, &mut other);
    let frame = Bytes::from(vec![1; 60_000]);
    let mut last = 0;
    drive([&mut one, &mut other], |[one, other]| {
        for lane in 1..LANES {
            while one.endpoint.room(id, lane) > 0 {
                assert!(one.endpoint.send(id, lane, frame.clone()));
            }
        }
        assert!(one.endpoint.room(id, 0) > 0);
        assert!(one.endpoint.send(id, 0, Bytes::from_static(b"first")));
        last = other.frames(0).len();
        last >= 20
    });
    assert_eq!(other.connected(), [there]);
}

#[test]
fn datagrams_arrive_and_too_long_ones_are_refused() {
    let authority = Authority::new();
    let mut one = Node::of(&authority);
    let mut other = Node::of(&authority);
    let (id, there) = connect(&mut one, &mut other);
    assert!(one.endpoint.send_datagram(id, Bytes::from_static(b"hello")));
    assert!(
        other
            .endpoint
            .send_datagram(there, Bytes::from_static(b"you"))
    );
    drive([&mut one, &mut other], |[one, other]| {
        one.datagrams() == ["you"] && other.datagrams() == ["hello"]
    });
    let max = one.endpoint.max_datagram(id).unwrap();
    assert!(max >= 1100);
    assert!(!one.endpoint.send_datagram(id, vec![0; max + 10_000].into()));
}

#[test]
fn datagrams_come_while_frames_are_not_read() {
    let authority = Authority::new();
    let mut one = Node::of(&authority);
    let mut other = Node::of(&authority);
    let (id, there) = connect(&mut one, &mut other);
    other.endpoint.set_reading(there, false);
    one.endpoint.send(id, 3, Bytes::from_static(b"frame"));
    one.endpoint
        .send_datagram(id, Bytes::from_static(b"datagram"));
    drive([&mut one, &mut other], |[_, other]| {
        other.datagrams().len() == 1
    });
    drive_for([&mut one, &mut other], Duration::from_millis(50));
    assert_eq!(count(&other), 0);
    other.endpoint.set_reading(there, true);
    drive([&mut one, &mut other], |[_, other]| {
        other.frames(3) == ["frame"]
    });
}

#[test]
fn a_datagram_does_not_wait_behind_many_frames() {
    let authority = Authority::new();
    let mut one = Node::of(&authority);
    let mut other = Node::of(&authority);
    let (id, there) = connect(&mut one, &mut other);
    for lane in 0..LANES {
        assert!(one.endpoint.send(id, lane, vec![0; 900 << 10].into()));
    }
    // The other one takes nothing until a datagram is there, too.
    let limit = Instant::now() + LIMIT;
    let mut drive_until = |one: &mut Node, holds: &dyn Fn(usize) -> bool| {
        loop {
            one.step();
            other.endpoint.wait(Some(Instant::now())).unwrap();
            let unread = other.endpoint.stats(there).unwrap().unread_bytes;
            if holds(unread) {
                return unread;
            }
            assert!(Instant::now() < limit, "{unread} bytes are unread");
            std::thread::sleep(Duration::from_micros(200));
        }
    };
    let held = drive_until(&mut one, &|unread| unread >= 1 << 20);
    assert!(one.endpoint.send_datagram(id, Bytes::from_static(b"alive")));
    drive_until(&mut one, &|unread| unread > held);
    let first = [other.endpoint.next_event(), other.endpoint.next_event()];
    let is_datagram = |event: &Option<Event>| matches!(event, Some(Event::Datagram { .. }));
    assert!(first.iter().any(is_datagram), "{first:?}");
}

#[test]
fn frames_that_are_sent_while_dialling_arrive() {
    let authority = Authority::new();
    let mut one = Node::of(&authority);
    let mut other = Node::of(&authority);
    let id = one.dial(other.addr());
    assert!(one.endpoint.send(id, 5, Bytes::from_static(b"early")));
    drive([&mut one, &mut other], |[_, other]| {
        other.frames(5) == ["early"]
    });
    assert!(matches!(
        other.events[0],
        Event::Connected { dialled: false, .. }
    ));
}
