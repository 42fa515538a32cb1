//! Sockets of a process that changes its code.
#![cfg(feature = "guest")]
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod certificates;
mod guest;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;

use certificates::{Authority, Identity, self_signed};
use futures_lite::future::{block_on, poll_once};
use guest::{Guest, args, at};
use lunatic_account::{Account, Kind};
use lunatic_net::{Listeners, NetConfig, TlsConnector};
use wasmtime::Val;

const CERTIFICATE: u32 = 50_000;
const KEY: u32 = 60_000;

/// The arguments of `tls_bind`.
fn tls_params(guest: &mut Guest, address: SocketAddr, identity: &Identity) -> Vec<Val> {
    guest.put(CERTIFICATE, identity.certificate.as_bytes());
    guest.put(KEY, identity.key.as_bytes());
    let mut params = guest.bind_params(address);
    let lengths = [&identity.certificate, &identity.key].map(|text| text.len() as u32);
    params.extend(args![CERTIFICATE, lengths[0], KEY, lengths[1]]);
    params
}

/// Binds an address; the id.
fn bind_at(guest: &mut Guest, kind: &str, address: SocketAddr) -> u64 {
    let params = guest.bind_params(address);
    assert_eq!(guest.code(&format!("{kind}_bind"), &params), 0);
    guest.id()
}

/// How many descriptors the process of the tests has open.
fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

fn any_port() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

#[test]
fn new_code_gets_the_sockets_at_the_addresses_that_the_old_one_has_bound() {
    let mut old = Guest::new();
    let (listener, address) = old.bind("tcp");
    let (socket, udp_address) = old.bind("udp");
    let mut waiting = TcpStream::connect(address).unwrap();
    waiting.write_all(b"hello").unwrap();

    let mut new = old.attempt();
    let same = bind_at(&mut new, "tcp", address);
    let same_udp = bind_at(&mut new, "udp", udp_address);
    assert_eq!((same, same_udp), (listener + 1, socket + 1));
    assert_eq!(new.address_of("tcp_local_addr", same), address);
    new.accept_in_place_of(old);

    // Whoever connected to the old one is accepted by the new one.
    let stream = new.accept("tcp", same);
    assert_eq!(new.read("tcp_read", stream, 9).unwrap(), b"hello");
    let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for socket in [socket, same_udp] {
        sender.send_to(b"x", udp_address).unwrap();
        assert_eq!(new.read("udp_receive", socket, 9).unwrap(), b"x");
    }
    // The socket is open until both handles are dropped.
    new.run("drop_tcp_listener", &args![listener]);
    let _connected = TcpStream::connect(address).unwrap();
    new.accept("tcp", same);
    new.run("drop_tcp_listener", &args![same]);
    TcpStream::connect(address).unwrap_err();
}

#[test]
fn every_old_id_is_there_beside_the_new_ones() {
    let (mut old, stream, mut peer) = Guest::with_stream();
    let (socket, _) = old.bind("udp");
    let clones: Vec<_> = (0..20)
        .map(|_| old.number("clone_tcp_stream", &args![stream]))
        .collect();
    old.run("drop_tcp_stream", &args![clones[3]]);

    let mut new = old.attempt();
    let listener = bind_at(&mut new, "tcp", peer.peer_addr().unwrap());
    // Until then they are not.
    let trap = new.trap("drop_tcp_stream", &args![stream]);
    assert!(trap.contains("there is no TCP stream with id 0"), "{trap}");
    new.accept_in_place_of(old);

    peer.write_all(b"hi").unwrap();
    assert_eq!(new.read("tcp_read", stream, 9).unwrap(), b"hi");
    new.trap("drop_tcp_stream", &args![clones[3]]);
    let next = new.number("clone_tcp_stream", &args![clones[19]]);
    assert_eq!(next, clones[19] + 1);
    let (other, address) = new.bind("udp");
    assert_eq!(other, socket + 1);
    assert_eq!(new.address_of("udp_local_addr", other), address);
    // The old code had one listener, the new one another.
    assert_eq!(listener, 1);
    new.run("drop_tcp_listener", &args![0_u64]);
    new.run("drop_tcp_listener", &args![1_u64]);
}

