//! The host functions on TLS.
#![cfg(feature = "guest")]
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod certificates;
mod guest;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use certificates::{Authority, Identity, self_signed};
use futures_lite::future::block_on;
use guest::{Guest, NEVER, TIMED_OUT, args, at};
use lunatic_account::{Account, AccountLimits, Kind};
use lunatic_net::{Listeners, NetConfig, Rules, TlsConnector, TlsIdentity, TlsListener};
use wasmtime::Val;

const CERTIFICATE: u32 = 50_000;
const KEY: u32 = 60_000;
const ROOT: u32 = 70_000;

/// The arguments of `tls_bind`.
fn bind_params(guest: &mut Guest, identity: &Identity) -> Vec<Val> {
    guest.put(CERTIFICATE, identity.certificate.as_bytes());
    guest.put(KEY, identity.key.as_bytes());
    let mut params = guest.address("127.0.0.1:0".parse().unwrap()).to_vec();
    let lengths = [&identity.certificate, &identity.key].map(|text| text.len() as u32);
    params.extend(args![at::ID, CERTIFICATE, lengths[0], KEY, lengths[1]]);
    params
}

fn bind(guest: &mut Guest, identity: &Identity) -> (u64, SocketAddr) {
    let params = bind_params(guest, identity);
    assert_eq!(guest.code("tls_bind", &params), 0);
    let id = guest.id();
    (id, guest.address_of("tls_local_addr", id))
}

/// How the records of certificates are written.
#[derive(Clone, Copy)]
enum Layout {
    AddressFirst,
    LengthFirst,
}

/// Connects; what comes of it.
fn connect(guest: &mut Guest, port: u16, root: &str, layout: Layout, timeout: u64) -> i32 {
    guest.put(at::NAME, b"localhost");
    guest.put(ROOT, root.as_bytes());
    let record = match layout {
        Layout::AddressFirst => [ROOT, root.len() as u32],
        Layout::LengthFirst => [root.len() as u32, ROOT],
    };
    guest.put(at::RECORDS, &record.map(u32::to_le_bytes).concat());
    let params = args![
        at::NAME,
        9,
        u32::from(port),
        timeout,
        at::ID,
        at::RECORDS,
        1
    ];
    guest.code("tls_connect", &params)
}

/// A server that says `hi` to one client.
fn server(identity: &Identity) -> (SocketAddr, JoinHandle<()>) {
    let identity =
        TlsIdentity::from_pem(identity.certificate.as_bytes(), identity.key.as_bytes()).unwrap();
    let listener = block_on(TlsListener::bind("127.0.0.1:0".parse().unwrap(), identity)).unwrap();
    let address = listener.local_addr().unwrap();
    let thread = thread::spawn(move || {
        block_on(async {
            // A client may not like what it sees.
            let (stream, _) = listener.accept().await.unwrap();
            let _ = stream.write_all(b"hi").await;
            let _ = stream.read(&mut [0; 16]).await;
        });
    });
    (address, thread)
}

#[test]
fn a_guest_serves_a_client() {
    let authority = Authority::new();
    let mut guest = Guest::new();
    let (listener, address) = bind(&mut guest, &authority.vouch_for("localhost"));
    let connector = TlsConnector::with_roots(&[authority.root()]).unwrap();
    let client = thread::spawn(move || {
        block_on(async {
            let stream = connector.connect("localhost", address).await.unwrap();
            stream.write_all(b"ping").await.unwrap();
            let mut buffer = [0; 16];
            let count = stream.read(&mut buffer).await.unwrap();
            buffer[..count].to_vec()
        })
    });
    let stream = guest.accept("tls", listener);
    assert_eq!(guest.read("tls_read", stream, 100).unwrap(), b"ping");
    assert_eq!(guest.write("tls", stream, &[b"po", b"", b"ng"]), 0);
    assert_eq!(guest.id(), 4);
    assert_eq!(guest.code("tls_flush", &args![stream, at::ID]), 0);
    assert_eq!(guest.id(), 0);
    assert_eq!(client.join().unwrap(), b"pong");
    assert_eq!(guest.read("tls_read", stream, 100).unwrap(), b"");
}

