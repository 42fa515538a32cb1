//! Commits transactions in several processes, and prints the number of each once it is
//! committed. Whoever kills the runtime meanwhile must find each of them whole.
//!
//! With the argument `kill` it kills a process that is in a query without end instead.

use std::env;
use std::io::Write;

use lunatic::{Mailbox, Process};
use lunatic_guest::params;
use lunatic_guest::sqlite::Connection;

/// How many rows a transaction has.
const ROWS: i64 = 10;
const WORKERS: i64 = 10;
const EACH: i64 = 10;

#[lunatic::main]
fn main(mailbox: Mailbox<()>) {
    let mode = env::args().nth(1).unwrap_or_else(|| "wal".to_owned());
    if mode == "kill" {
        return kill();
    }
    let connection = Connection::open("ledger.db").expect("there is a directory");
    let sql = "CREATE TABLE IF NOT EXISTS entries (number INTEGER, part INTEGER)";
    connection
        .execute(&format!("PRAGMA journal_mode = {mode}; {sql}"))
        .expect("the table is made");
    let numbers: Vec<i64> = connection
        .query("SELECT ifnull(max(number), 0) FROM entries", params![])
        .expect("a number is read");
    let this = mailbox.this();
    for worker in 0..WORKERS {
        let first = numbers[0] + 1 + worker * EACH;
        Process::spawn_link((first, this), work);
    }
    for _ in 0..WORKERS {
        mailbox.receive();
    }
}

fn work((first, parent): (i64, Process<()>), _: Mailbox<()>) {
    let connection = Connection::open("ledger.db").expect("there is a directory");
    connection.set_busy_timeout(std::time::Duration::from_secs(60));
    for number in first..first + EACH {
        let transaction = connection.transaction().expect("others end");
        for part in 0..ROWS {
            connection
                .run("INSERT INTO entries VALUES (?, ?)", params![number, part])
                .expect("a row is inserted");
        }
        transaction.commit().expect("it is committed");
        println!("{number}");
        std::io::stdout().flush().ok();
    }
    parent.send(());
}

/// Kills a process that holds a lock and is in a query without end, and waits for the lock:
/// for less long than a query may take.
fn kill() {
    const ENDLESS: &str =
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    let child = Process::spawn((), |(), _: Mailbox<()>| {
        let connection = Connection::open("ledger.db").expect("there is a directory");
        let sql = "CREATE TABLE entries (number); BEGIN IMMEDIATE; INSERT INTO entries VALUES (1)";
        connection.execute(sql).expect("nobody else is there");
        connection.execute(ENDLESS).expect("it never ends");
    });
    lunatic::sleep(std::time::Duration::from_millis(500));
    child.kill();
    let connection = Connection::open("ledger.db").expect("there is a directory");
    let transaction = connection.transaction().expect("the lock is released");
    let count: Vec<i64> = connection
        .query("SELECT count(*) FROM entries", params![])
        .expect("the table is there");
    transaction.commit().expect("it is committed");
    println!("{} entries are left", count[0]);
}
