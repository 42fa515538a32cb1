//! `lunatic init`: has cargo build a project to WebAssembly and run it with Lunatic.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, ExitCode};

use toml_edit::{DocumentMut, Item, Table, value};

use crate::command_line::output::print_line;
use crate::command_line::problem::Problem;

const TARGET: &str = "wasm32-wasip1";
const RUNNER: &str = "lunatic run";
const CONFIG: &str = ".cargo/config.toml";

/// The name that cargo gave it before, which it still prefers.
const OLD_CONFIG: &str = ".cargo/config";

/// Sets target and runner in the project in the current directory, and says what has
/// changed. To do it again changes nothing.
pub(crate) fn init() -> Result<ExitCode, Problem> {
    let manifest = match fs::read_to_string("Cargo.toml") {
        Ok(manifest) => manifest,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(Problem::new("there is no Cargo.toml here")
                .help("go to the directory of a cargo project, or make one: `lunatic new NAME`"));
        }
        Err(error) => return Err(Problem::new(format!("cannot read Cargo.toml: {error}"))),
    };
    let manifest: DocumentMut = manifest.parse().map_err(|error| {
        Problem::new(format!("Cargo.toml cannot be read: {error}"))
            .help("mend it, and say `lunatic init` again; nothing was changed")
    })?;
    if Path::new(OLD_CONFIG).exists() {
        return Err(
            Problem::new(format!("cargo would read {OLD_CONFIG} and leave {CONFIG}"))
                .help(format!("rename it: mv {OLD_CONFIG} {CONFIG}")),
        );
    }
    let text = match fs::read_to_string(CONFIG) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => {
            return Err(Problem::new(format!("cannot read {CONFIG}: {error}"))
                .help("it has to be a text file; move it away or mend it, nothing was changed"));
        }
    };
    let (changed, mut told) = edit(&text)?;
    if changed != text {
        fs::create_dir_all(".cargo")
            .and_then(|()| fs::write(CONFIG, changed))
            .map_err(|error| Problem::new(format!("cannot write {CONFIG}: {error}")))?;
    }
    if told.is_empty() {
        told.push(format!("{CONFIG} is as it should be already"));
    }
    let dependencies = manifest.get("dependencies").and_then(Item::as_table_like);
    let uses_lunatic =
        dependencies.is_some_and(|dependencies| dependencies.contains_key("lunatic"));
    if !uses_lunatic {
        told.push("for processes and messages: cargo add lunatic@0.14".to_owned());
    }
    told.extend(missing_target());
    print_line(told.join("\n"))
}

/// The text of a configuration of cargo with target and runner in it, and what is different.
fn edit(text: &str) -> Result<(String, Vec<String>), Problem> {
    let mut document: DocumentMut = text.parse().map_err(|error| {
        Problem::new(format!("{CONFIG} cannot be read: {error}"))
            .help("mend it, and say `lunatic init` again; nothing was changed")
    })?;
    let mut told = Vec::new();
    let mut set = |path: &[&str], key: &str, wanted: &str| -> Result<(), Problem> {
        let name = format!("{}.{key}", path.join("."));
        let mut table: &mut dyn toml_edit::TableLike = document.as_table_mut();
        for (depth, part) in path.iter().enumerate() {
            let is_last = depth + 1 == path.len();
            let item = table.entry(part).or_insert_with(|| {
                let mut table = Table::new();
                // `[target.x]` alone, without a line `[target]`.
                table.set_implicit(!is_last);
                Item::Table(table)
            });
            table = item.as_table_like_mut().ok_or_else(|| {
                Problem::new(format!("{CONFIG}: `{part}` is no table"))
                    .help("mend it, and say `lunatic init` again; nothing was changed")
            })?;
        }
        let old = table
            .get(key)
            .map(|item| item.to_string().trim().to_owned());
        if table.get(key).and_then(Item::as_str) == Some(wanted) {
            return Ok(());
        }
        match table.get_mut(key).and_then(Item::as_value_mut) {
            Some(item) => {
                let decor = item.decor().clone();
                *item = wanted.into();
                *item.decor_mut() = decor;
            }
            None => {
                table.insert(key, value(wanted));
            }
        }
        told.push(match old {
            Some(old) => format!("{CONFIG}: {name} is `{wanted}`, and was {old}"),
            None => format!("{CONFIG}: {name} is `{wanted}`"),
        });
        Ok(())
    };
    set(&["build"], "target", TARGET)?;
    set(&["target", TARGET], "runner", RUNNER)?;
    Ok((document.to_string(), told))
}

/// How to get the target, if `rustc` has it not.
pub(crate) fn missing_target() -> Option<String> {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print=target-libdir", "--target", TARGET]);
    let path = match rustc.output() {
        Ok(output) => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Err(_) => return Some("there is no rustc: see https://rustup.rs".to_owned()),
    };
    let is_there = !path.is_empty() && Path::new(&path).is_dir();
    (!is_there).then(|| {
        format!(
            "rustc has no target {TARGET}: rustup target add {TARGET} (Debian: \
             libstd-rust-dev-wasm32; Fedora: rust-std-static-wasm32-wasip1)"
        )
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use super::*;

    #[test]
    fn comments_and_what_else_is_there_stay() {
        let text = "# mine\n[build]\njobs = 2 # not all\ntarget = \"x86_64-unknown-linux-gnu\" # old\n\n\
                    [target.wasm32-wasip1]\nrustflags = [] # none\n";
        let (changed, told) = edit(text).unwrap();
        assert_eq!(
            changed,
            "# mine\n[build]\njobs = 2 # not all\ntarget = \"wasm32-wasip1\" # old\n\n\
             [target.wasm32-wasip1]\nrustflags = [] # none\nrunner = \"lunatic run\"\n"
        );
        assert_eq!(told.len(), 2);
        assert!(
            told[0].contains("was \"x86_64-unknown-linux-gnu\""),
            "{told:?}"
        );
        let (again, told) = edit(&changed).unwrap();
        assert_eq!((again, told), (changed, Vec::new()));
    }

    #[test]
    fn an_empty_file_becomes_two_tables() {
        let (changed, _) = edit("").unwrap();
        assert_eq!(
            changed,
            "[build]\ntarget = \"wasm32-wasip1\"\n\n[target.wasm32-wasip1]\nrunner = \"lunatic run\"\n"
        );
    }

    #[test]
    fn what_is_no_table_is_left_alone() {
        assert!(edit("build = 1").is_err());
        assert!(edit("build = [").is_err());
    }
}
