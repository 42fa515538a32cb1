//! `lunatic run`.

use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use async_io::Timer;
use futures_lite::future;
use lunatic_cli::{Builder, Config, Root, Runtime, State};
use lunatic_engine::Module;
use lunatic_error::{MAX_LOGGED_BYTES, on_one_line};
use lunatic_process::{ExitReason, FailureKind};

use crate::arguments::{Engine, Run};
use crate::problem::Problem;
use crate::signals::Signals;
use crate::{admin, cache, diagnosis, log_writer, logging, test, testing};

/// The entry of a program (ABI §16.1).
pub(crate) const START: &str = "_start";

/// Runs a program; or its tests, if cargo runs a test binary.
pub(crate) fn run(run: Run) -> Result<ExitCode, Problem> {
    let path = run.path();
    let bytes = diagnosis::read(&path)?;
    let runtime = start_runtime(&run.engine)?;
    future::block_on(async {
        let name = run.module_name(&path);
        let module = diagnosis::load_as(&runtime, &name, &path, bytes).await?;
        if is_test_run(&run, &module) {
            return test::run_by_cargo(&runtime, &module, &run).await;
        }
        logging::start("warn")?;
        run_program(&runtime, module, &path, &run).await
    })
}

impl Run {
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
    let builder = Runtime::builder().geometry(engine.memory.into());
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
) -> Result<ExitCode, Problem> {
    if !module.exported_functions().any(|(name, _)| name == START) {
        return Err(diagnosis::no_start(path, &module));
    }
    let mut signals = Signals::listen()?;
    let _admin = admin::listen(runtime, &run.naming)?;
    let root = Root::new(START).config(config(path, run)?);
    let program = runtime
        .start_program(&module, root)
        .await
        .map_err(|failure| diagnosis::not_started(path, &failure))?;
    // An old version is to be forgotten when nothing runs it.
    drop(module);
    let told_to_end = async { Ended::BySignal(signals.next().await) };
    let ended = async { Ended::ByItself(program.wait().await) };
    match future::or(ended, told_to_end).await {
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

/// What a program is given.
pub(crate) fn config(path: &Path, run: &Run) -> Result<Config, Problem> {
    let mut config = Config::trusted();
    run.grants.apply(&mut config)?;
    add_args(&mut config, path, run.guest_args())?;
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
        wasi.add_arg(&arg)
            .map_err(|error| Problem::new(format!("the argument {arg:?}: {error}")))?;
    }
    Ok(())
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
