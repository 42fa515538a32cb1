//! Measures how processes move to another version of their module, and writes a part of
//! BENCHMARKS.md of its own.
//!
//! All of it happens in this program, except the part of Erlang. A pause is the one that a reload
//! reports for a process: from the call of `hand_over` until `accept` returns. So it contains the
//! code of the guest that reads the state, but not the wait before and the writing of the state.

mod app;
mod beam;
mod pings;

use std::process;
use std::time::{Duration, Instant};

use anyhow::Result;
use lunatic_reload::{Outcome, ProcessReport};

use app::{App, Versions};
use beam::Beam;
use pings::Pings;

use super::machine::Machine;
use crate::number::{Unit, Value, grouped, median, seconds};
use crate::{document, proc};

/// How much is done.
struct Plan {
    /// The number of processes that move there and back.
    processes: usize,
    /// So often that is done.
    runs: usize,
    /// The number of processes that are reloaded repeatedly, and the number of reloads.
    few: usize,
    reloads: usize,
}

const WHOLE: Plan = Plan {
    processes: 10_000,
    runs: 5,
    few: 1000,
    reloads: 1000,
};

/// To see that all works.
const QUICK: Plan = Plan {
    processes: 300,
    runs: 2,
    few: 30,
    reloads: 20,
};

/// The target for the longest pause, if the system stops no worker thread during it.
const LONGEST_PAUSE: Duration = Duration::from_millis(1);

/// The text of a cell without a measurement.
const NOTHING: &str = "–";

/// Measures, and fails if a reload did.
pub(super) fn main(quick: bool) -> Result<()> {
    let plan = match quick {
        true => QUICK,
        false => WHOLE,
    };
    let machine = Machine::here()?;
    let wat = there_and_back(&plan, Versions::wat())?;
    let rust = there_and_back(&plan, Versions::rust()?)?;
    let erlang = Beam::measure(plan.processes, plan.runs)?;
    let often = again_and_again(&plan)?;
    let text = format!(
        "{}\n{}\n{}",
        side_by_side(&plan, &wat, &rust, erlang.as_ref()),
        beside(erlang.as_ref()),
        list(&often)
    );
    println!("\n{text}");
    if !quick {
        document::RELOAD.write(&format!(
            "{machine}\nWritten by `cargo xtask bench --reload`. Times are medians of {} runs, \
             pauses and pings those of all runs.\n\n{text}",
            plan.runs
        ))?;
    }
    Ok(())
}

/// The times of many processes that moved to the new version and back.
#[derive(Default)]
struct Moves {
    there: Vec<Value>,
    back: Vec<Value>,
    /// Sorted, as those below.
    pauses: Vec<Duration>,
    /// The times of computing for as long as an average pause, without a reload.
    computing: Vec<Duration>,
    pings_before: Vec<Duration>,
    pings: Vec<Duration>,
}

fn there_and_back(plan: &Plan, versions: Versions) -> Result<Moves> {
    let app = App::start(versions, plan.processes)?;
    // The first time the memories for the second instances are made.
    app.reload(2)?;
    app.reload(1)?;
    let mut moves = Moves {
        pings_before: Pings::for_a_while(&app.runtime, Duration::from_millis(300))?,
        ..Moves::default()
    };
    for _ in 0..plan.runs {
        let beside = Pings::start(app.runtime.environment())?;
        for (version, times) in [(2, &mut moves.there), (1, &mut moves.back)] {
            let begin = Instant::now();
            let report = app.reload(version)?;
            times.push(seconds(begin.elapsed()));
            moves
                .pauses
                .extend(report.processes.iter().filter_map(pause));
        }
        moves.pings.extend(beside.stop());
    }
    moves.pauses.sort_unstable();
    moves.pings.sort_unstable();
    let middle = moves.pauses[moves.pauses.len() / 2];
    moves.computing = pings::computing(&app.runtime, moves.pauses.len(), middle)?;
    Ok(moves)
}

