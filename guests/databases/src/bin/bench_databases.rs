//! Does what `cargo xtask bench --databases` times: `pairs PATH COUNT` inserts and selects ten
//! rows so many times, as safe against a loss of power as SQLite is by itself; `rate PATH
//! COUNT` does it as fast as files allow, first the one and then the other; `neighbour COUNT SECONDS` has so many processes use a database
//! each while two others exchange messages.

use std::env;
use std::time::{Duration, Instant};

use lunatic::{Mailbox, Process};
use lunatic_guest::params;
use lunatic_guest::sqlite::{Connection, Statement, Value};

const FAST: &str = "PRAGMA journal_mode = wal; PRAGMA synchronous = normal";
const TABLE: &str = "
    CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, number INTEGER)";
const INSERT: &str = "INSERT INTO t (name, number) VALUES
    (?1, 1), (?1, 2), (?1, 3), (?1, 4), (?1, 5), (?1, 6), (?1, 7), (?1, 8), (?1, 9), (?1, 10)";
const SELECT: &str = "SELECT id, name, number FROM t WHERE id > ?1 ORDER BY id LIMIT 10";

#[lunatic::main]
fn main(mailbox: Mailbox<u64>) {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["pairs", path, count] => pairs(path, count.parse().expect("a number")),
        ["rate", path, count] => rate(path, count.parse().expect("a number")),
        ["neighbour", count, seconds] => neighbour(
            mailbox,
            count.parse().expect("a number"),
            Duration::from_secs(seconds.parse().expect("a number")),
        ),
        _ => panic!("pairs PATH COUNT, rate PATH COUNT, or neighbour COUNT SECONDS"),
    }
}

/// Prints how often ten rows were inserted and selected in a second.
fn pairs(path: &str, count: i64) {
    let connection = Connection::open(path).expect("it is opened");
    connection.execute(TABLE).expect("the table is made");
    let mut insert = connection.prepare(INSERT).expect("it is compiled");
    let mut select = connection.prepare(SELECT).expect("it is compiled");
    let begin = Instant::now();
    for number in 0..count {
        insert.run(params!["a name"]).expect("rows are inserted");
        assert_eq!(ten_rows(&mut select, number), 10);
    }
    println!("pairs {}", per_second(count, begin));
}

fn ten_rows(select: &mut Statement<'_>, number: i64) -> usize {
    let mut rows = 0;
    select
        .each(params![number * 10], |values| {
            assert!(matches!(values[2], Value::Integer(_)));
            rows += 1;
            Ok(())
        })
        .expect("rows are selected");
    rows
}

/// Prints how many statements of ten rows were inserted and selected in a second.
fn rate(path: &str, count: i64) {
    let connection = Connection::open(path).expect("it is opened");
    connection.execute(FAST).expect("pragmas are set");
    connection.execute(TABLE).expect("the table is made");
    let mut insert = connection.prepare(INSERT).expect("it is compiled");
    let begin = Instant::now();
    for _ in 0..count {
        insert.run(params!["a name"]).expect("rows are inserted");
    }
    println!("inserts {}", per_second(count, begin));
    let mut select = connection.prepare(SELECT).expect("it is compiled");
    let begin = Instant::now();
    for number in 0..count {
        assert_eq!(ten_rows(&mut select, number), 10);
    }
    println!("selects {}", per_second(count, begin));
}

fn per_second(count: i64, begin: Instant) -> u64 {
    (count as f64 / begin.elapsed().as_secs_f64()) as u64
}

/// Prints percentiles of the round trips of two processes that exchange messages.
fn neighbour(mailbox: Mailbox<u64>, count: u64, time: Duration) {
    for number in 0..count {
        Process::spawn_link((number, time), use_database);
    }
    let this = mailbox.this();
    let echo = Process::spawn_link(this, |parent: Process<u64>, mailbox: Mailbox<u64>| loop {
        parent.send(mailbox.receive());
    });
    let begin = Instant::now();
    let mut times = Vec::new();
    while begin.elapsed() < time {
        let sent = Instant::now();
        echo.send(0);
        mailbox.receive();
        times.push(sent.elapsed());
        lunatic::sleep(Duration::from_millis(1));
    }
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_micros();
    println!("p50 {}\np99 {}\nmax {}", at(0.5), at(0.99), at(1.0));
    std::process::exit(0);
}

fn use_database((number, time): (u64, Duration), _: Mailbox<()>) {
    let connection = Connection::open(&format!("{number}.db")).expect("it is opened");
    connection.execute(FAST).expect("pragmas are set");
    connection.execute(TABLE).expect("the table is made");
    let begin = Instant::now();
    let mut from = 0_i64;
    while begin.elapsed() < time * 2 {
        connection
            .run(INSERT, params!["a name"])
            .expect("rows are inserted");
        let rows: Vec<(i64, String, i64)> = connection
            .query(SELECT, params![from])
            .expect("rows are selected");
        assert_eq!(rows.len(), 10);
        from += 10;
    }
}
