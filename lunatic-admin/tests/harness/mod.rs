//! A server, and clients that need not keep to the protocol.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test file uses another part of it; a failed expectation fails the test"
)]

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use async_channel::Receiver;
use lunatic_admin::{
    Answer, Answering, Directory, Limits, PROTOCOL, Request, Response, RuntimeInfo, RuntimeName,
    Server,
};
use lunatic_testkit::TIMEOUT;
use tempfile::TempDir;

/// A directory for sockets, in another that is removed at the end.
pub struct Place {
    pub parent: TempDir,
    pub directory: Directory,
}

impl Place {
    pub fn new() -> Place {
        let parent = TempDir::new().unwrap();
        let directory = Directory::at(parent.path().join("lunatic")).unwrap();
        Place { parent, directory }
    }

    pub fn start(&self, name: &str) -> Server {
        self.start_with(name, Limits::default(), Fake::default())
    }

    pub fn start_with(&self, name: &str, limits: Limits, fake: Fake) -> Server {
        Server::start(&self.directory, &named(name), limits, fake).unwrap()
    }
}

pub fn named(name: &str) -> RuntimeName {
    name.parse().unwrap()
}

/// Answers `version`, by one response or by all that come out of a channel; and to all else
/// that it is done.
#[derive(Default)]
pub struct Fake {
    pub stream: Option<Receiver<Response>>,
    /// How long the version is.
    pub version_bytes: usize,
}

impl Answering for Fake {
    async fn answer(&self, request: Request, _bytes: Vec<u8>) -> Answer {
        match (request, &self.stream) {
            (Request::Version, Some(stream)) => Answer::Many(stream.clone()),
            (Request::Version, None) => info(&"1".repeat(self.version_bytes.max(1))).into(),
            _ => Response::Done.into(),
        }
    }
}

pub fn info(version: &str) -> Response {
    Response::Version(RuntimeInfo {
        version: version.to_owned(),
        protocol: PROTOCOL,
        pid: 1,
        uptime_ms: 0,
    })
}

/// A client that sends any bytes.
pub struct Raw(pub BufReader<UnixStream>);

impl Raw {
    pub fn connect(path: &Path) -> Raw {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream.set_write_timeout(Some(TIMEOUT)).unwrap();
        Raw(BufReader::new(stream))
    }

    /// Connects and exchanges greetings.
    pub fn greeted(path: &Path) -> Raw {
        let mut raw = Raw::connect(path);
        raw.send("{\"lunatic_admin\":1,\"version\":\"test\"}\n");
        assert!(raw.line().contains("\"lunatic_admin\":1"));
        raw
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    /// The next line; empty if the connection is closed.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line
    }

    /// Asserts that the connection is closed.
    #[track_caller]
    pub fn is_closed(&mut self) {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest)),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }

    /// Asserts that the next line is an error of this kind, and returns the line.
    #[track_caller]
    pub fn is_refused(&mut self, kind: &str) -> String {
        let line = self.line();
        let expected = format!("\"kind\":\"{kind}\"");
        assert!(line.contains(&expected), "no {expected} in {line}");
        line
    }

    /// Asserts that the connection still answers.
    #[track_caller]
    pub fn is_answered(&mut self) {
        self.send("{\"id\":9,\"type\":\"version\"}\n");
        let line = self.line();
        assert!(line.contains("{\"id\":9,\"type\":\"version\""), "{line}");
    }
}

/// Limits with times that a test can wait for.
pub fn impatient() -> Limits {
    let mut limits = Limits::default();
    // Within that, a test has to send its greeting, on a machine that may be busy.
    limits.line_time = Duration::from_secs(1);
    limits.bytes_time = Duration::from_millis(100);
    limits.write_time = Duration::from_millis(100);
    limits
}
