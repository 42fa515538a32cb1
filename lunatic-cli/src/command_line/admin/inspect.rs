//! `lunatic inspect`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use lunatic_admin::{ProcessDetail, ProcessId, QueuedMessage, Request, Response, Target};

use crate::command_line::admin::ask::{Which, ask, unexpected};
use crate::command_line::admin::shown::{self, NOTHING, or_nothing};
use crate::command_line::admin::table::Table;
use crate::command_line::output::print_line;
use crate::command_line::problem::Problem;

/// Which process is told of, and how.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    #[command(flatten)]
    which: Which,

    /// Print an object in JSON.
    #[arg(long)]
    json: bool,

    /// The id of the process, as `lunatic ps` lists it.
    pid: ProcessId,
}

/// The most bytes of a text that a guest has chosen.
const MAX_TEXT: usize = 120;

/// Tells all that is known of a process.
pub(crate) fn inspect(options: &Inspect) -> Result<ExitCode, Problem> {
    let request = Request::Inspect(Target::new(options.pid));
    let detail = ask(&options.which, async |runtime| {
        match runtime.request(&request).await? {
            Response::Process(detail) => Ok(detail),
            other => Err(unexpected(&other)),
        }
    })?;
    match options.json {
        true => print_line(shown::json(&detail)?),
        false => print_line(text(&detail)),
    }
}

pub(super) fn text(detail: &ProcessDetail) -> String {
    let mut lines = vec![headline(detail)];
    let mut field = |name: &str, value: String| lines.push(format!("  {name:<13} {value}"));
    let entry = &detail.entry;
    field("state", state(detail));
    if let Some(described) = &entry.described {
        let (module, hash) = (&described.module, &described.module_hash);
        field(
            "module",
            format!(
                "{} ({})",
                shown::text(module, MAX_TEXT),
                shown::text(hash, 64)
            ),
        );
        field("memory", or_nothing(described.memory.map(shown::bytes)));
    }
    field("mailbox", format!("{} messages", entry.mailbox));
    if !detail.last_messages.is_empty() {
        field("last messages", messages(detail));
    }
    let cpu_time = entry.cpu_us.map(Duration::from_micros).map(shown::time);
    field(
        "CPU time",
        cpu_time.unwrap_or_else(|| "less than a millisecond".into()),
    );
    field("restarts", or_nothing(entry.restarts));
    field("parent", or_nothing(entry.parent));
    field("linked to", ids(&detail.linked_to, entry.links));
    field("monitored by", ids(&detail.watchers, entry.monitored_by));
    field("names", names(&detail.names));
    field("groups", names(&detail.groups));
    for (name, usages) in [("has", &detail.resources), ("account", &detail.account)] {
        let mut name = name;
        for usage in usages {
            field(name, shown::usage(usage));
            name = "";
        }
    }
    if !detail.backtrace.is_empty() {
        lines.push("backtrace, the innermost function first".to_owned());
        let functions = detail.backtrace.iter().enumerate();
        lines.extend(
            functions.map(|(at, name)| format!("  {at:>2}: {}", shown::text(name, MAX_TEXT))),
        );
    }
    if !detail.children.is_empty() {
        lines.push("children".to_owned());
        let children = children(detail);
        lines.extend(children.lines().map(|line| format!("  {line}")));
    }
    lines.join("\n")
}

/// Those that arrived last, the last one behind.
fn messages(detail: &ProcessDetail) -> String {
    let message = |it: &QueuedMessage| match it.tag {
        Some(tag) => format!("{} B (tag {tag})", it.bytes),
        None => format!("{} B", it.bytes),
    };
    let last: Vec<_> = detail.last_messages.iter().map(message).collect();
    last.join(", ")
}

fn headline(detail: &ProcessDetail) -> String {
    let pid = detail.entry.pid;
    match &detail.entry.label {
        Some(label) => format!("process {pid}, {}", shown::text(label, MAX_TEXT)),
        None => format!("process {pid}"),
    }
}

fn state(detail: &ProcessDetail) -> String {
    let entry = &detail.entry;
    if entry.exiting {
        return "it has to exit at its next suspension point".into();
    }
    if entry.running {
        return "running".into();
    }
    match &entry.described {
        Some(described) => match &described.waiting_in {
            Some(function) => format!("waits in {}", shown::text(function, MAX_TEXT)),
            None => "runnable: it waits for a thread".into(),
        },
        None if entry.supervisor => "supervisor".into(),
        None if entry.native => "native: it tells nothing of itself".into(),
        None => "it did not answer in time".into(),
    }
}

fn ids(ids: &[ProcessId], count: usize) -> String {
    const SHOWN: usize = 16;
    let shown: Vec<_> = ids.iter().take(SHOWN).map(ToString::to_string).collect();
    match (shown.len(), count.saturating_sub(shown.len())) {
        (0, _) => NOTHING.to_owned(),
        (_, 0) => shown.join(", "),
        (_, more) => format!("{} and {more} more", shown.join(", ")),
    }
}

fn names(names: &[String]) -> String {
    match names.is_empty() {
        true => NOTHING.to_owned(),
        false => {
            let shown: Vec<_> = names
                .iter()
                .map(|name| shown::text(name, MAX_TEXT))
                .collect();
            shown.join(", ")
        }
    }
}

fn children(detail: &ProcessDetail) -> String {
    let mut table = Table::new(&[
        ("PID", true),
        ("NAME", false),
        ("STATE", false),
        ("RESTARTS", true),
    ]);
    for child in &detail.children {
        table.push(vec![
            or_nothing(child.pid),
            shown::text(&child.name, MAX_TEXT),
            shown::text(&child.status, MAX_TEXT),
            child.restarts.to_string(),
        ]);
    }
    table.into_text()
}
