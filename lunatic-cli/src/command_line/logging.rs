//! Where log lines go.

use std::fs::File;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::OnceLock;

use anstream::{AutoStream, ColorChoice};
use tracing_subscriber::filter::{EnvFilter, LevelFilter, Targets};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::command_line::log_format::LimitedFields;
use crate::command_line::log_writer::{self, LogWriter};
use crate::command_line::problem::Problem;
use crate::command_line::timeline::Timeline;
use crate::timeline::TARGET;

const VARIABLE: &str = "RUST_LOG";

/// Names the file that log lines go to: what processes print to standard error can look like one.
const FILE_VARIABLE: &str = "LUNATIC_LOG_FILE";

/// The most bytes of a line on a terminal, where somebody reads it.
const MAX_ON_TERMINAL: usize = 1024;

/// The most bytes of a line that goes elsewhere.
const MAX_ELSEWHERE: usize = lunatic_error::MAX_LOGGED_BYTES;

/// Sends log lines to standard error, or to the end of the file that `LUNATIC_LOG_FILE` names,
/// filtered by `RUST_LOG`. They are written by
/// the time [`log_writer::flush`](crate::command_line::log_writer::flush) returns.
///
/// - `default`: the filter if `RUST_LOG` is not set.
pub(crate) fn start(default: &str) -> Result<(), Problem> {
    start_with(default, None)
}

/// Like [`start`], and writes down what took how long.
pub(crate) fn start_with(default: &str, timeline: Option<Timeline>) -> Result<(), Problem> {
    let filter = match std::env::var(VARIABLE) {
        Ok(filter) => EnvFilter::try_new(&filter).map_err(|error| {
            Problem::new(format!("{VARIABLE} is not a log filter: {error}"))
                .help("try RUST_LOG=debug, or RUST_LOG=lunatic_process=trace,warn")
        })?,
        Err(_) => EnvFilter::new(default),
    };
    let file = open_file()?;
    let stderr = std::io::stderr();
    let is_terminal = file.is_none() && stderr.is_terminal();
    // As for all else that is printed: `NO_COLOR` and its like decide.
    let is_coloured = file.is_none() && AutoStream::choice(&stderr) != ColorChoice::Never;
    file.into_iter().for_each(log_writer::write_to);
    let max = match is_terminal {
        true => MAX_ON_TERMINAL,
        false => MAX_ELSEWHERE,
    };
    let (filter, handle) = reload::Layer::new(filter);
    set_later(handle);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(|| LogWriter)
        .fmt_fields(LimitedFields { max })
        .with_target(false)
        .with_ansi(is_coloured)
        // It would be printed to standard error at once, which may block or fail.
        .log_internal_errors(false);
    let lines = match is_terminal {
        true => lines.without_time().boxed(),
        false => lines.boxed(),
    };
    let timeline = timeline.map(|timeline| {
        timeline.with_filter(Targets::new().with_target(TARGET, LevelFilter::TRACE))
    });
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(timeline)
        .init();
    Ok(())
}

/// Opens the file that log lines go to, if there is to be one.
fn open_file() -> Result<Option<File>, Problem> {
    let Some(path) = std::env::var_os(FILE_VARIABLE).filter(|path| !path.is_empty()) else {
        return Ok(None);
    };
    let path = PathBuf::from(path);
    let opened = File::options().create(true).append(true).open(&path);
    let file = opened.map_err(|error| {
        let path = path.display();
        Problem::new(format!("cannot open {path} of {FILE_VARIABLE}: {error}"))
            .help("log lines go to the end of this file; without it, to standard error")
    })?;
    Ok(Some(file))
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
