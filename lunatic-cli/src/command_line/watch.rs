//! `lunatic run --watch`: the file of a module is looked at, and a new version of it takes
//! the place of the old one.

use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::{Others, Reloading, ReplaceLimits, Runtime};
use async_io::Timer;
use lunatic_error::{MAX_LOGGED_BYTES, on_one_line, with_causes};
use lunatic_reload::{ReloadResult, Report};

use crate::command_line::{diagnosis, log_writer};

/// How often the file is looked at.
const INTERVAL: Duration = Duration::from_millis(100);

/// What tells that a file was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
}

/// Reloads a module whenever its file has changed. What goes wrong is told, and the old
/// version goes on. Never ends.
///
/// - `name`: that of the module.
pub(crate) async fn watch(runtime: &Runtime, name: &str, path: &Path) {
    let mut seen = stamp(path);
    let mut loaded = seen;
    loop {
        Timer::after(INTERVAL).await;
        let now = stamp(path);
        // It is read when nothing has written to it for a while.
        let is_at_rest = now == seen;
        seen = now;
        if now.is_none() || !is_at_rest || now == loaded {
            continue;
        }
        loaded = now;
        let Ok(bytes) = diagnosis::read(path) else {
            continue;
        };
        let how = Reloading {
            others: Others::Replace(ReplaceLimits::default()),
            purge: true,
            ..Reloading::default()
        };
        match runtime.reload(name, bytes, how).await {
            Ok(report) if report.from == report.to => {}
            Ok(report) => say(path, &told(&report)),
            Err(error) => {
                let error = with_causes(&error);
                say(path, &format!("goes on with the old version: {error}"));
            }
        }
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some(Stamp {
        modified: metadata.modified().ok(),
        length: metadata.len(),
    })
}

fn told(report: &Report) -> String {
    let why = report.processes.iter().map(|process| &process.outcome);
    match report.result {
        ReloadResult::Moved => "reloaded".to_owned(),
        ReloadResult::Unchanged => {
            let failed = why.map(ToString::to_string).next_back();
            format!(
                "goes on with the old version: {}",
                failed.unwrap_or_default()
            )
        }
        ReloadResult::Partly => "reloaded, but some processes have not moved".to_owned(),
    }
}

fn say(path: &Path, what: &str) {
    let line = format!("`{}`: {what}\n", path.display());
    let line = format!("{}\n", on_one_line(line.trim_end(), MAX_LOGGED_BYTES));
    log_writer::print(line.into_bytes());
}
