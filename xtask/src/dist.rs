//! `cargo xtask dist`: the archive that is put onto a machine, with a checksum.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::{cargo, command, guests, toolchain, workspace};

/// The package whose programs are shipped.
const PACKAGE: &str = "lunatic-runtime";

/// The programs.
const PROGRAMS: [&str; 2] = ["lunatic", "cargo-lunatic"];

/// The shells with completions, and the names under which they look for them.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "bash-completion/completions/lunatic"),
    ("zsh", "zsh/site-functions/_lunatic"),
    ("fish", "fish/vendor_completions.d/lunatic.fish"),
];

/// Builds the archive, says where it is and how large, and runs the program out of it.
///
/// - `dev`: the programs as tests have them, which is sooner.
pub(crate) fn main(dev: bool) -> Result<()> {
    let programs = build(dev)?;
    let host = host()?;
    let version = env!("CARGO_PKG_VERSION");
    let name = format!("lunatic-{version}-{host}");
    let dist = workspace::target_dir().join("dist");
    let root = dist.join(&name);
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    for program in PROGRAMS {
        let from = programs
            .get(program)
            .with_context(|| format!("cargo built no {program}"))?;
        copy(from, &root.join("bin").join(program))?;
        // Symbols are kept where the system has no `strip`.
        let stripped = command::run(command::new("strip").arg(root.join("bin").join(program)));
        if let Err(error) = stripped {
            println!("!!! {program} is not stripped: {error:#}");
        }
    }
    let lunatic = root.join("bin/lunatic");
    command::capture(
        Command::new(&lunatic)
            .args(["man", "--dir"])
            .arg(root.join("share/man/man1")),
    )?;
    for (shell, place) in COMPLETIONS {
        let text = command::capture(Command::new(&lunatic).args(["completions", shell]))?;
        write(&root.join("share").join(place), &text)?;
    }
    for file in [
        "README.md",
        "CHANGELOG.md",
        "SECURITY.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
    ] {
        copy(
            &workspace::root().join(file),
            &root.join("share/doc/lunatic").join(file),
        )?;
    }
    let packages = packages()?;
    write(
        &root.join("share/doc/lunatic/LICENSES.txt"),
        &licences(&packages)?,
    )?;
    let bom = serde_json::to_string_pretty(&bill_of_materials(&packages))?;
    write(&root.join("share/doc/lunatic/bom.cdx.json"), &bom)?;
    let archive = dist.join(format!("{name}.tar.gz"));
    let mut tar = command::new("tar");
    tar.args([
        "--owner=0",
        "--group=0",
        "--numeric-owner",
        "--sort=name",
        "-czf",
    ]);
    command::capture(tar.arg(&archive).arg("-C").arg(&dist).arg(&name))?;
    let sum = command::capture(
        command::new("sha256sum")
            .arg(format!("{name}.tar.gz"))
            .current_dir(&dist),
    )?;
    write(&dist.join(format!("{name}.tar.gz.sha256")), &sum)?;
    let own_package = own(&packages)?;
    write(
        &dist.join("lunatic.rb"),
        &formula(own_package, version, &host, &sum),
    )?;
    check_binstall(own_package, &root, version, &host)?;
    try_unpacked(&archive, &name)?;
    let sizes =
        [&lunatic, &archive].map(|path| fs::metadata(path).map_or(0, |file| file.len() >> 20));
    println!(
        "{}: {} MiB, the program {} MiB",
        archive.display(),
        sizes[1],
        sizes[0]
    );
    Ok(())
}

fn build(dev: bool) -> Result<BTreeMap<String, PathBuf>> {
    let mut build = cargo::new("build");
    build.arg("--locked");
    for program in PROGRAMS {
        build.args(["--bin", program]);
    }
    // With the whole workspace, features are the same as in the tests, and nothing is compiled
    // twice.
    build.args(match dev {
        true => ["--workspace", "--exclude", PACKAGE].as_slice(),
        false => ["--release", "--package", PACKAGE].as_slice(),
    });
    let programs = cargo::build(&mut build)?.into_iter();
    Ok(programs
        .map(|program| (program.name, program.path))
        .collect())
}

fn host() -> Result<String> {
    let about = command::capture(command::new("rustc").arg("-vV"))?;
    let host = about.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not tell its host")?.to_owned())
}

/// The package whose programs are shipped.
fn own(packages: &[Value]) -> Result<&Value> {
    let own = packages.iter().find(|package| package["name"] == PACKAGE);
    own.context("the package is not there")
}

