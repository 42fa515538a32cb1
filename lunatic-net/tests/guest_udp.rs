//! The host functions on names and UDP.
#![cfg(feature = "guest")]
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod guest;

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use futures_lite::future::{block_on, poll_once};
use guest::{Guest, NEVER, args, at};
use lunatic_net::{NetConfig, Rules};

fn resolve(guest: &mut Guest, name: &str) -> i32 {
    guest.put(at::NAME, name.as_bytes());
    let params = args![at::NAME, name.len() as u32, NEVER, at::ID];
    guest.code("resolve", &params)
}

fn udp_connect(guest: &mut Guest, socket: u64, to: SocketAddr, timeout: u64) -> i32 {
    let mut params = args![socket].to_vec();
    params.extend(guest.address(to));
    params.extend(args![timeout, at::ID]);
    guest.code("udp_connect", &params)
}

fn send_to(guest: &mut Guest, socket: u64, bytes: &[u8], to: SocketAddr) -> i32 {
    guest.put(at::DATA, bytes);
    let mut params = args![socket, at::DATA, bytes.len() as u32].to_vec();
    params.extend(guest.address(to));
    params.extend(args![at::ID]);
    guest.code("udp_send_to", &params)
}

#[test]
fn names_lead_to_addresses_one_by_one() {
    let mut guest = Guest::new();
    assert_eq!(resolve(&mut guest, "localhost:80"), 0);
    let iterator = guest.id();
    let addresses = guest.addresses(iterator);
    assert!(!addresses.is_empty());
    assert!(addresses.iter().all(|address| address.port() == 80));
    assert_eq!(resolve(&mut guest, "[::1]:5"), 0);
    let iterator = guest.id();
    assert_eq!(guest.addresses(iterator), ["[::1]:5".parse().unwrap()]);
}

#[test]
fn a_name_without_a_port_is_an_error() {
    let mut guest = Guest::new();
    assert_eq!(resolve(&mut guest, "localhost"), 1);
    let error = guest.error();
    assert_eq!(error, "cannot resolve `localhost`: invalid socket address");
}

#[test]
fn a_name_that_leads_nowhere_is_an_error_with_a_sentence() {
    // No name ends like this (RFC 6761).
    let mut guest = Guest::new();
    assert_eq!(resolve(&mut guest, "no-such-name.invalid:80"), 1);
    let error = guest.error();
    let expected = "cannot resolve `no-such-name.invalid:80`: ";
    assert!(error.starts_with(expected), "{error}");
}

#[test]
fn a_name_that_is_not_text_or_not_in_memory_traps() {
    let mut guest = Guest::new();
    guest.put(at::NAME, &[0xFF]);
    let trap = guest.trap("resolve", &args![at::NAME, 1, NEVER, at::ID]);
    assert!(trap.contains("not UTF-8"), "{trap}");
    guest.trap("resolve", &args![at::END, 1, NEVER, at::ID]);
    guest.trap("resolve", &args![at::NAME, 0, NEVER, at::END - 7]);
}

#[test]
fn a_name_that_the_rules_do_not_name_is_not_looked_up() {
    let mut guest = Guest::with(NetConfig::default().narrowed(Rules {
        allow: Some(vec!["localhost:80".parse().unwrap()]),
        deny: Vec::new(),
    }));
    assert_eq!(resolve(&mut guest, "localhost:1"), 0);
    assert_eq!(resolve(&mut guest, "secret.example:80"), 1);
    let error = guest.error();
    assert!(
        error.contains("may not look up `secret.example`"),
        "{error}"
    );
}

#[test]
fn datagrams_go_from_guest_to_guest() {
    let mut guest = Guest::new();
    let (one, one_address) = guest.bind("udp");
    let (other, other_address) = guest.bind("udp");
    assert_eq!(send_to(&mut guest, one, b"hello", other_address), 0);
    assert_eq!(guest.id(), 5);
    let params = args![other, at::DATA, 100, at::ID, at::PEER];
    assert_eq!(guest.code("udp_receive_from", &params), 0);
    assert_eq!(guest.id(), 5);
    let peer = guest.take_u64(at::PEER);
    assert_eq!(guest.addresses(peer), [one_address]);

    assert_eq!(udp_connect(&mut guest, one, other_address, 0), 0);
    assert_eq!(guest.id(), 0);
    guest.put(at::DATA, b"again");
    let params = args![one, at::DATA, 5, at::ID];
    assert_eq!(guest.code("udp_send", &params), 0);
    assert_eq!(guest.read("udp_receive", other, 2).unwrap(), b"ag");
}

#[test]
fn the_peer_of_a_socket_that_is_not_connected_is_error_1() {
    let mut guest = Guest::new();
    let (one, _) = guest.bind("udp");
    let (_, other_address) = guest.bind("udp");
    assert_eq!(guest.code("udp_peer_addr", &args![one, at::ID]), 1);
    guest.error();
    assert_eq!(udp_connect(&mut guest, one, other_address, NEVER), 0);
    assert_eq!(guest.address_of("udp_peer_addr", one), other_address);
}

