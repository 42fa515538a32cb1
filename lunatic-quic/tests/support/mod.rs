//! What the tests share: certificates, and nodes that are driven together.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // Each test file uses another part of it.

pub mod proxy;
pub mod raw;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lunatic_quic::{ConnectionId, Endpoint, EndpointConfig, Event, Tls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::RootCertStore;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;

/// The longest that any step of a test may take.
pub const LIMIT: Duration = Duration::from_secs(60);
/// The protocol of the tests.
pub const ALPN: &[u8] = b"test/1";

/// A certificate authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        // Another name for each, or a signature of one would be checked with another's key.
        let name = format!("authority {:x?}", &key.public_key_raw()[..8]);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// Settings with a certificate of this authority, which trust it.
    pub fn tls(&self, name: &str) -> Tls {
        self.tls_with(name, &[ALPN])
    }

    pub fn tls_with(&self, name: &str, alpn: &[&[u8]]) -> Tls {
        self.tls_trusting(self, name, alpn)
    }

    /// Settings with a certificate of this authority, which trust another one.
    pub fn tls_trusting(&self, trusted: &Self, name: &str, alpn: &[&[u8]]) -> Tls {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
        let key = || PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let mut roots = RootCertStore::empty();
        roots.add(trusted.0.as_ref().der().clone()).unwrap();
        let roots = Arc::new(roots);
        let provider = Arc::new(default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
            .build()
            .unwrap();
        let versions = &[&rustls::version::TLS13];
        let mut server = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.clone(), key())
            .unwrap();
        let mut client = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key())
            .unwrap();
        let alpn: Vec<Vec<u8>> = alpn.iter().map(|alpn| alpn.to_vec()).collect();
        server.alpn_protocols = alpn.clone();
        client.alpn_protocols = alpn;
        Tls {
            server: Arc::new(server),
            client: Arc::new(client),
        }
    }
}

pub fn loopback() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

/// A config on loopback, with a certificate for `localhost`.
pub fn config(authority: &Authority) -> EndpointConfig {
    EndpointConfig::new(loopback(), authority.tls("localhost"), [7; 32])
}

/// An endpoint, and the events that it has told.
pub struct Node {
    pub endpoint: Endpoint,
    pub events: Vec<Event>,
}

impl Node {
    pub fn new(config: EndpointConfig) -> Self {
        Self {
            endpoint: Endpoint::bind(config).expect("an endpoint"),
            events: Vec::new(),
        }
    }

    pub fn of(authority: &Authority) -> Self {
        Self::new(config(authority))
    }

    pub fn addr(&self) -> SocketAddr {
        self.endpoint.local_addr()
    }

    /// Lets the endpoint work, without waiting.
    pub fn step(&mut self) {
        self.endpoint.wait(Some(Instant::now())).expect("no error");
        while let Some(event) = self.endpoint.next_event() {
            self.events.push(event);
        }
    }

    pub fn dial(&mut self, to: SocketAddr) -> ConnectionId {
        self.endpoint.dial(to, "localhost").expect("a dial")
    }

    /// Connections that were told and have not ended.
    pub fn connected(&self) -> Vec<ConnectionId> {
        let closed = self.closed_ids();
        self.events
            .iter()
            .filter_map(|event| match event {
                Event::Connected { id, .. } if !closed.contains(id) => Some(*id),
                _ => None,
            })
            .collect()
    }

    pub fn closed_ids(&self) -> Vec<ConnectionId> {
        self.events
            .iter()
            .filter_map(|event| match event {
                Event::Closed { id, .. } => Some(*id),
                _ => None,
            })
            .collect()
    }

    pub fn reason(&self, of: ConnectionId) -> Option<&lunatic_quic::CloseReason> {
        self.events.iter().find_map(|event| match event {
            Event::Closed { id, reason } if *id == of => Some(reason),
            _ => None,
        })
    }

    pub fn rejected(&self) -> Option<&lunatic_quic::CloseReason> {
        self.events.iter().find_map(|event| match event {
            Event::Rejected { reason, .. } => Some(reason),
            _ => None,
        })
    }

    /// The frames that have arrived, of one lane.
    pub fn frames(&self, on: u8) -> Vec<Bytes> {
        self.events
            .iter()
            .filter_map(|event| match event {
                Event::Frame { lane, bytes, .. } if *lane == on => Some(bytes.clone()),
                _ => None,
            })
            .collect()
    }

    pub fn datagrams(&self) -> Vec<Bytes> {
        self.events
            .iter()
            .filter_map(|event| match event {
                Event::Datagram { bytes, .. } => Some(bytes.clone()),
                _ => None,
            })
            .collect()
    }
}

/// Drives nodes together until something is so. Panics after [`LIMIT`].
pub fn drive<const N: usize>(
    mut nodes: [&mut Node; N],
    mut until: impl FnMut(&mut [&mut Node; N]) -> bool,
) {
    let limit = Instant::now() + LIMIT;
    loop {
        let mut events = 0;
        for node in &mut nodes {
            let before = node.events.len();
            node.step();
            events += node.events.len() - before;
        }
        if until(&mut nodes) {
            return;
        }
        let told: Vec<_> = nodes.iter().map(|node| summary(&node.events)).collect();
        assert!(Instant::now() < limit, "it took too long; events: {told:?}");
        if events == 0 {
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

/// Drives nodes for a while.
pub fn drive_for<const N: usize>(nodes: [&mut Node; N], time: Duration) {
    let end = Instant::now() + time;
    drive(nodes, |_| Instant::now() >= end);
}

fn summary(events: &[Event]) -> Vec<String> {
    events
        .iter()
        .filter(|event| !matches!(event, Event::Frame { .. } | Event::Datagram { .. }))
        .map(|event| format!("{event:?}").chars().take(200).collect())
        .collect()
}

/// Connects two nodes, and returns the ids at the first, who dials, and at the second.
pub fn connect(one: &mut Node, other: &mut Node) -> (ConnectionId, ConnectionId) {
    let to = other.addr();
    connect_to(one, other, to)
}

/// The same, when the second is reached at another address.
pub fn connect_to(
    one: &mut Node,
    other: &mut Node,
    to: SocketAddr,
) -> (ConnectionId, ConnectionId) {
    let known = other.connected();
    let id = one.dial(to);
    drive([one, other], |[one, other]| {
        one.connected().contains(&id) && other.connected().iter().any(|id| !known.contains(id))
    });
    let new = other.connected().into_iter().find(|id| !known.contains(id));
    (id, new.unwrap())
}

/// Bytes that are never the same twice, from a seed.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub fn bytes(&mut self, length: usize) -> Bytes {
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(length);
        bytes.into()
    }
}
