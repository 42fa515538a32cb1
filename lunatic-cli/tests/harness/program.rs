//! The program `lunatic`, run on guests in a directory of their own.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lunatic_testkit::program::{Ran, ran};
use tempfile::TempDir;

/// A directory with guests.
pub struct Guests(pub TempDir);

impl Guests {
    pub fn new() -> Guests {
        Guests(TempDir::new().unwrap())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// The program, in the directory.
    pub fn lunatic(&self) -> Command {
        let mut command = lunatic();
        command.current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        let mut command = self.lunatic();
        command.args(args);
        ran(&mut command)
    }

    /// Writes a guest, see [`module`](super::module), and runs it.
    pub fn run_guest(&self, body: &str) -> Ran {
        self.file("guest.wat", super::module(body));
        self.run(&["run", "guest.wat"])
    }
}

/// The program, in an environment that does not change what it does.
pub fn lunatic() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lunatic"));
    for variable in [
        "RUST_LOG",
        "LUNATIC_LOG_FILE",
        "CLICOLOR_FORCE",
        "CARGO_MANIFEST_DIR",
    ] {
        command.env_remove(variable);
    }
    command
}
