//! The target `admin`: the lines that a client writes to the admin socket.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::LazyLock;

use lunatic_admin::{
    Answer, Answering, Directory, Limits, PROTOCOL, Request, Response, RuntimeName, Server,
};
use lunatic_testkit::TIMEOUT;
use tempfile::TempDir;

use crate::panics;

/// A server that answers all requests that can be read, in a directory of its own.
struct Place {
    _parent: TempDir,
    server: Server,
}

struct Says;

impl Answering for Says {
    async fn answer(&self, request: Request, bytes: Vec<u8>) -> Answer {
        // A request that was read can be printed.
        let shown = format!("{request:?} {}", bytes.len());
        match shown.is_empty() {
            true => unreachable!("a request has a name"),
            false => Response::Done.into(),
        }
    }
}

static PLACE: LazyLock<Place> = LazyLock::new(|| {
    let parent = TempDir::new().unwrap();
    let directory = Directory::at(parent.path().join("lunatic")).unwrap();
    let name: RuntimeName = "fuzz".parse().unwrap();
    let server = Server::start(&directory, &name, Limits::default(), Says).unwrap();
    Place {
        _parent: parent,
        server,
    }
});

/// Tries an input: what a client writes, behind a greeting unless the first byte is odd. The
/// server answers, closes the connection and is there for the next.
pub fn run(input: &[u8]) {
    panics::watch();
    let Some((first, rest)) = input.split_first() else {
        return;
    };
    let mut stream = UnixStream::connect(PLACE.server.path()).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.set_write_timeout(Some(TIMEOUT)).unwrap();
    let mut written = Vec::new();
    if first % 2 == 0 {
        let greeting =
            format!("{{\"lunatic_admin\":{PROTOCOL},\"version\":\"1\",\"name\":\"x\"}}\n");
        written.extend_from_slice(greeting.as_bytes());
    }
    written.extend_from_slice(rest);
    // The server may have closed the connection.
    stream.write_all(&written).ok();
    stream.shutdown(Shutdown::Write).ok();
    let mut answers = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answers) {
        let kind = error.kind();
        assert!(
            matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
            "the server does not close: {error}"
        );
    }
    panics::assert_none();
}
