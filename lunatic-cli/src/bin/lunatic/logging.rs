//! Where log lines go.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::log_writer::LogWriter;
use crate::problem::Problem;

const VARIABLE: &str = "RUST_LOG";

/// Sends log lines to standard error, filtered by `RUST_LOG`. They are written by
/// the time [`log_writer::flush`](crate::log_writer::flush) returns.
///
/// - `default`: the filter if `RUST_LOG` is not set.
pub(crate) fn start(default: &str) -> Result<(), Problem> {
    let filter = match std::env::var(VARIABLE) {
        Ok(filter) => EnvFilter::try_new(&filter).map_err(|error| {
            Problem::new(format!("{VARIABLE} is not a log filter: {error}"))
                .help("try RUST_LOG=debug, or RUST_LOG=lunatic_process=trace,warn")
        })?,
        Err(_) => EnvFilter::new(default),
    };
    let is_terminal = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| LogWriter)
        .with_target(false)
        .with_ansi(is_terminal);
    match is_terminal {
        true => lines.without_time().init(),
        false => lines.init(),
    }
    Ok(())
}