#[test]
fn a_guest_is_a_client_whichever_way_it_writes_the_records() {
    let authority = Authority::new();
    for layout in [Layout::AddressFirst, Layout::LengthFirst] {
        let (address, server) = server(&authority.vouch_for("localhost"));
        let mut guest = Guest::new();
        let code = connect(&mut guest, address.port(), &authority.root(), layout, NEVER);
        assert_eq!(code, 0);
        let stream = guest.id();
        assert_eq!(guest.read("tls_read", stream, 100).unwrap(), b"hi");
        guest.run("drop_tls_stream", &args![stream]);
        server.join().unwrap();
    }
}

#[test]
fn accept_returns_before_the_client_has_said_anything() {
    let mut config = NetConfig::default();
    config.handshake_limit = Duration::from_millis(20);
    let mut guest = Guest::with(config);
    let (listener, address) = bind(&mut guest, &self_signed("localhost"));
    let mut silent = TcpStream::connect(address).unwrap();
    let mut plain = TcpStream::connect(address).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();

    let slow = guest.accept("tls", listener);
    let wrong = guest.accept("tls", listener);
    assert_eq!(guest.read("tls_read", wrong, 1), Err(1));
    let error = guest.error();
    assert!(error.contains("does not speak TLS"), "{error}");
    assert_eq!(guest.write("tls", slow, &[b"x"]), 1);
    let error = guest.error();
    assert!(error.contains("took longer than 20ms"), "{error}");
    assert_eq!(silent.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn a_server_that_is_not_trusted_is_an_error_and_no_trap() {
    let authority = Authority::new();
    let expired = authority.vouch_in_the_past_for("localhost");
    let other = authority.vouch_for("other.example");
    for (identity, reason) in [
        (self_signed("localhost"), "UnknownIssuer"),
        (expired, "expired"),
        (other, "not valid for name"),
    ] {
        let (address, server) = server(&identity);
        let mut guest = Guest::new();
        let layout = Layout::AddressFirst;
        let code = connect(&mut guest, address.port(), &authority.root(), layout, NEVER);
        assert_eq!(code, 1);
        let error = guest.error();
        assert!(error.contains("no TLS connection to"), "{error}");
        assert!(error.contains(reason), "{error}");
        server.join().unwrap();
    }
}

#[test]
fn without_certificates_those_of_the_system_are_trusted_and_no_others() {
    let (address, server) = server(&self_signed("localhost"));
    let mut guest = Guest::new();
    guest.put(at::NAME, b"localhost");
    let port = u32::from(address.port());
    let params = args![at::NAME, 9, port, NEVER, at::ID, 0, 0];
    assert_eq!(guest.code("tls_connect", &params), 1);
    let error = guest.error();
    assert!(error.contains("UnknownIssuer"), "{error}");
    server.join().unwrap();
}

#[test]
fn the_timeout_of_connect_covers_the_handshake() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let mut guest = Guest::new();
    let root = Authority::new().root();
    let code = connect(&mut guest, port, &root, Layout::AddressFirst, 20);
    assert_eq!(code, TIMED_OUT);
    assert_eq!(
        guest.error(),
        format!("timed out: connect to localhost:{port}")
    );
}

#[test]
fn a_server_that_speaks_no_tls_or_nothing_at_all_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = thread::spawn(move || {
        let (mut http, _) = listener.accept().unwrap();
        http.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        let _ = http.read(&mut [0; 1000]);
    });
    let mut guest = Guest::new();
    let root = Authority::new().root();
    let layout = Layout::AddressFirst;
    assert_eq!(connect(&mut guest, port, &root, layout, NEVER), 1);
    let error = guest.error();
    assert!(error.contains("does not speak TLS"), "{error}");
    serving.join().unwrap();
    assert_eq!(connect(&mut guest, port, &root, layout, NEVER), 1);
    let error = guest.error();
    assert!(error.contains("Connection refused"), "{error}");
}

