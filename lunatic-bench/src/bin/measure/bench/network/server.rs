//! A guest that listens, seen from outside.

use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::number::Value;
use crate::program::{Next, Running};
use crate::{place, proc};

/// How long one operation of a client may take before the measurement has failed.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(30);

/// A guest that listens, which is killed when this is dropped.
pub(super) struct Server {
    program: Running,
    pub(super) address: SocketAddr,
}

impl Server {
    pub(super) fn start(guest: &str) -> Result<Server> {
        let mut command = Command::new(place::program("lunatic")?);
        command
            .arg("run")
            .arg(place::guest(guest)?)
            .arg("127.0.0.1:0");
        let mut program = Running::start(&mut command)?;
        let Next::Line(line) = program.next(OPERATION_TIMEOUT)? else {
            bail!("the guest doesn't say where it listens");
        };
        let Some(address) = line.strip_prefix("listening on ") else {
            bail!("the guest says {line:?}");
        };
        Ok(Server {
            address: address.trim().parse()?,
            program,
        })
    }

    pub(super) fn id(&self) -> u32 {
        self.program.id()
    }

    /// The bytes of memory it uses; the kernel's buffers of sockets aren't among it.
    pub(super) fn memory(&self) -> Result<Value> {
        proc::memory(self.id())
    }

    pub(super) fn descriptors(&self) -> Result<Value> {
        Ok(proc::descriptors(self.id())? as Value)
    }

    /// A connection on which nothing takes longer than a measurement can wait.
    pub(super) fn connect(&self) -> Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&self.address, OPERATION_TIMEOUT)?;
        stream.set_read_timeout(Some(OPERATION_TIMEOUT))?;
        stream.set_write_timeout(Some(OPERATION_TIMEOUT))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}
