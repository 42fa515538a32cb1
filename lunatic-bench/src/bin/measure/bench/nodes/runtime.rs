//! Two nodes of the runtime of this tree.

use std::net::{Ipv4Addr, UdpSocket};
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use tempfile::TempDir;

use super::pair::{Nodes, Work};
use crate::place;
use crate::program::{self, Running};

/// The guest.
const GUEST: &str = "bench_nodes";

/// A cluster.
#[derive(Debug)]
pub(super) struct Lunatic {
    program: PathBuf,
    guest: PathBuf,
    folder: TempDir,
}

impl Lunatic {
    pub(super) fn prepare() -> Result<Lunatic> {
        let lunatic = Lunatic {
            program: place::program("lunatic")?,
            guest: place::guest(GUEST)?,
            folder: tempfile::tempdir_in(place::folder("nodes")?)?,
        };
        program::capture(lunatic.command().args(["cluster", "init", "bench"]))?;
        Ok(lunatic)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .current_dir(self.folder.path())
            .env("XDG_RUNTIME_DIR", self.folder.path())
            .env("RUST_LOG", "error");
        command
    }

    fn node(&self, name: &str, listen: &str) -> Command {
        let mut command = self.command();
        command.args(["node", "--name", name, "--cluster", "bench"]);
        command.args(["--listen", listen]);
        command
    }
}

impl Nodes for Lunatic {
    fn name(&self) -> String {
        "this tree".to_owned()
    }

    fn start(&self, work: Option<Work>) -> Result<(Running, Running)> {
        // Free again in a moment, and nobody else asks for it soon.
        let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let port = port.to_string();
        let one = Running::start(&mut self.node("one", &port))?;
        let mut two = self.node("two", "127.0.0.1:0");
        two.args(["--join", &port]);
        if let Some(work) = work {
            two.arg(&self.guest).args(work.arguments());
        }
        Ok((one, Running::start(&mut two)?))
    }
}
