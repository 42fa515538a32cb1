//! `lunatic run`.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use async_io::Timer;
use futures_lite::future;
use lunatic_account::AccountLimits;
use lunatic_engine::{CompiledModule, MemoryLayout, Module};
use lunatic_error::{MAX_LOGGED_BYTES, on_one_line};
use lunatic_process::{ExitReason, FailureKind};
use lunatic_wasi::ConfigError;

use crate::command_line::arguments::Run;
use crate::command_line::engine::{Engine, Memory};
use crate::command_line::output::print_line;
use crate::command_line::problem::Problem;
use crate::command_line::signals::Signals;
use crate::command_line::testing::Source;
use crate::command_line::{admin, cache, diagnosis, invoke, log_writer, place, test, testing};
use crate::{Builder, Config, Results, Root, Runtime, State};

/// The entry of a program (ABI §16.1).
pub(crate) const START: &str = "_start";

/// The exit code of a program that ran too long, as `timeout` has it.
const TIMED_OUT: u8 = 124;

/// Runs a program; or its tests, if cargo runs a test binary.
pub(crate) fn run(run: Run) -> Result<ExitCode, Problem> {
    let is_stdin = run.is_stdin();
    let path = match is_stdin {
        true => PathBuf::from("stdin"),
        false => run.path(),
    };
    run.recording.start("warn")?;
    if let Some(profile) = &run.profile {
        place::check(profile)?;
    }
    let bytes = match is_stdin {
        true => diagnosis::read_stdin()?,
        false => diagnosis::read_program(&path)?,
    };
    // What is wrong with the flags is told before a module is compiled, which may take long.
    let config = config(&path, &run)?;
    let builder = run.recording.of(runtime(&run.engine));
    let builder = match (&run.profile, run.engine.memory) {
        // A profile is of one code, and all processes are to be in it.
        (Some(_), Memory::Auto) => builder.memory_layout(MemoryLayout::Dense),
        _ => builder,
    };
    let runtime = builder.start().map_err(Problem::new)?;
    let code = future::block_on(async {
        check_dirs(&config, run.names_no_dir()).await?;
        let name = run.module_name(&path);
        let has_harness = is_built_to_test(&path) && testing::has_harness(&bytes);
        let module = diagnosis::load_as(&runtime, &name, &path, bytes).await?;
        if is_for_cargo(&run) && (has_harness || testing::has_tests(&module)) {
            let source = Source {
                name: &name,
                module: &module,
                has_harness,
            };
            return test::run_by_cargo(&runtime, source, &run).await;
        }
        if run.profile.is_some() {
            let name = path.display().to_string();
            let begun = runtime.recording.begin_profile(&name, module.compiled());
            begun.map_err(|error| Problem::new(format!("cannot make a profile: {error}")))?;
        }
        run_program(&runtime, module, &path, &run, config).await
    });
    runtime.recording.finish();
    if let Some(profile) = &run.profile {
        end_profile(&runtime, profile)?;
    }
    code
}

/// Writes which functions have run.
fn end_profile(runtime: &Runtime, path: &Path) -> Result<(), Problem> {
    let written = runtime.recording.end_profile(path).map_err(|error| {
        let path = path.display();
        Problem::new(format!("cannot write the profile `{path}`: {error}"))
    })?;
    if written == Some(0) {
        let nothing = "the program never ran for a millisecond, so the profile is empty";
        tracing::warn!("{nothing}");
    }
    Ok(())
}

impl Run {
    /// Whether the module comes from standard input.
    pub(crate) fn is_stdin(&self) -> bool {
        self.path().as_os_str() == "-"
    }

    /// Whether the program is given the current directory because nothing is said of directories.
    pub(crate) fn names_no_dir(&self) -> bool {
        self.grants.gives_default() && !self.from_manifest.is_given()
    }

    /// The name by which its module is reloaded.
    pub(crate) fn module_name(&self, path: &Path) -> String {
        let name = self.naming.name().map(ToString::to_string);
        name.unwrap_or_else(|| diagnosis::module_name(path))
    }
}

pub(crate) fn start_runtime(engine: &Engine) -> Result<Runtime, Problem> {
    runtime(engine).start().map_err(Problem::new)
}

/// The settings of a runtime.
pub(crate) fn runtime(engine: &Engine) -> Builder {
    let builder = Runtime::builder().memory_layout(Option::from(engine.memory));
    let builder = match engine.max_memory {
        Some(bytes) => builder.max_memory(bytes),
        None => builder,
    };
    match cache::directory() {
        Some(directory) if !engine.no_cache => builder.compile_cache(directory),
        // Another start of the program will use it.
        Some(directory) => {
            lunatic_fs::protect(&directory);
            builder
        }
        None => builder,
    }
}

