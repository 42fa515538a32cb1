//! Starts an example that listens, and learns where.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::thread;

use anyhow::{Context, Result};

use super::super::{Runner, TIME_LIMIT};
use crate::command;

/// The text of an example before its address.
const ANNOUNCEMENT: &str = "Listening on addr: ";

/// A running example, which doesn't outlive this.
pub(super) struct Server {
    child: Child,
    pub(super) addresses: Vec<SocketAddr>,
}

impl Server {
    /// Starts an example and waits until it has said where it listens, so often.
    pub(super) fn start(runner: &Runner, program: &Path, count: usize) -> Result<Server> {
        let mut lunatic = command::new(&runner.lunatic);
        runner.settle(lunatic.arg("run").arg(program));
        let mut child = lunatic
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the example")?;
        let stdout = child.stdout.take().context("the example has no output")?;
        let mut server = Server {
            child,
            addresses: Vec::new(),
        };
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // The receiver is dropped once the addresses are known.
                let _ = sender.send(line);
            }
        });
        while server.addresses.len() < count {
            let line = lines
                .recv_timeout(TIME_LIMIT)
                .context("the example doesn't say where it listens")?;
            if let Some(address) = line.strip_prefix(ANNOUNCEMENT) {
                server.addresses.push(address.parse()?);
            }
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It fails if the example has ended, which is what this is for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Why an example with ports of its own cannot run, if it can't.
pub(super) fn ports_in_use(ports: &[u16]) -> Option<String> {
    let used = |port: &&u16| TcpListener::bind(("127.0.0.1", **port)).is_err();
    let port = ports.iter().find(used)?;
    Some(format!("its port {port} is in use here"))
}
