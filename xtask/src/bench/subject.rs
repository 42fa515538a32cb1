//! What the workloads run on: this tree, another binary, BEAM.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::plan::Guest;
use crate::cargo::{self, Artifact};
use crate::{command, guests, toolchain, workspace};

/// The Rust guest's package in `guests/`.
const RUST_GUEST: &str = "bench";

/// Its program that imports supervisors.
const SUPERVISION_GUEST: &str = "bench_supervision.wasm";

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
    /// What it is called in the table.
    pub(super) name: String,
    kind: Kind,
    /// Where its files are.
    files: PathBuf,
}

#[derive(Debug)]
enum Kind {
    Runtime {
        binary: PathBuf,
        rust_guest: PathBuf,
        /// What computes on the engine of this tree and beside it.
        compute: Option<PathBuf>,
    },
    Beam {
        modules: PathBuf,
    },
}

/// Builds all that runs. The runtime of this tree comes first.
pub(super) fn prepare(against: Option<&Path>, beam: bool) -> Result<Vec<Subject>> {
    let rust_guest = build_guest()?;
    let mut subjects = vec![this_tree(&rust_guest)?];
    if let Some(binary) = against {
        subjects.push(other(binary, &rust_guest)?);
    }
    if beam {
        match beam_release() {
            Ok(release) => subjects.push(build_beam(&release)?),
            Err(_) => println!(
                "`erl` isn't installed, so there is no comparison with BEAM; \
                 on Debian it is in the package erlang-base"
            ),
        }
    }
    Ok(subjects)
}

fn build_guest() -> Result<PathBuf> {
    guests::build(&toolchain::ensure()?)?
        .into_iter()
        .find(|guest| guest.name == RUST_GUEST)
        .map(|guest| guest.path)
        .with_context(|| format!("the workspace `guests/` has no program `{RUST_GUEST}`"))
}

fn this_tree(rust_guest: &Path) -> Result<Subject> {
    let built = build_programs()?;
    Ok(Subject {
        name: "this tree".to_owned(),
        kind: Kind::Runtime {
            binary: set_aside(&built, "lunatic")?,
            rust_guest: rust_guest.to_owned(),
            compute: Some(set_aside(&built, "compute")?),
        },
        files: files()?,
    })
}

/// Builds the programs of this tree as they are shipped.
fn build_programs() -> Result<Vec<Artifact>> {
    let mut build = cargo::new("build");
    build.args(["--release", "--workspace", "--bins"]);
    cargo::build(&mut build)
}

/// The runtime of this tree, as it is shipped.
pub(super) fn build_runtime() -> Result<PathBuf> {
    set_aside(&build_programs()?, "lunatic")
}

/// A copy that stays the same if somebody builds the tree meanwhile.
fn set_aside(built: &[Artifact], name: &str) -> Result<PathBuf> {
    let binary = built
        .iter()
        .find(|artifact| artifact.name == name)
        .with_context(|| format!("cargo built no program called `{name}`"))?;
    let copy = folder()?.join(name);
    fs::copy(&binary.path, &copy).with_context(|| format!("cannot write {}", copy.display()))?;
    Ok(copy)
}

fn other(binary: &Path, rust_guest: &Path) -> Result<Subject> {
    ensure!(binary.is_file(), "there is no binary {}", binary.display());
    let binary = fs::canonicalize(binary)
        .with_context(|| format!("cannot find the way to {}", binary.display()))?;
    let mut version = command::new(&binary);
    let version = command::capture(version.arg("--version"))?;
    Ok(Subject {
        name: version.trim().to_owned(),
        kind: Kind::Runtime {
            binary,
            rust_guest: rust_guest.to_owned(),
            compute: None,
        },
        files: files()?,
    })
}

fn beam_release() -> Result<String> {
    let mut erl = command::new("erl");
    erl.args([
        "-noshell",
        "-eval",
        "io:format(\"~s\", [erlang:system_info(otp_release)]), halt().",
    ]);
    command::capture(&mut erl)
}

fn build_beam(release: &str) -> Result<Subject> {
    let modules = folder()?;
    let mut erlc = command::new("erlc");
    erlc.arg("-o")
        .arg(&modules)
        .arg(workspace::root().join(ERLANG_SOURCE));
    command::run(&mut erlc)?;
    Ok(Subject {
        name: format!("BEAM (OTP {release})"),
        kind: Kind::Beam { modules },
        files: files()?,
    })
}

/// Where all that is only for measuring lies.
pub(super) fn folder() -> Result<PathBuf> {
    let folder = workspace::target_dir().join("bench");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

/// Where those that are measured may leave files.
fn files() -> Result<PathBuf> {
    let folder = folder()?.join("files");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

impl Subject {
    /// The program that does `mode` with `count`, in a directory for its files.
    pub(super) fn command(&self, guest: Guest, mode: &str, count: u64) -> Command {
        let mut command = match &self.kind {
            Kind::Runtime {
                binary, rust_guest, ..
            } => runtime(binary, guest, rust_guest),
            Kind::Beam { modules } => erl(modules),
        };
        command
            .args([mode, &count.to_string()])
            .current_dir(&self.files);
        command
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
        let mut command = command::new(compute);
        command.arg(rounds.to_string());
        Some(command)
    }
}

fn runtime(binary: &Path, guest: Guest, rust_guest: &Path) -> Command {
    let mut command = command::new(binary);
    command.arg("run").arg(match guest {
        Guest::Rust => rust_guest.to_owned(),
        Guest::Supervision => rust_guest.with_file_name(SUPERVISION_GUEST),
        Guest::Wat => workspace::root().join(WAT_GUEST),
    });
    command
}

fn erl(modules: &Path) -> Command {
    let mut command = command::new("erl");
    command
        .args(["+P", BEAM_PROCESSES, "-noshell", "-pa"])
        .arg(modules)
        .args(["-run", ERLANG_MODULE, "main"]);
    command
}
