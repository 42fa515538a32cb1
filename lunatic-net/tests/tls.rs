//! TLS without wasm.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod certificates;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{self, SocketAddr};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use certificates::{Authority, Identity, self_signed};
use futures_lite::future::{self, block_on, poll_once};
use lunatic_account::{Account, AccountLimits, Kind};
use lunatic_blocking::Class;
use lunatic_net::{
    ConnectError, HandshakeError, IdentityError, StreamError, TlsConnector, TlsIdentity,
    TlsListener, TlsStream,
};

fn local() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

async fn listener(identity: &Identity) -> TlsListener {
    let identity =
        TlsIdentity::from_pem(identity.certificate.as_bytes(), identity.key.as_bytes()).unwrap();
    TlsListener::bind(local(), identity).await.unwrap()
}

/// Both ends of a connection, the handshake done.
async fn pair() -> (TlsStream, TlsStream) {
    let authority = Authority::new();
    let listener = listener(&authority.vouch_for("localhost")).await;
    let connector = TlsConnector::with_roots(&[authority.root()]).unwrap();
    let address = listener.local_addr().unwrap();
    let serving = async {
        let (server, _) = listener.accept().await.unwrap();
        server.handshake().await.unwrap();
        server
    };
    let (client, server) = future::zip(connector.connect("localhost", address), serving).await;
    (client.unwrap(), server)
}

/// What comes of connecting to a server with this identity.
fn outcome(identity: &Identity, roots: &str, name: &str) -> (String, HandshakeError) {
    block_on(async {
        let listener = listener(identity).await;
        let connector = TlsConnector::with_roots(&[roots]).unwrap();
        let address = listener.local_addr().unwrap();
        let serving = async {
            let (server, _) = listener.accept().await.unwrap();
            match server.read(&mut [0; 1]).await.unwrap_err() {
                StreamError::Handshake(error) => error,
                other => panic!("{other:?}"),
            }
        };
        let (client, server) = future::zip(connector.connect(name, address), serving).await;
        match client.unwrap_err() {
            ConnectError::Handshake { source, .. } => (source.to_string(), server),
            other => panic!("{other:?}"),
        }
    })
}

#[test]
fn bytes_go_both_ways() {
    block_on(async {
        let (client, server) = pair().await;
        client.write_all(b"ping").await.unwrap();
        let mut buffer = [0; 16];
        assert_eq!(server.read(&mut buffer).await.unwrap(), 4);
        server.write_all(b"pong!").await.unwrap();
        assert_eq!(client.read(&mut buffer).await.unwrap(), 5);
        assert_eq!(&buffer[..5], b"pong!");
    });
}

#[test]
fn a_stream_that_is_dropped_says_goodbye() {
    block_on(async {
        let (client, server) = pair().await;
        client.write_all(b"bye").await.unwrap();
        drop(client);
        let mut buffer = [0; 16];
        assert_eq!(server.read(&mut buffer).await.unwrap(), 3);
        assert_eq!(server.read(&mut buffer).await.unwrap(), 0);
    });
}

#[test]
fn much_goes_both_ways_at_once_through_clones() {
    const BYTES: usize = 8 << 20;
    let (client, server) = block_on(pair());
    let transfer = |stream: &TlsStream| {
        let (reader, writer) = (stream.clone(), stream.clone());
        let writing = thread::spawn(move || {
            let bytes: Vec<u8> = (0..BYTES).map(|index| index as u8).collect();
            block_on(writer.write_all(&bytes)).unwrap();
            block_on(writer.flush()).unwrap();
        });
        let reading = thread::spawn(move || {
            let mut next = 0_usize;
            let mut buffer = vec![0; 100_000];
            while next < BYTES {
                let count = block_on(reader.read(&mut buffer)).unwrap();
                assert_ne!(count, 0);
                for byte in &buffer[..count] {
                    assert_eq!(*byte, next as u8);
                    next += 1;
                }
            }
        });
        [writing, reading]
    };
    let threads = [transfer(&client), transfer(&server)];
    for thread in threads.into_iter().flatten() {
        thread.join().unwrap();
    }
}

