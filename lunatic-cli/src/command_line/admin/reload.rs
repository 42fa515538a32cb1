//! `lunatic reload` and `lunatic versions`.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use async_io::Timer;
use clap::{Args, ValueEnum};
use futures_lite::future;
use lunatic_admin::{
    ModuleVersions, Reload, ReloadProgress, ReloadResult, Reloaded, ReloadedProcess, Request,
    Response, VersionUse,
};
use serde::Serialize;

use crate::command_line::admin::ask::{Asked, Which, ask, unexpected};
use crate::command_line::admin::shown;
use crate::command_line::diagnosis;
use crate::command_line::output::print_line;
use crate::command_line::problem::Problem;

/// Another version of a module.
#[derive(Debug, Args)]
pub(crate) struct ReloadArguments {
    #[command(flatten)]
    which: Which,

    /// The name of the module; by default that of --name, the stem of the file, or the only
    /// module.
    #[arg(long)]
    module: Option<String>,

    /// What becomes of processes of the version before that offer no state.
    #[arg(long, value_enum, default_value_t = Others::Keep)]
    others: Others,

    /// How long to wait for processes to reach a safe point.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    timeout: Duration,

    /// All go back if a process that has moved fails within this time.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    trial: Duration,

    /// How long connections of replaced processes may go on.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    drain: Duration,

    /// Nothing goes back if a process does not move.
    #[arg(long)]
    keep_going: bool,

    /// Kill processes that still run the version before the current one.
    #[arg(long)]
    purge: bool,

    /// Only tell who would move.
    #[arg(long)]
    dry_run: bool,

    /// Tell as JSON.
    #[arg(long)]
    json: bool,

    /// The new version: a `.wasm` or `.wat` file. One that ran before is fine.
    path: PathBuf,
}

/// How versions are told.
#[derive(Debug, Args)]
pub(crate) struct VersionsArguments {
    #[command(flatten)]
    which: Which,

    /// Tell as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Others {
    /// They go on with the old version.
    Keep,
    /// Their supervisors restart them; those without one go on.
    Restart,
    /// They are killed.
    Kill,
    /// A new root process takes the place of the old one, with its sockets.
    Replace,
}

/// So many characters of a kind are shown.
const SHOWN_KIND: usize = 64;

/// The exit code where some processes have moved, and some have not.
const PARTLY: u8 = 3;

/// Has a runtime exchange the code of its processes.
pub(crate) fn reload(arguments: &ReloadArguments) -> Result<ExitCode, Problem> {
    let code = try_reload(arguments);
    if let (true, Err(problem)) = (arguments.json, &code) {
        let (error, _) = problem.clone().into_parts();
        print_line(shown::json(&Refused { error })?)?;
    }
    code
}

/// A reload that has not begun, as JSON.
#[derive(Serialize)]
struct Refused {
    /// Why.
    error: String,
}

fn try_reload(arguments: &ReloadArguments) -> Result<ExitCode, Problem> {
    let bytes = diagnosis::read(&arguments.path)?;
    let request = |modules, strict| {
        Request::Reload(Reload {
            modules,
            strict,
            timeout_ms: millis(arguments.timeout),
            trial_ms: millis(arguments.trial),
            keep_going: arguments.keep_going,
            dry_run: arguments.dry_run,
            purge: arguments.purge,
            others: match arguments.others {
                Others::Keep => lunatic_admin::Others::Keep,
                Others::Restart => lunatic_admin::Others::Restart,
                Others::Kill => lunatic_admin::Others::Kill,
                Others::Replace => lunatic_admin::Others::Replace,
            },
            drain_ms: millis(arguments.drain),
        })
    };
    /// Compiling a large module takes a while.
    const COMPILING: Duration = Duration::from_secs(300);
    // All may go back, which takes as long again.
    let times = [
        arguments.timeout,
        arguments.timeout,
        arguments.timeout,
        arguments.trial,
    ];
    let more = times.into_iter().fold(COMPILING, Duration::saturating_add);
    let is_watched = !arguments.json && io::stderr().is_terminal();
    let reloaded = future::block_on(async {
        let (mut runtime, is_name_of_module) = Asked::connect_for_module(&arguments.which).await?;
        let (modules, strict) = modules(arguments, is_name_of_module);
        let request = request(modules, strict);
        let progress = Progress::default();
        let answer = runtime.request_with(&request, &bytes, more);
        let answer = match is_watched {
            true => future::or(answer, progress.show(&arguments.which)).await?,
            false => answer.await?,
        };
        match answer {
            Response::Reloaded(reloaded) => Ok(reloaded),
            other => Err(unexpected(&other)),
        }
    })?;
    let code = match reloaded.result {
        _ if arguments.dry_run => ExitCode::SUCCESS,
        ReloadResult::Moved => ExitCode::SUCCESS,
        ReloadResult::Unchanged => ExitCode::FAILURE,
        ReloadResult::Partly => ExitCode::from(PARTLY),
    };
    match arguments.json {
        true => print_line(shown::json(&reloaded)?)?,
        false => print_line(told(&reloaded, arguments.dry_run))?,
    };
    Ok(code)
}

