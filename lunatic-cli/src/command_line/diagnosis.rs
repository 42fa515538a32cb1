//! What is wrong with a file, in words.

use std::fmt::Write as _;
use std::future::Future;
use std::io::{self, ErrorKind, IsTerminal, Read};
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use async_io::Timer;
use bytes::Bytes;
use futures_lite::future;
use indicatif::{ProgressBar, ProgressStyle};

use lunatic_engine::{ImportProblem, InvalidModule, LoadError, Module, TextError};
use lunatic_error::{MAX_LOGGED_BYTES, on_one_line, with_causes};
use lunatic_wasi::OpenError;

use crate::command_line::problem::Problem;
use crate::command_line::{arguments, interface, origin};
use crate::{RootError, Runtime, State};

/// The entry of a program (ABI §16.1).
const START: &str = "_start";

/// After this time it is told that a module is compiled.
const QUIET: Duration = Duration::from_millis(400);

/// How often what is said of that moves.
const TICK: Duration = Duration::from_millis(120);

/// Reads a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    std::fs::read(path).map_err(|error| unreadable(path, &error))
}

/// Reads the file of a program, in place of which a command may be meant.
pub(crate) fn read_program(path: &Path) -> Result<Vec<u8>, Problem> {
    std::fs::read(path).map_err(|error| {
        let is_word = path.extension().is_none() && path.components().count() == 1;
        if error.kind() != ErrorKind::NotFound || !is_word {
            return unreadable(path, &error);
        }
        let shown = path.display();
        let problem = Problem::new(format!("cannot read `{shown}`: {error}"));
        problem.help(match arguments::similar_command(&path.to_string_lossy()) {
            Some(command) => format!("did you mean the command `lunatic {command}`?"),
            None => format!(
                "there is no file `{shown}`, and no command of that name; `lunatic help` lists \
                 the commands"
            ),
        })
    })
}

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    let problem = Problem::new(format!("cannot read `{}`: {error}", path.display()));
    match error.kind() {
        ErrorKind::NotFound => {
            problem.help("check the path; it is taken from the current directory")
        }
        ErrorKind::IsADirectory => problem.help("name the .wasm or .wat file inside of it"),
        ErrorKind::PermissionDenied => problem.help(
            "it has to be readable for the user who runs `lunatic`: `ls -l` shows for whom it is",
        ),
        _ => problem,
    }
}

/// Reads a module from standard input, which is empty for the guest then.
pub(crate) fn read_stdin() -> Result<Vec<u8>, Problem> {
    /// No module is as large.
    const MAX: u64 = 1 << 30;
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(MAX).read_to_end(&mut bytes);
    read.map_err(|error| Problem::new(format!("cannot read standard input: {error}")))?;
    match bytes.is_empty() {
        true => Err(
            Problem::new("standard input is empty, and was to be a module")
                .help("pass one: `cat app.wasm | lunatic run -`, or name the file"),
        ),
        false => Ok(bytes),
    }
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
    let bytes = Bytes::from(bytes);
    let shown = path.display();
    let loading = runtime.load_version(name, bytes.clone());
    let loaded = match io::stderr().is_terminal() {
        true => telling(loading, path, bytes.len()).await,
        false => loading.await,
    };
    loaded.map_err(|error| match error {
        LoadError::Component => Problem::new(format!("`{shown}` is a component, not a module"))
            .help("build for wasm32-wasip1, not for wasm32-wasip2 or later"),
        LoadError::NotWasm => not_wasm(path, &bytes),
        LoadError::Text(error) => text(path, &error),
        LoadError::Invalid(error) => invalid(path, &error),
        LoadError::Imports(problems) => {
            imports(path, &problems, interface::guest_library(&bytes).as_deref())
        }
        other => Problem::new(format!("`{shown}`: {}", with_causes(&other))),
    })
}

/// A file with something else in it.
fn not_wasm(path: &Path, bytes: &[u8]) -> Problem {
    /// What programs of Linux, of macOS (one kind of processor, or several) and of Windows begin with.
    const NATIVE: [&[u8]; 4] = [b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"MZ"];
    const RUST: &str = "for a Rust crate: cargo build --target wasm32-wasip1, then run \
                        target/wasm32-wasip1/debug/<name>.wasm";
    let shown = path.display();
    if bytes.is_empty() {
        return Problem::new(format!("`{shown}` is empty")).help("build it again");
    }
    if NATIVE.iter().any(|begin| bytes.starts_with(begin)) {
        return Problem::new(format!(
            "`{shown}` is a program for a machine, not a wasm module"
        ))
        .help(RUST);
    }
    let problem = Problem::new(format!(
        "`{shown}` is neither a wasm module nor text format"
    ));
    let extension = path.extension().unwrap_or_default();
    problem.help(match extension.to_str() {
        Some("toml") => format!("if it is a manifest: lunatic start {shown}"),
        Some("c" | "cc" | "cpp" | "go" | "js" | "lua" | "php" | "py" | "rb" | "ts" | "zig") => {
            "it has to be compiled, or run by an interpreter that is a module; `lunatic help \
             languages` says how"
                .to_owned()
        }
        _ => RUST.to_owned(),
    })
}

