//! Waits that end early, as the process is to change its code.
#![cfg(feature = "guest")]
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod certificates;
mod guest;

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use certificates::{Authority, Identity};
use futures_lite::future::{block_on, poll_once};
use guest::{Guest, TIMED_OUT, args, at};
use lunatic_net::{NetConfig, TlsConnector};
use lunatic_testkit::wait_until;

const TEXT: &str = "the wait was ended early, as the process is to be reloaded";

const CERTIFICATE: u32 = 50_000;
const KEY: u32 = 60_000;

/// Calls a function that waits, and interrupts it then; what comes of it.
#[track_caller]
fn interrupted(guest: &mut Guest, name: &str, params: &[wasmtime::Val]) -> i32 {
    let waits = guest.store.data().waits.clone();
    let before = waits.ended.load(Ordering::Relaxed);
    let code = block_on(async {
        let mut waiting = Box::pin(guest.code_async(name, params));
        assert!(poll_once(&mut waiting).await.is_none(), "{name} waits");
        waits.interrupted.store(true, Ordering::Relaxed);
        poll_once(&mut waiting).await
    });
    assert_eq!(waits.ended.load(Ordering::Relaxed), before + 1);
    code.expect("the wait is over")
}

fn bind_tls(guest: &mut Guest, Identity { certificate, key }: &Identity) -> (u64, SocketAddr) {
    guest.put(CERTIFICATE, certificate.as_bytes());
    guest.put(KEY, key.as_bytes());
    let mut params = guest.address("127.0.0.1:0".parse().unwrap()).to_vec();
    let lengths = [certificate, key].map(|text| text.len() as u32);
    params.extend(args![at::ID, CERTIFICATE, lengths[0], KEY, lengths[1]]);
    assert_eq!(guest.code("tls_bind", &params), 0);
    let id = guest.id();
    (id, guest.address_of("tls_local_addr", id))
}

#[test]
fn a_read_and_a_peek_are_9027_and_consume_nothing() {
    let (mut guest, stream, mut peer) = Guest::with_stream();
    for limit in [None, Some(60_000_u64)] {
        if let Some(limit) = limit {
            guest.run("set_read_timeout", &args![stream, limit]);
            guest.run("set_peek_timeout", &args![stream, limit]);
        }
        for function in ["tcp_read", "tcp_peek"] {
            guest.put(at::ID, &77_u64.to_le_bytes());
            let params = args![stream, at::DATA, 9, at::ID];
            assert_eq!(interrupted(&mut guest, function, &params), TIMED_OUT);
            assert_eq!(guest.id(), 77, "nothing is written");
        }
        peer.write_all(b"abc").unwrap();
        assert_eq!(guest.read("tcp_peek", stream, 9).unwrap(), b"abc");
        assert_eq!(guest.read("tcp_read", stream, 9).unwrap(), b"abc");
    }
}

#[test]
fn what_is_there_already_is_read_although_the_process_is_interrupted() {
    let (mut guest, stream, mut peer) = Guest::with_stream();
    peer.write_all(b"abc").unwrap();
    // So that the bytes have arrived.
    assert_eq!(guest.read("tcp_peek", stream, 9).unwrap(), b"abc");
    guest.interrupt();
    assert_eq!(guest.read("tcp_peek", stream, 9).unwrap(), b"abc");
    guest.interrupt();
    assert_eq!(guest.read("tcp_read", stream, 9).unwrap(), b"abc");
}

#[test]
fn an_interrupted_accept_is_an_error_and_leaves_the_connection_to_the_next() {
    let mut guest = Guest::new();
    let (listener, address) = guest.bind("tcp");
    guest.put(at::PEER, &77_u64.to_le_bytes());
    let params = args![listener, at::ID, at::PEER];
    assert_eq!(interrupted(&mut guest, "tcp_accept", &params), 1);
    assert_eq!(guest.error(), TEXT);
    assert_eq!(guest.take_u64(at::PEER), 0);
    let mut peer = TcpStream::connect(address).unwrap();
    peer.write_all(b"x").unwrap();
    guest.interrupt();
    let stream = guest.accept("tcp", listener);
    assert_eq!(guest.read("tcp_read", stream, 1).unwrap(), b"x");
}

#[test]
fn however_often_accepts_are_interrupted_every_connection_is_accepted_once() {
    const CONNECTIONS: usize = 200;
    let mut guest = Guest::new();
    let (listener, address) = guest.bind("tcp");
    let connecting = thread::spawn(move || {
        let connect = |_| TcpStream::connect(address).unwrap();
        (0..CONNECTIONS).map(connect).collect::<Vec<_>>()
    });
    let params = args![listener, at::ID, at::PEER];
    let (mut accepted, mut errors) = (0, 0);
    while accepted < CONNECTIONS {
        guest.interrupt();
        match guest.code("tcp_accept", &params) {
            0 => accepted += 1,
            _ => {
                errors += 1;
                assert_eq!(guest.error(), TEXT);
                thread::yield_now();
            }
        }
    }
    let peers = connecting.join().unwrap();
    assert_eq!(peers.len(), accepted);
    assert_eq!(
        interrupted(&mut guest, "tcp_accept", &params),
        1,
        "{errors}"
    );
}

