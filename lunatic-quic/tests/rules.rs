//! Peers that break the rules of lanes and frames: each ends its connection, with a reason on both
//! sides, and no other.

#![allow(clippy::unwrap_used)]

mod support;

use bytes::Bytes;
use lunatic_quic::CloseReason;
use quinn_proto::{Dir, StreamId, VarInt};
use support::raw::RawPeer;
use support::{Authority, Node, config, connect, drive};

/// A lane byte, and a frame in it.
fn lane(number: u8, frame: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number];
    bytes.extend_from_slice(&u32::try_from(frame.len()).unwrap().to_le_bytes());
    bytes.extend_from_slice(frame);
    bytes
}

/// Lets a peer do something, and checks that the connection ends for this reason on both sides,
/// while that of somebody else goes on.
fn breaks(expected: &str, what: impl FnOnce(&mut RawPeer, &mut Node)) {
    let authority = Authority::new();
    let mut strict = config(&authority);
    strict.lanes = 4;
    strict.max_frame = 1000;
    let mut node = Node::new(strict);
    let mut peer = RawPeer::connect(&authority.tls("localhost"), &mut node);
    what(&mut peer, &mut node);
    let reason = peer.ended(&mut node);
    assert_eq!(
        reason,
        CloseReason::Framing {
            text: expected.to_owned(),
            by_peer: false
        }
    );
    let told = peer.told(&mut node);
    assert!(
        told.contains(expected) && told.contains("4294967296"),
        "{told}"
    );
    let mut other = Node::of(&authority);
    let (id, _) = connect(&mut other, &mut node);
    other.endpoint.send(id, 0, Bytes::from_static(b"on"));
    drive([&mut other, &mut node], |[_, node]| {
        node.frames(0) == ["on"]
    });
}

#[test]
fn one_who_obeys_the_rules_is_heard() {
    let authority = Authority::new();
    let mut node = Node::of(&authority);
    let mut peer = RawPeer::connect(&authority.tls("localhost"), &mut node);
    let stream = peer.open(&[9]);
    for byte in &lane(9, b"byte by byte")[1..] {
        peer.write(stream, &[*byte]);
    }
    peer.datagram(b"a datagram");
    peer.drive(&mut node, |_, node| {
        node.frames(9) == ["byte by byte"] && node.datagrams() == ["a datagram"]
    });
}

#[test]
fn a_lane_that_is_opened_twice_ends_the_connection() {
    breaks("lane 1 was opened twice", |peer, _| {
        peer.open(&lane(1, b"one"));
        peer.open(&lane(1, b"two"));
    });
}

#[test]
fn a_lane_that_is_not_there_ends_the_connection() {
    breaks("lane 255 was opened, where there are 4", |peer, _| {
        peer.open(&lane(255, b""));
    });
}

#[test]
fn a_frame_that_is_announced_too_long_ends_the_connection_before_it_comes() {
    let text = "a frame of 4294967295 bytes on lane 0, where 1000 are allowed";
    breaks(text, |peer, _| {
        peer.open(&[0, 0xff, 0xff, 0xff, 0xff]);
    });
}

#[test]
fn a_lane_that_ends_ends_the_connection() {
    breaks("lane 2 was ended", |peer, node| {
        let stream = peer.open(&lane(2, b"all"));
        peer.drive(node, |_, node| node.frames(2) == ["all"]);
        peer.connection.send_stream(stream).finish().unwrap();
    });
}

#[test]
fn a_lane_that_ends_within_a_frame_ends_the_connection() {
    breaks("lane 2 was ended", |peer, _| {
        let stream = peer.open(&[2, 10, 0, 0, 0, 1, 2]);
        peer.connection.send_stream(stream).finish().unwrap();
    });
}

#[test]
fn a_stream_that_ends_without_a_lane_ends_the_connection() {
    breaks(
        "a stream was ended before it said which lane it is",
        |peer, _| {
            let stream = peer.open(&[]);
            peer.connection.send_stream(stream).finish().unwrap();
        },
    );
}

#[test]
fn a_lane_that_is_reset_ends_the_connection() {
    breaks("lane 3 was reset with code 5", |peer, node| {
        let stream = peer.open(&lane(3, b"all"));
        peer.drive(node, |_, node| node.frames(3) == ["all"]);
        let code = VarInt::from_u32(5);
        peer.connection.send_stream(stream).reset(code).unwrap();
    });
}

#[test]
fn a_lane_that_its_receiver_stops_ends_the_connection() {
    breaks("lane 1 was stopped by its receiver", |peer, node| {
        let id = node.connected()[0];
        node.endpoint.send(id, 1, Bytes::from_static(b"x"));
        let mut stream: Option<StreamId> = None;
        peer.drive(node, |peer, _| {
            stream = stream.or_else(|| peer.connection.streams().accept(Dir::Uni));
            stream.is_some()
        });
        let code = VarInt::from_u32(0);
        peer.connection
            .recv_stream(stream.unwrap())
            .stop(code)
            .unwrap();
    });
}

#[test]
fn a_stream_in_both_directions_cannot_be_opened() {
    let authority = Authority::new();
    let mut node = Node::of(&authority);
    let mut peer = RawPeer::connect(&authority.tls("localhost"), &mut node);
    assert_eq!(peer.connection.streams().open(Dir::Bi), None);
    let lanes = config(&authority).lanes;
    for number in 0..lanes {
        peer.open(&lane(number, b"x"));
    }
    assert_eq!(peer.connection.streams().open(Dir::Uni), None);
    peer.drive(&mut node, |_, node| {
        (0..lanes).all(|lane| node.frames(lane) == ["x"])
    });
}

#[test]
fn a_peer_that_closes_with_a_long_text_is_cut_short() {
    let authority = Authority::new();
    let mut node = Node::of(&authority);
    let mut peer = RawPeer::connect(&authority.tls("localhost"), &mut node);
    let text = Bytes::from("\u{1b}[31mred\n".repeat(100));
    let now = std::time::Instant::now();
    peer.connection.close(now, VarInt::from_u32(9), text);
    let reason = peer.ended(&mut node);
    let CloseReason::ByPeer { code: 9, text } = reason else {
        panic!("{reason}");
    };
    assert!(text.len() <= 600 && text.starts_with(" [31mred "), "{text}");
    assert!(!text.chars().any(char::is_control));
}