#[test]
fn certificates_that_are_none_are_never_replaced_by_those_of_the_system() {
    let mut guest = Guest::new();
    for root in [
        "nonsense",
        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
    ] {
        assert_eq!(connect(&mut guest, 1, root, Layout::AddressFirst, NEVER), 1);
        let error = guest.error();
        assert!(error.contains("root certificate"), "{error}");
    }
    guest.put(
        at::RECORDS,
        &[at::END, at::END].map(u32::to_le_bytes).concat(),
    );
    for records in [(at::RECORDS, 1), (at::END - 7, 1), (0, 0x2000_0000)] {
        let params = args![at::NAME, 9, 1, NEVER, at::ID, records.0, records.1];
        let trap = guest.trap("tls_connect", &params);
        assert!(trap.contains("outside of the memory"), "{trap}");
    }
}

#[test]
fn what_is_looked_at_to_find_certificates_is_limited() {
    let mut guest = Guest::new();
    guest.put(at::NAME, b"localhost");
    // Neither reading begins with a certificate; one has it behind 48 500 bytes.
    guest.put(50_000, b"-----BEGIN");
    let record = [1500_u32, 60_000].map(u32::to_le_bytes).concat();
    guest.put(70_000, &record.repeat(100));
    let params = args![at::NAME, 9, 1, NEVER, at::ID, 70_000, 100];
    assert_eq!(guest.code("tls_connect", &params), 1);
    let error = guest.error();
    assert!(error.contains("would have to be looked at"), "{error}");
}

#[test]
fn certificates_are_looked_at_after_the_rules() {
    let mut guest = Guest::with(NetConfig::nothing());
    guest.put(at::NAME, b"localhost");
    let params = args![at::NAME, 9, 1, NEVER, at::ID, at::END, 1];
    assert_eq!(guest.code("tls_connect", &params), 1);
    let error = guest.error();
    assert!(error.contains("look up `localhost`"), "{error}");
}

#[test]
fn root_certificates_are_charged_while_they_are_kept() {
    let authority = Authority::new();
    let limits = AccountLimits {
        memory: 100 << 10,
        ..AccountLimits::UNLIMITED
    };
    let account = Account::root(limits);
    let (address, server) = server(&authority.vouch_for("localhost"));
    let mut guest = Guest::in_root(NetConfig::default(), &Listeners::new(), &account);
    let layout = Layout::LengthFirst;
    let many = authority.root() + &"\n".repeat(55_000);
    assert_eq!(connect(&mut guest, 1, &many, layout, NEVER), 1);
    let error = guest.error();
    assert!(error.contains("memory"), "{error}");
    let root = authority.root();
    assert_eq!(connect(&mut guest, address.port(), &root, layout, NEVER), 0);
    let kept = account.used(Kind::Memory);
    assert!(kept >= (64 << 10) + root.len() as u64, "{kept}");
    drop(guest);
    assert_eq!(account.used(Kind::Memory), 0);
    server.join().unwrap();
}

#[test]
fn names_and_ports_that_cannot_be_are_errors() {
    let mut guest = Guest::new();
    guest.put(at::NAME, b"local host");
    let root = Authority::new().root();
    guest.put(ROOT, root.as_bytes());
    let record = [ROOT, root.len() as u32].map(u32::to_le_bytes).concat();
    guest.put(at::RECORDS, &record);
    let params = args![at::NAME, 10, 1, NEVER, at::ID, at::RECORDS, 1];
    assert_eq!(guest.code("tls_connect", &params), 1);
    guest.error();
    let params = args![at::NAME, 5, 70_000, NEVER, at::ID, at::RECORDS, 1];
    assert_eq!(guest.code("tls_connect", &params), 1);
    assert_eq!(guest.error(), "70000 is not a port; the highest is 65535");
    guest.put(at::NAME, &[0xFF]);
    guest.trap("tls_connect", &args![at::NAME, 1, 1, NEVER, at::ID, 0, 0]);
}

#[test]
fn a_certificate_or_key_that_cannot_be_read_traps() {
    let mut guest = Guest::new();
    let Identity { certificate, key } = self_signed("localhost");
    for (certificate, key) in [
        ("", key.as_str()),
        ("nonsense", &key),
        (&certificate, ""),
        (&certificate, &certificate),
        (&certificate, &(key.clone() + &key)),
    ] {
        let (certificate, key) = (certificate.to_owned(), key.to_owned());
        let params = bind_params(&mut guest, &Identity { certificate, key });
        let trap = guest.trap("tls_bind", &params);
        assert!(trap.contains("PEM text"), "{trap}");
    }
}

