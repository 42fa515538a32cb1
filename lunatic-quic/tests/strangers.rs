//! What strangers and peers that break the rules can do: nothing to others, and little here.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod support;

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lunatic_quic::{CloseReason, Event};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, sendto, socket,
};
use support::proxy::{Proxy, Wire};
use support::{Authority, Node, Random, config, connect, drive, drive_for, loopback};

#[test]
fn a_frame_that_is_too_long_ends_the_connection_on_both_sides() {
    let authority = Authority::new();
    let mut one = Node::of(&authority);
    let mut strict = config(&authority);
    strict.max_frame = 1000;
    let mut other = Node::new(strict);
    let (id, there) = connect(&mut one, &mut other);
    one.endpoint.send(id, 2, Bytes::from(vec![1; 1000]));
    one.endpoint.send(id, 2, Bytes::from(vec![2; 1001]));
    drive([&mut one, &mut other], |[one, other]| {
        one.reason(id).is_some() && other.reason(there).is_some()
    });
    assert_eq!(other.frames(2), [vec![1; 1000]]);
    let text = "a frame of 1001 bytes on lane 2, where 1000 are allowed".to_owned();
    let told = |by_peer| CloseReason::Framing {
        text: text.clone(),
        by_peer,
    };
    assert_eq!(other.reason(there), Some(&told(false)));
    assert_eq!(one.reason(id), Some(&told(true)));
}

#[test]
fn a_lane_that_is_not_there_ends_the_connection() {
    let authority = Authority::new();
    let mut many = config(&authority);
    many.lanes = 200;
    let mut one = Node::new(many);
    let mut few = config(&authority);
    few.lanes = 4;
    let mut other = Node::new(few);
    let (id, there) = connect(&mut one, &mut other);
    assert!(!one.endpoint.send(id, 200, Bytes::new()));
    assert!(one.endpoint.send(id, 3, Bytes::from_static(b"good")));
    drive([&mut one, &mut other], |[_, other]| {
        other.frames(3) == ["good"]
    });
    assert!(one.endpoint.send(id, 4, Bytes::from_static(b"bad")));
    drive([&mut one, &mut other], |[one, other]| {
        one.reason(id).is_some() && other.reason(there).is_some()
    });
    let reason = other.reason(there).unwrap().to_string();
    assert_eq!(
        reason,
        "the peer broke a rule of frames: lane 4 was opened, where there are 4"
    );
}

#[test]
fn garbage_neither_answers_nor_disturbs() {
    let authority = Authority::new();
    let mut one = Node::of(&authority);
    let mut other = Node::of(&authority);
    let (id, there) = connect(&mut one, &mut other);
    let stranger = UdpSocket::bind(loopback()).unwrap();
    let mut random = Random(3);
    for number in 0..3000_u64 {
        let length = random.below(1500);
        let mut packet = random.bytes(length.try_into().unwrap()).to_vec();
        // Half of them look like first packets of QUIC version 1.
        if number % 2 == 0 && packet.len() > 6 {
            packet[..6].copy_from_slice(&[0xc3, 0, 0, 0, 1, 8]);
        }
        let _ = stranger.send_to(&packet, other.addr());
        if number % 50 == 0 {
            one.endpoint.send(id, 0, Bytes::from_static(b"x"));
            one.step();
            other.step();
        }
    }
    drive([&mut one, &mut other], |[_, other]| {
        other.frames(0).len() == 60
    });
    assert_eq!(one.connected(), [id]);
    assert_eq!(other.connected(), [there]);
    assert_eq!(other.endpoint.connections(), 1);
}

