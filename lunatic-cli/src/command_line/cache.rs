//! `lunatic cache`, and where compiled modules are kept.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::command_line::arguments::{Cache, CacheAction};
use crate::command_line::output::print_line;
use crate::command_line::problem::Problem;

/// Shows or clears the cache.
pub(crate) fn cache(cache: &Cache) -> Result<ExitCode, Problem> {
    let directory = directory().ok_or_else(|| {
        Problem::new("there is no place for a cache")
            .help("set HOME, or XDG_CACHE_HOME to an absolute path")
    })?;
    let shown = directory.display();
    match cache.action {
        CacheAction::Dir => print_line(shown),
        CacheAction::Clear => match std::fs::remove_dir_all(&directory) {
            Ok(()) => print_line(format_args!("deleted {shown}")),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                print_line(format_args!("there was nothing in {shown}"))
            }
            Err(error) => Err(Problem::new(format!("cannot delete {shown}: {error}"))),
        },
    }
}

/// Where compiled modules are kept, if there is a place for caches at all.
pub(crate) fn directory() -> Option<PathBuf> {
    let absolute = |name| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    absolute("XDG_CACHE_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".cache")))
        .map(|caches| caches.join("lunatic"))
}
