//! Commits transactions in several processes, and prints the number of each once it is
//! committed. Whoever kills the runtime meanwhile must find each of them whole.

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
    let book = Connection::open("ledger.db").expect("there is a directory");
    let sql = "CREATE TABLE IF NOT EXISTS entries (number INTEGER, part INTEGER)";
    book.execute(&format!("PRAGMA journal_mode = {mode}; {sql}"))
        .expect("the table is made");
    let numbers: Vec<i64> = book
        .query("SELECT ifnull(max(number), 0) FROM entries", params![])
        .expect("a number is read");
    let this = mailbox.this();
    for worker in 0..WORKERS {
        let first = numbers[0] + 1 + worker * EACH;
        Process::spawn_link((first, this.clone()), work);
    }
    for _ in 0..WORKERS {
        mailbox.receive();
    }
}

fn work((first, parent): (i64, Process<()>), _: Mailbox<()>) {
    let book = Connection::open("ledger.db").expect("there is a directory");
    book.set_busy_timeout(std::time::Duration::from_secs(60));
    for number in first..first + EACH {
        let transaction = book.transaction().expect("others end");
        for part in 0..ROWS {
            book.run("INSERT INTO entries VALUES (?, ?)", params![number, part])
                .expect("a row is inserted");
        }
        transaction.commit().expect("it is committed");
        println!("{number}");
        std::io::stdout().flush().ok();
    }
    parent.send(());
}
