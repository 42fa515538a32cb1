//! A supervisor: its flags and its children.

use std::time::Duration;

use lunatic_supervisor::{
    AutoShutdown, Backoff, ChildSpec, Flags, Intensity, MAX_RESTARTS, SpecError, Strategy,
};
use rustc_hash::FxHashMap;
use toml::de::DeValue;

use crate::command_line::manifest::ParseContext;
use crate::command_line::manifest::application::{ProgramOrSupervisor, Supervisor};
use crate::command_line::manifest::child;
use crate::command_line::manifest::diagnostic::{Diagnostic, Diagnostics, Located, Span};
use crate::command_line::manifest::table::{Table, Value, wrong_type};
use crate::command_line::manifest::value::{choice, duration, integer};

/// The keys that only a supervisor has.
pub(super) const KEYS: &[&str] = &[
    "strategy",
    "intensity",
    "period",
    "backoff",
    "auto_shutdown",
    "children",
];

const STRATEGIES: [(&str, Strategy); 3] = [
    ("one_for_one", Strategy::OneForOne),
    ("one_for_all", Strategy::OneForAll),
    ("rest_for_one", Strategy::RestForOne),
];

const AUTO_SHUTDOWNS: [(&str, AutoShutdown); 3] = [
    ("never", AutoShutdown::Never),
    ("any_significant", AutoShutdown::AnySignificant),
    ("all_significant", AutoShutdown::AllSignificant),
];

/// Reads what a table says of a supervisor.
pub(super) fn read(
    table: &mut Table<'_>,
    context: &ParseContext<'_>,
    diagnostics: &mut Diagnostics,
) -> Supervisor {
    let flags = flags(table, diagnostics);
    let value = table.value("children");
    let children = value
        .and_then(|value| {
            let children = children(value, &flags, context, diagnostics);
            diagnostics.take(children)
        })
        .unwrap_or_default();
    Supervisor { flags, children }
}

fn flags(table: &mut Table<'_>, diagnostics: &mut Diagnostics) -> Flags {
    let strategy = table.read("strategy", diagnostics, |key, value| {
        choice(key, value, &STRATEGIES)
    });
    let auto_shutdown = table.read("auto_shutdown", diagnostics, |key, value| {
        choice(key, value, &AUTO_SHUTDOWNS)
    });
    let backoff = table.value("backoff");
    let backoff = backoff.and_then(|value| read_backoff(value, diagnostics));
    Flags {
        strategy: strategy.unwrap_or_default(),
        intensity: intensity(table, diagnostics),
        auto_shutdown: auto_shutdown.unwrap_or_default(),
        backoff,
    }
}

fn intensity(table: &mut Table<'_>, diagnostics: &mut Diagnostics) -> Intensity {
    let default = Intensity::default();
    let restarts = table.read("intensity", diagnostics, |key, value| {
        integer(key, value, 0, u64::from(MAX_RESTARTS))
    });
    let period = table.read("period", diagnostics, |key, value| {
        let period = duration(key, value)?;
        match period.is_zero() {
            true => Err(Diagnostic::new(value.span(), SpecError::ZeroPeriod)),
            false => Ok(period),
        }
    });
    Intensity {
        restarts: restarts.map_or(default.restarts, |restarts| restarts as u32),
        period: period.unwrap_or(default.period),
    }
}

/// `{ first = "100ms", longest = "5s", jitter = 10 }`
fn read_backoff(value: Value<'_>, diagnostics: &mut Diagnostics) -> Option<Backoff> {
    const ALL: u64 = 100;
    let mut table = diagnostics.take(Table::of("backoff", value))?;
    let first = required_duration(&mut table, "first", diagnostics);
    let longest = required_duration(&mut table, "longest", diagnostics);
    let jitter = table.read("jitter", diagnostics, |key, value| {
        integer(key, value, 0, ALL)
    });
    table.finish(diagnostics);
    let (first, longest) = (first?, longest?);
    if first > longest {
        diagnostics.push(Diagnostic::new(
            value.span(),
            SpecError::BackoffBeyondMaximum,
        ));
    }
    let default = Backoff::new(first, longest);
    Some(Backoff {
        jitter: jitter.map_or(default.jitter, |percent| percent as u8),
        ..default
    })
}

fn required_duration(
    table: &mut Table<'_>,
    key: &'static str,
    diagnostics: &mut Diagnostics,
) -> Option<Duration> {
    if !table.has(key) {
        let what = format!("`backoff` needs `{key}`");
        diagnostics.push(Diagnostic::new(table.span(), what));
    }
    table.read(key, diagnostics, duration)
}

fn children(
    value: Value<'_>,
    flags: &Flags,
    context: &ParseContext<'_>,
    diagnostics: &mut Diagnostics,
) -> Result<Vec<ChildSpec<ProgramOrSupervisor>>, Diagnostic> {
    let DeValue::Array(values) = value.get_ref() else {
        let found = value.get_ref();
        return Err(
            wrong_type("children", "a list of tables", found, value.span())
                .help("begin each child with [[children]]"),
        );
    };
    let mut names = ChildNames::default();
    let mut children = Vec::new();
    for value in values.iter() {
        let table = diagnostics.take(Table::of("children", value));
        let child = table.and_then(|table| child::read(table, flags, context, diagnostics));
        for Located { value, span } in child.into_iter().flatten() {
            names.add(&value.name, span, diagnostics);
            children.push(value);
        }
    }
    Ok(children)
}

/// The names of the children so far.
#[derive(Default)]
struct ChildNames(FxHashMap<String, Span>);

impl ChildNames {
    fn add(&mut self, name: &str, span: Span, diagnostics: &mut Diagnostics) {
        if self.0.insert(name.to_owned(), span.clone()).is_some() {
            let what = SpecError::DuplicateName(name.to_owned());
            let diagnostic = Diagnostic::new(span, what);
            diagnostics
                .push(diagnostic.help("names may occur again only below another supervisor"));
        }
    }
}