/// Waits for something, and says what for if that takes long.
async fn telling<T>(loading: impl Future<Output = T>, path: &Path, size: usize) -> T {
    let mut loading = pin!(loading);
    let loaded = async { Some(loading.as_mut().await) };
    let late = async {
        Timer::after(QUIET).await;
        None
    };
    if let Some(loaded) = future::or(loaded, late).await {
        return loaded;
    }
    let name = path.file_name().unwrap_or(path.as_os_str());
    let name = on_one_line(name.to_string_lossy(), MAX_LOGGED_BYTES).to_string();
    let kib = size.div_ceil(1024);
    let bar = ProgressBar::new_spinner().with_message(format!("compiling {name} ({kib} KiB)"));
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}, {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(TICK);
    let loaded = loading.await;
    bar.finish_and_clear();
    loaded
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
    let shown = path.display();
    let what = match list.is_empty() {
        true => format!("`{shown}` has nothing to run: it exports no function"),
        false => {
            format!("`{shown}` has nothing to run: it exports no function `_start`, but {list}")
        }
    };
    Problem::new(what).help(
        "build a program (in Rust: a crate with `fn main`), not a library, or call one of its \
         functions with `lunatic run --invoke`",
    )
}

/// A module without tests.
pub(crate) fn no_tests(path: &Path, module: &Module<State>) -> Problem {
    let shown = path.display();
    let is_program = module.exported_functions().any(|(name, _)| name == START);
    Problem::new(format!("`{shown}` has no tests")).help(match is_program {
        true => format!(
            "tests are functions with #[lunatic::test], compiled by `cargo test --no-run`; to run \
             it as a program: lunatic run {shown}"
        ),
        false => "tests are functions with #[lunatic::test], compiled by `cargo test --no-run`, \
                  which prints where the file is"
            .to_owned(),
    })
}

/// A program whose entry wants arguments or returns something.
pub(crate) fn start_with_arguments(path: &Path) -> Problem {
    Problem::new(format!(
        "`{}` cannot be run: its function `{START}` takes parameters or returns something",
        path.display()
    ))
    .help(format!(
        "the `{START}` of a program does neither: arguments come from `args_get`, the exit code \
         goes to `proc_exit`"
    ))
}

/// A directory that cannot be opened.
pub(crate) fn no_dir(error: &OpenError) -> Problem {
    Problem::new(with_causes(error)).help("name an existing directory with --dir")
}

/// The current directory cannot be opened, which nobody has named.
pub(crate) fn no_current_dir(error: &OpenError) -> Problem {
    Problem::new(with_causes(error)).help(
        "without flags a program is given the current directory: go to another one, name one with \
         --dir, or give it none with --sandbox",
    )
}

/// A first process that did not start.
pub(crate) fn not_started(path: &Path, failure: &RootError) -> Problem {
    match failure {
        RootError::Directory(error) => no_dir(error),
        _ => Problem::new(format!("cannot start `{}`: {failure}", path.display())),
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
    let path = path.display();
    if error.is_refused {
        return Problem::new(format!("`{path}` is not accepted: {error}"));
    }
    let problem = Problem::new(format!("`{path}` is not a valid module: {error}"));
    match &error.missing_feature {
        Some(feature) => problem.help(format!(
            "it uses the proposal `{feature}`, which is not enabled here; {}",
            origin::without_proposal(feature)
        )),
        None => problem.help("the file may be cut off or damaged; build it again"),
    }
}

fn imports(path: &Path, problems: &[ImportProblem], guest: Option<&str>) -> Problem {
    /// More are counted only.
    const SHOWN: usize = 10;
    let mut what = format!(
        "`{}` imports what this runtime does not offer:",
        path.display()
    );
    for problem in problems.iter().take(SHOWN) {
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
    if problems.len() > SHOWN {
        let _ = write!(what, "\n  and {} more", problems.len() - SHOWN);
    }
    let names = problems
        .iter()
        .map(|problem| (&*problem.namespace, &*problem.name));
    let left_out = names
        .clone()
        .find_map(|(namespace, name)| interface::left_out(namespace, name));
    if let Some(feature) = left_out {
        return Problem::new(what).help(feature.remedy());
    }
    Problem::new(what).help(match (origin::of_imports(names), guest) {
        (Some(help), _) => help.to_owned(),
        (None, Some(guest)) => format!("it was built with {guest}; {VERSIONS}"),
        (None, None) => VERSIONS.to_owned(),
    })
}

/// The program has another version than the interface.
const VERSIONS: &str = concat!(
    "this is lunatic ",
    env!("CARGO_PKG_VERSION"),
    ", which offers guests the host interface of version 0.13, as the crate `lunatic` 0.13 and \
     0.14 want it, and WASI preview 1"
);
