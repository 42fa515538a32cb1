//! A supervisor: its flags and its children.

use std::time::Duration;

use lunatic_supervisor::{
    AutoShutdown, Backoff, ChildSpec, Flags, Intensity, SpecError, Strategy, core::MAX_RESTARTS,
};
use rustc_hash::FxHashMap;
use toml::de::DeValue;

use crate::manifest::Surroundings;
use crate::manifest::application::{Start, Supervisor};
use crate::manifest::child;
use crate::manifest::complaint::{Complaint, Complaints, Located, Span};
use crate::manifest::table::{Table, Value, wrong_type};
use crate::manifest::value::{choice, duration, integer};

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
    surroundings: &Surroundings<'_>,
    complaints: &mut Complaints,
) -> Supervisor {
    let flags = flags(table, complaints);
    let value = table.value("children");
    let children = value
        .and_then(|value| {
            let children = children(value, &flags, surroundings, complaints);
            complaints.take(children)
        })
        .unwrap_or_default();
    Supervisor { flags, children }
}

fn flags(table: &mut Table<'_>, complaints: &mut Complaints) -> Flags {
    let strategy = table.read("strategy", complaints, |key, value| {
        choice(key, value, &STRATEGIES)
    });
    let auto_shutdown = table.read("auto_shutdown", complaints, |key, value| {
        choice(key, value, &AUTO_SHUTDOWNS)
    });
    let backoff = table.value("backoff");
    let backoff = backoff.and_then(|value| read_backoff(value, complaints));
    Flags {
        strategy: strategy.unwrap_or_default(),
        intensity: intensity(table, complaints),
        auto_shutdown: auto_shutdown.unwrap_or_default(),
        backoff,
    }
}

fn intensity(table: &mut Table<'_>, complaints: &mut Complaints) -> Intensity {
    let default = Intensity::default();
    let restarts = table.read("intensity", complaints, |key, value| {
        integer(key, value, 0, u64::from(MAX_RESTARTS))
    });
    let period = table.read("period", complaints, |key, value| {
        let period = duration(key, value)?;
        match period.is_zero() {
            true => Err(Complaint::new(value.span(), SpecError::ZeroPeriod)),
            false => Ok(period),
        }
    });
    Intensity {
        restarts: restarts.map_or(default.restarts, |restarts| restarts as u32),
        period: period.unwrap_or(default.period),
    }
}

/// `{ first = "100ms", longest = "5s", jitter = 10 }`
fn read_backoff(value: Value<'_>, complaints: &mut Complaints) -> Option<Backoff> {
    const ALL: u64 = 100;
    let mut table = complaints.take(Table::of("backoff", value))?;
    let first = required_duration(&mut table, "first", complaints);
    let longest = required_duration(&mut table, "longest", complaints);
    let jitter = table.read("jitter", complaints, |key, value| {
        integer(key, value, 0, ALL)
    });
    table.finish(complaints);
    let (first, longest) = (first?, longest?);
    if first > longest {
        complaints.push(Complaint::new(
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
    complaints: &mut Complaints,
) -> Option<Duration> {
    if !table.has(key) {
        let what = format!("`backoff` needs `{key}`");
        complaints.push(Complaint::new(table.span(), what));
    }
    table.read(key, complaints, duration)
}

fn children(
    value: Value<'_>,
    flags: &Flags,
    surroundings: &Surroundings<'_>,
    complaints: &mut Complaints,
) -> Result<Vec<ChildSpec<Start>>, Complaint> {
    let DeValue::Array(values) = value.get_ref() else {
        let found = value.get_ref();
        return Err(
            wrong_type("children", "a list of tables", found, value.span())
                .help("begin each child with [[children]]"),
        );
    };
    let mut names = Names::default();
    let mut children = Vec::new();
    for value in values.iter() {
        let table = complaints.take(Table::of("children", value));
        let child = table.and_then(|table| child::read(table, flags, surroundings, complaints));
        for Located { value, span } in child.into_iter().flatten() {
            names.add(&value.name, span, complaints);
            children.push(value);
        }
    }
    Ok(children)
}

/// The names of the children so far.
#[derive(Default)]
struct Names(FxHashMap<String, Span>);

impl Names {
    fn add(&mut self, name: &str, span: Span, complaints: &mut Complaints) {
        if self.0.insert(name.to_owned(), span.clone()).is_some() {
            let what = SpecError::DuplicateName(name.to_owned());
            let complaint = Complaint::new(span, what);
            complaints.push(complaint.help("names may occur again only below another supervisor"));
        }
    }
}