/// Checks that `cargo binstall` finds the archive and the programs in it, by what the package
/// says of that.
fn check_binstall(package: &Value, root: &Path, version: &str, host: &str) -> Result<()> {
    let says = &package["metadata"]["binstall"];
    let filled_in = |key: &str, program: &str| {
        let text = says[key].as_str().unwrap_or_default();
        text.replace("{ version }", version)
            .replace("{ target }", host)
            .replace("{ bin }", program)
    };
    let name = root.file_name().unwrap_or_default().to_string_lossy();
    let address = filled_in("pkg-url", "");
    if !address.ends_with(&format!("/{name}.tar.gz")) {
        bail!("`cargo binstall` looks for {address}, and the archive is {name}.tar.gz");
    }
    let folder = root.parent().unwrap_or(root);
    for program in PROGRAMS {
        let path = folder.join(filled_in("bin-dir", program));
        if !path.exists() {
            bail!("`cargo binstall` looks for {}", path.display());
        }
    }
    Ok(())
}

/// Unpacks the archive elsewhere, and runs the programs of README.md with what is in it.
fn try_unpacked(archive: &Path, name: &str) -> Result<()> {
    let place = std::env::temp_dir().join(format!("lunatic-dist-{}", std::process::id()));
    fs::create_dir_all(&place)?;
    command::capture(
        command::new("tar")
            .arg("-xzf")
            .arg(archive)
            .arg("-C")
            .arg(&place),
    )?;
    let lunatic = place.join(name).join("bin/lunatic");
    try_hello(&lunatic, &place).context("hello.wat of README.md")?;
    try_diner(&lunatic, &place).context("the diner")?;
    fs::remove_dir_all(&place)?;
    Ok(())
}

fn try_hello(lunatic: &Path, place: &Path) -> Result<()> {
    let readme = fs::read_to_string(workspace::root().join("README.md"))?;
    let hello = readme.split_once("cat > hello.wat <<'WAT'\n");
    let hello = hello.and_then(|(_, rest)| Some(rest.split_once("\nWAT\n")?.0));
    fs::write(
        place.join("hello.wat"),
        hello.context("README.md has none")?,
    )?;
    let mut hello = Command::new(lunatic);
    hello.arg("hello.wat").current_dir(place);
    let said = command::capture(hello.env("XDG_CACHE_HOME", place))?;
    match said == "hello from a process\n" {
        true => Ok(()),
        false => bail!("it says {said:?}"),
    }
}

/// Opens the diner, and has a cook die in it.
fn try_diner(lunatic: &Path, place: &Path) -> Result<()> {
    let toolchain = match toolchain::ensure() {
        Ok(toolchain) => toolchain,
        Err(error) => {
            println!("!!! SKIPPED: the diner, because there is no compiler for guests: {error:#}");
            return Ok(());
        }
    };
    for guest in guests::build_one(&toolchain, "diner")? {
        copy(&guest.path, &place.join(format!("{}.wasm", guest.name)))?;
    }
    let manifest = fs::read_to_string(workspace::root().join("examples/diner/app.toml"))?;
    let manifest = manifest.replace("../../target/guests/wasm32-wasip1/release/", "");
    fs::write(place.join("app.toml"), manifest)?;
    let mut diner = Command::new(lunatic);
    diner
        .args(["start", "app.toml"])
        .current_dir(place)
        .env("DINER_ADDRESS", "127.0.0.1:0")
        .env("XDG_CACHE_HOME", place)
        .env("XDG_RUNTIME_DIR", place)
        .stdout(Stdio::piped())
        // A cook dies on purpose, and its panic is printed there.
        .stderr(Stdio::null());
    let mut diner = Killed(diner.spawn()?);
    let mut line = String::new();
    let out = diner.0.stdout.take().context("it has no output")?;
    BufReader::new(out).read_line(&mut line)?;
    let address = line
        .trim()
        .strip_prefix("the diner is open: http://")
        .and_then(|rest| rest.strip_suffix('/'))
        .with_context(|| format!("it says {line:?}"))?;
    let soup = get(address, "/cook/soup")?;
    if !soup.contains("soup, by process") {
        bail!("asked for soup, it says {soup:?}");
    }
    let fugu = get(address, "/cook/fugu")?;
    if !fugu.contains("has died of it") {
        bail!("asked for fugu, it says {fugu:?}");
    }
    Ok(())
}

