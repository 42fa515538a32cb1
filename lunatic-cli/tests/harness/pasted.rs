//! Shell commands of documents, pasted into a shell.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use lunatic_testkit::program::Ran;
use lunatic_testkit::skipped;
use tempfile::TempDir;

use super::program::lunatic;

/// Where shell commands of a document are pasted, one text after the other.
pub struct Shell {
    /// Has the program `lunatic`, and what was pasted and printed.
    own: TempDir,
    /// Has the sockets of runtimes.
    runtime_dir: TempDir,
}

impl Shell {
    /// A shell that finds the program under its name. `None`, and the test says that it is
    /// skipped, if one of these programs or what a shell needs is not there.
    pub fn new(programs: &[&str]) -> Option<Shell> {
        let needed = ["bash", "timeout"];
        if !needed
            .iter()
            .chain(programs)
            .all(|program| is_there(program))
        {
            return None;
        }
        let own = TempDir::new().unwrap();
        symlink(lunatic().get_program(), own.path().join("lunatic")).unwrap();
        Some(Shell {
            own,
            runtime_dir: TempDir::new().unwrap(),
        })
    }

    /// Runs a text in a directory, with variables beside those of the environment. After a
    /// minute it is ended, with the exit code 124. What it has started in the background ends
    /// with it.
    pub fn paste(&self, text: &str, directory: &Path, variables: &[(&str, &str)]) -> Ran {
        const END_JOBS: &str = "trap 'kill $(jobs -p) 2>/dev/null || :' EXIT\n";
        let own = self.own.path();
        let (script, out, err) = (own.join("pasted"), own.join("out"), own.join("err"));
        fs::write(&script, format!("{END_JOBS}{text}")).unwrap();
        let paths = std::env::var("PATH").unwrap();
        let mut command = Command::new("timeout");
        command
            .args(["-k", "5", "60", "bash", "-m"])
            .arg(&script)
            .current_dir(directory)
            .env("PATH", format!("{}:{paths}", own.display()))
            .env("XDG_RUNTIME_DIR", self.runtime_dir.path())
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            // Files and no pipes: a program that is left over would hold a pipe open.
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(&err).unwrap());
        for variable in ["RUST_LOG", "CLICOLOR_FORCE", "CARGO_MANIFEST_DIR"] {
            command.env_remove(variable);
        }
        let status = command.status().unwrap();
        Ran {
            code: status.code(),
            out: fs::read_to_string(&out).unwrap(),
            err: fs::read_to_string(&err).unwrap(),
        }
    }
}

/// The program of this name is there.
fn is_there(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let found = command.status().is_ok();
    if !found {
        skipped(&format!("there is no program `{program}`"));
    }
    found
}
