//! Databases in whole programs: the example `examples/guestbook`, a runtime that is killed in
//! the middle of transactions, and a process that is.
//!
//! Without the modules that `cargo xtask guests` builds, these are skipped loudly.
//! `LUNATIC_KILLS=50 cargo nextest run --workspace --test databases` kills 50 times.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use harness::program::Guests;
use lunatic_fs::{Access, Dir};
use lunatic_sqlite::{Connection, Place, SqliteLimits, Value};
use lunatic_testkit::built::rust_guests;
use lunatic_testkit::program::{exit_code, first_line, signal};
use lunatic_testkit::{TIMEOUT, wait, wait_until};

/// The running example.
struct Guestbook {
    directory: Guests,
    child: Child,
    address: String,
}

impl Guestbook {
    fn open(directory: Guests) -> Option<Guestbook> {
        let modules = rust_guests(&["guestbook_front.wasm", "guestbook_keeper.wasm"])?;
        let manifest = include_str!("../../examples/guestbook/app.toml");
        let written = "../../target/guests/wasm32-wasip1/release";
        assert_eq!(manifest.matches(written).count(), 2);
        let manifest = manifest.replace(written, modules.to_str().unwrap());
        directory.file("app.toml", manifest);
        fs::create_dir_all(directory.path().join("book")).unwrap();
        directory.run(&["check", "app.toml"]).code(0);
        let mut child = directory
            .lunatic()
            .args(["start", "app.toml"])
            .env("GUESTBOOK_ADDRESS", "127.0.0.1:0")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let line = first_line(&mut child);
        let address = line
            .trim()
            .strip_prefix("the guest book is open: http://")
            .and_then(|rest| rest.strip_suffix('/'))
            .unwrap_or_else(|| panic!("{line:?} names no address"));
        Some(Guestbook {
            directory,
            child,
            address: address.to_owned(),
        })
    }

    /// Status and body.
    fn ask(&self, method: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        let length = body.len();
        let request = format!("{method} / HTTP/1.1\r\ncontent-length: {length}\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    fn close(mut self) -> Guests {
        signal(&self.child, "-TERM");
        assert_eq!(exit_code(&mut self.child), Some(0));
        self.directory
    }
}

#[test]
fn the_guest_book_keeps_what_is_written_through_crashes_and_restarts() {
    let Some(book) = Guestbook::open(Guests::new()) else {
        return;
    };
    assert_eq!(book.ask("GET", ""), (200, String::new()));
    assert_eq!(book.ask("POST", "nothing").0, 400);
    // The front may be there before the keeper has its name.
    let written = || match book.ask("POST", "Ada: it is nice here") {
        (201, _) => true,
        (status, body) => {
            assert_eq!((status, &*body), (503, "there is no keeper\n"));
            false
        }
    };
    wait_until("the keeper", written);
    assert_eq!(book.ask("GET", "").1, "1. Ada: it is nice here\n");
    // What the keeper has not committed is not in the book, and it comes back.
    let (status, body) = book.ask("POST", "Eve: crash");
    assert_eq!(status, 502, "{body}");
    let written = || book.ask("POST", "Bob: '); DROP TABLE entries; --").0 == 201;
    wait_until("another keeper", written);
    let entries = "2. Bob: '); DROP TABLE entries; --\n1. Ada: it is nice here\n";
    assert_eq!(book.ask("GET", "").1, entries);
    let again = Guestbook::open(book.close()).unwrap();
    assert_eq!(again.ask("GET", "").1, entries);
    again.close();
}

/// How many rows a transaction of the guest `ledger` has.
const ROWS: i64 = 10;

#[test]
fn a_runtime_that_is_killed_leaves_whole_files_with_what_was_committed() {
    let Some(modules) = rust_guests(&["ledger.wasm"]) else {
        return;
    };
    let kills = std::env::var("LUNATIC_KILLS").map_or(6, |kills| kills.parse().unwrap());
    for mode in ["wal", "delete"] {
        let guests = Guests::new();
        let mut committed = Vec::new();
        for round in 0..kills / 2 {
            // Later and later, until most of the hundred are committed.
            let lines = round * 90 / (kills / 2).max(1);
            committed.extend(killed_after(&guests, &modules, mode, lines));
            let entries = entries(guests.path());
            for number in &committed {
                assert_eq!(entries.get(number), Some(&ROWS), "{mode} {round}: {number}");
            }
            // One that was not told of may have been committed, but never a part of it.
            let torn = entries.iter().find(|(_, rows)| **rows != ROWS);
            assert_eq!(torn, None, "{mode} {round}");
        }
    }
}

/// Runs the ledger and kills the runtime after so many transactions. The numbers of those
/// that were told of.
fn killed_after(guests: &Guests, modules: &Path, mode: &str, lines: usize) -> Vec<i64> {
    let mut child = guests
        .lunatic()
        .arg("run")
        .arg(modules.join("ledger.wasm"))
        .arg(mode)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut numbers = Vec::new();
    while numbers.len() <= lines {
        let mut line = String::new();
        assert_ne!(
            output.read_line(&mut line).unwrap(),
            0,
            "it ended after {numbers:?}"
        );
        numbers.push(line.trim().parse().unwrap());
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What was printed before that is read too; a last line may be cut off.
    for line in output.lines().map_while(Result::ok) {
        numbers.extend(line.trim().parse::<i64>());
    }
    numbers
}

/// How many rows there are of each transaction.
fn entries(folder: &Path) -> BTreeMap<i64, i64> {
    wait("the database", async {
        let place = Place::File {
            dir: Dir::open_host(folder, Access::ReadWrite).await.unwrap(),
            path: PathBuf::from("ledger.db"),
        };
        let connection = Connection::open(place, SqliteLimits::default())
            .await
            .unwrap();
        let mut check = connection.statement("PRAGMA integrity_check");
        assert!(check.step().await.unwrap());
        assert_eq!(check.row(), Some(vec![Value::Text("ok".into())]));
        let sql = "SELECT number, count(*) FROM entries GROUP BY number";
        let mut rows = connection.statement(sql);
        let mut entries = BTreeMap::new();
        while rows.step().await.unwrap() {
            let Some([Value::Integer(number), Value::Integer(count)]) =
                rows.row().map(|row| <[Value; 2]>::try_from(row).unwrap())
            else {
                panic!("two numbers");
            };
            entries.insert(number, count);
        }
        drop((check, rows));
        connection.close().await;
        entries
    })
}

#[test]
fn a_process_that_is_killed_in_a_query_without_end_releases_its_lock() {
    let Some(modules) = rust_guests(&["ledger.wasm"]) else {
        return;
    };
    let guests = Guests::new();
    let module = modules.join("ledger.wasm");
    let ran = guests.run(&["run", module.to_str().unwrap(), "kill"]);
    assert_eq!(ran.code(0).out, "0 entries are left\n");
}

#[test]
fn a_guest_reads_rows_as_types_of_its_own() {
    let Some(modules) = rust_guests(&["typed_rows.wasm"]) else {
        return;
    };
    let guests = Guests::new();
    let module = modules.join("typed_rows.wasm");
    guests.run(&["run", module.to_str().unwrap()]).code(0);
}