/// Whether this is cargo running a binary, and not for benchmarks: then, if that has tests,
/// the arguments are for the test runner.
fn is_for_cargo(run: &Run) -> bool {
    std::env::var_os("CARGO_MANIFEST_DIR").is_some()
        && run.invoke.is_none()
        && !run.guest_args().any(|arg| arg == "--bench")
}

/// Whether a file is where cargo puts binaries that have tests, and named as those are. What a
/// program contains is no sure sign of Rust's test runner: some test runners are programs.
fn is_built_to_test(path: &Path) -> bool {
    let folder = path.parent().and_then(Path::file_name);
    match folder.and_then(OsStr::to_str) {
        Some("deps") => true,
        // An example to run has no hash behind its name.
        Some("examples") => path.file_stem().is_some_and(ends_with_hash),
        _ => false,
    }
}

/// Whether a name ends with a hyphen and the sixteen digits by which cargo tells builds apart.
fn ends_with_hash(name: &OsStr) -> bool {
    let hash = name.to_str().and_then(|name| name.rsplit_once('-'));
    hash.is_some_and(|(_, hash)| {
        hash.len() == 16 && hash.bytes().all(|digit| digit.is_ascii_hexdigit())
    })
}

async fn run_program(
    runtime: &Runtime,
    module: Module<State>,
    path: &Path,
    run: &Run,
    config: Config,
) -> Result<ExitCode, Problem> {
    let results = Results::default();
    let root = match &run.invoke {
        Some(export) => {
            let given: Vec<_> = run.guest_args().collect();
            let params = invoke::arguments(path, &module, export, &given)?;
            Root::new(export).params(params).results(results.clone())
        }
        None => match module.exported_functions().find(|(name, _)| *name == START) {
            Some((_, true)) => Root::new(START),
            Some((_, false)) => return Err(diagnosis::start_with_arguments(path)),
            None if run.guest_args().any(|arg| arg == "--invoke") => {
                return Err(diagnosis::no_start(path, &module).help(
                    "what follows the path is passed to the program; --invoke stands before the path",
                ));
            }
            None => return Err(diagnosis::no_start(path, &module)),
        },
    };
    let mut signals = Signals::listen()?;
    let _admin = admin::listen(runtime, &run.naming)?;
    let _shown = run.views.show(runtime)?;
    let program = runtime
        .start_program(&module, root.config(config))
        .await
        .map_err(|failure| diagnosis::not_started(path, &failure))?;
    // An old version is to be forgotten when nothing runs it.
    drop(module);
    let told_to_end = async { Ended::BySignal(signals.next().await) };
    let ended = async { Ended::ByItself(program.wait().await) };
    let time_is_up = async {
        match run.timeout {
            Some(timeout) => Timer::after(timeout).await,
            None => future::pending().await,
        };
        Ended::TimedOut
    };
    let ended = future::or(ended, future::or(told_to_end, time_is_up));
    match ended.await {
        Ended::ByItself(reason) => {
            runtime.main_environment().flush_log();
            match results.get().filter(|values| !values.is_empty()) {
                Some(values) => print_line(invoke::results(&values)),
                None => Ok(report(path, &reason)),
            }
        }
        Ended::TimedOut => {
            shut_down(runtime, &mut signals).await;
            let timeout = run.timeout.unwrap_or_default();
            let path = path.display();
            Problem::new(format!(
                "`{path}` was ended: it ran longer than {timeout:?}"
            ))
            .help("`--timeout` sets the time")
            .print();
            Ok(ExitCode::from(TIMED_OUT))
        }
        Ended::BySignal(code) => {
            shut_down(runtime, &mut signals).await;
            Ok(ExitCode::from(code))
        }
    }
}

/// Opens the directories that are given.
///
/// - `is_default`: whether they are there because the command line names none.
pub(crate) async fn check_dirs(config: &Config, is_default: bool) -> Result<(), Problem> {
    let opened = config.wasi.clone().open().await;
    opened.map(drop).map_err(|error| match is_default {
        true => diagnosis::no_current_dir(&error),
        false => diagnosis::no_dir(&error),
    })
}

