//! Tells the program which commit it is built from, if it is built in a clone.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=LUNATIC_COMMIT");
    if std::env::var_os("LUNATIC_COMMIT").is_some() {
        return;
    }
    println!("cargo::rerun-if-changed=build.rs");
    for name in ["HEAD", "logs/HEAD"] {
        // What does not exist would let this run at every build.
        if let Some(path) =
            git(&["rev-parse", "--git-path", name]).filter(|path| Path::new(path).exists())
        {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    // In a package of a registry, which may lie inside of another repository, there is no clone.
    let is_clone = Path::new(".git").exists();
    let commit = git(&[
        "describe",
        "--always",
        "--dirty",
        "--abbrev=12",
        "--exclude=*",
    ]);
    if let Some(commit) = commit.filter(|_| is_clone) {
        println!("cargo::rustc-env=LUNATIC_COMMIT={commit}");
    }
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
