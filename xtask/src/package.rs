//! `cargo xtask package`: the packages for crates.io, as `cargo publish` would send them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{cargo, command, guests, workspace};

/// The files that each package must have beside its sources.
const FILES: [&str; 4] = ["Cargo.toml", "README.md", "LICENSE-MIT", "LICENSE-APACHE"];

/// Makes the packages of all crates that are published, without the network, and checks that
/// nothing is missing that crates.io asks for.
///
/// - `verify`: whether each is compiled as it lies in its package, which takes long.
pub(crate) fn main(verify: bool) -> Result<()> {
    let mut problems = Vec::new();
    let mut count = 0;
    for manifest in [workspace::root().to_owned(), guests::workspace()] {
        let manifest = manifest.join("Cargo.toml");
        let metadata = cargo::metadata(&manifest)?;
        let (published, private): (Vec<&Value>, Vec<&Value>) = members(&metadata)
            .into_iter()
            .partition(|package| package["publish"].is_null());
        problems.extend(published.iter().flat_map(|package| lacks(package)));
        let target = workspace::target_dir().join("package-check");
        let mut package = cargo::new("package");
        package
            .args(["--workspace", "--offline", "--allow-dirty", "--quiet"])
            .arg("--manifest-path")
            .arg(&manifest)
            .arg("--target-dir")
            .arg(&target);
        for private in private {
            package.args(["--exclude", &name(private)]);
        }
        if !verify {
            package.arg("--no-verify");
        }
        command::run(&mut package).context("cargo cannot make the packages")?;
        for package in in_order(&published) {
            let name = format!("{}-{}", name(package), text(package, "version"));
            let archive = target.join("package").join(format!("{name}.crate"));
            let files = files(&archive)?;
            let missing = FILES
                .iter()
                .filter(|file| !files.contains(&format!("{name}/{file}")));
            problems.extend(missing.map(|file| format!("{name} has no {file}")));
            let bytes = fs::metadata(&archive)?.len();
            println!("{name}: {} files, {} KiB", files.len(), bytes >> 10);
            count += 1;
        }
    }
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    println!("{count} packages, in the order in which they are published");
    Ok(())
}

/// The packages of the workspace.
fn members(metadata: &Value) -> Vec<&Value> {
    let ids = metadata["workspace_members"].as_array();
    let packages = metadata["packages"].as_array().into_iter().flatten();
    packages
        .filter(|package| ids.is_some_and(|ids| ids.contains(&package["id"])))
        .collect()
}

/// Sorts packages so that each comes after its dependencies.
fn in_order<'a>(packages: &[&'a Value]) -> Vec<&'a Value> {
    let mut rest: Vec<&Value> = packages.to_vec();
    let mut order: Vec<&Value> = Vec::new();
    while !rest.is_empty() {
        let waiting: Vec<String> = rest.iter().map(|it| name(it)).collect();
        let (ready, others): (Vec<&Value>, Vec<&Value>) = rest
            .into_iter()
            .partition(|package| needs(package).all(|needed| !waiting.contains(&needed)));
        // A circle would be an error of cargo's before.
        if ready.is_empty() {
            order.extend(others);
            break;
        }
        order.extend(ready);
        rest = others;
    }
    order
}

/// The names of what a package needs to be compiled.
fn needs(package: &Value) -> impl Iterator<Item = String> {
    let dependencies = package["dependencies"].as_array().into_iter().flatten();
    dependencies
        .filter(|dependency| dependency["kind"] != "dev")
        .map(name)
}

/// Returns the fields that crates.io requires and a package does not have.
fn lacks(package: &Value) -> Vec<String> {
    ["description", "license", "readme", "repository"]
        .into_iter()
        .filter(|key| package[key].is_null())
        .map(|key| format!("{} has no `{key}`", name(package)))
        .collect()
}

/// The files in the archive of a package.
fn files(archive: &Path) -> Result<Vec<String>> {
    let list = command::capture(command::new("tar").arg("-tzf").arg(archive))?;
    Ok(list.lines().map(str::to_owned).collect())
}

fn name(package: &Value) -> String {
    text(package, "name")
}

fn text(package: &Value, key: &str) -> String {
    package[key].as_str().unwrap_or_default().to_owned()
}
