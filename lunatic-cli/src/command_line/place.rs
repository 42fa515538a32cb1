//! Places of files that are written when a program has ended.

use std::path::Path;

use crate::command_line::problem::Problem;

/// Checks that there is a directory for such a file, before the program runs.
pub(crate) fn check(path: &Path) -> Result<(), Problem> {
    let directory = path.parent().unwrap_or(Path::new(""));
    match directory.as_os_str().is_empty() || directory.is_dir() {
        true => Ok(()),
        false => Err(Problem::new(format!(
            "cannot write `{}`: there is no directory `{}`",
            path.display(),
            directory.display()
        ))
        .help("make the directory, or name another file")),
    }
}
