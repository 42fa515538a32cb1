//! How much the processes of a program may use: the tables `limits` and `sqlite`.

use std::num::NonZeroU64;
use std::time::Duration;

use lunatic_account::AccountLimits;
use lunatic_sqlite::SqliteLimits;

use crate::Config;
use crate::command_line::features::Feature;
use crate::command_line::manifest::diagnostic::{Diagnostic, Diagnostics, Span};
use crate::command_line::manifest::table::{Table, Value};
use crate::command_line::manifest::value::{duration, integer, memory};

/// The keys of a program that have such tables.
pub(super) const KEYS: [&str; 2] = ["limits", "sqlite"];

/// Reads what a program says of its limits.
///
/// With `limits` its processes have an account of their own, as those have that are spawned with
/// a limit of ABI §26.
pub(super) fn read(table: &mut Table<'_>, config: &mut Config, diagnostics: &mut Diagnostics) {
    let [limits, sqlite] = KEYS;
    if let Some(value) = table.value(limits)
        && let Some(table) = diagnostics.take(Table::of(limits, value))
    {
        let max_fuel = config.process.max_fuel;
        config.process.account = Some(account(table, max_fuel, diagnostics));
    }
    table.require(sqlite, Feature::Sqlite, diagnostics);
    if let Some(value) = table.value(sqlite)
        && let Some(table) = diagnostics.take(Table::of(sqlite, value))
    {
        // What the host allows by itself stays the most.
        config.sqlite = databases(table, diagnostics).capped(&config.sqlite);
    }
}

/// - `max_fuel`: how much fuel the process itself has.
fn account(
    mut table: Table<'_>,
    max_fuel: Option<NonZeroU64>,
    diagnostics: &mut Diagnostics,
) -> AccountLimits {
    let mut limits = AccountLimits::UNLIMITED;
    set(&mut limits.memory, table.read("memory", diagnostics, bytes));
    for (key, limit) in [
        ("processes", &mut limits.processes),
        ("descriptors", &mut limits.descriptors),
        ("timers", &mut limits.timers),
        ("names", &mut limits.names),
    ] {
        set(limit, table.read(key, diagnostics, count));
    }
    let span = table.key_span("fuel");
    let fuel = table.read("fuel", diagnostics, |key, value| {
        // The largest number is no limit.
        integer(key, value, 1, u64::MAX - 1)
    });
    set(&mut limits.fuel, fuel);
    if let (Some(span), Some(fuel)) = (span, fuel) {
        diagnostics.take(enough_fuel(span, fuel, max_fuel));
    }
    for (key, limit) in [
        ("cpu_per_second", &mut limits.cpu),
        ("compile_time_per_second", &mut limits.compile_time),
    ] {
        set(limit, table.read(key, diagnostics, time_per_second));
    }
    set(
        &mut limits.cpu_weight,
        table.read("cpu_weight", diagnostics, |key, value| {
            integer(key, value, 1, 10_000)
        }),
    );
    set(
        &mut limits.output,
        table.read("output_per_second", diagnostics, bytes),
    );
    for (key, limit) in [
        ("threads", &mut limits.threads),
        ("log_lines_per_second", &mut limits.log_lines),
    ] {
        set(limit, table.read(key, diagnostics, positive));
    }
    table.finish(diagnostics);
    limits
}

/// Checks that the process itself can start with a limit of fuel.
fn enough_fuel(span: Span, fuel: u64, max_fuel: Option<NonZeroU64>) -> Result<(), Diagnostic> {
    match max_fuel {
        Some(max_fuel) if max_fuel.get() <= fuel => Ok(()),
        Some(max_fuel) => Err(Diagnostic::new(
            span,
            format!("`fuel` is less than `max_fuel`, which is {max_fuel}"),
        )
        .help("it is what all its processes are given together, the first one too")),
        None => Err(
            Diagnostic::new(span, "with `fuel` a child needs `max_fuel`")
                .help("a process without a limit of its own does not start where fuel is limited"),
        ),
    }
}

fn databases(mut table: Table<'_>, diagnostics: &mut Diagnostics) -> SqliteLimits {
    let mut limits = SqliteLimits::default();
    for (key, limit) in [
        ("connections", &mut limits.max_connections),
        ("statements", &mut limits.max_statements),
    ] {
        set(limit, table.read(key, diagnostics, count).map(to_usize));
    }
    for (key, limit) in [
        ("file_size", &mut limits.max_file_bytes),
        ("memory_size", &mut limits.max_memory_bytes),
        ("heap_size", &mut limits.max_heap_bytes),
    ] {
        set(limit, table.read(key, diagnostics, bytes));
    }
    for (key, limit) in [
        ("row_size", &mut limits.max_row_bytes),
        ("value_size", &mut limits.max_value_bytes),
    ] {
        set(limit, table.read(key, diagnostics, bytes).map(to_usize));
    }
    for (key, limit) in [
        ("query_time", &mut limits.max_query_time),
        ("busy_timeout", &mut limits.max_busy_timeout),
    ] {
        set(limit, table.read(key, diagnostics, duration));
    }
    table.finish(diagnostics);
    limits
}

fn set<T>(limit: &mut T, read: Option<T>) {
    if let Some(read) = read {
        *limit = read;
    }
}

fn bytes(key: &str, value: Value<'_>) -> Result<u64, Diagnostic> {
    memory(key, value).map(|memory| memory.value)
}

fn count(key: &str, value: Value<'_>) -> Result<u64, Diagnostic> {
    integer(key, value, 0, u64::from(u32::MAX))
}

fn positive(key: &str, value: Value<'_>) -> Result<u64, Diagnostic> {
    integer(key, value, 1, u64::from(u32::MAX))
}

/// Microseconds in each second.
fn time_per_second(key: &str, value: Value<'_>) -> Result<u64, Diagnostic> {
    let span = value.span();
    let time = duration(key, value)?;
    if time < Duration::from_millis(1) {
        return Err(Diagnostic::new(
            span,
            format!("`{key}` must be 1ms at least"),
        ));
    }
    Ok(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