/// The names of modules of which the first one is meant that the runtime has, and whether it has
/// to have one of them.
///
/// - `is_name_of_module`: whether there is no runtime of the name that was given.
fn modules(arguments: &ReloadArguments, is_name_of_module: bool) -> (Vec<String>, bool) {
    if let Some(module) = &arguments.module {
        return (vec![module.clone()], true);
    }
    let mut modules: Vec<_> = arguments
        .which
        .name()
        .map(ToString::to_string)
        .into_iter()
        .collect();
    if !is_name_of_module {
        modules.push(diagnosis::module_name(&arguments.path));
    }
    (modules, is_name_of_module)
}

/// Shows on a terminal how far reloads have come, and wipes it away when dropped.
#[derive(Default)]
struct Progress {
    is_shown: Cell<bool>,
}

/// Goes to the beginning of the line and wipes it away.
const WIPE: &str = "\r\x1b[K";

impl Progress {
    /// Asks the runtime again and again, on another connection. Never ends.
    async fn show<T>(&self, which: &Which) -> T {
        /// A reload that is over soon shows nothing.
        const INTERVAL: Duration = Duration::from_millis(200);
        Timer::after(INTERVAL).await;
        if let Ok((mut runtime, _)) = Asked::connect_for_module(which).await {
            while let Ok(Response::Progress(answer)) = runtime.request(&Request::Progress).await {
                if let Some(reload) = answer.reloads.first() {
                    self.is_shown.set(true);
                    Progress::write(&format!("{WIPE}{}", progress_line(reload)));
                }
                Timer::after(INTERVAL).await;
            }
        }
        // It may be an older runtime: it answers in the end.
        future::pending().await
    }

    fn write(text: &str) {
        // Who does not see it still gets the answer.
        io::stderr().write_all(text.as_bytes()).ok();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown.get() {
            Progress::write(WIPE);
        }
    }
}

fn progress_line(reload: &ReloadProgress) -> String {
    let what = match reload.goes_back {
        true => "going back",
        false => "moving",
    };
    let (module, done) = (shown::text(&reload.module, SHOWN_KIND), reload.done);
    format!("{module}: {what}, {done} of {} processes", reload.total)
}

/// Tells the versions of the modules of a runtime, and what keeps them.
pub(crate) fn versions(arguments: &VersionsArguments) -> Result<ExitCode, Problem> {
    let versions = ask(&arguments.which, async |runtime| {
        match runtime.request(&Request::Versions).await? {
            Response::Versions(versions) => Ok(versions),
            other => Err(unexpected(&other)),
        }
    })?;
    if arguments.json {
        return print_line(shown::json(&versions)?);
    }
    if versions.modules.is_empty() {
        return print_line("no module has a name");
    }
    let lines: Vec<_> = versions.modules.iter().map(module_line).collect();
    print_line(lines.join("\n"))
}

