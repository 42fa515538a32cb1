//! `lunatic run --watch`: the file of a module is looked at, and a new version of it takes
//! the place of the old one.

mod build;
mod files;
mod packages;
mod project;
mod stamp;

use std::future;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use async_io::Timer;
use futures_lite::future::{block_on, or};
use lunatic_error::{MAX_LOGGED_BYTES, on_one_line, with_causes};
use lunatic_process::ExitReason;
use lunatic_reload::{Outcome, ReloadError, ReloadResult, Report};

use crate::command_line::arguments::Run;
use crate::command_line::problem::Problem;
use crate::command_line::signals::Signals;
use crate::command_line::{admin, diagnosis, log_writer, run};
use crate::{Others, Program, ReloadFailure, Reloading, ReplaceLimits, Root, Runtime};

pub(crate) use build::Build;
pub(crate) use files::{Changed, Files};
pub(crate) use project::build_line;

/// How long a new version has until it accepts its first connection.
const START_LIMIT: Duration = Duration::from_secs(5);

/// Runs a program until a signal comes: whenever its file has changed, the new version takes
/// the place of the old one. If the program ends, its next version is waited for.
pub(crate) fn watch(run: &Run) -> Result<ExitCode, Problem> {
    if run.is_stdin() {
        return Err(Problem::new("standard input cannot be watched").help("name a file"));
    }
    let path = run.path();
    run.recording.start("warn")?;
    let runtime = run.recording.of(run::runtime(&run.engine));
    let runtime = runtime.start().map_err(Problem::new)?;
    block_on(async {
        // What is wrong with the flags cannot be mended by another version of the module.
        run::check_dirs(&run::config(&path, run)?, run.names_no_dir()).await?;
        let mut signals = Signals::listen()?;
        let _admin = admin::listen(&runtime, &run.naming)?;
        let _shown = run.views.show(&runtime)?;
        let build = run.build.clone().or_else(|| build_line([&*path]));
        let is_built = build.is_some();
        let build = build.map(|line| Build::new(&line, [&path]));
        let mut watched = Watched {
            runtime: &runtime,
            run,
            name: run.module_name(&path),
            files: Files::new([path.clone()], build),
            path,
            program: None,
            runs: false,
        };
        if !is_built && !watched.path.exists() {
            say(&watched.path, "is not there yet, and is waited for");
        }
        let watching = async {
            watched.go_on().await;
            future::pending().await
        };
        let code = or(async { signals.next().await }, watching).await;
        run::shut_down(&runtime, &mut signals).await;
        Ok(ExitCode::from(code))
    })
}

/// A program whose file is watched.
struct Watched<'a> {
    runtime: &'a Runtime,
    run: &'a Run,
    /// By which the module is reloaded.
    name: String,
    path: PathBuf,
    files: Files,
    /// Once it has started.
    program: Option<Program>,
    /// Whether its root process has not ended.
    runs: bool,
}

enum Happened {
    /// This is in the file now.
    Changed(Vec<u8>),
    Ended(ExitReason),
}

