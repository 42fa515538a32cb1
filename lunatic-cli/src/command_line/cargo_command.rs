//! `cargo lunatic`: cargo and `lunatic` with what `.cargo/config.toml` would say.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use clap::{ColorChoice, Parser, Subcommand};

use crate::command_line::problem::Problem;
use crate::command_line::refused_line::Line;
use crate::command_line::shell::quoted;
use crate::command_line::{log_writer, refused_line};

const TARGET: &str = "wasm32-wasip1";

/// Projects that run on Lunatic: cargo, with the target and the runner for them.
#[derive(Debug, Parser)]
#[command(
    name = "cargo-lunatic",
    bin_name = "cargo lunatic",
    version,
    arg_required_else_help = true
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Make a project, as `lunatic new` does.
    New(Words),
    /// Build the project to WebAssembly, as `cargo build` does.
    Build(Words),
    /// Build and run it, as `cargo run` does.
    Run(Words),
    /// Build and run its tests, as `cargo test` does.
    Test(Words),
    /// Build and run it, and reload it after each edit; what follows `--` is the program's.
    Watch(Words),
}

/// What is passed on.
#[derive(Debug, clap::Args)]
struct Words {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

/// Does what the command line of this program says, as `cargo lunatic` does, and returns the
/// exit code.
pub(crate) fn main() -> ExitCode {
    // Cargo passes the name of the subcommand on.
    let mut words: Vec<_> = env::args_os().collect();
    if words.get(1).is_some_and(|word| word == "lunatic") {
        words.remove(1);
    }
    let line = Line::of("cargo lunatic", &words);
    let arguments = Arguments::try_parse_from(words)
        .unwrap_or_else(|error| refused_line::exit(&error, &line, ColorChoice::Auto));
    let done = match arguments.task {
        Task::New(words) => wait(Command::new(lunatic()).arg("new").args(words.words)),
        Task::Build(words) => wait(cargo("build").args(words.words)),
        Task::Run(words) => wait(cargo("run").args(words.words)),
        Task::Test(words) => wait(cargo("test").args(words.words)),
        Task::Watch(words) => watch(words.words),
    };
    let code = done.unwrap_or_else(|problem| problem.print());
    log_writer::flush();
    code
}

/// The program beside this one, or the one that the shell finds.
fn lunatic() -> PathBuf {
    let beside = env::current_exe()
        .ok()
        .map(|path| path.with_file_name("lunatic"));
    beside
        .filter(|path| path.is_file())
        .unwrap_or_else(|| "lunatic".into())
}

/// Cargo, told to build for the target and to run with `lunatic`, whatever the project says.
fn cargo(command: &str) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .arg(command)
        .env("CARGO_BUILD_TARGET", TARGET)
        .env("CARGO_TARGET_WASM32_WASIP1_RUNNER", "lunatic run");
    // A runner is split at spaces, so it is found by its name.
    if let Some(directory) = lunatic().parent().filter(|path| path.is_absolute()) {
        let paths = env::var_os("PATH").unwrap_or_default();
        let all = std::iter::once(directory.to_owned()).chain(env::split_paths(&paths));
        if let Ok(all) = env::join_paths(all) {
            cargo.env("PATH", all);
        }
    }
    cargo
}

/// Builds the project, runs its program, and builds again whenever a source has changed.
fn watch(words: Vec<OsString>) -> Result<ExitCode, Problem> {
    let mut words = words.splitn(2, |word| word == "--");
    let of_cargo = words.next().unwrap_or_default();
    let of_program = words.next().unwrap_or_default();
    let program = built_program(of_cargo)?;
    let mut line = format!("cargo build --target {TARGET}");
    for word in of_cargo {
        line.push(' ');
        let word = word
            .to_str()
            .ok_or_else(|| Problem::new(format!("the argument {word:?} is not UTF-8")))?;
        line.push_str(&quoted(word));
    }
    let mut command = Command::new(lunatic());
    command.args(["run", "--watch", "--build"]).arg(line);
    wait(command.arg(program).args(of_program))
}

/// Builds the project, and returns the program that it has.
fn built_program(of_cargo: &[OsString]) -> Result<PathBuf, Problem> {
    let output = cargo("build")
        .args(of_cargo)
        .args(["--message-format", "json-render-diagnostics"])
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Problem::new(format!("cannot start cargo: {error}")))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let programs: Vec<_> = text.lines().filter_map(program_in).collect();
    match &programs[..] {
        [program] => Ok(program.clone()),
        [] if !output.status.success() => Err(Problem::new("the project does not build")
            .help("mend it; `cargo lunatic watch` begins with a program that builds")),
        [] => Err(Problem::new("the project has no program").help("it needs a `src/main.rs`")),
        several => {
            let names: Vec<_> = several.iter().filter_map(|path| path.file_stem()).collect();
            let names: Vec<_> = names.iter().map(|name| name.to_string_lossy()).collect();
            Err(
                Problem::new(format!("there are several programs: {}", names.join(", ")))
                    .help("name one with --bin"),
            )
        }
    }
}

/// The module that a line of cargo's tells of, if it is a program.
fn program_in(line: &str) -> Option<PathBuf> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    let path = Path::new(line.get("executable")?.as_str()?);
    let is_module = path.extension() == Some(OsStr::new("wasm"));
    is_module.then(|| path.to_owned())
}

fn wait(command: &mut Command) -> Result<ExitCode, Problem> {
    let status = command.status().map_err(|error| {
        let program = command.get_program().to_string_lossy();
        Problem::new(format!("cannot start `{program}`: {error}"))
            .help("it has to be beside `cargo-lunatic`, or in a directory of PATH")
    })?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use super::*;

    #[test]
    fn programs_are_found_in_what_cargo_tells() {
        let line = |executable: &str| {
            format!("{{\"reason\":\"compiler-artifact\",\"executable\":{executable}}}")
        };
        assert_eq!(program_in(&line("\"/t/a.wasm\"")), Some("/t/a.wasm".into()));
        assert_eq!(program_in(&line("\"/t/build-script\"")), None);
        assert_eq!(program_in(&line("null")), None);
        assert_eq!(program_in("no json"), None);
    }

    #[test]
    fn the_definition_is_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }
}
