//! A child: a program or a supervisor, and how it is supervised itself.

use lunatic_supervisor::{ChildKind, ChildSpec, Flags, Restart, ShutdownPolicy, SpecError};

use crate::command_line::manifest::ParseContext;
use crate::command_line::manifest::application::ProgramOrSupervisor;
use crate::command_line::manifest::diagnostic::{Diagnostic, Diagnostics, Located};
use crate::command_line::manifest::table::{Table, Value};
use crate::command_line::manifest::value::{boolean, choice, duration, integer, name, text};
use crate::command_line::manifest::{program, supervisor};

const RESTARTS: [(&str, Restart); 3] = [
    ("permanent", Restart::Permanent),
    ("transient", Restart::Transient),
    ("temporary", Restart::Temporary),
];

/// The most children that one table can stand for.
const MAX_COUNT: u64 = 100_000;

/// Reads what a table says of a child, or of several that differ in their names.
///
/// - `flags`: of its supervisor.
pub(super) fn read(
    mut table: Table<'_>,
    flags: &Flags,
    context: &ParseContext<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<Located<ChildSpec<ProgramOrSupervisor>>>> {
    let name = read_name(&mut table, diagnostics);
    let restart = table.read("restart", diagnostics, |key, value| {
        choice(key, value, &RESTARTS)
    });
    let shutdown = table.read("shutdown", diagnostics, shutdown);
    let significant = table.read("significant", diagnostics, boolean);
    let count = table.read("count", diagnostics, |key, value| {
        integer(key, value, 1, MAX_COUNT)
    });
    let start = start(&mut table, context, diagnostics);
    let significant_span = table.key_span("significant");
    table.finish(diagnostics);

    let name = name?;
    let mut spec = ChildSpec::new(&name.value, start?);
    if matches!(spec.start, ProgramOrSupervisor::Supervisor(_)) {
        spec.kind = ChildKind::Supervisor;
        spec.shutdown = ShutdownPolicy::Infinity;
    }
    spec.restart = restart.unwrap_or_default();
    spec.shutdown = shutdown.unwrap_or(spec.shutdown);
    spec.significant = significant.unwrap_or_default();
    if let Err(error) = flags.check_child(&spec) {
        let span = significant_span.unwrap_or(name.span.clone());
        let help = match &error {
            SpecError::SignificantForNothing(_) => {
                "give its supervisor `auto_shutdown = \"any_significant\"` or `\"all_significant\"`"
            }
            _ => "make it `transient` or `temporary`",
        };
        diagnostics.push(Diagnostic::new(span, error).help(help));
    }
    Some(numbered(spec, &name, count))
}

fn read_name(table: &mut Table<'_>, diagnostics: &mut Diagnostics) -> Option<Located<String>> {
    if !table.has("name") {
        diagnostics.push(Diagnostic::new(table.span(), "this child has no `name`"));
    }
    table.read("name", diagnostics, name)
}

/// One child for each number.
fn numbered(
    spec: ChildSpec<ProgramOrSupervisor>,
    name: &Located<String>,
    count: Option<u64>,
) -> Vec<Located<ChildSpec<ProgramOrSupervisor>>> {
    let located = |value| Located {
        value,
        span: name.span.clone(),
    };
    let Some(count) = count else {
        return vec![located(spec)];
    };
    (1..=count)
        .map(|number| {
            let mut spec = spec.clone();
            spec.name = format!("{}-{number}", spec.name);
            located(spec)
        })
        .collect()
}

/// Who has a `module` is a program, who has `children` a supervisor.
fn start(
    table: &mut Table<'_>,
    context: &ParseContext<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<ProgramOrSupervisor> {
    match (table.has("module"), table.has("children")) {
        (false, true) => {
            let supervisor = supervisor::read(table, context, diagnostics);
            let why = "is for a child with a `module`, and this one has `children`";
            table.refuse(program::KEYS, why, diagnostics);
            Some(ProgramOrSupervisor::Supervisor(supervisor))
        }
        (true, has_children) => {
            let program = program::read(table, context, diagnostics);
            let why = match has_children {
                true => "is for a supervisor, and this child has a `module`; it cannot be both",
                false => "is for a supervisor, and this child has a `module`",
            };
            table.refuse(supervisor::KEYS, why, diagnostics);
            Some(ProgramOrSupervisor::Program(Box::new(program?)))
        }
        (false, false) => {
            let what = "this child has neither a `module` nor `children`";
            diagnostics.push(Diagnostic::new(table.span(), what));
            // A key that either of them has is not unknown.
            program::read(table, context, &mut Diagnostics::default());
            supervisor::read(table, context, &mut Diagnostics::default());
            None
        }
    }
}

/// `brutal_kill`, `infinity`, or a time.
fn shutdown(key: &str, value: Value<'_>) -> Result<ShutdownPolicy, Diagnostic> {
    let word = text(key, value).ok();
    match word.as_ref().map(|word| word.value.as_str()) {
        Some("brutal_kill") => Ok(ShutdownPolicy::BrutalKill),
        Some("infinity") => Ok(ShutdownPolicy::Infinity),
        _ => duration(key, value)
            .map(ShutdownPolicy::Timeout)
            .map_err(|diagnostic| {
                diagnostic
                    .help("it can be a time, as \"5s\" or \"500ms\", `brutal_kill` or `infinity`")
            }),
    }
}
