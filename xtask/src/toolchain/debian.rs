//! Debian's own Rust, fetched by apt and unpacked without being installed.
//!
//! apt gets its own configuration, lists and cache, so that nothing of the
//! system's is touched and no rights are needed. Debian signs the packages,
//! and the system's keyring checks that.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{command, workspace};

/// The Debian release whose Rust it is.
const SUITE: &str = "trixie";

/// Debian's archive for whoever has no mirror of it configured.
const PUBLIC_ARCHIVE: &str = "http://deb.debian.org/debian/";

/// What signs the archive.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The architecture whose paths are written below.
const ARCHITECTURE: &str = "amd64";

/// The compiler, the linker, and every library the two load.
const PACKAGES: [&str; 20] = [
    "rustc",
    "libstd-rust-1.85",
    "libstd-rust-dev",
    "libstd-rust-dev-wasm32",
    "lld-19",
    "libllvm19",
    "libc6",
    "libgcc-s1",
    "libstdc++6",
    "zlib1g",
    "libzstd1",
    "libxml2",
    "libz3-4",
    "libedit2",
    "libffi8",
    "libtinfo6",
    "liblzma5",
    "libbsd0",
    "libmd0",
    "libgmp10",
];

const LOADER: &str = "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2";
const LIBRARIES: [&str; 2] = ["usr/lib/x86_64-linux-gnu", "usr/lib/llvm-19/lib"];
const RUSTC: &str = "usr/bin/rustc";
const LLD: &str = "usr/lib/llvm-19/bin/lld";

/// What the last step writes; other contents are another xtask's recipe.
const STAMP: &str = "trixie 1\n";

/// An unpacked Rust.
#[derive(Debug)]
pub(crate) struct Debian {
    folder: PathBuf,
}

impl Debian {
    /// Makes `cargo` compile with this Rust.
    pub(super) fn configure(&self, cargo: &mut Command) {
        cargo.envs(self.variables());
    }

    /// The variables that have cargo build with it.
    pub(super) fn variables(&self) -> [(&'static str, OsString); 3] {
        [
            ("RUSTC", self.rustc().into()),
            ("CARGO_TARGET_WASM32_WASIP1_LINKER", self.wasm_ld().into()),
            // Where no `rust-version` says what to pick, this older Rust does.
            (
                "CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS",
                "fallback".into(),
            ),
        ]
    }

    /// Its compiler, told of its linker.
    pub(super) fn compiler(&self) -> Command {
        let mut rustc = command::new(self.rustc());
        rustc.arg(format!("-Clinker={}", self.wasm_ld().display()));
        rustc
    }

    fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    fn rustc(&self) -> PathBuf {
        self.folder.join("rustc")
    }

    fn wasm_ld(&self) -> PathBuf {
        self.folder.join("wasm-ld")
    }

    fn stamp(&self) -> PathBuf {
        self.folder.join("complete")
    }
}

impl fmt::Display for Debian {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Debian {SUITE}'s Rust in {}", self.folder.display())
    }
}

/// The Rust that an earlier run unpacked.
pub(super) fn unpacked() -> Option<Debian> {
    let debian = at_home();
    let stamp = fs::read_to_string(debian.stamp()).ok()?;
    (stamp == STAMP).then_some(debian)
}

/// Fetches and unpacks Debian's Rust, unless an earlier run did.
pub(super) fn ensure() -> Result<Debian> {
    if let Some(debian) = unpacked() {
        return Ok(debian);
    }
    check_host()?;
    let debian = at_home();
    remove_folder(&debian.folder)?;
    let apt = Apt::new(&debian.folder.join("apt"))?;
    for package in apt.download()? {
        unpack(&package, &debian.root())?;
    }
    write_wrappers(&debian)?;
    command::capture(command::new(debian.rustc()).arg("--version"))
        .context("Debian's rustc is unpacked but doesn't start")?;
    remove_folder(&apt.folder)?;
    write(&debian.stamp(), STAMP)?;
    Ok(debian)
}

fn at_home() -> Debian {
    Debian {
        folder: workspace::target_dir().join("guest-toolchain"),
    }
}

fn check_host() -> Result<()> {
    let architecture = command::capture(command::new("dpkg").arg("--print-architecture"))
        .context("this system has no dpkg to unpack Debian's Rust with")?;
    if architecture.trim() != ARCHITECTURE {
        bail!("xtask knows Debian's Rust for {ARCHITECTURE} only, and this is {architecture}");
    }
    if !Path::new(KEYRING).exists() {
        bail!("{KEYRING} is missing; install the package debian-archive-keyring");
    }
    Ok(())
}

/// An apt that touches only its own folder.
#[derive(Debug)]
struct Apt {
    folder: PathBuf,
}

impl Apt {
    /// Sets the folder up and reads the package lists of the first archive
    /// that has the release.
    fn new(folder: &Path) -> Result<Self> {
        let apt = Self {
            folder: folder.to_owned(),
        };
        for inner in ["lists/partial", "cache/archives/partial", "packages"] {
            let inner = folder.join(inner);
            fs::create_dir_all(&inner).with_context(|| cannot_write(&inner))?;
        }
        write(&apt.folder.join("status"), "")?;
        write(&apt.folder.join("apt.conf"), &apt.configuration())?;
        apt.update()?;
        Ok(apt)
    }