#[test]
fn a_key_that_does_not_belong_to_the_certificate_is_an_error() {
    let mut guest = Guest::new();
    let mut identity = self_signed("localhost");
    identity.key = self_signed("localhost").key;
    let params = bind_params(&mut guest, &identity);
    assert_eq!(guest.code("tls_bind", &params), 1);
    let error = guest.error();
    assert!(error.contains("certificate and private key"), "{error}");
}

#[test]
fn a_stream_moves_to_another_process_before_its_handshake() {
    let authority = Authority::new();
    let (mut one, mut other) = (Guest::new(), Guest::new());
    let (listener, address) = bind(&mut one, &authority.vouch_for("localhost"));
    let connector = TlsConnector::with_roots(&[authority.root()]).unwrap();
    let client = thread::spawn(move || {
        block_on(async {
            let stream = connector.connect("localhost", address).await.unwrap();
            stream.write_all(b"ping").await.unwrap();
            assert_eq!(stream.read(&mut [0; 16]).await.unwrap(), 0);
        });
    });
    let stream = one.accept("tls", listener);
    one.run("set_tls_read_timeout", &args![stream, 60_000_u64]);
    one.run("create_data", &args![0_u64, 0_u64]);
    assert_eq!(one.number("push_tls_stream", &args![stream]), 0);
    one.send_to(&mut other);
    let taken = other.number("take_tls_stream", &args![0_u64]);
    assert_eq!(other.number("get_tls_read_timeout", &args![taken]), 60_000);
    assert_eq!(other.number("get_tls_write_timeout", &args![taken]), NEVER);
    let clone = other.number("clone_tls_stream", &args![taken]);
    other.run("drop_tls_stream", &args![taken]);
    assert_eq!(other.read("tls_read", clone, 100).unwrap(), b"ping");
    drop(other);
    client.join().unwrap();
}

#[test]
fn a_read_that_times_out_is_9027_and_leaves_the_out_pointer_alone() {
    let mut guest = Guest::new();
    let (listener, address) = bind(&mut guest, &self_signed("localhost"));
    let _silent = TcpStream::connect(address).unwrap();
    let stream = guest.accept("tls", listener);
    guest.run("set_tls_read_timeout", &args![stream, 5_u64]);
    guest.run("set_tls_write_timeout", &args![stream, 5_u64]);
    guest.put(at::ID, &77_u64.to_le_bytes());
    assert_eq!(guest.read("tls_read", stream, 1), Err(TIMED_OUT));
    assert_eq!(guest.write("tls", stream, &[b"x"]), TIMED_OUT);
    assert_eq!(guest.id(), 77);
}

#[test]
fn a_server_that_the_rules_do_not_allow_is_not_connected_to() {
    let mut guest = Guest::with(NetConfig::default().narrowed(Rules {
        allow: Some(vec!["localhost:1".parse().unwrap()]),
        deny: Vec::new(),
    }));
    let root = Authority::new().root();
    assert_eq!(
        connect(&mut guest, 2, &root, Layout::AddressFirst, NEVER),
        1
    );
    let error = guest.error();
    assert!(error.contains("only `localhost:1` is allowed"), "{error}");
    guest.put(at::NAME, b"elsewhere");
    let params = args![at::NAME, 9, 1, NEVER, at::ID, at::RECORDS, 1];
    assert_eq!(guest.code("tls_connect", &params), 1);
    let error = guest.error();
    assert!(error.contains("may not look up `elsewhere`"), "{error}");
}

#[test]
fn a_listener_is_charged_for_its_certificates() {
    let account = Account::default();
    let mut guest = Guest::in_root(NetConfig::default(), &Listeners::new(), &account);
    let identity = self_signed("localhost");
    let used = || account.used(Kind::Memory);
    // A table that was used once stays.
    let (first, _) = bind(&mut guest, &identity);
    let before = used();
    let (second, _) = bind(&mut guest, &identity);
    let texts = identity.certificate.len() + identity.key.len();
    // The address that is told is a resource, too.
    assert!(used() >= before + texts as u64);
    let both = used();
    for listener in [first, second] {
        guest.run("drop_tls_listener", &args![listener]);
    }
    assert!(used() <= both - 2 * texts as u64);
}
