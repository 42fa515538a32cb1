//! A cluster in a temporary directory, nodes of it, and connections in memory.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test uses a part; the module is compiled into each of them"
)]

use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lunatic_trust::{Authority, Credentials, NodeName, RedeemError, Token, TokenJoin};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};
use tempfile::TempDir;

pub const HOUR: Duration = Duration::from_secs(3600);
pub const DAY: Duration = Duration::from_secs(24 * 3600);

pub fn name(name: &str) -> NodeName {
    name.parse().expect("a name")
}

/// A request for a certificate, with a key that nobody keeps.
pub fn request() -> Vec<u8> {
    let key = KeyPair::generate().expect("a key");
    request_of(&key)
}

pub fn request_of(key: &KeyPair) -> Vec<u8> {
    let request = CertificateParams::default().serialize_request(key);
    request.expect("a request").der().to_vec()
}

pub struct Cluster {
    pub directory: TempDir,
    pub authority: Authority,
    pub now: SystemTime,
}

pub fn cluster() -> Cluster {
    cluster_called("shop")
}

pub fn cluster_called(name: &str) -> Cluster {
    let directory = tempfile::tempdir().expect("a directory");
    let now = SystemTime::now();
    let name = name.parse().expect("a name");
    let authority = Authority::init(&directory.path().join("cluster"), &name, now);
    Cluster {
        authority: authority.expect("a cluster"),
        directory,
        now,
    }
}

impl Cluster {
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn token(&self) -> Token {
        self.authority.token(None, HOUR, self.now).expect("a token")
    }

    pub fn redeem(&self, token: &Token, name: &NodeName) -> Result<(), RedeemError> {
        self.authority
            .redeem(token, name, &request(), self.now)
            .map(drop)
    }

    /// A node that has the directory of the cluster.
    pub fn seed(&self, name: &str) -> Credentials {
        let name = self::name(name);
        let credentials = Credentials::from_authority(&self.authority, &name, None, self.now);
        credentials.expect("credentials")
    }

    /// A node that has joined with a token, and keeps nothing.
    pub fn worker(&self, name: &str) -> Credentials {
        let join = TokenJoin::new(self.token(), self::name(name), None).expect("a key");
        let answer = self.authority.answer(join.request(), None, self.now);
        join.finish(&answer.bytes, self.now).expect("credentials")
    }

    /// A node that has joined with a token, and keeps its credentials.
    pub fn kept_worker(&self, name: &str) -> Credentials {
        let state = self.path(name);
        let join = TokenJoin::new(self.token(), self::name(name), Some(&state)).expect("a key");
        let answer = self.authority.answer(join.request(), None, self.now);
        join.finish(&answer.bytes, self.now).expect("credentials")
    }
}

/// A clock that stands.
#[derive(Debug, Clone, Copy)]
pub struct Clock(pub SystemTime);

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let since = self.0.duration_since(UNIX_EPOCH).expect("after 1970");
        Some(UnixTime::since_unix_epoch(since))
    }
}

pub fn server_at(credentials: &Credentials, now: SystemTime) -> Arc<ServerConfig> {
    let tls = credentials.tls_with_clock(Arc::new(Clock(now)));
    tls.expect("a configuration").0
}

pub fn client_at(credentials: &Credentials, now: SystemTime) -> Arc<ClientConfig> {
    let tls = credentials.tls_with_clock(Arc::new(Clock(now)));
    tls.expect("a configuration").1
}

/// Both ends of a connection, and how its handshake has ended for them.
pub struct Ends {
    pub server: ServerConnection,
    pub client: ClientConnection,
    pub server_result: Result<(), rustls::Error>,
    pub client_result: Result<(), rustls::Error>,
}

/// Connects two ends until neither has anything to say.
pub fn connect(server: Arc<ServerConfig>, client: Arc<ClientConfig>) -> Ends {
    let to = ServerName::try_from(lunatic_trust::SERVER_NAME).expect("a name");
    let mut ends = Ends {
        server: ServerConnection::new(server).expect("a connection"),
        client: ClientConnection::new(client, to).expect("a connection"),
        server_result: Ok(()),
        client_result: Ok(()),
    };
    ends.exchange();
    ends
}

impl Ends {
    /// Passes on what the two have to say to each other.
    pub fn exchange(&mut self) {
        while self.client.wants_write() || self.server.wants_write() {
            let mut bytes = Vec::new();
            while self.client.wants_write() {
                self.client.write_tls(&mut bytes).expect("a vector");
            }
            let mut rest = bytes.as_slice();
            while !rest.is_empty() && self.server_result.is_ok() {
                self.server.read_tls(&mut rest).expect("a slice");
                self.server_result = self.server.process_new_packets().map(drop);
            }
            let mut bytes = Vec::new();
            while self.server.wants_write() {
                self.server.write_tls(&mut bytes).expect("a vector");
            }
            let mut rest = bytes.as_slice();
            while !rest.is_empty() && self.client_result.is_ok() {
                self.client.read_tls(&mut rest).expect("a slice");
                self.client_result = self.client.process_new_packets().map(drop);
            }
        }
    }

    /// Has the client send bytes, and returns what the server gets.
    pub fn send_to_server(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.client.writer().write_all(bytes).expect("buffered");
        self.exchange();
        let mut got = vec![0; bytes.len()];
        self.server
            .reader()
            .read_exact(&mut got)
            .expect("all of it");
        got
    }

    /// Has the server send bytes, and returns what the client gets.
    pub fn send_to_client(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.server.writer().write_all(bytes).expect("buffered");
        self.exchange();
        let mut got = vec![0; bytes.len()];
        self.client
            .reader()
            .read_exact(&mut got)
            .expect("all of it");
        got
    }
}