#[test]
fn two_handles_that_begin_at_once_share_one_handshake() {
    let authority = Authority::new();
    block_on(async {
        let listener = listener(&authority.vouch_for("localhost")).await;
        let address = listener.local_addr().unwrap();
        let connector = TlsConnector::with_roots(&[authority.root()]).unwrap();
        let client = thread::spawn(move || {
            block_on(async {
                let client = connector.connect("localhost", address).await.unwrap();
                let mut buffer = [0; 16];
                assert_eq!(client.read(&mut buffer).await.unwrap(), 5);
                client.write_all(b"heard").await.unwrap();
            });
        });
        let (server, _) = listener.accept().await.unwrap();
        let reader = server.clone();
        let reading = thread::spawn(move || block_on(reader.read(&mut [0; 16])).unwrap());
        server.write_all(b"hello").await.unwrap();
        assert_eq!(reading.join().unwrap(), 5);
        client.join().unwrap();
    });
}

#[test]
fn a_killed_handshake_is_gone_on_with_by_another_handle() {
    let authority = Authority::new();
    block_on(async {
        let listener = listener(&authority.vouch_for("localhost")).await;
        let address = listener.local_addr().unwrap();
        let connector = TlsConnector::with_roots(&[authority.root()]).unwrap();
        let mut connecting = Box::pin(connector.connect("localhost", address));
        assert!(poll_once(&mut connecting).await.is_none());
        let (server, _) = listener.accept().await.unwrap();
        let clone = server.clone();
        let mut buffer = [0; 16];
        let mut killed = Box::pin(server.read(&mut buffer));
        assert!(poll_once(&mut killed).await.is_none());
        drop(killed);
        let (client, greeted) = future::zip(connecting, clone.write_all(b"hi")).await;
        greeted.unwrap();
        assert_eq!(client.unwrap().read(&mut [0; 16]).await.unwrap(), 2);
    });
}

