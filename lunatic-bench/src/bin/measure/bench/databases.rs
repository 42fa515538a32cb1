//! Measures databases, and writes a part of BENCHMARKS.md of its own: statements of a guest
//! beside the same on `rusqlite` alone, and what databases do to a neighbour.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rusqlite::{Connection, Statement, params};

use super::machine::Machine;
use crate::document;
use crate::place;
use crate::program;

const FAST: &str = "PRAGMA journal_mode = wal; PRAGMA synchronous = normal";
const TABLE: &str = "
    CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, number INTEGER)";
const INSERT: &str = "INSERT INTO t (name, number) VALUES
    (?1, 1), (?1, 2), (?1, 3), (?1, 4), (?1, 5), (?1, 6), (?1, 7), (?1, 8), (?1, 9), (?1, 10)";
const SELECT: &str = "SELECT id, name, number FROM t WHERE id > ?1 ORDER BY id LIMIT 10";

/// Statements in a second.
#[derive(Debug, Clone, Copy)]
struct Rates {
    pairs: f64,
    inserts: f64,
    selects: f64,
}

/// Runs all of it.
pub(super) fn main(quick: bool) -> Result<()> {
    let machine = Machine::here()?;
    let (count, rounds, seconds) = if quick { (200, 1, 2) } else { (10_000, 5, 20) };
    let mut native = Vec::new();
    let mut guest = Vec::new();
    for _ in 0..rounds {
        native.push(natively(count)?);
        guest.push(by_a_guest(count)?);
    }
    let mut table = String::from(
        "| Statements of ten rows, in a second | a guest | `rusqlite` alone | share |\n\
         | --- | --: | --: | --: |\n",
    );
    for (name, of) in [
        (
            "insert and select, with the pragmas that SQLite has by itself",
            pairs as fn(&Rates) -> f64,
        ),
        ("inserts alone, WAL, `synchronous = normal`", inserts),
        ("selects alone, of what is in the cache", selects),
    ] {
        let (guest, native) = (median(&guest, of), median(&native, of));
        let share = guest / native;
        writeln!(table, "| {name} | {guest:.0} | {native:.0} | {share:.2} |")?;
    }
    let [p50, p99, max] = neighbour(100, seconds)?;
    write!(
        table,
        "\n| Round trip of two processes beside 100 that use a database each | ms |\n\
         | --- | --: |\n| median | {p50:.2} |\n| p99 | {p99:.2} |\n| longest | {max:.2} |\n"
    )?;
    println!("\n{table}");
    if !quick {
        document::DATABASES.write(&format!(
            "{machine}\nWritten by `cargo xtask bench --databases`. Compiled statements, each a \
             transaction; medians of {rounds} runs of {count} statements, a tenth of that for \
             the first row, the guest and `rusqlite` alternating. A guest's statement crosses \
             to the thread of its connection and back, which takes some microseconds; \
             in the first row the disk takes most of the time.\n\n{table}"
        ))?;
    }
    Ok(())
}

fn pairs(rates: &Rates) -> f64 {
    rates.pairs
}

fn inserts(rates: &Rates) -> f64 {
    rates.inserts
}

fn selects(rates: &Rates) -> f64 {
    rates.selects
}

fn median(rates: &[Rates], of: fn(&Rates) -> f64) -> f64 {
    let mut values: Vec<f64> = rates.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn natively(count: u32) -> Result<Rates> {
    let folder = tempfile::tempdir_in(place::folder("databases")?)?;
    let pairs = pairs_natively(&folder.path().join("pairs.db"), count / 10)?;
    let connection = Connection::open(folder.path().join("bench.db"))?;
    connection.execute_batch(FAST)?;
    connection.execute_batch(TABLE)?;
    let mut insert = connection.prepare(INSERT)?;
    let begin = Instant::now();
    for _ in 0..count {
        insert.execute(params!["a name"])?;
    }
    let inserts = per_second(count, begin);
    let mut select = connection.prepare(SELECT)?;
    let begin = Instant::now();
    for number in 0..count {
        let read = ten_rows(&mut select, number)?;
        ensure!(read == 10, "{read} rows were read");
    }
    Ok(Rates {
        pairs,
        inserts,
        selects: per_second(count, begin),
    })
}

fn pairs_natively(path: &Path, count: u32) -> Result<f64> {
    let connection = Connection::open(path)?;
    connection.execute_batch(TABLE)?;
    let mut insert = connection.prepare(INSERT)?;
    let mut select = connection.prepare(SELECT)?;
    let begin = Instant::now();
    for number in 0..count {
        insert.execute(params!["a name"])?;
        let read = ten_rows(&mut select, number)?;
        ensure!(read == 10, "{read} rows were read");
    }
    Ok(per_second(count, begin))
}

fn ten_rows(select: &mut Statement<'_>, number: u32) -> Result<usize> {
    let mut rows = select.query(params![number * 10])?;
    let mut read = 0;
    while let Some(row) = rows.next()? {
        // As a guest has them.
        let row: (i64, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        std::hint::black_box(row);
        read += 1;
    }
    Ok(read)
}

fn per_second(count: u32, begin: Instant) -> f64 {
    f64::from(count) / begin.elapsed().as_secs_f64()
}

fn by_a_guest(count: u32) -> Result<Rates> {
    let limit = Duration::from_secs(300);
    let slow = run(&["pairs", "pairs.db", &(count / 10).to_string()], limit)?;
    let fast = run(&["rate", "bench.db", &count.to_string()], limit)?;
    Ok(Rates {
        pairs: number(&slow, "pairs")?,
        inserts: number(&fast, "inserts")?,
        selects: number(&fast, "selects")?,
    })
}

/// Median, p99 and the longest, in milliseconds.
fn neighbour(count: u32, seconds: u32) -> Result<[f64; 3]> {
    let limit = Duration::from_secs(u64::from(seconds) + 120);
    let output = run(
        &["neighbour", &count.to_string(), &seconds.to_string()],
        limit,
    )?;
    let milliseconds = |name| number(&output, name).map(|micros| micros / 1000.0);
    Ok([
        milliseconds("p50")?,
        milliseconds("p99")?,
        milliseconds("max")?,
    ])
}

fn run(arguments: &[&str], limit: Duration) -> Result<String> {
    let folder = tempfile::tempdir_in(place::folder("databases")?)?;
    let mut lunatic = std::process::Command::new(place::program("lunatic")?);
    lunatic
        .current_dir(folder.path())
        .arg("run")
        .arg(place::guest("bench_databases")?)
        .args(arguments);
    program::capture_within(&mut lunatic, limit)
}

fn number(output: &str, name: &str) -> Result<f64> {
    let line = output.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.trim().parse().ok());
    number.with_context(|| format!("no `{name}` in {output:?}"))
}
