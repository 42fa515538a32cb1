//! The subjects that workloads run on: this tree, another binary, BEAM.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::plan::Guest;
use crate::{place, program};

/// The guest that has the standard library, and its program that imports
/// supervisors.
const RUST_GUEST: &str = "bench";
const SUPERVISION_GUEST: &str = "bench_supervision";
const PROGRAMS_GUEST: &str = "programs";

/// The WAT guest.
const WAT_GUEST: &str = "bench/minimal.wat";

/// The same in Erlang, and the name of its module.
const ERLANG_SOURCE: &str = "bench/beam.erl";
const ERLANG_MODULE: &str = "beam";

/// More than any workload has, and less memory than is noticed.
const BEAM_PROCESSES: &str = "2000000";

/// Something that can do the workloads.
#[derive(Debug)]
pub(super) struct Subject {
    /// The name in the table.
    pub(super) name: String,
    kind: Kind,
    /// Where its files are.
    files: PathBuf,
}

#[derive(Debug)]
enum Kind {
    Runtime {
        binary: PathBuf,
        /// The program that computes on the engine of this tree and beside it.
        compute: Option<PathBuf>,
    },
    Beam {
        modules: PathBuf,
    },
}

/// All that runs the workloads. The runtime of this tree comes first.
pub(super) fn prepare(against: Option<&Path>, beam: bool) -> Result<Vec<Subject>> {
    let mut subjects = vec![Subject::this_tree()?];
    if let Some(binary) = against {
        subjects.push(Subject::other(binary)?);
    }
    if beam {
        subjects.extend(Subject::erlang()?);
    }
    Ok(subjects)
}

fn beam_release() -> Result<String> {
    let mut erl = Command::new("erl");
    erl.args([
        "-noshell",
        "-eval",
        "io:format(\"~s\", [erlang:system_info(otp_release)]), halt().",
    ]);
    program::capture(&mut erl)
}

impl Subject {
    /// The runtime of this tree.
    pub(super) fn this_tree() -> Result<Subject> {
        Ok(Subject {
            name: "this tree".to_owned(),
            kind: Kind::Runtime {
                binary: place::program("lunatic")?,
                compute: Some(place::program("compute")?),
            },
            files: files()?,
        })
    }

    /// Another runtime, or this one at another time.
    fn other(binary: &Path) -> Result<Subject> {
        ensure!(binary.is_file(), "there is no binary {}", binary.display());
        let binary = fs::canonicalize(binary)
            .with_context(|| format!("cannot find the way to {}", binary.display()))?;
        let version = program::capture(Command::new(&binary).arg("--version"))?;
        Ok(Subject {
            name: version.trim().to_owned(),
            kind: Kind::Runtime {
                binary,
                compute: None,
            },
            files: files()?,
        })
    }

    /// Erlang; `None`, and it is said so, where it is not installed.
    pub(super) fn erlang() -> Result<Option<Subject>> {
        match beam_release() {
            Ok(release) => Subject::beam(&release).map(Some),
            Err(_) => {
                println!(
                    "`erl` isn't installed, so there is NO COMPARISON WITH BEAM; \
                     on Debian it is in the package erlang-base"
                );
                Ok(None)
            }
        }
    }

    /// Compiles the workloads in Erlang.
    fn beam(release: &str) -> Result<Subject> {
        let modules = place::folder("beam")?;
        let mut erlc = Command::new("erlc");
        erlc.arg("-o")
            .arg(&modules)
            .arg(place::root().join(ERLANG_SOURCE));
        program::capture(&mut erlc)?;
        Ok(Subject {
            name: format!("BEAM (OTP {release})"),
            kind: Kind::Beam { modules },
            files: files()?,
        })
    }

    /// The program that does `mode` with `count`, in a directory for its files.
    pub(super) fn command(&self, guest: Guest, mode: &str, count: u64) -> Result<Command> {
        let mut command = match &self.kind {
            Kind::Runtime { binary, .. } => runtime(binary, guest)?,
            Kind::Beam { modules } => erl(modules),
        };
        command
            .args([mode, &count.to_string()])
            .current_dir(&self.files);
        Ok(command)
    }

    /// The program that computes on its engine and on plain wasmtime, if it has
    /// one.
    pub(super) fn compute(&self, rounds: u64) -> Option<Command> {
        let Kind::Runtime {
            compute: Some(compute),
            ..
        } = &self.kind
        else {
            return None;
        };
        let mut command = Command::new(compute);
        command.arg(rounds.to_string());
        // Without the guest, the kernels alone are measured.
        command.args(place::guest(PROGRAMS_GUEST).ok());
        Some(command)
    }
}

fn runtime(binary: &Path, guest: Guest) -> Result<Command> {
    let mut command = Command::new(binary);
    command.arg("run").arg(match guest {
        Guest::Rust => place::guest(RUST_GUEST)?,
        Guest::Supervision => place::guest(SUPERVISION_GUEST)?,
        Guest::Wat => place::root().join(WAT_GUEST),
    });
    Ok(command)
}

/// Returns the folder for files of the subjects.
fn files() -> Result<PathBuf> {
    place::folder("files")
}

fn erl(modules: &Path) -> Command {
    let mut command = Command::new("erl");
    command
        .args(["+P", BEAM_PROCESSES, "-noshell", "-pa"])
        .arg(modules)
        .args(["-run", ERLANG_MODULE, "main"]);
    command
}
