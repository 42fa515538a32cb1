//! A guest that listens, and clients of it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

/// How long a test waits for an event that must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

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
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
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
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
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
    command.current_dir(directory).arg("run").arg(module(guest));
    command
}

fn module(guest: &str) -> PathBuf {
    let folder = std::env::var_os("LUNATIC_GUESTS").map_or_else(built, PathBuf::from);
    let module = folder.join(guest).with_extension("wasm");
    fs::canonicalize(&module).unwrap_or_else(|error| {
        let module = module.display();
        panic!("{module}: {error}; `cargo xtask guests` builds the guests")
    })
}

/// Where `cargo xtask guests` leaves the modules.
fn built() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    root.join("target/guests/wasm32-wasip1/release")
}

/// Sends bytes, and returns as many.
pub(crate) fn echoed(stream: &mut (impl Read + Write), bytes: &[u8]) -> Vec<u8> {
    stream.write_all(bytes).unwrap();
    let mut answer = vec![0; bytes.len()];
    stream.read_exact(&mut answer).unwrap();
    answer
}