#[test]
fn damaged_copies_of_real_packets_do_not_disturb() {
    let authority = Authority::new();
    let mut one = Node::of(&authority);
    let mut other = Node::of(&authority);
    let wire = Wire {
        lost: 0,
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
    };
    let proxy = Proxy::damaging(other.addr(), wire);
    let (id, there) = support::connect_to(&mut one, &mut other, proxy.addr());
    for number in 0..200_u32 {
        let frame = Bytes::copy_from_slice(&number.to_le_bytes());
        assert!(one.endpoint.send(id, 1, frame));
        one.step();
        other.step();
    }
    drive([&mut one, &mut other], |[_, other]| {
        other.frames(1).len() == 200
    });
    let expected: Vec<_> = (0..200_u32).map(|n| n.to_le_bytes().to_vec()).collect();
    assert_eq!(other.frames(1), expected);
    assert!(one.reason(id).is_none() && other.reason(there).is_none());
}

#[test]
fn handshakes_of_strangers_are_bounded_and_others_still_come_in() {
    let authority = Authority::new();
    let mut few = config(&authority);
    few.max_handshakes = 8;
    few.handshake_timeout = Duration::from_millis(800);
    let mut node = Node::new(few);
    let to = node.addr();
    // Each begins a handshake and never goes on: the first packet only.
    let mut flood: Vec<Node> = (0..100).map(|_| Node::of(&authority)).collect();
    let mut most = 0;
    for stranger in &mut flood {
        stranger.dial(to);
        stranger.step();
        node.step();
        most = most.max(node.endpoint.connections());
    }
    // One address has half of them; from a quarter on it must prove itself, and never does.
    assert!((1..=4).contains(&most), "{most} handshakes");
    // Somebody who goes on gets in, also while the flood has its places.
    let mut honest = Node::of(&authority);
    let id = honest.dial(to);
    drive([&mut node, &mut honest], |[_, honest]| {
        honest.connected() == [id] || honest.reason(id).is_some()
    });
    assert_eq!(honest.connected(), [id]);
    drop(flood);
    // The rest is given up in time, and nothing of it stays.
    drive([&mut node, &mut honest], |[node, _]| {
        node.endpoint.connections() == 1
    });
    assert!(node.events.len() < 100);
}

#[test]
fn more_connections_than_allowed_are_refused() {
    let authority = Authority::new();
    let mut few = config(&authority);
    few.max_connections = 2;
    let mut node = Node::new(few);
    let mut others: Vec<Node> = (0..3).map(|_| Node::of(&authority)).collect();
    for other in others.iter_mut().take(2) {
        connect(other, &mut node);
    }
    let last = &mut others[2];
    let id = last.dial(node.addr());
    drive([last, &mut node], |[last, _]| last.reason(id).is_some());
    assert_eq!(last.reason(id), Some(&CloseReason::Refused));
    // Once one has gone there is a place again.
    let gone = node.connected()[0];
    node.endpoint.close(gone, 0, "");
    connect(last, &mut node);
}

#[test]
fn rejected_strangers_do_not_fill_the_queue_of_events() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let mut node = Node::of(&ours);
    let begin = Instant::now();
    let mut stranger = Node::of(&theirs);
    let mut ids = Vec::new();
    for _ in 0..120 {
        let id = stranger.dial(node.addr());
        drive([&mut stranger], |[stranger]| {
            // Nobody takes the events of the node.
            node.endpoint.wait(Some(Instant::now())).unwrap();
            stranger.reason(id).is_some()
        });
        ids.push(id);
        assert!(begin.elapsed() < support::LIMIT);
    }
    drive_for([&mut stranger], Duration::from_millis(10));
    node.step();
    let rejected = node
        .events
        .iter()
        .filter(|event| matches!(event, Event::Rejected { .. }));
    assert_eq!(rejected.count(), 64);
}