#[test]
fn a_tls_listener_of_new_code_has_its_own_certificate_on_the_same_socket() {
    let authority = Authority::new();
    let mut old = Guest::new();
    let params = tls_params(&mut old, any_port(), &self_signed("localhost"));
    assert_eq!(old.code("tls_bind", &params), 0);
    let listener = old.id();
    let address = old.address_of("tls_local_addr", listener);

    let mut new = old.attempt();
    let params = tls_params(&mut new, address, &authority.vouch_for("localhost"));
    assert_eq!(new.code("tls_bind", &params), 0);
    let same = new.id();
    new.accept_in_place_of(old);
    let connector = TlsConnector::with_roots(&[authority.root()]).unwrap();
    let client = thread::spawn(move || {
        block_on(async {
            let stream = connector.connect("localhost", address).await.unwrap();
            stream.write_all(b"ping").await.unwrap();
            assert_eq!(stream.read(&mut [0; 16]).await.unwrap(), 0);
        });
    });
    let stream = new.accept("tls", same);
    assert_eq!(new.read("tls_read", stream, 9).unwrap(), b"ping");
    new.run("drop_tls_stream", &args![stream]);
    client.join().unwrap();
}

#[test]
fn new_code_can_bind_nothing_else_until_it_is_accepted() {
    let listeners = Listeners::new();
    let account = Account::default();
    let mut old = Guest::in_root(NetConfig::default(), &listeners, &account);
    let mut neighbour = Guest::in_root(NetConfig::default(), &listeners, &account);
    let (_, address) = old.bind("tcp");
    let (_, of_neighbour) = neighbour.bind("tcp");
    let free = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };

    let mut new = old.attempt();
    for (function, address) in [
        ("tcp_bind", free),
        ("tcp_bind", of_neighbour),
        // It is bound for TCP.
        ("udp_bind", address),
        // Others could find the port while it is open.
        ("tcp_bind", any_port()),
        ("udp_bind", any_port()),
    ] {
        let params = new.bind_params(address);
        let trap = new.trap(function, &params);
        assert!(trap.contains("is being reloaded"), "{trap}");
    }
    for address in [free, any_port()] {
        let params = tls_params(&mut new, address, &self_signed("localhost"));
        let trap = new.trap("tls_bind", &params);
        assert!(trap.contains("is being reloaded"), "{trap}");
    }
    TcpStream::connect(free).unwrap_err();

    new.accept_in_place_of(old);
    bind_at(&mut new, "tcp", free);
    // Now it is as for all others.
    let params = new.bind_params(address);
    assert_eq!(new.code("tcp_bind", &params), 1);
    assert!(new.error().contains("Address already in use"));
}

#[test]
fn an_attempt_that_fails_gives_everything_back() {
    let account = Account::default();
    let mut old = Guest::in_root(NetConfig::default(), &Listeners::new(), &account);
    let (listener, address) = old.bind("tcp");
    let (socket, udp_address) = old.bind("udp");
    // A table that was used once stays.
    let _peer = TcpStream::connect(address).unwrap();
    let stream = old.accept("tcp", listener);
    old.run("drop_tcp_stream", &args![stream]);
    let used = |kind| account.used(kind);
    let before = [used(Kind::Descriptors), used(Kind::Memory)];
    let descriptors = open_descriptors();
    for _ in 0..3 {
        let mut new = old.attempt();
        bind_at(&mut new, "tcp", address);
        bind_at(&mut new, "udp", udp_address);
        let params = new.bind_params(any_port());
        new.trap("tcp_bind", &params);
        assert_eq!(open_descriptors(), descriptors);
        assert_eq!(used(Kind::Descriptors), before[0] + 2);
        drop(new);
        assert_eq!(open_descriptors(), descriptors);
        assert_eq!([used(Kind::Descriptors), used(Kind::Memory)], before);
        // The old code goes on.
        let mut peer = TcpStream::connect(address).unwrap();
        let stream = old.accept("tcp", listener);
        peer.write_all(b"x").unwrap();
        assert_eq!(old.read("tcp_read", stream, 1).unwrap(), b"x");
        old.run("drop_tcp_stream", &args![stream]);
        assert_eq!(peer.read(&mut [0; 1]).unwrap(), 0);
    }
    old.run("drop_tcp_listener", &args![listener]);
    old.run("drop_udp_socket", &args![socket]);
    assert_eq!(used(Kind::Descriptors), 0);
    // Nothing is left of the address: it can be bound anew.
    bind_at(&mut old, "tcp", address);
}

