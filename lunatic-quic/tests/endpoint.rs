//! An endpoint as a whole: names, certificates, sizes of packets, waiting.

#![allow(clippy::unwrap_used)]

mod support;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lunatic_quic::{CloseReason, DialError, Endpoint, EndpointConfig, Event};
use support::{ALPN, Authority, LIMIT, Node, config, connect, drive, drive_for};

#[test]
fn both_sides_are_told_certificates_and_protocol() {
    let authority = Authority::new();
    let mut one = Node::of(&authority);
    let mut other = Node::of(&authority);
    connect(&mut one, &mut other);
    let remote = [other.addr(), one.addr()];
    for ((node, expected), by) in [&one, &other].into_iter().zip(remote).zip([true, false]) {
        let [
            Event::Connected {
                remote,
                dialled,
                certificates,
                alpn,
                ..
            },
        ] = node.events.as_slice()
        else {
            panic!("{:?}", node.events);
        };
        assert_eq!((*remote, *dialled), (expected, by));
        assert_eq!(certificates.len(), 1);
        assert_eq!(alpn.as_deref(), Some(ALPN));
    }
}

#[test]
fn two_that_dial_each_other_have_two_connections() {
    let authority = Authority::new();
    let mut one = Node::of(&authority);
    let mut other = Node::of(&authority);
    let id = one.dial(other.addr());
    let back = other.dial(one.addr());
    drive([&mut one, &mut other], |[one, other]| {
        one.connected().len() == 2 && other.connected().len() == 2
    });
    // The owner keeps one of them.
    one.endpoint.close(id, 1, "double");
    drive([&mut one, &mut other], |[one, other]| {
        one.connected().len() == 1 && other.connected() == [back]
    });
}

#[test]
fn one_that_dials_itself_is_connected_to_itself() {
    let authority = Authority::new();
    let mut one = Node::of(&authority);
    let id = one.dial(one.addr());
    drive([&mut one], |[one]| one.connected().len() == 2);
    one.endpoint.send(id, 1, Bytes::from_static(b"hello me"));
    drive([&mut one], |[one]| one.frames(1) == ["hello me"]);
    one.endpoint.close(id, 3, "it is me");
    drive([&mut one], |[one]| one.closed_ids().len() == 2);
}

#[test]
fn an_endpoint_that_was_not_driven_for_a_while_keeps_what_came_in_time() {
    let authority = Authority::new();
    let quick = || {
        let mut config = config(&authority);
        config.idle_timeout = Duration::from_secs(2);
        config.keep_alive = Duration::from_millis(100);
        config
    };
    let mut one = Node::new(quick());
    let mut other = Node::new(quick());
    let (id, there) = connect(&mut one, &mut other);
    drive_for([&mut one, &mut other], Duration::from_millis(200));
    // What the other sends now waits in the socket, for longer than the idle time.
    drive_for([&mut other], Duration::from_millis(500));
    std::thread::sleep(Duration::from_millis(2500));
    one.step();
    drive_for([&mut one, &mut other], Duration::from_millis(200));
    assert!(one.reason(id).is_none(), "{:?}", one.reason(id));
    assert!(other.reason(there).is_none(), "{:?}", other.reason(there));
}

#[test]
fn an_authority_that_the_dialled_side_does_not_trust_is_told_on_both() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let mut one = Node::of(&ours);
    // Its certificate is ours, but it trusts only theirs.
    let mut mixed = config(&ours);
    mixed.tls = ours.tls_trusting(&theirs, "localhost", &[ALPN]);
    let mut other = Node::new(mixed);
    let id = one.dial(other.addr());
    drive([&mut one, &mut other], |[one, other]| {
        one.reason(id).is_some() && other.rejected().is_some()
    });
    // Who dials is told that the other side refused, and never that it was connected.
    let reason = one.reason(id).unwrap();
    assert!(
        matches!(
            reason,
            CloseReason::Tls {
                alert: 48,
                by_peer: true,
                ..
            }
        ),
        "{reason}"
    );
    let reason = other.rejected().unwrap();
    assert!(
        matches!(
            reason,
            CloseReason::Tls {
                alert: 48,
                by_peer: false,
                ..
            }
        ),
        "{reason}"
    );
    assert!(reason.to_string().contains("UnknownCA"), "{reason}");
    assert_eq!((one.events.len(), other.events.len()), (1, 1));
}