/// Fewer processes are reloaded often, and memory is looked at from outside. What was
/// measured, and its aim.
fn again_and_again(plan: &Plan) -> Result<Vec<[String; 3]>> {
    let app = App::start(Versions::wat(), plan.few)?;
    let settle = plan.reloads / 10;
    let reloads = |number: usize| -> Result<()> {
        for reload in 0..number {
            app.reload(2 - reload % 2)?;
        }
        Ok(())
    };
    // An even number, so that the version is the first one again.
    reloads(settle.next_multiple_of(2))?;
    let look = || -> Result<(Value, usize, usize)> {
        let own = process::id();
        Ok((
            proc::memory(own)?,
            proc::mappings(own)?,
            proc::descriptors(own)?,
        ))
    };
    let (memory, mappings, descriptors) = look()?;
    let begin = Instant::now();
    reloads(plan.reloads.next_multiple_of(2))?;
    let time = seconds(begin.elapsed()) / plan.reloads as f64;
    let after = look()?;
    let title = format!(
        "{} reloads of {} processes",
        grouped(plan.reloads as u64),
        grouped(plan.few as u64)
    );
    let row =
        |what: &str, value: String, aim: &str| [format!("{title}: {what}"), value, aim.to_owned()];
    let from_to =
        |unit: Unit, from: Value, to: Value| format!("{} → {}", unit.show(from), unit.show(to));
    let count = Unit::Count;
    Ok(vec![
        row("each", Unit::Milliseconds.show(time), ""),
        row("memory", from_to(Unit::Kibibytes, memory, after.0), "level"),
        row(
            "mappings",
            from_to(count, mappings as f64, after.1 as f64),
            "level",
        ),
        row(
            "descriptors",
            from_to(count, descriptors as f64, after.2 as f64),
            "level",
        ),
    ])
}

/// How long a process that has moved ran neither the one version nor the other.
fn pause(process: &ProcessReport) -> Option<Duration> {
    match process.outcome {
        Outcome::Moved { pause_us } => Some(Duration::from_micros(pause_us)),
        _ => None,
    }
}

/// The time that so many percent of sorted ones are not above.
fn percentile(sorted: &[Duration], percent: usize) -> Option<Value> {
    let index = (sorted.len() * percent).div_ceil(100).checked_sub(1)?;
    sorted.get(index).copied().map(seconds)
}

/// How many took longer than the aim for the longest pause, of how many.
fn longer_than_aim(times: &[Duration]) -> String {
    let longer = times.iter().filter(|time| **time > LONGEST_PAUSE).count();
    format!("{longer} of {}", grouped(times.len() as u64))
}

