//! The program `lunatic`, run on guests in a directory of their own.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A directory with guests.
pub struct Guests(pub TempDir);

/// What a run of the program came to.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

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
        let mut command = Command::new(env!("CARGO_BIN_EXE_lunatic"));
        for variable in ["RUST_LOG", "CLICOLOR_FORCE", "CARGO_MANIFEST_DIR"] {
            command.env_remove(variable);
        }
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

/// Runs a command to its end.
pub fn ran(command: &mut Command) -> Ran {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    Ran {
        code: status.code(),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}

impl Ran {
    #[track_caller]
    pub fn code(&self, code: i32) -> &Ran {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self
    }

    /// All of this is on standard error.
    #[track_caller]
    pub fn says(&self, parts: &[&str]) -> &Ran {
        for part in parts {
            assert!(self.err.contains(part), "no {part:?} in\n{}", self.err);
        }
        self
    }

    #[track_caller]
    pub fn is_silent(&self) -> &Ran {
        assert_eq!((self.out.as_str(), self.err.as_str()), ("", ""));
        self
    }
}

/// The exit code of a program, when it has ended.
#[track_caller]
pub fn exit_code(child: &mut Child) -> Option<i32> {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(60) {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    panic!("the program did not end in time");
}

/// Sends a signal, `-TERM` for example.
#[track_caller]
pub fn signal(child: &Child, signal: &str) {
    let killed = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(killed.unwrap().success());
}

/// The folder with the modules that `cargo xtask guests` builds: the one that
/// `LUNATIC_GUESTS` names, where all of these have to be, or else the usual one.
/// If they are not there either, this says so.
#[track_caller]
pub fn rust_guests(names: &[&str]) -> Option<PathBuf> {
    let named = std::env::var_os("LUNATIC_GUESTS").map(PathBuf::from);
    let usual = || {
        let own = Path::new(env!("CARGO_MANIFEST_DIR"));
        own.join("../target/guests/wasm32-wasip1/release")
    };
    let is_named = named.is_some();
    let folder = named.unwrap_or_else(usual);
    let missing = names.iter().find(|name| !folder.join(name).is_file());
    let Some(missing) = missing else {
        return Some(folder);
    };
    assert!(!is_named, "LUNATIC_GUESTS has no {missing}");
    eprintln!("SKIPPED: there is no {missing}; run cargo xtask guests");
    None
}