#[test]
fn an_authority_that_the_dialling_side_does_not_trust_is_told_on_both() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let mut one = Node::of(&ours);
    let mut other = Node::of(&theirs);
    let id = one.dial(other.addr());
    drive([&mut one, &mut other], |[one, other]| {
        one.reason(id).is_some() && other.rejected().is_some()
    });
    let reason = one.reason(id).unwrap();
    assert!(
        matches!(
            reason,
            CloseReason::Tls {
                alert: 48,
                by_peer: false,
                ..
            }
        ),
        "{reason}"
    );
    let reason = other.rejected().unwrap();
    assert!(
        matches!(
            reason,
            CloseReason::Tls {
                alert: 48,
                by_peer: true,
                ..
            }
        ),
        "{reason}"
    );
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new();
    let mut one = Node::of(&authority);
    let mut other = Node::of(&authority);
    let id = one.endpoint.dial(other.addr(), "elsewhere").unwrap();
    drive([&mut one, &mut other], |[one, _]| one.reason(id).is_some());
    let reason = one.reason(id).unwrap();
    assert!(
        matches!(reason, CloseReason::Tls { by_peer: false, .. }),
        "{reason}"
    );
}

#[test]
fn another_protocol_is_refused() {
    let authority = Authority::new();
    let mut one = Node::of(&authority);
    let mut newer = config(&authority);
    newer.tls = authority.tls_with("localhost", &[b"test/2"]);
    let mut other = Node::new(newer);
    let id = one.dial(other.addr());
    drive([&mut one, &mut other], |[one, _]| one.reason(id).is_some());
    let reason = one.reason(id).unwrap();
    // "no_application_protocol", RFC 7301.
    assert!(
        matches!(
            reason,
            CloseReason::Tls {
                alert: 120,
                by_peer: true,
                ..
            }
        ),
        "{reason}"
    );
}

#[test]
fn new_tls_settings_hold_for_later_connections() {
    let (old, new) = (Authority::new(), Authority::new());
    let mut one = Node::of(&old);
    let mut other = Node::of(&old);
    let (id, there) = connect(&mut one, &mut other);
    one.endpoint.set_tls(new.tls("localhost")).unwrap();
    let refused = other.dial(one.addr());
    drive([&mut one, &mut other], |[_, other]| {
        other.reason(refused).is_some()
    });
    other.endpoint.set_tls(new.tls("localhost")).unwrap();
    connect(&mut one, &mut other);
    // The old connection goes on.
    assert!(one.endpoint.send(id, 0, Bytes::from_static(b"still")));
    drive([&mut one, &mut other], |[_, other]| {
        other.frames(0) == ["still"]
    });
    assert!(other.connected().contains(&there));
}

#[test]
fn packets_grow_beyond_those_of_ethernet_where_the_path_takes_them() {
    let authority = Authority::new();
    let mut one = Node::of(&authority);
    let mut other = Node::of(&authority);
    let (id, _) = connect(&mut one, &mut other);
    drive([&mut one, &mut other], |[one, _]| {
        one.endpoint.send(id, 0, Bytes::from(vec![0; 2000]));
        one.endpoint.stats(id).unwrap().mtu > 8800
    });
    assert!(one.endpoint.max_datagram(id).unwrap() > 8000);
    // Batches of such packets are not lost.
    let frame = Bytes::from(vec![3; 1 << 20]);
    for _ in 0..8 {
        assert!(one.endpoint.send(id, 1, frame.clone()));
    }
    drive([&mut one, &mut other], |[_, other]| {
        other.frames(1).len() == 8
    });
}

