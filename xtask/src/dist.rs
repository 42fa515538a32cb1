//! `cargo xtask dist`: the archive that is put onto a machine, with a checksum.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{cargo, command, workspace};

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
    write(&dist.join("lunatic.rb"), &formula(version, &host, &sum))?;
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
    build.args(["--locked", "--package", PACKAGE, "--bins"]);
    if !dev {
        build.arg("--release");
    }
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

/// Unpacks the archive elsewhere, and runs a program with what is in it.
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
    fs::write(
        place.join("hello.wat"),
        "(module (func (export \"_start\")))",
    )?;
    let lunatic = place.join(name).join("bin/lunatic");
    command::capture(
        Command::new(lunatic)
            .args(["run", "--no-cache", "hello.wat"])
            .current_dir(&place),
    )
    .context("the program in the archive does not run")?;
    fs::remove_dir_all(&place)?;
    Ok(())
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

/// A formula for Homebrew; whoever publishes puts the address of the archive in.
fn formula(version: &str, host: &str, sum: &str) -> String {
    let sum = sum.split(' ').next().unwrap_or_default();
    format!(
        "class Lunatic < Formula\n  \
           desc \"Erlang-inspired runtime for WebAssembly\"\n  \
           version \"{version}\"\n  \
           license any_of: [\"MIT\", \"Apache-2.0\"]\n  \
           url \"@ADDRESS@/lunatic-{version}-{host}.tar.gz\"\n  \
           sha256 \"{sum}\"\n\n  \
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
