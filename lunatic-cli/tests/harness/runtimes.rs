//! Programs that run side by side and are found by their names.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use lunatic_admin::{Client, ClientError, Directory, RuntimeName, runtimes};
use lunatic_testkit::program::{Ran, ran};
use lunatic_testkit::{wait, wait_until};
use tempfile::TempDir;

use super::program::Guests;

/// Guests, and a directory for the sockets of those that run.
pub struct Runtimes {
    pub guests: Guests,
    pub runtime_dir: TempDir,
}

/// A program that runs until the test ends.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Runtimes {
    pub fn new() -> Runtimes {
        let guests = Guests::new();
        guests.file("sleeps.wat", super::module(SLEEPS));
        Runtimes {
            guests,
            runtime_dir: TempDir::new().unwrap(),
        }
    }

    pub fn lunatic(&self, args: &[&str]) -> Command {
        let mut command = self.guests.lunatic();
        command
            .args(args)
            .env("XDG_RUNTIME_DIR", self.runtime_dir.path());
        command
    }

    pub fn start(&self, args: &[&str]) -> Running {
        let mut command = self.lunatic(args);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Running(command.spawn().unwrap())
    }

    pub fn start_named(&self, name: &str) -> Running {
        let running = self.start(&["run", "--name", name, "sleeps.wat"]);
        wait_until("the runtime", || self.names().contains(&name.to_owned()));
        running
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        ran(&mut self.lunatic(args))
    }

    pub fn directory(&self) -> Directory {
        Directory::at(self.runtime_dir.path().join("lunatic")).unwrap()
    }

    pub fn names(&self) -> Vec<String> {
        let names = runtimes(&self.directory()).unwrap();
        names.iter().map(ToString::to_string).collect()
    }

    pub fn sockets(&self) -> Vec<PathBuf> {
        let entries = self.directory().path().read_dir().unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let is_socket = |path: &PathBuf| path.extension().is_some_and(|it| it == "sock");
        paths.filter(is_socket).collect()
    }

    pub fn connect(&self, name: &str) -> Result<Client, ClientError> {
        let name: RuntimeName = name.parse().unwrap();
        wait(
            "a connection",
            Client::connect(&self.directory(), Some(&name)),
        )
    }
}

const SLEEPS: &str = r#"(func (export "_start") (call $sleep))"#;