#[test]
fn an_accept_that_waits_as_there_is_no_room_ends_early_too() {
    let mut config = NetConfig::default();
    config.max_sockets = 1;
    let mut guest = Guest::with(config);
    let (listener, _) = guest.bind("tcp");
    let params = args![listener, at::ID, at::PEER];
    assert_eq!(interrupted(&mut guest, "tcp_accept", &params), 1);
    assert!(guest.error().contains("as many as it may"));
}

/// Passes on what one client and a server say, and nothing of the client behind what it says first
/// until it may go on. Returns where to connect to.
fn relay_with_a_stop(server: SocketAddr, may_go_on: Receiver<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut server = TcpStream::connect(server).unwrap();
        let (mut to_client, mut from_server) =
            (client.try_clone().unwrap(), server.try_clone().unwrap());
        thread::spawn(move || io::copy(&mut from_server, &mut to_client));
        let mut first = [0; 4096];
        let length = client.read(&mut first).unwrap();
        server.write_all(&first[..length]).unwrap();
        may_go_on.recv().ok();
        io::copy(&mut client, &mut server).ok();
    });
    address
}

#[test]
fn an_interrupted_handshake_goes_on_with_the_next_read() {
    let authority = Authority::new();
    let mut guest = Guest::new();
    let (listener, address) = bind_tls(&mut guest, &authority.vouch_for("localhost"));
    let params = args![listener, at::ID, at::PEER];
    assert_eq!(interrupted(&mut guest, "tls_accept", &params), 1);
    assert_eq!(guest.error(), TEXT);
    let connector = TlsConnector::with_roots(&[authority.root()]).unwrap();
    let (go_on, may_go_on) = channel();
    let relay = relay_with_a_stop(address, may_go_on);
    let client = thread::spawn(move || {
        block_on(async {
            let stream = connector.connect("localhost", relay).await.unwrap();
            stream.write_all(b"ping").await.unwrap();
            stream.read(&mut [0; 16]).await.unwrap()
        })
    });
    let stream = guest.accept("tls", listener);
    let params = args![stream, at::DATA, 16, at::ID];
    // Each try is interrupted at the first point at which it would have to wait.
    let mut tries = 0;
    wait_until("the handshake is done and the bytes are read", || {
        guest.interrupt();
        tries += 1;
        match guest.code("tls_read", &params) {
            0 => true,
            code => {
                assert_eq!(code, TIMED_OUT);
                go_on.send(()).ok();
                thread::sleep(Duration::from_millis(1));
                false
            }
        }
    });
    assert!(tries > 1, "the client answers after the first try only");
    assert_eq!(guest.id(), 4);
    assert_eq!(guest.take(at::DATA, 4), b"ping");
    assert_eq!(interrupted(&mut guest, "tls_read", &params), TIMED_OUT);
    assert_eq!(guest.write("tls", stream, &[b"!"]), 0);
    assert_eq!(client.join().unwrap(), 1);
}

#[test]
fn an_interrupted_receive_is_an_error_and_leaves_the_datagram() {
    let mut guest = Guest::new();
    let (socket, address) = guest.bind("udp");
    let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let receive = args![socket, at::DATA, 9, at::ID];
    let receive_from = args![socket, at::DATA, 9, at::ID, at::PEER];
    for (function, params) in [
        ("udp_receive", &receive[..]),
        ("udp_receive_from", &receive_from),
    ] {
        assert_eq!(interrupted(&mut guest, function, params), 1);
        assert_eq!(guest.error(), TEXT);
        sender.send_to(b"x", address).unwrap();
        assert_eq!(guest.code(function, params), 0);
        assert_eq!((guest.id(), guest.take(at::DATA, 1)), (1, b"x".to_vec()));
    }
}

#[test]
fn a_write_is_never_interrupted() {
    let (mut guest, stream, _peer) = Guest::with_stream();
    guest.run("set_write_timeout", &args![stream, 20_u64]);
    let bytes = [0; 8192];
    let mut written = 0_u64;
    let code = loop {
        guest.interrupt();
        match guest.write("tcp", stream, &[&bytes, &bytes]) {
            0 => written += guest.id(),
            code => break code,
        }
    };
    // It has waited for as long as its own limit allows.
    assert_eq!(code, TIMED_OUT);
    assert!(written > 0);
    assert_eq!(guest.store.data().waits.ended.load(Ordering::Relaxed), 1);
}
