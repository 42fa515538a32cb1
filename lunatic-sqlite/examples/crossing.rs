//! What it costs to go to the thread of a connection and back: statements of ten rows, and such
//! as are nothing but the way, in a second, beside `rusqlite` alone.
//!
//! `cargo run --release -p lunatic-sqlite --example crossing`
#![allow(clippy::print_stdout, reason = "this is what it is for")]

use std::error::Error;
use std::time::Instant;

use futures_lite::future::block_on;
use lunatic_fs::{Access, Dir};
use lunatic_sqlite::{Connection, Key, Place, SqliteLimits, Value};

const COUNT: u32 = 10_000;

const TABLE: &str = "PRAGMA journal_mode = wal; PRAGMA synchronous = normal;
    CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, number INTEGER)";
const INSERT: &str = "INSERT INTO t (name, number) VALUES
    (?1, 1), (?1, 2), (?1, 3), (?1, 4), (?1, 5), (?1, 6), (?1, 7), (?1, 8), (?1, 9), (?1, 10)";
const SELECT: &str = "SELECT id, name, number FROM t WHERE id > ?1 ORDER BY id LIMIT 10";

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    block_on(async {
        let dir = Dir::open_host(folder.path(), Access::ReadWrite).await?;
        let place = Place::File {
            dir,
            path: "crossing.db".into(),
        };
        let connection = Connection::open(place, SqliteLimits::default()).await?;
        connection.execute(TABLE).await?;
        for (name, sql) in [
            ("insert", INSERT),
            ("select", SELECT),
            ("nothing", "SELECT ?1"),
        ] {
            let natively = natively(sql)?;
            let mut statement = connection.statement(sql);
            let begin = Instant::now();
            for number in 0..COUNT {
                statement.bind(Key::Number(1), Value::Integer(i64::from(number) * 10))?;
                while statement.step().await? {
                    std::hint::black_box(statement.row());
                }
            }
            let time = begin.elapsed();
            println!(
                "{name}: {:.0} in a second, {:.1} µs each; `rusqlite` alone {natively:.1} µs",
                f64::from(COUNT) / time.as_secs_f64(),
                time.as_secs_f64() * 1e6 / f64::from(COUNT)
            );
        }
        Ok(())
    })
}

/// Microseconds that a statement takes without this crate.
fn natively(sql: &str) -> Result<f64, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let connection = rusqlite::Connection::open(folder.path().join("natively.db"))?;
    connection.execute_batch(TABLE)?;
    if sql == SELECT {
        let mut insert = connection.prepare(INSERT)?;
        for _ in 0..COUNT {
            insert.execute(["a name"])?;
        }
    }
    let mut statement = connection.prepare(sql)?;
    let begin = Instant::now();
    for number in 0..COUNT {
        let mut rows = statement.query([number * 10])?;
        while let Some(row) = rows.next()? {
            std::hint::black_box(row.get_ref(0)?);
        }
    }
    Ok(begin.elapsed().as_secs_f64() * 1e6 / f64::from(COUNT))
}
