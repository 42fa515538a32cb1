//! Checks what neither the compiler nor clippy checks.

mod citations;
mod dependencies;
mod host_functions;
mod imports;
mod licences;
mod readmes;
mod source;

#[cfg(test)]
pub(crate) use licences::ALLOWED as ALLOWED_LICENCES;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::tidy::citations::Interface;
use crate::{cargo, command, workspace};

/// Checks all files git knows or would take, and the packages cargo knows.
pub(crate) fn main() -> Result<()> {
    let root = workspace::root();
    let metadata = cargo::metadata(&root.join("Cargo.toml"))?;
    let crates = dependencies::crates(&metadata);

    let mut problems = sources()?;
    problems.extend(cited()?);
    problems.extend(circles()?);
    problems.extend(host_functions::problems(&interface_files()?)?);
    problems.extend(missing_readmes(root, &crates));
    problems.extend(incomplete_readmes(&metadata)?);
    problems.extend(dependencies::misdirected(&crates));
    problems.extend(dependencies::unwanted(&metadata));
    problems.extend(licences::refused(&metadata));
    for problem in &problems {
        println!("{problem}");
    }
    match problems.len() {
        0 => Ok(()),
        1 => bail!("tidy found a problem"),
        number => bail!("tidy found {number} problems"),
    }
}

fn sources() -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for path in files(&["*.rs"])? {
        problems.extend(source::problems(&path, &read(&path)?));
    }
    for path in files(&["*Cargo.toml"])? {
        problems.extend(source::manifest_problem(&path, &read(&path)?));
    }
    Ok(problems)
}

fn circles() -> Result<Vec<String>> {
    let with_text = |path: String| Ok((path.clone(), read(&path)?));
    let sources = files(&["*.rs"])?.into_iter().map(with_text);
    Ok(imports::circles(&sources.collect::<Result<Vec<_>>>()?))
}

fn cited() -> Result<Vec<String>> {
    let documents: Vec<_> = citations::DOCUMENTS
        .into_iter()
        .map(read)
        .collect::<Result<_>>()?;
    let interface = Interface::of(&documents);
    let mut problems = Vec::new();
    for path in files(&citations::FILES)? {
        problems.extend(interface.problems(&path, &read(&path)?));
    }
    Ok(problems)
}

/// All files that may name host functions.
fn interface_files() -> Result<Vec<host_functions::File>> {
    let paths = files(&["*.rs", "docs/*.md", "guests/c/*.h"])?.into_iter();
    paths
        .map(|path| {
            let text = read(&path)?;
            Ok(host_functions::File { path, text })
        })
        .collect()
}

/// The text of a file, whose path begins at the root of the workspace.
fn read(path: &str) -> Result<String> {
    fs::read_to_string(workspace::root().join(path)).with_context(|| format!("cannot read {path}"))
}

/// The paths of all files that git tracks or doesn't ignore, and whose names are
/// as one of `patterns`.
fn files(patterns: &[&str]) -> Result<BTreeSet<String>> {
    let mut list = command::new("git");
    list.current_dir(workspace::root())
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .args(patterns);
    Ok(command::capture(&mut list)?
        .lines()
        .filter(|path| workspace::root().join(path).exists())
        .map(str::to_owned)
        .collect())
}

fn incomplete_readmes(metadata: &Value) -> Result<Vec<String>> {
    let packages = readmes::packages(metadata);
    let mut problems = Vec::new();
    for package in &packages {
        let path = format!("{}/README.md", package.name);
        if workspace::root().join(&path).exists() {
            problems.extend(readmes::problems(package, &packages, &read(&path)?));
        }
    }
    Ok(problems)
}

fn missing_readmes(root: &Path, crates: &[dependencies::Crate]) -> Vec<String> {
    crates
        .iter()
        .map(|member| match member.name.as_str() {
            // The package at the root.
            "lunatic-runtime" => "README.md".to_owned(),
            name => format!("{name}/README.md"),
        })
        .filter(|readme| !root.join(readme).exists())
        .map(|readme| format!("{readme}: missing; every crate says what it is for"))
        .collect()
}
