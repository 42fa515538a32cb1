//! How connections end, and what each side is told.

#![allow(clippy::unwrap_used)]

mod support;

use std::net::UdpSocket;
use std::time::Duration;

use bytes::Bytes;
use lunatic_quic::{CloseReason, Endpoint, Event, Unreachable};
use support::proxy::{Proxy, Wire};
use support::{Authority, Node, config, connect, connect_to, drive, drive_for, loopback};

/// Whether exactly one end was told of each of these nodes' connections.
fn each_closed_once(node: &Node) -> bool {
    let mut ids = node.closed_ids();
    let told = ids.len();
    ids.sort_unstable();
    ids.dedup();
    told == ids.len() && node.connected().is_empty()
}

#[test]
fn a_peer_is_told_the_code_and_the_reason() {
    let authority = Authority::new();
    let mut one = Node::of(&authority);
    let mut other = Node::of(&authority);
    let (id, there) = connect(&mut one, &mut other);
    one.endpoint.close(id, 42, "name taken");
    one.endpoint.close(id, 43, "twice");
    drive([&mut one, &mut other], |[one, other]| {
        one.reason(id).is_some() && other.reason(there).is_some()
    });
    let local = CloseReason::Local {
        code: 42,
        text: "name taken".to_owned(),
    };
    let by_peer = CloseReason::ByPeer {
        code: 42,
        text: "name taken".to_owned(),
    };
    assert_eq!(one.reason(id), Some(&local));
    assert_eq!(other.reason(there), Some(&by_peer));
    assert_eq!(
        by_peer.to_string(),
        "closed by the peer with code 42: name taken"
    );
    drive_for([&mut one, &mut other], Duration::from_millis(300));
    assert!(each_closed_once(&one) && each_closed_once(&other));
    assert!(!one.endpoint.send(id, 0, Bytes::new()) && one.endpoint.room(id, 0) == 0);
    assert_eq!(one.endpoint.connections(), 0);
}

#[test]
fn what_arrived_before_the_close_is_told_before_it() {
    let authority = Authority::new();
    let mut one = Node::of(&authority);
    let mut other = Node::of(&authority);
    let (id, there) = connect(&mut one, &mut other);
    one.endpoint.send(id, 1, Bytes::from_static(b"last words"));
    one.step();
    one.endpoint.close(id, 1, "");
    one.step();
    drive([&mut other], |[other]| other.reason(there).is_some());
    assert_eq!(other.frames(1), ["last words"]);
    assert!(matches!(other.events.last(), Some(Event::Closed { .. })));
}

#[test]
fn shutting_down_tells_every_peer_and_takes_nobody_any_more() {
    let authority = Authority::new();
    let mut one = Node::of(&authority);
    let mut others: Vec<Node> = (0..5).map(|_| Node::of(&authority)).collect();
    let ids: Vec<_> = others
        .iter_mut()
        .map(|other| connect(&mut one, other).1)
        .collect();
    one.endpoint
        .shut_down(7, "good night", Duration::from_millis(50))
        .unwrap();
    // Only the others run now.
    for (other, id) in others.iter_mut().zip(ids) {
        drive([other], |[other]| other.reason(id).is_some());
        let expected = CloseReason::ByPeer {
            code: 7,
            text: "good night".to_owned(),
        };
        assert_eq!(other.reason(id), Some(&expected));
    }
    one.step();
    assert_eq!(one.closed_ids().len(), 5);
    assert!(one.endpoint.dial(others[0].addr(), "localhost").is_err());
    let late = others[0].dial(one.addr());
    drive([&mut one, &mut others[0]], |[_, other]| {
        other.reason(late).is_some()
    });
}

#[test]
fn an_endpoint_bound_again_with_its_key_ends_stale_connections_at_once() {
    let authority = Authority::new();
    let mut one = Node::of(&authority);
    let mut other = Node::of(&authority);
    let (id, _) = connect(&mut one, &mut other);
    let mut again = config(&authority);
    again.bind = other.addr();
    // As if the process were killed and started again.
    drop(other);
    let mut other = Node::new(again);
    one.endpoint
        .send(id, 0, Bytes::from_static(b"are you there"));
    drive([&mut one, &mut other], |[one, _]| one.reason(id).is_some());
    assert_eq!(one.reason(id), Some(&CloseReason::Reset));
    assert!(other.events.is_empty());
    connect(&mut one, &mut other);
}

