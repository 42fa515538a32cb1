//! A child: a program or a supervisor, and how it is supervised itself.

use lunatic_supervisor::{ChildKind, ChildSpec, Flags, Restart, ShutdownPolicy, SpecError};

use crate::manifest::Surroundings;
use crate::manifest::application::Start;
use crate::manifest::complaint::{Complaint, Complaints, Located};
use crate::manifest::table::{Table, Value};
use crate::manifest::value::{boolean, choice, duration, integer, name, text};
use crate::manifest::{program, supervisor};

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
    surroundings: &Surroundings<'_>,
    complaints: &mut Complaints,
) -> Option<Vec<Located<ChildSpec<Start>>>> {
    let name = read_name(&mut table, complaints);
    let restart = table.read("restart", complaints, |key, value| {
        choice(key, value, &RESTARTS)
    });
    let shutdown = table.read("shutdown", complaints, shutdown);
    let significant = table.read("significant", complaints, boolean);
    let count = table.read("count", complaints, |key, value| {
        integer(key, value, 1, MAX_COUNT)
    });
    let start = start(&mut table, surroundings, complaints);
    let significant_span = table.key_span("significant");
    table.finish(complaints);

    let name = name?;
    let mut spec = ChildSpec::new(&name.value, start?);
    if matches!(spec.start, Start::Supervisor(_)) {
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
        complaints.push(Complaint::new(span, error).help(help));
    }
    Some(numbered(spec, &name, count))
}

fn read_name(table: &mut Table<'_>, complaints: &mut Complaints) -> Option<Located<String>> {
    if !table.has("name") {
        complaints.push(Complaint::new(table.span(), "this child has no `name`"));
    }
    table.read("name", complaints, name)
}

/// One child for each number.
fn numbered(
    spec: ChildSpec<Start>,
    name: &Located<String>,
    count: Option<u64>,
) -> Vec<Located<ChildSpec<Start>>> {
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
    surroundings: &Surroundings<'_>,
    complaints: &mut Complaints,
) -> Option<Start> {
    match (table.has("module"), table.has("children")) {
        (false, true) => {
            let supervisor = supervisor::read(table, surroundings, complaints);
            let why = "is for a child with a `module`, and this one has `children`";
            table.refuse(program::KEYS, why, complaints);
            Some(Start::Supervisor(supervisor))
        }
        (true, has_children) => {
            let program = program::read(table, surroundings, complaints);
            let why = match has_children {
                true => "is for a supervisor, and this child has a `module`; it cannot be both",
                false => "is for a supervisor, and this child has a `module`",
            };
            table.refuse(supervisor::KEYS, why, complaints);
            Some(Start::Program(Box::new(program?)))
        }
        (false, false) => {
            let what = "this child has neither a `module` nor `children`";
            complaints.push(Complaint::new(table.span(), what));
            // A key that either of them has is not unknown.
            program::read(table, surroundings, &mut Complaints::default());
            supervisor::read(table, surroundings, &mut Complaints::default());
            None
        }
    }
}

/// `brutal_kill`, `infinity`, or a time.
fn shutdown(key: &str, value: Value<'_>) -> Result<ShutdownPolicy, Complaint> {
    let word = text(key, value).ok();
    match word.as_ref().map(|word| word.value.as_str()) {
        Some("brutal_kill") => Ok(ShutdownPolicy::BrutalKill),
        Some("infinity") => Ok(ShutdownPolicy::Infinity),
        _ => duration(key, value)
            .map(ShutdownPolicy::Timeout)
            .map_err(|complaint| {
                complaint
                    .help("it can be a time, as \"5s\" or \"500ms\", `brutal_kill` or `infinity`")
            }),
    }
}
