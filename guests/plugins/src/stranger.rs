//! A plugin of a stranger: what it is given, and how it is run.

use std::time::Duration;

use lunatic::{LunaticError, Process, ProcessConfig, WasmModule};
use lunatic_guest::account::{self, Limits, Right};
use lunatic_guest::directory;
use lunatic_guest::process::{self, ExitReason, ProcessId};

/// How long a plugin may run.
const TIME: Duration = Duration::from_secs(1);

/// What all processes of a plugin may use together.
fn limits() -> Limits {
    Limits::default()
        .memory(32 << 20)
        .processes(16)
        .descriptors(16)
        .timers(100)
        .names(100)
        // 50 ms in each second.
        .cpu(50_000)
}

/// Runs the export `run` of a plugin in a branch of its own until it ends or its time is
/// over, and says what became of it.
///
/// - `directory`: the one that it can use.
///
/// # Errors
///
/// Fails if it cannot be compiled or started.
pub fn run(plugin: &[u8], directory: &str) -> Result<String, LunaticError> {
    let module = WasmModule::new(plugin)?;
    let config = config(directory)?;
    let process: Process<()> = module.spawn_config("run", &[], &config)?;
    let process = ProcessId(process.id());
    let end = process::wait(process, Some(TIME));
    process::kill(process);
    Ok(match end {
        None => "was killed since its time was over".to_owned(),
        Some(ExitReason::Normal) => "has ended".to_owned(),
        // It was sooner than this process, which only then asked how it ends.
        Some(ExitReason::NoProcess) => "has ended at once".to_owned(),
        Some(ExitReason::Failed(error)) => format!("has failed: {error}"),
        Some(other) => format!("has ended: {other:?}"),
    })
}

fn config(path: &str) -> Result<ProcessConfig, LunaticError> {
    let config = ProcessConfig::new()?;
    let id = config.id() as u64;
    directory::preopen(id, path);
    limits().set(id);
    // It can still send to this process, which spawned it.
    account::grant(id, Right::SendOutside, false);
    Ok(config)
}
