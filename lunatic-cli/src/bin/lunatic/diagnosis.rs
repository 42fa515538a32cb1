//! What is wrong with a file, in words.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::Path;

use lunatic_cli::{Runtime, SpawnFailure, State};
use lunatic_engine::{ImportProblem, LoadError, Module};

use crate::interface;
use crate::problem::Problem;

/// Reads a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    let shown = path.display();
    std::fs::read(path).map_err(|error| {
        let problem = Problem::new(format!("cannot read `{shown}`: {error}"));
        match error.kind() {
            ErrorKind::NotFound if path.extension().is_none() => problem.help(format!(
                "`{shown}` is no command of lunatic either; see `lunatic help`"
            )),
            ErrorKind::NotFound => {
                problem.help("check the path; it is taken from the current directory")
            }
            ErrorKind::IsADirectory => problem.help("name the .wasm or .wat file inside of it"),
            _ => problem,
        }
    })
}

/// Compiles and links a file.
pub(crate) async fn load(
    runtime: &Runtime,
    path: &Path,
    bytes: Vec<u8>,
) -> Result<Module<State>, Problem> {
    let is_component = is_component(&bytes);
    let guest = interface::guest_library(&bytes);
    let shown = path.display();
    runtime.load(bytes).await.map_err(|error| match error {
        LoadError::Invalid(_) if is_component => {
            Problem::new(format!("`{shown}` is a component, not a module"))
                .help("build for wasm32-wasip1, not for wasm32-wasip2 or later")
        }
        LoadError::NotWasm => Problem::new(format!("`{shown}` is neither a wasm module nor text format"))
            .help("for a Rust crate: cargo build --target wasm32-wasip1, then run target/wasm32-wasip1/debug/<name>.wasm"),
        LoadError::Text(reason) => Problem::new(format!("`{shown}` is not valid text format:\n{reason}")),
        LoadError::Invalid(reason) => Problem::new(format!("`{shown}` is not a valid module: {reason}"))
            .help("the file may be cut off, or use a proposal that is not enabled here; build it again"),
        LoadError::Imports(problems) => imports(path, &problems, guest.as_deref()),
        other => Problem::new(format!("`{shown}`: {other}")),
    })
}

/// A module without an entry.
pub(crate) fn no_start(path: &Path, module: &Module<State>) -> Problem {
    const SHOWN: usize = 8;
    let exports: Vec<_> = module.exported_functions().map(|(name, _)| name).collect();
    let mut list = exports
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ");
    if exports.len() > SHOWN {
        let _ = write!(list, " and {} more", exports.len() - SHOWN);
    }
    if list.is_empty() {
        list.push_str("no functions");
    }
    Problem::new(format!(
        "`{}` has nothing to run: it exports no function `_start`, but {list}",
        path.display()
    ))
    .help("build a program (in Rust: a crate with `fn main`), not a library")
}

/// A first process that did not start.
pub(crate) fn not_started(path: &Path, failure: &SpawnFailure) -> Problem {
    let problem = Problem::new(format!("cannot start `{}`: {failure}", path.display()));
    match failure {
        SpawnFailure::Directory(_) => problem.help("name an existing directory with --dir"),
        _ => problem,
    }
}

fn imports(path: &Path, problems: &[ImportProblem], guest: Option<&str>) -> Problem {
    let mut what = format!(
        "`{}` imports what this runtime does not offer:",
        path.display()
    );
    for problem in problems {
        let ImportProblem {
            namespace,
            name,
            wanted,
            offered,
            ..
        } = problem;
        let _ = write!(what, "\n  {namespace}::{name} {wanted}\n    ");
        let _ = match offered {
            Some(offered) => write!(what, "offered with another type: {offered}"),
            None => write!(what, "{}", interface::absence(namespace, name)),
        };
        if let Some(author) = interface::known_disagreement(namespace, name, wanted) {
            let _ = write!(what, "\n    declared like this by {author}");
        }
    }
    let built_with = guest.map_or_else(
        || "no guest library was recognised in it".to_string(),
        |guest| format!("it was built with {guest}"),
    );
    Problem::new(what).help(format!(
        "{built_with}; this runtime offers the interface of version 0.13"
    ))
}

/// Components begin like modules, with another version.
fn is_component(bytes: &[u8]) -> bool {
    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
    bytes.starts_with(COMPONENT)
}