/// The two guests beside Erlang.
fn side_by_side(plan: &Plan, wat: &Moves, rust: &Moves, erlang: Option<&Beam>) -> String {
    let processes = grouped(plan.processes as u64);
    let name = erlang.map_or("OTP", |erlang| &erlang.name);
    let mut table = format!(
        "| What | small WAT guest | Rust | {name}, in turn | {name}, all suspended first | Aim |\n\
         |---|--:|--:|--:|--:|--:|\n"
    );
    let shown = |unit: Unit, value: Option<Value>| {
        value.map_or_else(|| NOTHING.to_owned(), |value| unit.show(value))
    };
    let of_erlang = |unit: Unit, value: &str| {
        let values = erlang.map(|erlang| erlang.values(value));
        shown(unit, values.and_then(median))
    };
    let mut row = |what: &str, [wat, rust]: [String; 2], [turn, all]: [String; 2], aim: &str| {
        table.push_str(&format!(
            "| {what} | {wat} | {rust} | {turn} | {all} | {aim} |\n"
        ));
    };
    let nothing = || [NOTHING.to_owned(), NOTHING.to_owned()];
    let ms = Unit::Milliseconds;
    row(
        &format!("{processes} processes move to a new version"),
        [wat, rust].map(|moves| shown(ms, median(&moves.there))),
        ["reload-in-turn-there", "reload-together-there"].map(|value| of_erlang(ms, value)),
        "1000 ms",
    );
    row(
        &format!("{processes} processes move back"),
        [wat, rust].map(|moves| shown(ms, median(&moves.back))),
        ["reload-in-turn-back", "reload-together-back"].map(|value| of_erlang(ms, value)),
        "1000 ms",
    );
    let us = Unit::Microseconds;
    for (percent, title, value, aim) in [
        (50, "median", "reload-pause-p50", ""),
        (99, "p99", "reload-pause-p99", ""),
        (100, "longest", "reload-pause-max", "1000 µs"),
    ] {
        row(
            &format!("pause of a process, {title}"),
            [wat, rust].map(|moves| shown(us, percentile(&moves.pauses, percent))),
            [of_erlang(us, value), "the whole time".to_owned()],
            aim,
        );
    }
    row(
        "pauses of more than 1 ms",
        [wat, rust].map(|moves| longer_than_aim(&moves.pauses)),
        nothing(),
        "as without a reload",
    );
    for (percent, title) in [(99, "p99"), (100, "longest")] {
        row(
            &format!("as many processes compute for the median pause, without a reload: {title}"),
            [wat, rust].map(|moves| shown(us, percentile(&moves.computing, percent))),
            nothing(),
            "",
        );
    }
    row(
        "as many processes compute for the median pause, without a reload: more than 1 ms",
        [wat, rust].map(|moves| longer_than_aim(&moves.computing)),
        nothing(),
        "",
    );
    row(
        "round trip of a ping before, p99",
        [wat, rust].map(|moves| shown(us, percentile(&moves.pings_before, 99))),
        nothing(),
        "",
    );
    for (percent, title, aim) in [(99, "p99", "5000 µs"), (100, "longest", "")] {
        row(
            &format!("round trip of a ping meanwhile, {title}"),
            [wat, rust].map(|moves| shown(us, percentile(&moves.pings, percent))),
            nothing(),
            aim,
        );
    }
    table
}

/// Returns the comparison with Erlang, or that there was none.
fn beside(erlang: Option<&Beam>) -> String {
    match erlang {
        Some(_) => {
            "The guest in Rust is a server of `lunatic_guest::reload`, whose state is another \
             struct in the new version. OTP changes the state of gen_servers by \
             `code_change`; in turn: each is suspended, changed and resumed before the next one; \
             all suspended first is what `release_handler` does. The lines without a reload say \
             what the machine does to a worker thread: a pause is not shorter than that.\n"
                .to_owned()
        }
        None => "**OTP was not measured: `erl` is not installed here.**\n".to_owned(),
    }
}

fn list(rows: &[[String; 3]]) -> String {
    let mut table = "| What | Measured | Aim |\n|---|--:|--:|\n".to_owned();
    for [title, value, aim] in rows {
        table.push_str(&format!("| {title} | {value} | {aim} |\n"));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::{QUICK, Versions, again_and_again, percentile, side_by_side, there_and_back};
    use std::time::Duration;

    #[test]
    fn each_measurement_gives_its_figures() {
        let moves = there_and_back(&QUICK, Versions::wat()).expect("reloads");
        assert_eq!(moves.pauses.len(), 2 * QUICK.runs * QUICK.processes);
        assert_eq!(moves.computing.len(), moves.pauses.len());
        let table = side_by_side(&QUICK, &moves, &moves, None);
        assert_eq!(table.lines().count(), 14, "{table}");
        assert_eq!(again_and_again(&QUICK).expect("reloads").len(), 4);
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let times = [1, 2, 3, 4].map(Duration::from_secs);
        assert_eq!(percentile(&times, 50), Some(2.0));
        assert_eq!(percentile(&times, 99), Some(4.0));
        assert_eq!(percentile(&[], 99), None);
    }
}