/// Returns the body of a page.
fn get(address: &str, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: diner\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// A program that is killed when nothing more is asked of it.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The packages that the programs are made of, their own among them.
fn packages() -> Result<Vec<Value>> {
    let metadata = cargo::metadata(&workspace::root().join("Cargo.toml"))?;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let packages = list(&metadata["packages"]);
    let nodes = list(&metadata["resolve"]["nodes"]);
    let id_of = |value: &Value| value["id"].as_str().unwrap_or_default().to_owned();
    let root = packages
        .iter()
        .find(|package| package["name"] == PACKAGE)
        .map(id_of);
    let mut seen = BTreeSet::new();
    let mut waiting = VecDeque::from([root.context("the package is not there")?]);
    while let Some(id) = waiting.pop_front() {
        if !seen.insert(id.clone()) {
            continue;
        }
        let node = nodes.iter().find(|node| node["id"] == id.as_str());
        for dependency in node.map(|node| list(&node["deps"])).unwrap_or_default() {
            // Neither tests nor build scripts are in the program.
            let is_linked = list(&dependency["dep_kinds"])
                .iter()
                .any(|kind| kind["kind"].is_null());
            if is_linked {
                waiting.push_back(dependency["pkg"].as_str().unwrap_or_default().to_owned());
            }
        }
    }
    Ok(packages
        .into_iter()
        .filter(|package| seen.contains(&id_of(package)))
        .collect())
}

/// Every package with its licence, and the texts of all licences that their authors have put
/// beside them.
fn licences(packages: &[Value]) -> Result<String> {
    let mut list = String::from("What `lunatic` is made of, and under which licences.\n\n");
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in packages {
        let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
        let name = format!("{} {}", text("name"), text("version"));
        list.push_str(&format!("{name}: {}\n", text("license")));
        let manifest = PathBuf::from(text("manifest_path"));
        for entry in fs::read_dir(manifest.parent().unwrap_or(Path::new(".")))? {
            let path = entry?.path();
            let file = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .to_uppercase();
            let is_licence = ["LICENSE", "LICENCE", "COPYING", "NOTICE"]
                .iter()
                .any(|begin| file.starts_with(begin));
            if let Some(text) = fs::read_to_string(&path).ok().filter(|_| is_licence) {
                texts.entry(text).or_default().push(name.clone());
            }
        }
    }
    for (text, names) in texts {
        list.push_str(&format!(
            "\n{}\n\n{}\n\n{text}\n",
            "-".repeat(80),
            names.join(", ")
        ));
    }
    Ok(list)
}

/// A bill of materials in CycloneDX's form.
fn bill_of_materials(packages: &[Value]) -> Value {
    let components = packages.iter().map(|package| {
        let (name, version) = (&package["name"], &package["version"]);
        let purl = format!(
            "pkg:cargo/{}@{}",
            name.as_str().unwrap_or_default(),
            version.as_str().unwrap_or_default()
        );
        json!({
            "type": "library",
            "name": name,
            "version": version,
            "purl": purl,
            "licenses": [{ "expression": package["license"] }],
        })
    });
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "name": "lunatic",
                "version": env!("CARGO_PKG_VERSION"),
            },
        },
        "components": components.collect::<Vec<_>>(),
    })
}

/// A formula for Homebrew: the archive of this machine, where a release has it.
fn formula(package: &Value, version: &str, host: &str, sum: &str) -> String {
    let repository = package["repository"].as_str().unwrap_or_default();
    let arch = host.split('-').next().unwrap_or_default();
    let arch = match arch {
        "aarch64" => "arm64",
        other => other,
    };
    let sum = sum.split(' ').next().unwrap_or_default();
    format!(
        "class Lunatic < Formula\n  \
           desc \"Erlang-inspired runtime for WebAssembly\"\n  \
           version \"{version}\"\n  \
           license any_of: [\"MIT\", \"Apache-2.0\"]\n  \
           homepage \"{repository}\"\n  \
           url \"{repository}/releases/download/v{version}/lunatic-{version}-{host}.tar.gz\"\n  \
           sha256 \"{sum}\"\n  \
           depends_on arch: :{arch}\n  \
           depends_on :linux\n\n  \
           def install\n    \
             bin.install Dir[\"bin/*\"]\n    \
             man1.install Dir[\"share/man/man1/*\"]\n    \
             bash_completion.install \"share/bash-completion/completions/lunatic\"\n    \
             zsh_completion.install \"share/zsh/site-functions/_lunatic\"\n    \
             fish_completion.install \"share/fish/vendor_completions.d/lunatic.fish\"\n    \
             doc.install Dir[\"share/doc/lunatic/*\"]\n  \
           end\n\n  \
           test do\n    \
             (testpath/\"hello.wat\").write \"(module (func (export \\\"_start\\\")))\"\n    \
             system bin/\"lunatic\", \"hello.wat\"\n  \
           end\nend\n"
    )
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.parent().unwrap_or(Path::new("")))?;
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::create_dir_all(path.parent().unwrap_or(Path::new("")))?;
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