#[test]
fn with_another_key_a_stale_connection_ends_with_the_idle_time_only() {
    let authority = Authority::new();
    let mut quick = config(&authority);
    quick.idle_timeout = Duration::from_millis(1500);
    quick.keep_alive = Duration::from_millis(300);
    let mut one = Node::new(quick);
    let mut other = Node::of(&authority);
    let (id, _) = connect(&mut one, &mut other);
    let mut again = config(&authority);
    again.bind = other.addr();
    again.key = [8; 32];
    drop(other);
    let mut other = Node::new(again);
    drive([&mut one, &mut other], |[one, _]| one.reason(id).is_some());
    assert_eq!(one.reason(id), Some(&CloseReason::TimedOut));
}

#[test]
fn a_dead_process_on_a_live_host_is_told_by_icmp() {
    let authority = Authority::new();
    for v6 in [false, true] {
        let bind = |mut config: lunatic_quic::EndpointConfig| {
            if v6 {
                config.bind = "[::1]:0".parse().unwrap();
            }
            config
        };
        let mut one = Node::new(bind(config(&authority)));
        let mut other = Node::new(bind(config(&authority)));
        let (id, _) = connect(&mut one, &mut other);
        drive_for([&mut one, &mut other], Duration::from_millis(100));
        drop(other);
        // Nothing is sent but the keep-alive.
        drive([&mut one], |[one]| one.reason(id).is_some());
        let expected = CloseReason::Unreachable(Unreachable::Port);
        assert_eq!(one.reason(id), Some(&expected));
    }
}

#[test]
fn a_dial_to_a_port_without_a_process_fails_at_once() {
    let authority = Authority::new();
    let mut one = Node::of(&authority);
    let nobody = UdpSocket::bind(loopback()).unwrap().local_addr().unwrap();
    let id = one.dial(nobody);
    drive([&mut one], |[one]| one.reason(id).is_some());
    let expected = CloseReason::Unreachable(Unreachable::Port);
    assert_eq!(one.reason(id), Some(&expected));
    drive_for([&mut one], Duration::from_millis(50));
    assert_eq!(one.events.len(), 1);
}

#[test]
fn a_dead_port_ends_no_connection_to_another_one() {
    let authority = Authority::new();
    let mut one = Node::of(&authority);
    let mut other = Node::of(&authority);
    let mut third = Node::of(&authority);
    let (lives, _) = connect(&mut one, &mut other);
    let (dies, _) = connect(&mut one, &mut third);
    drop(third);
    drive([&mut one, &mut other], |[one, _]| {
        one.reason(dies).is_some()
    });
    for _ in 0..20 {
        assert!(one.endpoint.send(lives, 0, Bytes::from_static(b"x")));
    }
    drive([&mut one, &mut other], |[_, other]| {
        other.frames(0).len() == 20
    });
    assert!(one.connected().contains(&lives));
}

#[test]
fn a_dial_that_nobody_answers_times_out() {
    let authority = Authority::new();
    let mut quick = config(&authority);
    quick.handshake_timeout = Duration::from_millis(700);
    let mut one = Node::new(quick);
    let silent = UdpSocket::bind(loopback()).unwrap();
    let id = one.dial(silent.local_addr().unwrap());
    drive([&mut one], |[one]| one.reason(id).is_some());
    assert_eq!(one.reason(id), Some(&CloseReason::TimedOut));
}

#[test]
fn a_cut_wire_ends_both_sides_by_the_idle_time() {
    let authority = Authority::new();
    let quick = || {
        let mut config = config(&authority);
        config.idle_timeout = Duration::from_secs(1);
        config.keep_alive = Duration::from_millis(200);
        config
    };
    let mut one = Node::new(quick());
    let mut other = Node::new(quick());
    // Its sockets stay open, so that there is no ICMP.
    let wire = Wire {
        lost: 0,
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
    };
    let proxy = Proxy::new(other.addr(), wire);
    let (id, there) = connect_to(&mut one, &mut other, proxy.addr());
    // Much longer than the idle time: the keep-alive holds it.
    drive_for([&mut one, &mut other], Duration::from_millis(2500));
    assert!(one.reason(id).is_none() && other.reason(there).is_none());
    proxy.cut();
    drive([&mut one, &mut other], |[one, other]| {
        one.reason(id).is_some() && other.reason(there).is_some()
    });
    assert_eq!(one.reason(id), Some(&CloseReason::TimedOut));
    assert_eq!(other.reason(there), Some(&CloseReason::TimedOut));
}

#[test]
fn an_endpoint_that_is_dropped_tells_nobody() {
    let authority = Authority::new();
    let mut one = Node::of(&authority);
    let endpoint = Endpoint::bind(config(&authority)).unwrap();
    let id = one.dial(endpoint.local_addr());
    drop(endpoint);
    drive([&mut one], |[one]| one.reason(id).is_some());
    assert_eq!(one.closed_ids(), [id]);
}