#[test]
fn limits_count_what_old_and_new_code_have_together() {
    let account = Account::default();
    let mut config = NetConfig::default();
    config.max_sockets = 4;
    let mut old = Guest::in_root(config, &Listeners::new(), &account);
    let (_, address) = old.bind("tcp");
    old.bind("udp");
    let used = || account.used(Kind::Descriptors);

    let mut new = old.attempt();
    bind_at(&mut new, "tcp", address);
    bind_at(&mut new, "tcp", address);
    let params = new.bind_params(address);
    assert_eq!(new.code("tcp_bind", &params), 1);
    assert!(new.error().contains("has 4 sockets, as many as it may"));
    assert_eq!(used(), 4);
    new.accept_in_place_of(old);
    assert_eq!(used(), 4);
    let params = new.bind_params(any_port());
    assert_eq!(new.code("tcp_bind", &params), 1);
    assert!(new.error().contains("has 4 sockets, as many as it may"));
    new.run("drop_udp_socket", &args![0_u64]);
    assert_eq!(used(), 3);
    new.bind("udp");
    drop(new);
    assert_eq!(used(), 0);
}

#[test]
fn code_is_replaced_again_and_again_by_code_that_binds_the_same_address() {
    let account = Account::default();
    let mut guest = Guest::in_root(NetConfig::default(), &Listeners::new(), &account);
    let (_, address) = guest.bind("tcp");
    let descriptors = open_descriptors();
    for round in 1..=50 {
        let mut new = guest.attempt();
        let listener = bind_at(&mut new, "tcp", address);
        new.accept_in_place_of(guest);
        assert_eq!(listener, round);
        new.run("drop_tcp_listener", &args![listener - 1]);
        let peer = TcpStream::connect(address).unwrap();
        let stream = new.accept("tcp", listener);
        new.run("drop_tcp_stream", &args![stream]);
        drop(peer);
        assert_eq!(account.used(Kind::Descriptors), 1);
        assert_eq!(open_descriptors(), descriptors);
        guest = new;
    }
}

#[test]
fn code_without_sockets_is_replaced_by_code_that_binds_as_soon_as_it_is_accepted() {
    let old = Guest::new();
    let mut new = old.attempt();
    let params = new.bind_params(any_port());
    new.trap("tcp_bind", &params);
    new.accept_in_place_of(old);
    let (listener, address) = new.bind("tcp");
    let mut newest = new.attempt();
    let same = bind_at(&mut newest, "tcp", address);
    newest.accept_in_place_of(new);
    newest.run("drop_tcp_listener", &args![listener]);
    let _peer = TcpStream::connect(address).unwrap();
    newest.accept("tcp", same);
    assert_eq!(newest.take_u64(at::ID), 0);
}

#[test]
fn a_process_of_a_new_root_gets_the_socket_of_the_old_one_and_its_accepts_go_first() {
    let listeners = Listeners::new();
    let account = Account::default();
    let mut old = Guest::in_root(NetConfig::default(), &listeners, &account);
    let (old_listener, address) = old.bind("tcp");
    let replacing = listeners.successor();
    let mut new = Guest::in_root(NetConfig::default(), &replacing, &account);
    let listener = bind_at(&mut new, "tcp", address);
    assert_eq!(new.address_of("tcp_local_addr", listener), address);

    // The new one has not accepted yet.
    let _one = TcpStream::connect(address).unwrap();
    let stream = old.accept("tcp", old_listener);
    assert_eq!((listeners.open_streams(), replacing.open_streams()), (1, 0));
    let _two = TcpStream::connect(address).unwrap();
    new.accept("tcp", listener);
    assert_eq!((listeners.open_streams(), replacing.open_streams()), (1, 1));
    // Now it has.
    let _three = TcpStream::connect(address).unwrap();
    block_on(async {
        let params = args![old_listener, at::ID, at::PEER];
        let mut waiting = Box::pin(old.code_async("tcp_accept", &params));
        assert!(poll_once(&mut waiting).await.is_none());
    });
    new.accept("tcp", listener);
    old.run("drop_tcp_stream", &args![stream]);
    assert_eq!((listeners.open_streams(), replacing.open_streams()), (0, 2));
}
