//! `lunatic start`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use async_channel::Sender;
use futures_lite::future;
use lunatic_distributed::Node;
use lunatic_process::ExitReason;
use lunatic_supervisor::{Spec, SupervisorError, SupervisorEvent};

use crate::command_line::arguments::Start;
use crate::command_line::leaving::leave;
use crate::command_line::manifest::{self, Application, Manifest, TreeBuilder};
use crate::command_line::problem::Problem;
use crate::command_line::signals::Signals;
use crate::command_line::views::Views;
use crate::command_line::watch::{self, Build, Changed, Files, build_line};
use crate::command_line::{admin, log_writer, run};
use crate::{Others, Runtime};

/// Runs an application until it ends or is told to.
pub(crate) fn start(start: &Start) -> Result<ExitCode, Problem> {
    let arguments = &start.application;
    // What it says is looked at before anything is started.
    Manifest::read(&arguments.manifest)?.parse()?;
    start.recording.start("warn")?;
    let runtime = start.recording.of(run::runtime(&arguments.engine));
    let runtime = runtime.start().map_err(Problem::new)?;
    let watched = start.watch.then_some(start.build.as_deref());
    let started = start_on(
        &runtime,
        &arguments.manifest,
        &start.naming,
        &start.views,
        watched,
        None,
    );
    future::block_on(started)
}

/// The node that an application runs on.
pub(crate) struct OnNode<'a> {
    pub(crate) node: &'a Node,
    /// The signals that tell the node to end.
    pub(crate) signals: &'a mut Signals,
}

/// Runs an application on a runtime, which is shut down then.
///
/// - `watched`: its modules are reloaded when their files change, and perhaps made by this
///   command.
/// - `on_node`: the runtime is this node, which leaves its cluster at the end.
pub(crate) async fn start_on(
    runtime: &Runtime,
    path: &Path,
    naming: &admin::Naming,
    views: &Views,
    watched: Option<Option<&str>>,
    on_node: Option<OnNode<'_>>,
) -> Result<ExitCode, Problem> {
    let manifest = Manifest::read(path)?;
    let parsed = manifest.parse()?;
    let files = watched.map(|build| files(&parsed.application, build));
    let (application, modules) = manifest::check(&manifest, parsed, runtime).await?;
    let watching = watching(runtime, files, modules.names());
    let _admin = admin::listen(runtime, naming)?;
    let _shown = views.show(runtime)?;
    let builder = TreeBuilder {
        runtime: runtime.clone(),
        modules,
        names: runtime.new_names(),
    };
    let spec = builder.spec(name(path), application.top).await?;
    let mut heard;
    let (node, signals) = match on_node {
        Some(OnNode { node, signals }) => (Some(node), signals),
        None => {
            heard = Signals::listen()?;
            (None, &mut heard)
        }
    };
    let supervised = supervise(runtime, spec, signals, node);
    let ended = future::or(supervised, watching).await?;
    match node {
        Some(node) => leave(node, runtime, signals).await,
        None => run::shut_down(runtime, signals).await,
    }
    ended.exit_code(path)
}

/// The files of all modules, as they are when what makes them has been run.
fn files(application: &Application, build: Option<&str>) -> Files {
    let programs = application.top.programs();
    let paths = programs.iter().map(|program| program.module.value.clone());
    let paths: BTreeSet<PathBuf> = paths.collect();
    let line = build.map(str::to_owned);
    let line = line.or_else(|| build_line(paths.iter().map(PathBuf::as_path)));
    let mut build = line.map(|line| Build::new(&line, &paths));
    if let Some(build) = &mut build {
        build.run_once();
    }
    let mut files = Files::new(paths, build);
    files.are_read();
    files
}

/// Reloads modules whose files have changed. Never ends.
///
/// - `names`: those of the modules, by their files.
async fn watching<T>(
    runtime: &Runtime,
    files: Option<Files>,
    names: BTreeMap<PathBuf, Arc<str>>,
) -> T {
    let Some(mut files) = files else {
        return future::pending().await;
    };
    loop {
        let Changed { path, bytes } = files.next().await;
        if let Some(name) = names.get(&path) {
            watch::reload(runtime, name, &path, bytes, Others::Restart).await;
        }
    }
}

/// The name of the tree in logs; what is below is behind a `/`.
fn name(manifest: &Path) -> String {
    let stem = manifest.file_stem().unwrap_or(manifest.as_os_str());
    stem.to_string_lossy().replace('/', "-")
}

/// How an application ended.
enum Ended {
    /// Its supervisor has, for this reason; and what made it give up, if it has.
    ByItself(ExitReason, Option<GaveUp>),
    /// A child did not start.
    AtStart(SupervisorError),
    /// It was killed before all children had stopped in order; the exit code for
    /// that.
    BySignal(u8),
}

