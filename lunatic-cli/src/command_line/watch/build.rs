//! `--build`: a command that makes the modules, whenever a source has changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use lunatic_error::{MAX_LOGGED_BYTES, on_one_line};

use crate::command_line::log_writer;
use crate::command_line::watch::packages::Beside;
use crate::command_line::watch::stamp::Stamp;

/// How often the sources are looked at.
const INTERVAL: Duration = Duration::from_millis(300);

/// A command, and the files below the current directory: when one of them has changed it is
/// run. Hidden ones do not count, nor what is in `target` or `node_modules`.
///
/// In a project of cargo's, the files of the packages elsewhere that it depends on by their paths count
/// too. Which packages those are is asked before the command runs, and again when a manifest has changed.
///
/// A file that changes while the command runs may be a source or a result. It is taken for a
/// source the first time, and for a result if it changes while the command runs again.
pub(crate) struct Build {
    line: String,
    /// Results, which are no sources.
    results: Vec<PathBuf>,
    running: Option<Running>,
    /// The current directory.
    here: PathBuf,
    /// What is watched beside it, as far as cargo has told.
    beside: Option<Beside>,
    asking: Option<Asking>,
    /// Whether cargo did not know before the command ran.
    is_asked_again: bool,
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

/// A question to cargo, what is watched beside the current directory.
struct Asking {
    thread: JoinHandle<Option<Beside>>,
    /// Whether the command runs after it.
    is_before: bool,
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
            beside: None,
            asking: None,
            is_asked_again: false,
            built: None,
            seen: Sources::new(),
            looked: None,
            changed: Sources::new(),
            here,
        }
    }

    /// Runs the command once, and waits for its end.
    pub(crate) fn run_once(&mut self) {
        while self.go_on() {
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Starts the command if there is something to do, and tells how it has ended. Returns
    /// whether it runs, or is about to.
    pub(crate) fn go_on(&mut self) -> bool {
        if let Some(running) = &mut self.running {
            match running.child.try_wait() {
                Ok(None) => return true,
                Ok(Some(status)) => self.told(status),
                Err(error) => self.say(&format!("cannot be waited for: {error}")),
            }
            self.has_ended();
            if self.is_asked_again {
                self.ask(false);
            }
            return self.asking.is_some();
        }
        if let Some(asking) = self.asking.take() {
            if !asking.thread.is_finished() {
                self.asking = Some(asking);
                return true;
            }
            return self.was_told(asking);
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
        if self.beside.is_none() || manifests(self.built.as_ref()).ne(manifests(Some(&now))) {
            self.ask(true);
            if self.asking.is_some() {
                return true;
            }
        }
        self.start(now)
    }

    /// Asks cargo what is watched beside the current directory, if there can be a thread that waits for it.
    fn ask(&mut self, is_before: bool) {
        let here = self.here.clone();
        let spawned = thread::Builder::new().spawn(move || Beside::find(&here));
        self.is_asked_again = false;
        self.asking = spawned.ok().map(|thread| Asking { thread, is_before });
    }

    /// Takes the answer. Returns whether the command runs then.
    fn was_told(&mut self, asking: Asking) -> bool {
        // A panic would be one of this program, and is logged.
        let beside = asking.thread.join().unwrap_or_default();
        self.is_asked_again = asking.is_before && beside.is_none();
        if beside.is_some() {
            self.beside = beside;
        }
        let now = self.sources();
        if asking.is_before {
            return self.start(now);
        }
        // The command has seen what is found only now.
        if let Some(built) = &mut self.built {
            built.retain(|path, _| path.is_relative() || now.contains_key(path));
            for (path, stamp) in now.iter().filter(|(path, _)| path.is_absolute()) {
                built.entry(path.clone()).or_insert(*stamp);
            }
        }
        false
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
            return;
        }
        let mut results = self.results.iter().map(|path| self.here.join(path));
        if let Some(missing) = results.find(|path| !path.exists()) {
            let missing = missing.strip_prefix(&self.here).unwrap_or(&missing);
            self.say(&format!(
                "has not made `{}`, which is waited for",
                missing.display()
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

    /// All files that count: relative paths below the current directory, and absolute ones elsewhere.
    fn sources(&self) -> Sources {
        let mut sources = Sources::new();
        self.add_files(PathBuf::new(), &mut sources);
        if let Some(beside) = &self.beside {
            for package in &beside.packages {
                self.add_files(package.clone(), &mut sources);
            }
            let workspace = beside.workspace.iter();
            sources.extend(workspace.filter_map(|path| Some((path.clone(), Stamp::of(path)?))));
        }
        sources
    }

    /// Adds what is below a directory: the current one, which is the empty path, or that of a package.
    fn add_files(&self, top: PathBuf, sources: &mut Sources) {
        let is_beside = !top.as_os_str().is_empty();
        let mut directories = vec![top];
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
                    // A package in a package is one of its own, which counts if it is needed.
                    let is_another =
                        is_beside && (path == self.here || path.join("Cargo.toml").exists());
                    if name != "target" && name != "node_modules" && !is_another {
                        directories.push(path);
                    }
                } else {
                    sources.insert(path, Stamp::new(&metadata));
                }
            }
        }
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

/// The files of cargo's that tell which packages there are.
fn manifests(sources: Option<&Sources>) -> impl Iterator<Item = (&PathBuf, &Stamp)> {
    let is_manifest = |path: &Path| path.ends_with("Cargo.toml") || path.ends_with("Cargo.lock");
    let sources = sources.into_iter().flatten();
    sources.filter(move |(path, _)| is_manifest(path))
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