/// What a reload has done, for people.
fn told(reloaded: &Reloaded, dry_run: bool) -> String {
    const SHOWN: usize = 20;
    let mut lines = vec![format!(
        "{}: {} → {}",
        reloaded.module,
        short(&reloaded.from),
        short(&reloaded.to)
    )];
    let mut kinds: BTreeMap<&str, (usize, u64)> = BTreeMap::new();
    let mut others: Vec<&ReloadedProcess> = Vec::new();
    let (mut kept, mut would_move) = (0, 0);
    for process in &reloaded.processes {
        match process.pause_us {
            Some(pause) => {
                let (count, longest) = kinds.entry(&process.kind).or_default();
                *count += 1;
                *longest = (*longest).max(pause);
            }
            None => others.push(process),
        }
        kept += usize::from(process.outcome == "kept");
        would_move += usize::from(process.outcome == "not_asked");
    }
    let has_moved = !kinds.is_empty() || reloaded.left_out > 0;
    for (kind, (count, longest)) in kinds.iter().take(SHOWN) {
        let kind = shown::text(kind, SHOWN_KIND);
        lines.push(format!(
            "  {kind}: {count} moved, longest pause {longest} µs"
        ));
    }
    if kinds.len() > SHOWN {
        lines.push(format!("  … and {} more kinds", kinds.len() - SHOWN));
    }
    let shown = others.iter().take(SHOWN);
    lines.extend(shown.map(|process| match process.kind.as_str() {
        "" => format!("  process {}: {}", process.pid, process.text),
        kind => {
            let kind = shown::text(kind, SHOWN_KIND);
            format!("  process {} ({kind}): {}", process.pid, process.text)
        }
    }));
    if others.len() > SHOWN {
        lines.push(format!("  … and {} more", others.len() - SHOWN));
    }
    if reloaded.left_out > 0 {
        let left_out = processes(reloaded.left_out);
        lines.push(format!("  {left_out} more, most of which have moved"));
    }
    lines.push(match (dry_run, reloaded.result) {
        (true, _) => format!(
            "{} would move; nothing was changed",
            processes(would_move + reloaded.left_out)
        ),
        (_, ReloadResult::Moved) if reloaded.from == reloaded.to => {
            "this version was current already, and is that of all processes now".to_owned()
        }
        (_, ReloadResult::Moved) if kept > 0 && !has_moved => {
            "the new version is current, and nothing has moved; see --others".to_owned()
        }
        (_, ReloadResult::Moved) => "the new version is current".to_owned(),
        (_, ReloadResult::Unchanged) if reloaded.from == reloaded.to => {
            "this version is current already".to_owned()
        }
        (_, ReloadResult::Unchanged) => "nothing has changed".to_owned(),
        (_, ReloadResult::Partly) => "some processes have not moved".to_owned(),
    });
    lines.join("\n")
}

/// So many processes, in words.
fn processes(count: usize) -> String {
    match count {
        1 => "1 process".to_owned(),
        _ => format!("{count} processes"),
    }
}

/// So many of something whose plural has an `s`.
fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

fn module_line(module: &ModuleVersions) -> String {
    let current = version_line("current", &module.current);
    let old = module.old.iter().chain(&module.older);
    let reloading = match module.reloading {
        true => ", a reload goes on",
        false => "",
    };
    let mut text = format!(
        "{}: {} offering{reloading}\n{current}",
        module.module, module.offering
    );
    for old in old {
        text.push('\n');
        text.push_str(&version_line("old", old));
    }
    text
}

fn version_line(what: &str, version: &VersionUse) -> String {
    let mut line = format!(
        "  {what:<8}{}  {}, {}, {} (in tables and messages)",
        short(&version.hash),
        processes(version.processes),
        counted(version.child_records, "child record"),
        counted(version.handles, "other handle"),
    );
    let entries: Vec<_> = version
        .entries
        .iter()
        .map(|(kind, version)| format!("{} {version}", shown::text(kind, SHOWN_KIND)))
        .collect();
    if !entries.is_empty() {
        line.push_str(&format!(", takes over {}", entries.join(", ")));
    }
    line
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A time like `500ms`, `10s` or `2m`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no time; write one like 500ms, 10s or 2m");
    let digits = text.trim_end_matches(|unit: char| unit.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let unit = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        _ => return Err(wrong()),
    };
    let millis = number.checked_mul(unit).ok_or_else(wrong)?;
    Ok(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_on_one_line() {
        let mut reload = ReloadProgress {
            module: "shop\u{1b}[2J".to_owned(),
            done: 3,
            total: 10,
            goes_back: false,
        };
        let moving = r"shop\u{1b}[2J: moving, 3 of 10 processes";
        assert_eq!(progress_line(&reload), moving);
        reload.goes_back = true;
        let back = r"shop\u{1b}[2J: going back, 3 of 10 processes";
        assert_eq!(progress_line(&reload), back);
    }

    #[test]
    fn times_have_a_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["", "10", "s", "1h", "-1s", "99999999999999999999s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
