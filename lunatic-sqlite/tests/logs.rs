//! The log of a database in WAL mode has a limit.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod common;

use std::path::Path;

use common::{code, dir, run, value};
use lunatic_sqlite::{Connection, Place, SqliteError, SqliteLimits, Value};

const MOST: u64 = 1 << 20;

async fn open(path: &Path) -> Connection {
    let place = Place::File {
        dir: dir(path).await,
        path: "a.db".into(),
    };
    let limits = SqliteLimits {
        max_file_bytes: MOST,
        ..SqliteLimits::default()
    };
    Connection::open(place, limits).await.unwrap()
}

async fn integer(connection: &Connection, sql: &str) -> i64 {
    match value(connection, sql).await {
        Value::Integer(number) => number,
        other => panic!("{other:?} is no number"),
    }
}

#[test]
fn a_log_that_a_reader_keeps_from_being_emptied_ends_at_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("a.db-wal");
    let size = || log.metadata().unwrap().len();
    run(async {
        let writer = open(folder.path()).await;
        let sql = "PRAGMA journal_mode = wal; CREATE TABLE t (a); INSERT INTO t VALUES (0)";
        writer.execute(sql).await.unwrap();
        let reader = open(folder.path()).await;
        reader.execute("BEGIN").await.unwrap();
        assert_eq!(integer(&reader, "SELECT a FROM t").await, 0);

        let mut written = 0;
        let failed = loop {
            match code(&writer, "UPDATE t SET a = a + 1").await {
                0 => written += 1,
                code => break code,
            }
            assert!(size() <= MOST);
        };
        assert_eq!(failed, SqliteError::FULL);
        assert!(written > 100, "{written}");
        // As long as somebody reads the old state.
        assert_eq!(
            code(&writer, "UPDATE t SET a = a + 1").await,
            SqliteError::FULL
        );
        assert!(!writer.execute("SELECT 1").await.unwrap().in_transaction);
        assert_eq!(integer(&reader, "SELECT a FROM t").await, 0);
        assert_eq!(integer(&writer, "SELECT a FROM t").await, written);

        // The first that fails makes room for others.
        reader.execute("COMMIT").await.unwrap();
        assert_eq!(
            code(&writer, "UPDATE t SET a = a + 1").await,
            SqliteError::FULL
        );
        for number in 0..1000 {
            let updated = writer.execute("UPDATE t SET a = a + 1").await;
            updated.unwrap_or_else(|error| panic!("{number}: {error}"));
        }
        assert_eq!(integer(&reader, "SELECT a FROM t").await, written + 1000);
        assert!(size() <= MOST);
        let check = value(&reader, "PRAGMA integrity_check").await;
        assert_eq!(check, Value::Text("ok".to_owned()));
    });
}

#[test]
fn a_log_that_nobody_empties_is_emptied_when_it_is_full() {
    let folder = tempfile::tempdir().unwrap();
    run(async {
        let connection = open(folder.path()).await;
        let sql = "PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (a, b);
            INSERT INTO t VALUES (1, zeroblob(300000))";
        connection.execute(sql).await.unwrap();
        let log = folder.path().join("a.db-wal");
        let mut failed = 0;
        for number in 2..20 {
            connection.execute("BEGIN").await.unwrap();
            let update = format!("UPDATE t SET a = {number}, b = randomblob(300000)");
            let updated = code(&connection, &update).await;
            let committed = code(&connection, "COMMIT").await;
            let expected = match (updated, committed) {
                (0, 0) => number,
                // The whole transaction was rolled back.
                (SqliteError::FULL, SqliteError::ERROR) | (0, SqliteError::FULL) => {
                    failed += 1;
                    number - 1
                }
                other => panic!("{other:?}"),
            };
            assert!(log.metadata().unwrap().len() <= MOST);
            if expected == number {
                assert_eq!(integer(&connection, "SELECT a FROM t").await, number);
            } else {
                // There is room again.
                connection.execute(&*update).await.unwrap();
            }
        }
        assert!(failed > 2, "{failed}");
        let check = value(&connection, "PRAGMA integrity_check").await;
        assert_eq!(check, Value::Text("ok".to_owned()));
    });
}