/// What a program is given.
pub(crate) fn config(path: &Path, run: &Run) -> Result<Config, Problem> {
    let from_manifest = match run.is_stdin() {
        true => run.from_manifest.config(Path::new("-"))?,
        false => run.from_manifest.config(path)?,
    };
    let is_from_manifest = from_manifest.is_some();
    let mut config = from_manifest.unwrap_or_else(Config::trusted);
    if !is_from_manifest {
        run.grants.apply(&mut config)?;
    }
    // What a manifest does not give, the command line does not give either.
    config.process.max_fuel = match (run.max_fuel, config.process.max_fuel) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    if let Some(processes) = run.max_processes {
        let account = config
            .process
            .account
            .get_or_insert(AccountLimits::UNLIMITED);
        account.processes = account.processes.min(processes.get());
    }
    // With `--invoke` they are those of the function.
    let own: Vec<_> = run.guest_args().filter(|_| run.invoke.is_none()).collect();
    if is_from_manifest && own.is_empty() && run.invoke.is_none() {
        return Ok(config);
    }
    config.wasi_mut().clear_args();
    let own = own.into_iter();
    add_args(&mut config, path, own)?;
    Ok(config)
}

/// Gives a program its arguments, the first of which is the name of its file.
pub(crate) fn add_args(
    config: &mut Config,
    path: &Path,
    args: impl Iterator<Item = OsString>,
) -> Result<(), Problem> {
    let wasi = config.wasi_mut();
    let name = path.file_name().unwrap_or(path.as_os_str()).to_owned();
    for arg in std::iter::once(name).chain(args) {
        let arg = arg
            .into_string()
            .map_err(|arg| Problem::new(format!("the argument {arg:?} is not UTF-8")))?;
        wasi.add_arg(&arg).map_err(|error| match &error {
            ConfigError::ZeroByte(_) => {
                Problem::new(format!("an argument for the program: {error}"))
            }
            _ => Problem::new(format!("the arguments for the program: {error}"))
                .help("give it what is long in a file, or through standard input"),
        })?;
    }
    Ok(())
}

enum Ended {
    ByItself(ExitReason),
    /// With the exit code that tells of it.
    BySignal(u8),
    /// It ran too long.
    TimedOut,
}

/// Ends all processes at once, but does not wait for ever. A further signal makes the
/// program end without waiting.
pub(crate) async fn shut_down(runtime: &Runtime, signals: &mut Signals) {
    let impatient = async {
        Timer::after(log_writer::patience()).await;
    };
    let hurried = async {
        signals.next().await;
        log_writer::hurry();
    };
    future::or(runtime.shut_down(), future::or(impatient, hurried)).await;
    runtime.environment().flush_log();
}

/// Tells how the first process ended, and the exit code for that.
pub(crate) fn report(path: &Path, reason: &ExitReason) -> ExitCode {
    let Some(failure) = reason.failure() else {
        return match reason {
            ExitReason::Normal => ExitCode::SUCCESS,
            reason => {
                let (path, reason) = (path.display(), shown(reason));
                Problem::new(format!("`{path}` ended: {reason}")).print()
            }
        };
    };
    if let FailureKind::ExitStatus(status) = failure.kind() {
        // The system passes the low eight bits on.
        return ExitCode::from(*status as u8);
    }
    let mut what = format!("`{}` failed: {}", path.display(), shown(failure));
    if let Some(backtrace) = failure.backtrace() {
        what.push('\n');
        what.push_str(&indented(backtrace.trim_end()));
    }
    let problem = Problem::new(what);
    match failure.kind() {
        FailureKind::OutOfFuel => problem
            .help("`--max-fuel` sets how much it may execute, in units of 100 000 instructions"),
        _ => problem,
    }
    .print()
}

/// Returns what a guest says, on one line.
fn shown(text: impl fmt::Display) -> impl fmt::Display {
    on_one_line(text, MAX_LOGGED_BYTES)
}

/// Returns the lines of a backtrace, all but the first one indented: a name in it that has
/// a line end does not begin a line.
fn indented(backtrace: &str) -> String {
    let mut lines = backtrace.lines();
    let first = lines.next().unwrap_or_default().to_owned();
    lines.fold(first, |text, line| match line.starts_with(' ') {
        true => text + "\n" + line,
        false => text + "\n    " + line,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binaries_with_tests_are_known_by_where_cargo_puts_them() {
        let is_built_to_test = |path| is_built_to_test(Path::new(path));
        assert!(is_built_to_test(
            "target/wasm32-wasip1/debug/deps/app-0123456789abcdef.wasm"
        ));
        assert!(is_built_to_test(
            "debug/examples/my-app-0123456789abcdef.wasm"
        ));
        for path in [
            "debug/examples/app.wasm",
            "debug/examples/my-app.wasm",
            "debug/examples/my-0123456789abcdeg.wasm",
            "debug/app-0123456789abcdef.wasm",
            "app.wasm",
        ] {
            assert!(!is_built_to_test(path), "{path}");
        }
    }
}
