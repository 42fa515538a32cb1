//! Where log lines go.

use std::io::IsTerminal;
use std::sync::OnceLock;

use anstream::{AutoStream, ColorChoice};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::reload::Handle;

use crate::command_line::log_format::LimitedFields;
use crate::command_line::log_writer::LogWriter;
use crate::command_line::problem::Problem;

const VARIABLE: &str = "RUST_LOG";

/// The most bytes of a line on a terminal, where somebody reads it.
const MAX_ON_TERMINAL: usize = 1024;

/// The most bytes of a line that goes elsewhere.
const MAX_ELSEWHERE: usize = lunatic_error::MAX_LOGGED_BYTES;

/// Sends log lines to standard error, filtered by `RUST_LOG`. They are written by
/// the time [`log_writer::flush`](crate::command_line::log_writer::flush) returns.
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
    let stderr = std::io::stderr();
    let is_terminal = stderr.is_terminal();
    // As for all else that is printed: `NO_COLOR` and its like decide.
    let is_coloured = AutoStream::choice(&stderr) != ColorChoice::Never;
    let max = match is_terminal {
        true => MAX_ON_TERMINAL,
        false => MAX_ELSEWHERE,
    };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| LogWriter)
        .fmt_fields(LimitedFields { max })
        .with_target(false)
        .with_ansi(is_coloured)
        // It would be printed to standard error at once, which may block or fail.
        .log_internal_errors(false);
    match is_terminal {
        true => {
            let lines = lines.without_time().with_filter_reloading();
            set_later(lines.reload_handle());
            lines.init();
        }
        false => {
            let lines = lines.with_filter_reloading();
            set_later(lines.reload_handle());
            lines.init();
        }
    }
    Ok(())
}

/// Filters by something else from now on, unless `RUST_LOG` is set.
pub(crate) fn set_default(default: &str) {
    let set = SET.get().filter(|_| std::env::var_os(VARIABLE).is_none());
    if let Some(set) = set {
        set(EnvFilter::new(default));
    }
}

/// Exchanges the filter.
static SET: OnceLock<Box<dyn Fn(EnvFilter) + Send + Sync>> = OnceLock::new();

fn set_later<S: 'static>(handle: Handle<EnvFilter, S>) {
    // It fails if logging has ended.
    let set = move |filter| drop(handle.reload(filter));
    SET.set(Box::new(set)).ok();
}
