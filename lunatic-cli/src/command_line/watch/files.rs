//! Files that are looked at until they change.

use std::path::PathBuf;
use std::time::Duration;

use async_io::Timer;
use lunatic_engine::ModuleHash;

use crate::command_line::diagnosis;
use crate::command_line::watch::build::Build;
use crate::command_line::watch::stamp::Stamp;

/// How often the files are looked at.
const INTERVAL: Duration = Duration::from_millis(100);

/// Files of modules, and perhaps a command that makes them.
pub(crate) struct Files {
    files: Vec<File>,
    build: Option<Build>,
}

struct File {
    path: PathBuf,
    /// As it was when it was looked at.
    seen: Option<Stamp>,
    /// As it was when it was read.
    read: Option<Stamp>,
    /// What was in it then, if it was read here.
    hash: Option<ModuleHash>,
}

/// What is in a file now.
pub(crate) struct Changed {
    /// Which of the files it is.
    pub(crate) path: PathBuf,
    /// All of it.
    pub(crate) bytes: Vec<u8>,
}

impl Files {
    /// Files of which none was read.
    ///
    /// - `build`: what makes them; until it was done once, none is read.
    pub(crate) fn new(paths: impl IntoIterator<Item = PathBuf>, build: Option<Build>) -> Files {
        let file = |path: PathBuf| File {
            path,
            seen: None,
            read: None,
            hash: None,
        };
        Files {
            files: paths.into_iter().map(file).collect(),
            build,
        }
    }

    /// The files are known as they are now: only what changes from now on counts.
    pub(crate) fn are_read(&mut self) {
        for file in &mut self.files {
            file.read = Stamp::of(&file.path);
            file.seen = file.read;
        }
    }

    /// Waits until a file has changed, and reads it when nothing has written to it for a
    /// while. To drop the future loses nothing.
    pub(crate) async fn next(&mut self) -> Changed {
        loop {
            let is_building = self.build.as_mut().is_some_and(Build::go_on);
            if !is_building && let Some(changed) = self.look() {
                return changed;
            }
            Timer::after(INTERVAL).await;
        }
    }

    fn look(&mut self) -> Option<Changed> {
        for file in &mut self.files {
            let now = Stamp::of(&file.path);
            let is_at_rest = now == file.seen;
            file.seen = now;
            if now.is_none() || !is_at_rest || now == file.read {
                continue;
            }
            file.read = now;
            match diagnosis::read(&file.path) {
                Ok(bytes) => {
                    let hash = ModuleHash::of(&bytes);
                    if file.hash.replace(hash) == Some(hash) {
                        // It was written anew, and is the same.
                        continue;
                    }
                    return Some(Changed {
                        path: file.path.clone(),
                        bytes,
                    });
                }
                Err(problem) => {
                    problem.print();
                }
            }
        }
        None
    }
}
