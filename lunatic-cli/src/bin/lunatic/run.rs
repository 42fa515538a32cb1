//! `lunatic run`.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use async_io::Timer;
use futures_lite::future;
use lunatic_cli::{Config, Root, Runtime, State};
use lunatic_engine::Module;
use lunatic_error::{MAX_LOGGED_BYTES, on_one_line};
use lunatic_process::{ExitReason, FailureKind};
use lunatic_wasi::ConfigError;

use crate::arguments::{Engine, Run};
use crate::problem::Problem;
use crate::signals::Signals;
use crate::{admin, cache, diagnosis, log_writer, logging, test, testing, watch};

/// The entry of a program (ABI §16.1).
const START: &str = "_start";

/// Runs a program; or its tests, if cargo runs a test binary.
pub(crate) fn run(run: Run) -> Result<ExitCode, Problem> {
    let path = run.path();
    logging::start("warn")?;
    let bytes = diagnosis::read(&path)?;
    // What is wrong with the flags is told before a module is compiled, which may take long.
    let config = config(&path, &run)?;
    let runtime = start_runtime(&run.engine)?;
    future::block_on(async {
        check_dirs(&config).await?;
        let name = run.module_name(&path);
        let module = diagnosis::load_as(&runtime, &name, &path, bytes).await?;
        if is_test_run(&run, &module) {
            return test::run_by_cargo(&runtime, &module, &run).await;
        }
        run_program(&runtime, module, &path, &run, config).await
    })
}

impl Run {
    /// The name by which its module is reloaded.
    fn module_name(&self, path: &Path) -> String {
        let name = self.naming.name().map(ToString::to_string);
        name.unwrap_or_else(|| diagnosis::module_name(path))
    }
}

pub(crate) fn start_runtime(engine: &Engine) -> Result<Runtime, Problem> {
    let builder = Runtime::builder().geometry(engine.memory.into());
    let builder = match engine.max_memory {
        Some(bytes) => builder.max_memory(bytes),
        None => builder,
    };
    let builder = match cache::directory() {
        Some(directory) if !engine.no_cache => builder.compile_cache(directory),
        // Another start of the program will use it.
        Some(directory) => {
            lunatic_fs::protect(&directory);
            builder
        }
        None => builder,
    };
    builder.start().map_err(Problem::new)
}

/// Whether this is cargo running a binary that has tests: then, and not for
/// benchmarks, the arguments are for the test runner.
fn is_test_run(run: &Run, module: &Module<State>) -> bool {
    std::env::var_os("CARGO_MANIFEST_DIR").is_some()
        && !run.guest_args().any(|arg| arg == "--bench")
        && testing::has_tests(module)
}

async fn run_program(
    runtime: &Runtime,
    module: Module<State>,
    path: &Path,
    run: &Run,
    config: Config,
) -> Result<ExitCode, Problem> {
    match module.exported_functions().find(|(name, _)| *name == START) {
        Some((_, true)) => {}
        Some((_, false)) => return Err(diagnosis::start_with_arguments(path)),
        None => return Err(diagnosis::no_start(path, &module)),
    }
    let mut signals = Signals::listen()?;
    let _admin = admin::listen(runtime, &run.naming)?;
    let root = Root::new(START).config(config);
    let program = runtime
        .start_program(&module, root)
        .await
        .map_err(|failure| diagnosis::not_started(path, &failure))?;
    // An old version is to be forgotten when nothing runs it.
    drop(module);
    let told_to_end = async { Ended::BySignal(signals.next().await) };
    let ended = async { Ended::ByItself(program.wait().await) };
    let watching = async {
        match run.watch {
            true => watch::watch(runtime, &run.module_name(path), path).await,
            false => future::pending().await,
        }
        future::pending().await
    };
    match future::or(future::or(ended, told_to_end), watching).await {
        Ended::ByItself(reason) => {
            runtime.main_environment().flush_log();
            Ok(report(path, &reason))
        }
        Ended::BySignal(code) => {
            shut_down(runtime, &mut signals).await;
            Ok(ExitCode::from(code))
        }
    }
}

/// Opens the directories that are given.
pub(crate) async fn check_dirs(config: &Config) -> Result<(), Problem> {
    let opened = config.wasi.clone().open().await;
    opened.map(drop).map_err(|error| diagnosis::no_dir(&error))
}

fn config(path: &Path, run: &Run) -> Result<Config, Problem> {
    let mut config = Config::trusted();
    run.grants.apply(&mut config)?;
    let wasi = config.wasi_mut();
    let name = path.file_name().unwrap_or(path.as_os_str()).to_owned();
    for arg in std::iter::once(name).chain(run.guest_args()) {
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
    Ok(config)
}

enum Ended {
    ByItself(ExitReason),
    /// With the exit code that tells of it.
    BySignal(u8),
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
fn report(path: &Path, reason: &ExitReason) -> ExitCode {
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
    Problem::new(what).print()
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
