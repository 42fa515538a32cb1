//! What is wrong with a file, in words.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::Path;

use lunatic_cli::{RootError, Runtime, State};
use lunatic_engine::{ImportProblem, InvalidModule, LoadError, Module, TextError};
use lunatic_error::with_causes;

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
    load_as(runtime, &module_name(path), path, bytes).await
}

/// The same, under another name than that of the file.
///
/// - `name`: by which the module is reloaded.
pub(crate) async fn load_as(
    runtime: &Runtime,
    name: &str,
    path: &Path,
    bytes: Vec<u8>,
) -> Result<Module<State>, Problem> {
    let guest = interface::guest_library(&bytes);
    let shown = path.display();
    let loaded = runtime.load_version(name, bytes).await;
    loaded.map_err(|error| match error {
        LoadError::Component => Problem::new(format!("`{shown}` is a component, not a module"))
            .help("build for wasm32-wasip1, not for wasm32-wasip2 or later"),
        LoadError::NotWasm => Problem::new(format!("`{shown}` is neither a wasm module nor text format"))
            .help("for a Rust crate: cargo build --target wasm32-wasip1, then run target/wasm32-wasip1/debug/<name>.wasm"),
        LoadError::Text(error) => text(path, &error),
        LoadError::Invalid(error) => invalid(path, &error),
        LoadError::Imports(problems) => imports(path, &problems, guest.as_deref()),
        other => Problem::new(format!("`{shown}`: {}", with_causes(&other))),
    })
}

/// The name of the module in a file, by which it is reloaded: the stem of the file's name.
pub(crate) fn module_name(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or(path.as_os_str());
    stem.to_string_lossy().into_owned()
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
pub(crate) fn not_started(path: &Path, failure: &RootError) -> Problem {
    let problem = Problem::new(format!("cannot start `{}`: {failure}", path.display()));
    match failure {
        RootError::Directory(_) => problem.help("name an existing directory with --dir"),
        _ => problem,
    }
}

/// What is wrong with a text, with its line and a mark below it.
fn text(path: &Path, error: &TextError) -> Problem {
    let TextError {
        message,
        line,
        column,
        excerpt,
        ..
    } = error;
    let shown = path.display();
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    let mut what = format!(
        "`{shown}` is not valid text format:\n{message}\n{margin}--> {shown}:{line}:{column}"
    );
    if !excerpt.is_empty() {
        let before = " ".repeat(column - 1);
        let _ = write!(
            what,
            "\n{margin} |\n{number} | {excerpt}\n{margin} | {before}^"
        );
    }
    Problem::new(what)
}

fn invalid(path: &Path, error: &InvalidModule) -> Problem {
    let problem = Problem::new(format!(
        "`{}` is not a valid module: {error}",
        path.display()
    ));
    match &error.missing_feature {
        Some(feature) => problem.help(format!(
            "it uses the proposal `{feature}`, which is not enabled here; build it without"
        )),
        None => problem.help(
            "the file may be cut off, or use a proposal that is not enabled here; build it again",
        ),
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