#[test]
fn a_client_that_says_nothing_hurts_only_itself() {
    let authority = Authority::new();
    block_on(async {
        let mut listener = listener(&authority.vouch_for("localhost")).await;
        listener.set_handshake_limit(Duration::from_millis(20));
        let address = listener.local_addr().unwrap();
        let mut silent = std::net::TcpStream::connect(address).unwrap();
        let (slow, _) = listener.accept().await.unwrap();

        listener.set_handshake_limit(Duration::from_secs(600));
        let connector = TlsConnector::with_roots(&[authority.root()]).unwrap();
        let serving = async {
            let (server, _) = listener.accept().await.unwrap();
            server.write_all(b"hi").await.unwrap();
        };
        let (good, ()) = future::zip(connector.connect("localhost", address), serving).await;
        assert_eq!(good.unwrap().read(&mut [0; 16]).await.unwrap(), 2);

        for _ in 0..2 {
            match slow.write(b"x").await {
                Err(StreamError::Handshake(HandshakeError::TimedOut(_))) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(silent.read(&mut [0; 1]).unwrap(), 0);
    });
}

#[test]
fn a_read_that_times_out_in_the_handshake_can_be_tried_again() {
    let authority = Authority::new();
    block_on(async {
        let listener = listener(&authority.vouch_for("localhost")).await;
        let address = listener.local_addr().unwrap();
        let mut silent = std::net::TcpStream::connect(address).unwrap();
        let (server, _) = listener.accept().await.unwrap();
        server.set_read_timeout(Some(Duration::from_millis(1)));
        for _ in 0..2 {
            let read = server.read(&mut [0; 1]).await;
            assert!(matches!(read, Err(StreamError::TimedOut)), "{read:?}");
        }
        server.set_read_timeout(None);
        silent.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let error = server.read(&mut [0; 1]).await.unwrap_err();
        assert!(matches!(error, StreamError::Handshake(_)), "{error:?}");
    });
}

#[test]
fn a_client_that_speaks_plain_http_is_told_so_and_to_the_server_it_is_an_error() {
    let authority = Authority::new();
    block_on(async {
        let listener = listener(&authority.vouch_for("localhost")).await;
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let error = server.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the TLS handshake failed: the other side does not speak TLS"
        );
        let again = server.flush().await.unwrap_err();
        assert_eq!(again.to_string(), error.to_string());
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        const ALERT: u8 = 21;
        assert_eq!(answer.first(), Some(&ALERT));
    });
}

#[test]
fn a_client_that_goes_away_in_the_handshake_is_an_error() {
    let authority = Authority::new();
    block_on(async {
        let listener = listener(&authority.vouch_for("localhost")).await;
        drop(std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        let (server, _) = listener.accept().await.unwrap();
        let error = server.read(&mut [0; 1]).await.unwrap_err();
        let closed = matches!(error, StreamError::Handshake(HandshakeError::Closed));
        assert!(closed, "{error:?}");
    });
}

#[test]
fn an_expired_certificate_is_refused() {
    let authority = Authority::new();
    let expired = authority.vouch_in_the_past_for("localhost");
    let (client, server) = outcome(&expired, &authority.root(), "localhost");
    assert!(client.contains("expired"), "{client}");
    assert!(matches!(server, HandshakeError::Tls(_)), "{server}");
}

#[test]
fn a_self_signed_certificate_is_refused_unless_it_is_trusted_itself() {
    let identity = self_signed("localhost");
    let (client, _) = outcome(&identity, &Authority::new().root(), "localhost");
    assert!(client.contains("UnknownIssuer"), "{client}");

    block_on(async {
        let listener = listener(&identity).await;
        let connector = TlsConnector::with_roots(&[&identity.certificate]).unwrap();
        let address = listener.local_addr().unwrap();
        let serving = async { listener.accept().await.unwrap().0.handshake().await };
        let (client, server) = future::zip(connector.connect("localhost", address), serving).await;
        client.unwrap();
        server.unwrap();
    });
}

#[test]
fn a_server_that_sends_many_certificates_is_refused_before_they_are_verified() {
    let authority = Authority::new();
    let mut identity = authority.vouch_for("localhost");
    for _ in 0..7 {
        identity.certificate += &Authority::new().root();
    }
    let (client, _) = outcome(&identity, &authority.root(), "localhost");
    assert!(
        client.contains("the server sends 7 certificates"),
        "{client}"
    );
}

#[test]
fn who_polls_a_handshake_makes_no_signature_that_takes_long() {
    let certificate = include_str!("keys/rsa-4096-certificate.pem").to_owned();
    let identity = Identity {
        certificate: certificate.clone(),
        key: include_str!("keys/rsa-4096-key.pem").to_owned(),
    };
    let (go_on, goes_on) = mpsc::channel::<()>();
    let goes_on = Arc::new(Mutex::new(goes_on));
    for _ in 0..Class::Cache.queue().max_threads().get() {
        let goes_on = goes_on.clone();
        Class::Cache.queue().run_detached(move || {
            goes_on.lock().unwrap().recv().ok();
        });
    }
    block_on(async {
        let listener = listener(&identity).await;
        let connector = TlsConnector::with_roots(&[certificate]).unwrap();
        let address = listener.local_addr().unwrap();
        let serving = async {
            let (server, _) = listener.accept().await.unwrap();
            server.handshake().await.unwrap();
        };
        let both = future::zip(connector.connect("localhost", address), serving);
        let mut both = Box::pin(both);
        for _ in 0..20 {
            assert!(poll_once(&mut both).await.is_none());
            lunatic_reactor::Timer::after(Duration::from_millis(10)).await;
        }
        drop(go_on);
        both.await.0.unwrap();
    });
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new();
    let other = authority.vouch_for("other.example");
    let (client, _) = outcome(&other, &authority.root(), "localhost");
    assert!(client.contains("not valid for name"), "{client}");
}

#[test]
fn a_certificate_may_be_for_an_address() {
    let authority = Authority::new();
    block_on(async {
        let listener = listener(&authority.vouch_for("127.0.0.1")).await;
        let connector = TlsConnector::with_roots(&[authority.root()]).unwrap();
        let address = listener.local_addr().unwrap();
        let serving = async { listener.accept().await.unwrap().0.handshake().await };
        let (client, server) = future::zip(connector.connect("127.0.0.1", address), serving).await;
        client.unwrap();
        server.unwrap();
    });
}

/// An address that nobody listens at, and one at which nobody ever answers: a
/// listener whose queue is full. What is returned with them keeps it so.
fn refused_and_silent() -> (SocketAddr, SocketAddr, impl Sized) {
    let refused = net::TcpListener::bind(local()).unwrap();
    let silent = net::TcpListener::bind(local()).unwrap();
    rustix::net::listen(&silent, 0).unwrap();
    let address = silent.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) = net::TcpStream::connect_timeout(&address, Duration::from_millis(50)) {
        queued.push(stream);
    }
    (refused.local_addr().unwrap(), address, (silent, queued))
}

#[test]
fn of_several_addresses_the_one_that_answers_is_taken() {
    let authority = Authority::new();
    let (refused, silent, _queue) = refused_and_silent();
    block_on(async {
        let listener = listener(&authority.vouch_for("localhost")).await;
        let good = listener.local_addr().unwrap();
        let connector = TlsConnector::with_roots(&[authority.root()]).unwrap();
        let serving = async {
            let (server, _) = listener.accept().await.unwrap();
            server.handshake().await.unwrap();
        };
        let addresses = [refused, silent, refused, good];
        let connecting = connector.connect_any("localhost", &addresses);
        let (client, ()) = future::zip(connecting, serving).await;
        assert_eq!(client.unwrap().peer_addr().unwrap(), good);
    });
}

#[test]
fn if_no_address_answers_the_failure_names_one_of_them() {
    let (refused, ..) = refused_and_silent();
    let connector = TlsConnector::with_roots(&[Authority::new().root()]).unwrap();
    block_on(async {
        let error = connector.connect_any("localhost", &[refused; 2]).await;
        let error = error.unwrap_err();
        assert_eq!(error.to_string(), format!("cannot connect to {refused}"));
        let error = connector.connect_any("localhost", &[]).await.unwrap_err();
        assert_eq!(error.to_string(), "`localhost` has no address");
    });
}

#[test]
fn a_name_that_no_certificate_can_be_for_is_refused() {
    let connector = TlsConnector::with_roots(&[Authority::new().root()]).unwrap();
    for name in ["", "a b", "a..b", "-"] {
        let error = block_on(connector.connect(name, local())).unwrap_err();
        assert!(matches!(error, ConnectError::BadServerName(_)), "{error:?}");
    }
}

#[test]
fn an_end_that_was_not_announced_is_an_error() {
    let authority = Authority::new();
    block_on(async {
        let listener = listener(&authority.vouch_for("localhost")).await;
        let address = listener.local_addr().unwrap();
        // A cable between both, that can be cut.
        let cable = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let to = cable.local_addr().unwrap();
        let (cut, is_cut) = std::sync::mpsc::channel::<()>();
        thread::spawn(move || {
            let (client, _) = cable.accept().unwrap();
            let server = std::net::TcpStream::connect(address).unwrap();
            for (mut from, mut into) in [(&client, &server), (&server, &client)]
                .map(|(from, into)| (from.try_clone().unwrap(), into.try_clone().unwrap()))
            {
                thread::spawn(move || std::io::copy(&mut from, &mut into));
            }
            is_cut.recv().unwrap();
            client.shutdown(std::net::Shutdown::Both).unwrap();
        });
        let connector = TlsConnector::with_roots(&[authority.root()]).unwrap();
        let serving = async {
            let (server, _) = listener.accept().await.unwrap();
            server.write_all(b"hi").await.unwrap();
            server
        };
        let (client, _server) = future::zip(connector.connect("localhost", to), serving).await;
        let client = client.unwrap();
        let mut buffer = [0; 16];
        assert_eq!(client.read(&mut buffer).await.unwrap(), 2);
        cut.send(()).unwrap();
        match client.read(&mut buffer).await {
            Err(StreamError::Io(error)) => assert_eq!(error.kind(), ErrorKind::UnexpectedEof),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn keys_of_every_kind_are_taken() {
    let rsa = include_bytes!("keys/rsa-certificate.pem");
    let ec = include_bytes!("keys/ec-certificate.pem");
    for (certificate, key) in [
        (&rsa[..], &include_bytes!("keys/rsa-pkcs8.pem")[..]),
        (rsa, include_bytes!("keys/rsa-pkcs1.pem")),
        (ec, include_bytes!("keys/ec-sec1.pem")),
    ] {
        TlsIdentity::from_pem(certificate, key).unwrap();
    }
}

#[test]
fn chains_of_certificates_are_taken() {
    let authority = Authority::new();
    let identity = authority.vouch_for("localhost");
    let chain = identity.certificate + &authority.root();
    TlsIdentity::from_pem(chain.as_bytes(), identity.key.as_bytes()).unwrap();
}

#[test]
fn certificates_and_keys_that_are_none_are_refused() {
    let Identity { certificate, key } = self_signed("localhost");
    let read = |certificate: &str, key: &str| {
        TlsIdentity::from_pem(certificate.as_bytes(), key.as_bytes()).map(drop)
    };
    let broken = certificate.replace("CERTIFICATE-----\n", "CERTIFICATE-----\n%");
    for certificate in ["", "nonsense", &key, &broken] {
        let error = read(certificate, &key).unwrap_err();
        assert!(
            matches!(error, IdentityError::BadCertificates(_)),
            "{error:?}"
        );
    }
    for key in ["", "nonsense", &certificate] {
        let error = read(&certificate, key).unwrap_err();
        assert!(matches!(error, IdentityError::BadKey(_)), "{error:?}");
    }
    let error = read(&certificate, &(key.clone() + &key)).unwrap_err();
    assert!(matches!(error, IdentityError::SeveralKeys), "{error:?}");
    let error = read(&certificate, &self_signed("localhost").key).unwrap_err();
    assert!(matches!(error, IdentityError::Unusable(_)), "{error:?}");
}

#[test]
fn roots_that_are_none_are_refused_and_not_left_out() {
    let root = Authority::new().root();
    for text in ["", "nonsense", &self_signed("localhost").key] {
        assert!(TlsConnector::with_roots(&[root.as_str(), text]).is_err());
    }
    assert!(TlsConnector::with_roots(&[root.clone() + &root]).is_ok());
}

#[test]
fn the_roots_of_the_system_are_there() {
    block_on(TlsConnector::with_system_roots()).unwrap();
}

#[test]
fn what_tls_keeps_is_charged_once_to_who_has_the_connection_until_it_is_closed() {
    block_on(async {
        let (client, server) = pair().await;
        let rich = Account::default();
        let poor = Account::root(AccountLimits {
            memory: 1000,
            ..AccountLimits::UNLIMITED
        });
        assert!(client.charge_to(&poor).is_err());
        assert_eq!(poor.used(Kind::Memory), 0);
        let clone = client.clone();
        client.charge_to(&rich).unwrap();
        let used = rich.used(Kind::Memory);
        assert!(used >= 16 << 10, "{used}");
        clone.charge_to(&rich).unwrap();
        clone.charge_to(&poor).unwrap();
        assert_eq!(rich.used(Kind::Memory), used);
        drop(client);
        assert_eq!(rich.used(Kind::Memory), used);
        drop(clone);
        assert_eq!(rich.used(Kind::Memory), 0);
        drop(server);
    });
}