/// What a host says when nothing listens at a port of its own, made up by somebody else. The
/// packet that it quotes begins with these bytes.
fn forge(from: SocketAddr, to: SocketAddr, quoted: &[u8]) -> Vec<u8> {
    let mut udp = Vec::new();
    udp.extend_from_slice(&from.port().to_be_bytes());
    udp.extend_from_slice(&to.port().to_be_bytes());
    udp.extend_from_slice(&u16::try_from(8 + quoted.len()).unwrap().to_be_bytes());
    udp.extend_from_slice(&[0, 0]);
    udp.extend_from_slice(quoted);
    let length = u16::try_from(20 + udp.len()).unwrap().to_be_bytes();
    let mut icmp = vec![3, 3, 0, 0, 0, 0, 0, 0];
    icmp.extend_from_slice(&[0x45, 0, length[0], length[1], 0, 0, 0x40, 0, 64, 17, 0, 0]);
    icmp.extend_from_slice(&[127, 0, 0, 1, 127, 0, 0, 1]);
    icmp.extend_from_slice(&udp);
    let sum: u32 = icmp
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)))
        .sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    icmp[2..4].copy_from_slice(&(!sum).to_be_bytes());
    icmp
}

#[test]
fn a_forged_message_about_a_dead_port_ends_nothing() {
    let raw = socket(
        AddressFamily::Inet,
        SockType::Raw,
        SockFlag::empty(),
        Some(SockProtocol::Icmp),
    );
    let Ok(raw) = raw else {
        eprintln!("SKIPPED: to forge messages of ICMP needs root");
        return;
    };
    let to = SockaddrIn::new(127, 0, 0, 1, 0);
    let send = |packet: &[u8]| {
        sendto(raw.as_raw_fd(), packet, &to, MsgFlags::empty()).unwrap();
    };

    // They do arrive: a plain socket believes them.
    let plain = UdpSocket::bind(loopback()).unwrap();
    let silent = UdpSocket::bind(loopback()).unwrap();
    plain.connect(silent.local_addr().unwrap()).unwrap();
    plain.set_read_timeout(Some(support::LIMIT)).unwrap();
    let (from, peer) = (plain.local_addr().unwrap(), silent.local_addr().unwrap());
    send(&forge(from, peer, &[0x40; 40]));
    let error = plain.recv(&mut [0; 10]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);

    let authority = Authority::new();
    let mut one = Node::of(&authority);
    let mut other = Node::of(&authority);
    let (id, _) = connect(&mut one, &mut other);
    for length in [0, 4, 8, 20, 40] {
        for first in [0x40, 0xc0] {
            let mut quoted = vec![9; length];
            quoted.iter_mut().take(1).for_each(|byte| *byte = first);
            send(&forge(one.addr(), other.addr(), &quoted));
            one.endpoint.send(id, 0, Bytes::from_static(b"x"));
            one.step();
        }
    }
    drive([&mut one, &mut other], |[_, other]| {
        other.frames(0).len() == 10
    });
    assert_eq!(one.connected(), [id]);
}

#[test]
fn who_floods_leaves_others_their_turns() {
    let authority = Authority::new();
    let mut node = Node::of(&authority);
    let mut loud = Node::of(&authority);
    let mut quiet = Node::of(&authority);
    let (flood, _) = connect(&mut loud, &mut node);
    let (id, there) = connect(&mut quiet, &mut node);
    let frame = Bytes::from(vec![0; 100_000]);
    let (mut asked, mut answered) = (0, 0);
    drive([&mut node, &mut loud, &mut quiet], |[node, loud, quiet]| {
        for lane in 1..32 {
            while loud.endpoint.room(flood, lane) > 0 {
                assert!(loud.endpoint.send(flood, lane, frame.clone()));
            }
        }
        for event in node.events.drain(..) {
            if let Event::Frame {
                id,
                lane: 31,
                bytes,
            } = event
                && id == there
            {
                assert!(node.endpoint.send(id, 31, bytes));
            }
        }
        if quiet.frames(31).len() == asked {
            answered = asked;
            asked += 1;
            assert!(quiet.endpoint.send(id, 31, Bytes::from_static(b"ping")));
        }
        answered == 50
    });
    assert!(
        loud.endpoint.room(flood, 1) < 256 << 10,
        "the flood went on"
    );
}