/// Starts a tree and waits for its end. The first signal lets the supervisors
/// stop their children in order, the second one does not wait for that. A node takes nothing new on
/// from the first one on, and its processes reach others until they have ended.
async fn supervise(
    runtime: &Runtime,
    spec: Spec,
    signals: &mut Signals,
    node: Option<&Node>,
) -> Result<Ended, Problem> {
    let seen = Arc::new(Seen::default());
    let (sender, child_has_ended) = async_channel::bounded(1);
    let spec = watched(spec, &seen, sender);
    let started = async { Ok(spec.start(runtime.environment(), None).await) };
    let interrupted = async { Err(signals.next().await) };
    let supervisor = match future::or(started, interrupted).await {
        Ok(Ok(supervisor)) => supervisor,
        Ok(Err(error)) => return Ok(Ended::AtStart(error)),
        Err(code) => return Ok(Ended::BySignal(code)),
    };
    let ended = async {
        let reason = supervisor.wait().await;
        let gave_up = seen.gave_up.get().cloned();
        let gave_up = gave_up.map(|event| GaveUp {
            event,
            ended_normally: seen.ended_normally.get().cloned(),
        });
        Ended::ByItself(reason, gave_up)
    };
    let idle = async {
        loop {
            if child_has_ended.recv().await.is_err() {
                return future::pending().await;
            }
            let counts = supervisor.count_children().await;
            if counts.is_ok_and(|counts| counts.active == 0) {
                tracing::warn!(
                    "no child runs any more; Ctrl-C ends the program, and with `significant = true` \
                     for a child and `auto_shutdown` it ends by itself"
                );
            }
        }
    };
    let interrupted = async {
        signals.next().await;
        if let Some(node) = node {
            node.drain();
        }
        tracing::info!("asked to end: the children are stopped, the last one first");
        supervisor.stop();
        let code = signals.next().await;
        log_writer::hurry();
        Ended::BySignal(code)
    };
    Ok(future::or(ended, future::or(interrupted, idle)).await)
}

/// The tree, with an eye on whether its root gives up.
///
/// - `child_has_ended`: is told when a child has ended that is not started again.
fn watched(spec: Spec, seen: &Arc<Seen>, child_has_ended: Sender<()>) -> Spec {
    let seen = seen.clone();
    spec.observer(move |path, event| {
        if let SupervisorEvent::Ended { .. } = event {
            // One that waits to be looked at is enough.
            child_has_ended.try_send(()).ok();
        }
        let SupervisorEvent::GivingUp { child, reason, .. } = event else {
            return;
        };
        if reason.is_normal() {
            seen.ended_normally.set(child.to_string()).ok();
        }
        if !path.contains('/') {
            seen.gave_up.set(event.clone()).ok();
        }
    })
}

/// What the observer of a tree has seen.
#[derive(Debug, Default)]
struct Seen {
    /// That its root has given up.
    gave_up: OnceLock<SupervisorEvent>,
    /// The child, anywhere in the tree, over whose normal end a supervisor has given up.
    ended_normally: OnceLock<String>,
}

/// That a tree has given up, and why.
struct GaveUp {
    event: SupervisorEvent,
    ended_normally: Option<String>,
}

impl Ended {
    /// Success is a tree that has ended by its own rules, or in order when it was
    /// told to.
    fn exit_code(self, manifest: &Path) -> Result<ExitCode, Problem> {
        let shown = manifest.display();
        match self {
            Ended::BySignal(code) => Ok(ExitCode::from(code)),
            Ended::AtStart(error) => Err(Problem::new(format!("cannot start `{shown}`: {error}"))),
            Ended::ByItself(_, Some(gave_up)) => Err(given_up(manifest, &gave_up)),
            Ended::ByItself(ExitReason::Normal | ExitReason::Shutdown, None) => {
                Ok(ExitCode::SUCCESS)
            }
            Ended::ByItself(reason, None) => Err(Problem::new(format!(
                "the supervisor of `{shown}` ended: {reason}"
            ))),
        }
    }
}

fn given_up(manifest: &Path, gave_up: &GaveUp) -> Problem {
    let shown = manifest.display();
    let SupervisorEvent::GivingUp {
        child,
        reason,
        count,
    } = &gave_up.event
    else {
        return Problem::new(format!("`{shown}` gave up"));
    };
    let limit = count.limit;
    let restarts = match limit.restarts {
        1 => "1 restart".to_owned(),
        restarts => format!("{restarts} restarts"),
    };
    let period = limit.period;
    Problem::new(format!(
        "`{shown}` gave up: more than {restarts} in {period:?}; the last child to end was \
         `{child}`: {reason}"
    ))
    .help(match &gave_up.ended_normally {
        Some(child) => format!(
            "`{child}` ended normally and was started again each time, as `permanent` children \
             are, which is the default; if it may end, give it `restart = \"transient\"`"
        ),
        None => "the warnings above tell of each restart; `intensity` and `period` set the limit"
            .to_owned(),
    })
}