#[test]
fn a_wait_ends_when_another_thread_wakes_it() {
    let authority = Authority::new();
    let (send, receive) = mpsc::channel();
    let (done, woken) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let mut endpoint = Endpoint::bind(config(&authority)).unwrap();
        send.send(endpoint.waker()).unwrap();
        for _ in 0..100 {
            endpoint.wait(None).unwrap();
            done.send(()).unwrap();
        }
    });
    let waker = receive.recv_timeout(LIMIT).unwrap();
    for number in 0..100 {
        if number % 3 == 0 {
            // Most probably it sleeps by now.
            std::thread::sleep(Duration::from_millis(2));
        }
        waker.clone().wake();
        woken.recv_timeout(LIMIT).unwrap();
    }
    thread.join().unwrap();
}

#[test]
fn a_wake_before_the_wait_is_not_lost_and_many_count_as_one() {
    let authority = Authority::new();
    let mut endpoint = Endpoint::bind(config(&authority)).unwrap();
    let waker = endpoint.waker();
    for _ in 0..1000 {
        waker.wake();
    }
    endpoint.wait(None).unwrap();
    let begin = Instant::now();
    endpoint
        .wait(Some(begin + Duration::from_millis(50)))
        .unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(50), "woken again");
}

#[test]
fn an_idle_endpoint_waits_until_the_time_has_come() {
    let authority = Authority::new();
    let mut one = Node::of(&authority);
    let mut other = Node::of(&authority);
    connect(&mut one, &mut other);
    drive_for([&mut one, &mut other], Duration::from_millis(300));
    let until = Instant::now() + Duration::from_millis(300);
    let mut calls = 0;
    while Instant::now() < until {
        one.endpoint.wait(Some(until)).unwrap();
        calls += 1;
    }
    assert!(calls < 20, "{calls} calls");
}

#[test]
fn an_endpoint_on_all_addresses_speaks_both_families() {
    let authority = Authority::new();
    let mut all = config(&authority);
    all.bind = "[::]:0".parse().unwrap();
    let mut all = Node::new(all);
    let mut v4 = Node::of(&authority);
    let port = all.addr().port();
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let id = v4.dial(to);
    let back = all.dial(v4.addr());
    drive([&mut all, &mut v4], |[all, v4]| {
        v4.connected().contains(&id) && all.connected().contains(&back)
    });
    for event in &all.events {
        if let Event::Connected { remote, .. } = event {
            assert_eq!(*remote, v4.addr());
        }
    }
}

#[test]
fn a_dial_that_cannot_work_says_why() {
    let authority = Authority::new();
    let mut few = config(&authority);
    few.max_connections = 1;
    let mut one = Node::new(few);
    let other = Node::of(&authority);
    let to = other.addr();
    let v6: SocketAddr = "[::1]:1".parse().unwrap();
    let no_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let dial = |node: &mut Node, to, name| node.endpoint.dial(to, name);
    assert_eq!(
        dial(&mut one, v6, "localhost"),
        Err(DialError::InvalidAddress(v6))
    );
    assert_eq!(
        dial(&mut one, no_port, "localhost"),
        Err(DialError::InvalidAddress(no_port))
    );
    assert!(matches!(
        dial(&mut one, to, "no name"),
        Err(DialError::InvalidName(_))
    ));
    let id = dial(&mut one, to, "localhost").unwrap();
    assert_eq!(
        dial(&mut one, to, "localhost"),
        Err(DialError::TooManyConnections)
    );
    one.endpoint.close(id, 0, "");
    let next = dial(&mut one, to, "localhost").unwrap();
    assert_ne!(id, next);
}

#[test]
fn a_config_that_cannot_work_is_refused() {
    let authority = Authority::new();
    let bind = |change: fn(&mut EndpointConfig)| {
        let mut config = config(&authority);
        change(&mut config);
        Endpoint::bind(config).map(drop)
    };
    assert!(bind(|_| {}).is_ok());
    assert!(bind(|config| config.lanes = 0).is_err());
    assert!(bind(|config| config.max_packet = 100).is_err());
    assert!(bind(|config| config.idle_timeout = Duration::MAX).is_err());
    let taken = Endpoint::bind(config(&authority)).unwrap();
    let mut again = config(&authority);
    again.bind = taken.local_addr();
    let error = Endpoint::bind(again).map(drop).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
}
