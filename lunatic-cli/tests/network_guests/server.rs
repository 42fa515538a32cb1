//! A guest that listens, and clients of it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use lunatic_testkit::TIMEOUT;
use lunatic_testkit::built::rust_guest;
use lunatic_testkit::program::first_line;

/// A running guest, which doesn't outlive this.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts a guest at a free port.
    pub(crate) fn start(guest: &str, more: &[&str]) -> Server {
        Server::start_in(Path::new("."), guest, more)
    }

    /// Starts a guest that sees a directory.
    pub(crate) fn start_in(directory: &Path, guest: &str, more: &[&str]) -> Server {
        let mut command = lunatic(directory, guest);
        command.arg("127.0.0.1:0").args(more).stderr(Stdio::null());
        Server::spawn(&mut command)
    }

    /// Starts a guest after a command of the shell that limits it; its standard
    /// error can be read.
    pub(crate) fn start_limited(limit: &str, guest: &str) -> (Server, ChildStderr) {
        let lunatic = lunatic(Path::new("."), guest);
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("{limit} && exec \"$@\""), "sh"])
            .arg(lunatic.get_program())
            .args(lunatic.get_args())
            .arg("127.0.0.1:0")
            .stderr(Stdio::piped());
        let mut server = Server::spawn(&mut command);
        let stderr = server.child.stderr.take().unwrap();
        (server, stderr)
    }

    fn spawn(command: &mut Command) -> Server {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let line = first_line(&mut child);
        let address = line.trim().strip_prefix("listening on ").unwrap();
        Server {
            address: address.parse().unwrap(),
            child,
        }
    }

    /// Connects; no read and no write takes longer than a test waits.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream.set_write_timeout(Some(TIMEOUT)).unwrap();
        stream
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program with a guest, in a directory.
pub(crate) fn lunatic(directory: &Path, guest: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lunatic"));
    command.env_remove("CARGO_MANIFEST_DIR");
    command
        .current_dir(directory)
        .arg("run")
        .arg(rust_guest(guest));
    command
}

/// Sends bytes, and returns as many.
pub(crate) fn echoed(stream: &mut (impl Read + Write), bytes: &[u8]) -> Vec<u8> {
    stream.write_all(bytes).unwrap();
    let mut answer = vec![0; bytes.len()];
    stream.read_exact(&mut answer).unwrap();
    answer
}