impl Watched<'_> {
    /// Never ends.
    async fn go_on(&mut self) {
        loop {
            let program = self.program.clone().filter(|_| self.runs);
            let ended = async {
                match program {
                    Some(program) => Happened::Ended(program.wait().await),
                    None => future::pending().await,
                }
            };
            let changed = async { Happened::Changed(self.files.next().await.bytes) };
            match or(ended, changed).await {
                Happened::Ended(reason) => self.end(&reason).await,
                Happened::Changed(bytes) if self.runs => self.reload(bytes).await,
                Happened::Changed(bytes) => {
                    if let Err(problem) = self.start(bytes).await {
                        problem.print();
                        say(&self.path, "waits for its next version");
                    }
                }
            }
        }
    }

    /// The program has ended: so do the processes that are left.
    async fn end(&mut self, reason: &ExitReason) {
        self.runs = false;
        if let Some(program) = &self.program {
            program.environment().shut_down().await;
        }
        self.runtime.main_environment().flush_log();
        run::report(&self.path, reason);
        say(
            &self.path,
            "has ended, and waits for its next version; Ctrl-C ends it",
        );
    }

    /// Starts the program, which does not run.
    async fn start(&mut self, bytes: Vec<u8>) -> Result<(), Problem> {
        let (runtime, path) = (self.runtime, &self.path);
        if let Some(program) = &self.program {
            let reloaded = reload_in_turn(runtime, &self.name, bytes, Others::Keep).await;
            reloaded.map_err(|error| not_reloaded(path, &error))?;
            let started = program.start_again(runtime).await;
            started.map_err(|error| {
                let (path, error) = (path.display(), with_causes(&error));
                Problem::new(format!("cannot start `{path}`: {error}"))
            })?;
        } else {
            let module = diagnosis::load_as(runtime, &self.name, path, bytes).await?;
            if !module
                .exported_functions()
                .any(|(name, _)| name == run::START)
            {
                return Err(diagnosis::no_start(path, &module));
            }
            // Another version of the module may be the first one that starts.
            self.name = module
                .version_of()
                .map_or(String::new(), |it| it.to_string());
            let root = Root::new(run::START).config(run::config(path, self.run)?);
            let started = runtime.start_program(&module, root).await;
            let started = started.map_err(|failure| diagnosis::not_started(path, &failure))?;
            self.program = Some(started);
        }
        self.runs = true;
        Ok(())
    }

    async fn reload(&self, bytes: Vec<u8>) {
        reload(self.runtime, &self.name, &self.path, bytes, replaced()).await;
    }
}

fn replaced() -> Others {
    // A version that hangs keeps the next one waiting as long.
    Others::Replace(ReplaceLimits {
        start: START_LIMIT,
        ..ReplaceLimits::default()
    })
}

/// How a module is reloaded whose file has changed.
fn how(others: Others) -> Reloading {
    Reloading {
        others,
        purge: true,
        ..Reloading::default()
    }
}

/// Makes what is in a file now the current version of a module, and tells of it. What goes
/// wrong is told too, and the old version goes on.
pub(crate) async fn reload(
    runtime: &Runtime,
    name: &str,
    path: &Path,
    bytes: Vec<u8>,
    others: Others,
) {
    match reload_in_turn(runtime, name, bytes, others).await {
        Ok(report) if report.from == report.to && report.result == ReloadResult::Unchanged => {}
        Ok(report) => say(path, &told(&report)),
        Err(error) => {
            not_reloaded(path, &error).print();
            say(path, "goes on with the old version");
        }
    }
}

/// Reloads a module when no other reload of it goes on any more, which somebody may have asked for.
async fn reload_in_turn(
    runtime: &Runtime,
    name: &str,
    bytes: Vec<u8>,
    others: Others,
) -> Result<Report, ReloadFailure> {
    /// Until it is tried again.
    const AGAIN: Duration = Duration::from_millis(100);
    loop {
        match runtime.reload(name, bytes.clone(), how(others)).await {
            Err(ReloadFailure::Reload(ReloadError::InProgress(_))) => Timer::after(AGAIN).await,
            result => return result,
        };
    }
}

fn not_reloaded(path: &Path, error: &ReloadFailure) -> Problem {
    Problem::new(format!("`{}`: {}", path.display(), with_causes(error)))
}

fn told(report: &Report) -> String {
    let mut outcomes = report.processes.iter().map(|process| &process.outcome);
    match report.result {
        ReloadResult::Moved => "reloaded".to_owned(),
        ReloadResult::Unchanged => {
            let mut why = outcomes.filter(|outcome| {
                matches!(outcome, Outcome::Failed { .. } | Outcome::Stuck { .. })
            });
            match why.next() {
                Some(why) => format!("goes on with the old version: {why}"),
                None => "goes on with the old version".to_owned(),
            }
        }
        ReloadResult::Partly => {
            let is_kept = |outcome: &&Outcome| matches!(outcome, Outcome::Kept { .. });
            let what = "reloaded, but some processes have not moved";
            match outcomes.find(is_kept) {
                Some(kept) => format!("{what}: one {kept}"),
                None => what.to_owned(),
            }
        }
    }
}

/// Tells something of a file, on one line.
fn say(path: &Path, what: &str) {
    let line = format!("`{}`: {what}", path.display());
    let line = format!("{}\n", on_one_line(&line, MAX_LOGGED_BYTES));
    log_writer::print(line.into_bytes());
}