    fn configuration(&self) -> String {
        let folder = self.folder.display();
        format!(
            "Dir::State \"{folder}\";\n\
             Dir::State::Lists \"{folder}/lists\";\n\
             Dir::State::status \"{folder}/status\";\n\
             Dir::Cache \"{folder}/cache\";\n\
             Dir::Etc::SourceList \"{folder}/sources.list\";\n\
             Dir::Etc::SourceParts \"-\";\n\
             APT::Architecture \"{ARCHITECTURE}\";\n\
             APT::Architectures {{ \"{ARCHITECTURE}\"; }};\n\
             APT::Sandbox::User \"\";\n\
             APT::Update::Error-Mode \"any\";\n\
             Acquire::Languages \"none\";\n"
        )
    }

    fn update(&self) -> Result<()> {
        let mut tried = Vec::new();
        for archive in archives() {
            println!("reading the package lists of Debian {SUITE}");
            let source = format!("deb [signed-by={KEYRING}] {archive} {SUITE} main\n");
            write(&self.folder.join("sources.list"), &source)?;
            match command::capture(self.command().arg("update")) {
                Ok(_) => return Ok(()),
                Err(error) => tried.push(format!("{error:#}")),
            }
        }
        bail!(
            "no archive apt knows has Debian {SUITE}:\n{}",
            tried.join("\n")
        )
    }

    /// Fetches the packages and returns their files.
    fn download(&self) -> Result<Vec<PathBuf>> {
        println!("fetching {} packages, some 190 MB", PACKAGES.len());
        let folder = self.folder.join("packages");
        let mut download = self.command();
        download.current_dir(&folder).arg("download").args(PACKAGES);
        command::capture(&mut download)?;
        files(&folder).with_context(|| format!("cannot list {}", folder.display()))
    }

    fn command(&self) -> Command {
        let mut apt = command::new("apt-get");
        apt.env("APT_CONFIG", self.folder.join("apt.conf"))
            .env("LC_ALL", "C");
        apt
    }
}

/// The archives of the machine's own apt, and the public one.
fn archives() -> Vec<String> {
    let mut targets = command::new("apt-get");
    targets.args([
        "indextargets",
        "--no-release-info",
        "--format",
        "$(RELEASE) $(REPO_URI)",
    ]);
    let known = command::capture(&mut targets).unwrap_or_default();
    archives_among(&known)
}

/// Picks the archives out of lines `RELEASE URI`. Those of additions to a
/// release, such as `bookworm-security`, have no releases themselves.
fn archives_among(targets: &str) -> Vec<String> {
    let mut archives = Vec::new();
    let known = targets
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(release, _)| !release.contains(['-', '/']))
        .map(|(_, archive)| archive);
    for archive in known.chain([PUBLIC_ARCHIVE]) {
        if !archives.iter().any(|earlier| earlier == archive) {
            archives.push(archive.to_owned());
        }
    }
    archives
}

fn unpack(package: &Path, root: &Path) -> Result<()> {
    command::capture(command::new("dpkg").arg("-x").args([package, root])).map(drop)
}

/// Writes two scripts that start the programs through their own loader, as
/// this system's C library may be older than theirs.
fn write_wrappers(debian: &Debian) -> Result<()> {
    let root = debian.root();
    let sysroot = format!("--sysroot '{}'", root.join("usr").display());
    write_wrapper(&debian.rustc(), &wrapper(&root, "rustc", RUSTC, &sysroot))?;
    write_wrapper(&debian.wasm_ld(), &wrapper(&root, "wasm-ld", LLD, ""))
}

fn wrapper(root: &Path, name: &str, program: &str, options: &str) -> String {
    let loader = root.join(LOADER);
    let program = root.join(program);
    let libraries = LIBRARIES.map(|folder| root.join(folder).display().to_string());
    format!(
        "#!/bin/sh\nexec '{}' --library-path '{}' --argv0 {name} '{}' {options} \"$@\"\n",
        loader.display(),
        libraries.join(":"),
        program.display(),
    )
}

fn write_wrapper(path: &Path, text: &str) -> Result<()> {
    write(path, text)?;
    command::capture(command::new("chmod").arg("+x").arg(path)).map(drop)
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| cannot_write(path))
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect()
}

fn remove_folder(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{PUBLIC_ARCHIVE, archives_among};

    #[test]
    fn a_mirror_comes_before_the_public_archive_and_additions_are_left_out() {
        let targets = "bookworm http://mirror.test/debian/\n\
                       bookworm http://mirror.test/debian/\n\
                       bookworm-security http://mirror.test/security/\n";
        assert_eq!(
            archives_among(targets),
            ["http://mirror.test/debian/", PUBLIC_ARCHIVE]
        );
    }

    #[test]
    fn a_machine_without_sources_has_the_public_archive() {
        assert_eq!(archives_among(""), [PUBLIC_ARCHIVE]);
    }
}
