//! A guest that listens, seen from outside.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use super::super::number::Value;
use super::super::proc;
use super::Stage;
use crate::command;

/// How long one operation of a client may take before the measurement has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running guest, which doesn't outlive this.
pub(super) struct Server {
    child: Child,
    pub(super) address: SocketAddr,
}

impl Server {
    pub(super) fn start(stage: &Stage, guest: &str) -> Result<Server> {
        let mut child = command::new(&stage.lunatic)
            .arg("run")
            .arg(stage.guest(guest))
            .arg("127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the guest")?;
        let mut line = String::new();
        let stdout = child.stdout.take().context("the guest has no output")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line
            .trim()
            .strip_prefix("listening on ")
            .with_context(|| format!("the guest says {line:?}"))?
            .parse()?;
        Ok(Server { child, address })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The bytes of memory it uses; the kernel's buffers of sockets aren't among it.
    pub(super) fn memory(&self) -> Result<Value> {
        proc::memory(self.id())
    }

    pub(super) fn descriptors(&self) -> Result<Value> {
        let folder = format!("/proc/{}/fd", self.id());
        let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {folder}"))?;
        Ok(entries.count() as Value)
    }

    /// A connection on which nothing takes longer than a measurement can wait.
    pub(super) fn connect(&self) -> Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It fails if the guest has ended, which is what this is for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
