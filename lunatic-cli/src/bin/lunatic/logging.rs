//! Where log lines go.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::log_format::LimitedFields;
use crate::log_writer::LogWriter;
use crate::problem::Problem;

const VARIABLE: &str = "RUST_LOG";

/// The most bytes of a line on a terminal, where somebody reads it.
const MAX_ON_TERMINAL: usize = 1024;

/// The most bytes of a line that goes elsewhere.
const MAX_ELSEWHERE: usize = lunatic_error::MAX_LOGGED_BYTES;

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
    let max = match is_terminal {
        true => MAX_ON_TERMINAL,
        false => MAX_ELSEWHERE,
    };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| LogWriter)
        .fmt_fields(LimitedFields { max })
        .with_target(false)
        .with_ansi(is_terminal)
        // It would be printed to standard error at once, which may block or fail.
        .log_internal_errors(false);
    match is_terminal {
        true => lines.without_time().init(),
        false => lines.init(),
    }
    Ok(())
}
