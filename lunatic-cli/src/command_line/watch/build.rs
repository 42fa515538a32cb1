//! `--build`: a command that makes the modules, whenever a source has changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use lunatic_error::{MAX_LOGGED_BYTES, on_one_line};

use crate::command_line::log_writer;
use crate::command_line::watch::stamp::Stamp;

/// How often the sources are looked at.
const INTERVAL: Duration = Duration::from_millis(300);

/// A command, and the files below the current directory: when one of them has changed it is
/// run. Hidden ones do not count, nor what is in `target` or `node_modules`.
///
/// A file that changes while the command runs may be a source or a result. It is taken for a
/// source the first time, and for a result if it changes while the command runs again.
pub(crate) struct Build {
    line: String,
    /// Results, which are no sources.
    results: Vec<PathBuf>,
    running: Option<Running>,
    /// The sources as the command knows them; `None` before it has run.
    built: Option<Sources>,
    /// The sources as they were when they were looked at, and when that was.
    seen: Sources,
    looked: Option<Instant>,
    /// What has changed while the command ran the last time.
    changed: Sources,
}

type Sources = BTreeMap<PathBuf, Stamp>;

struct Running {
    child: Child,
    /// The sources when it was started.
    sources: Sources,
}

impl Build {
    /// A command that has not been run.
    ///
    /// - `line`: for the shell.
    /// - `results`: the files that it makes.
    pub(crate) fn new(line: &str, results: impl IntoIterator<Item = impl AsRef<Path>>) -> Build {
        let here = std::env::current_dir().unwrap_or_default();
        let below_here = |path: &Path| {
            let path = path.strip_prefix(&here).unwrap_or(path);
            path.strip_prefix(".").unwrap_or(path).to_owned()
        };
        let results = results.into_iter();
        Build {
            line: line.to_owned(),
            results: results.map(|path| below_here(path.as_ref())).collect(),
            running: None,
            built: None,
            seen: Sources::new(),
            looked: None,
            changed: Sources::new(),
        }
    }

    /// Runs the command once, and waits for its end.
    pub(crate) fn run_once(&mut self) {
        while self.go_on() {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Starts the command if there is something to do, and tells how it has ended. Returns
    /// whether it runs.
    pub(crate) fn go_on(&mut self) -> bool {
        if let Some(running) = &mut self.running {
            match running.child.try_wait() {
                Ok(None) => return true,
                Ok(Some(status)) => self.told(status),
                Err(error) => self.say(&format!("cannot be waited for: {error}")),
            }
            self.has_ended();
            return false;
        }
        let is_soon = self
            .looked
            .is_some_and(|looked| looked.elapsed() < INTERVAL);
        if is_soon {
            return false;
        }
        let now = self.sources();
        self.looked = Some(Instant::now());
        // An editor may write several files.
        let is_at_rest = self.built.is_none() || now == self.seen;
        self.seen.clone_from(&now);
        if !is_at_rest || self.built.as_ref() == Some(&now) {
            return false;
        }
        self.start(now)
    }

    fn start(&mut self, sources: Sources) -> bool {
        let started = Command::new("sh")
            .args(["-c", &self.line])
            .stdin(Stdio::null())
            .spawn();
        match started {
            Ok(child) => {
                self.running = Some(Running { child, sources });
                true
            }
            Err(error) => {
                self.say(&format!("cannot be run: {error}"));
                self.built = Some(sources);
                false
            }
        }
    }

    fn told(&self, status: ExitStatus) {
        if !status.success() {
            self.say(&format!(
                "has failed ({status}); what it has made before stays"
            ));
        }
    }

    fn has_ended(&mut self) {
        let Some(running) = self.running.take() else {
            return;
        };
        let mut known = running.sources;
        let mut changed = Sources::new();
        for (path, stamp) in self.sources() {
            if known.get(&path) == Some(&stamp) {
                continue;
            }
            if self.changed.contains_key(&path) {
                known.insert(path.clone(), stamp);
            }
            changed.insert(path, stamp);
        }
        self.changed = changed;
        self.built = Some(known);
        self.looked = None;
    }

    fn sources(&self) -> Sources {
        let mut sources = Sources::new();
        let mut directories = vec![PathBuf::new()];
        while let Some(directory) = directories.pop() {
            let listed = match directory.as_os_str().is_empty() {
                true => fs::read_dir("."),
                false => fs::read_dir(&directory),
            };
            // What cannot be read is no source.
            for entry in listed.into_iter().flatten().flatten() {
                let name = entry.file_name();
                let path = directory.join(&name);
                let Ok(metadata) = entry.metadata() else {
                    continue;
                };
                let name = name.to_string_lossy();
                if name.starts_with('.') || self.is_result(&path) {
                    continue;
                }
                if metadata.is_dir() {
                    if name != "target" && name != "node_modules" {
                        directories.push(path);
                    }
                } else {
                    sources.insert(path, Stamp::new(&metadata));
                }
            }
        }
        sources
    }

    fn is_result(&self, path: &Path) -> bool {
        self.results.iter().any(|result| result == path)
    }

    fn say(&self, what: &str) {
        let line = format!("`{}` {what}", self.line);
        let line = format!("{}\n", on_one_line(&line, MAX_LOGGED_BYTES));
        log_writer::print(line.into_bytes());
    }
}

impl Drop for Build {
    fn drop(&mut self) {
        if let Some(running) = &mut self.running {
            // It may have ended.
            running.child.kill().ok();
            running.child.wait().ok();
        }
    }
}
