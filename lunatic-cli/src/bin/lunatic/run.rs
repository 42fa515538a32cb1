//! `lunatic run`.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use async_signal::{Signal, Signals};
use futures_lite::{StreamExt, future};
use lunatic_cli::{Config, Root, Runtime, State};
use lunatic_engine::Module;
use lunatic_process::{ExitReason, FailureKind, Process};

use crate::arguments::{Engine, Run};
use crate::problem::Problem;
use crate::{cache, diagnosis, logging, test, testing};

/// The entry of a program (ABI §16.1).
const START: &str = "_start";

/// Runs a program; or its tests, if cargo runs a test binary.
pub(crate) fn run(run: Run) -> Result<ExitCode, Problem> {
    let path = run.path();
    let bytes = diagnosis::read(&path)?;
    let runtime = start_runtime(&run.engine)?;
    future::block_on(async {
        let module = diagnosis::load(&runtime, &path, bytes).await?;
        if is_test_run(&run, &module) {
            return test::run_by_cargo(&runtime, &module, &run).await;
        }
        logging::start("warn")?;
        run_program(&runtime, &module, &path, &run).await
    })
}

pub(crate) fn start_runtime(engine: &Engine) -> Result<Runtime, Problem> {
    let builder = Runtime::builder().geometry(engine.memory.into());
    let builder = match engine.max_memory {
        Some(bytes) => builder.max_memory(bytes),
        None => builder,
    };
    let builder = match cache::directory() {
        Some(directory) if !engine.no_cache => builder.compile_cache(directory),
        _ => builder,
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
    module: &Module<State>,
    path: &Path,
    run: &Run,
) -> Result<ExitCode, Problem> {
    if !module.exported_functions().any(|(name, _)| name == START) {
        return Err(diagnosis::no_start(path, module));
    }
    let mut signals = signals()?;
    let root = Root::new(START).config(config(path, run)?);
    let process = runtime
        .spawn(module, root)
        .await
        .map_err(|failure| diagnosis::not_started(path, &failure))?;
    match future::or(ended(&process), told_to_end(&mut signals)).await {
        Ended::ByItself(reason) => Ok(report(path, &reason)),
        Ended::BySignal(code) => {
            shut_down(runtime).await;
            Ok(ExitCode::from(code))
        }
    }
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
        wasi.add_arg(&arg)
            .map_err(|error| Problem::new(format!("the argument {arg:?}: {error}")))?;
    }
    Ok(config)
}

enum Ended {
    ByItself(ExitReason),
    /// With the exit code that tells of it.
    BySignal(u8),
}

async fn ended(process: &Process) -> Ended {
    Ended::ByItself(process.wait().await)
}

async fn told_to_end(signals: &mut Signals) -> Ended {
    Ended::BySignal(interrupted(signals).await)
}

/// The signals that tell this program to end.
pub(crate) fn signals() -> Result<Signals, Problem> {
    Signals::new([Signal::Int, Signal::Term])
        .map_err(|error| Problem::new(format!("cannot listen for Ctrl-C: {error}")))
}

/// Waits for a signal; the exit code that tells of it.
pub(crate) async fn interrupted(signals: &mut Signals) -> u8 {
    /// What a shell adds to the number of a signal.
    const SIGNALLED: u8 = 128;
    const INTERRUPT: u8 = 2;
    const TERMINATE: u8 = 15;
    match signals.next().await {
        Some(Ok(Signal::Term)) => SIGNALLED + TERMINATE,
        Some(_) => SIGNALLED + INTERRUPT,
        None => future::pending().await,
    }
}

/// Ends all processes, but does not wait for ever.
pub(crate) async fn shut_down(runtime: &Runtime) {
    const PATIENCE: Duration = Duration::from_secs(5);
    let impatient = async {
        async_io::Timer::after(PATIENCE).await;
    };
    future::or(runtime.shut_down(), impatient).await;
}

/// Tells how the first process ended, and the exit code for that.
fn report(path: &Path, reason: &ExitReason) -> ExitCode {
    let Some(failure) = reason.failure() else {
        return match reason {
            ExitReason::Normal => ExitCode::SUCCESS,
            reason => Problem::new(format!("`{}` ended: {reason}", path.display())).print(),
        };
    };
    if let FailureKind::ExitStatus(status) = failure.kind() {
        // The system passes the low eight bits on.
        return ExitCode::from(*status as u8);
    }
    let mut what = format!("`{}` failed: {failure}", path.display());
    if let Some(backtrace) = failure.backtrace() {
        what.push('\n');
        what.push_str(backtrace.trim_end());
    }
    Problem::new(what).print()
}