#[test]
fn sending_without_a_peer_and_sending_too_much_are_errors() {
    let mut guest = Guest::new();
    let (socket, address) = guest.bind("udp");
    assert_eq!(guest.code("udp_send", &args![socket, 0, 1, at::ID]), 1);
    guest.error();
    let mut params = args![socket, 0, 70_000].to_vec();
    params.extend(guest.address(address));
    params.extend(args![at::ID]);
    assert_eq!(guest.code("udp_send_to", &params), 1);
    guest.error();
}

#[test]
fn clones_are_one_socket_with_its_options() {
    let mut guest = Guest::new();
    let (socket, address) = guest.bind("udp");
    let clone = guest.number("clone_udp_socket", &args![socket]);
    assert_eq!(guest.address_of("udp_local_addr", clone), address);
    guest.run("set_udp_socket_broadcast", &args![socket, -1]);
    assert_eq!(guest.code("get_udp_socket_broadcast", &args![clone]), 1);
    guest.run("set_udp_socket_broadcast", &args![socket, 0]);
    assert_eq!(guest.code("get_udp_socket_broadcast", &args![clone]), 0);
    guest.run("set_udp_socket_ttl", &args![socket, 9]);
    assert_eq!(guest.code("get_udp_socket_ttl", &args![clone]), 9);
    let trap = guest.trap("set_udp_socket_ttl", &args![socket, 256]);
    assert!(trap.contains("time to live"), "{trap}");
}

#[test]
fn every_datagram_is_checked_against_the_rules() {
    let mut guest = Guest::with(NetConfig::default().narrowed(Rules {
        allow: None,
        deny: vec!["connect:127.0.0.1:1".parse().unwrap()],
    }));
    let (socket, address) = guest.bind("udp");
    let denied = "127.0.0.1:1".parse().unwrap();
    assert_eq!(send_to(&mut guest, socket, b"x", address), 0);
    assert_eq!(send_to(&mut guest, socket, b"x", denied), 1);
    let error = guest.error();
    assert!(
        error.contains("the rule `connect:127.0.0.1:1` denies it"),
        "{error}"
    );
    assert_eq!(udp_connect(&mut guest, socket, denied, 0), 1);
    guest.error();
}

#[test]
fn a_datagram_for_the_unspecified_address_goes_where_the_rules_have_checked() {
    // The system would send it to the address that the socket is bound to.
    let loopback = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = loopback.local_addr().unwrap().port();
    let Ok(_denied) = UdpSocket::bind(("127.0.0.2", port)) else {
        lunatic_testkit::skipped("the port is in use at another address");
        return;
    };
    let mut guest = Guest::with(NetConfig::default().narrowed(Rules {
        allow: None,
        deny: vec!["connect:127.0.0.2".parse().unwrap()],
    }));
    let mut params = guest.address("127.0.0.2:0".parse().unwrap()).to_vec();
    params.extend(args![at::ID]);
    assert_eq!(guest.code("udp_bind", &params), 0);
    let socket = guest.id();
    assert_eq!(send_to(&mut guest, socket, b"x", ([0; 4], port).into()), 0);
    loopback
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    assert_eq!(loopback.recv(&mut [0; 9]).unwrap(), 1);
}

#[test]
fn a_port_that_the_system_chose_is_refused_if_the_rules_deny_it() {
    let mut guest = Guest::with(NetConfig::default().narrowed(Rules {
        allow: None,
        deny: vec!["bind:*:1-65535".parse().unwrap()],
    }));
    let mut params = guest.address("127.0.0.1:0".parse().unwrap()).to_vec();
    params.extend(args![at::ID]);
    for function in ["udp_bind", "tcp_bind"] {
        assert_eq!(guest.code(function, &params), 1);
        let error = guest.error();
        assert!(error.contains("`bind:*:1-65535` denies it"), "{error}");
    }
}

#[test]
fn addresses_outside_of_memory_trap_and_the_datagram_stays() {
    let mut guest = Guest::new();
    let (socket, address) = guest.bind("udp");
    assert_eq!(send_to(&mut guest, socket, b"kept", address), 0);
    let end = at::END;
    for (function, params) in [
        ("udp_receive", &args![socket, end - 1, 2, at::ID][..]),
        ("udp_receive", &args![socket, at::DATA, 4, end - 7]),
        (
            "udp_receive_from",
            &args![socket, at::DATA, 4, at::ID, end - 7],
        ),
        ("udp_send", &args![socket, end - 1, 2, at::ID]),
        ("udp_local_addr", &args![socket, end - 7]),
    ] {
        let trap = guest.trap(function, params);
        assert!(trap.contains("outside of the memory"), "{function}: {trap}");
    }
    assert_eq!(guest.read("udp_receive", socket, 100).unwrap(), b"kept");
}

#[test]
fn a_killed_receive_leaves_the_next_datagram_to_others() {
    let mut guest = Guest::new();
    let (socket, address) = guest.bind("udp");
    block_on(async {
        let params = args![socket, at::DATA, 1, at::ID];
        let mut receiving = Box::pin(guest.invoke("udp_receive", &params));
        assert!(poll_once(&mut receiving).await.is_none());
    });
    let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.send_to(b"x", address).unwrap();
    assert_eq!(guest.read("udp_receive", socket, 9).unwrap(), b"x");
}
