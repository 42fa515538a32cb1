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
        code(&writer, "UPDATE t SET a = a + 0").await;
        for _ in 0..1000 {
            writer.execute("UPDATE t SET a = a + 1").await.unwrap();
        }
        assert_eq!(integer(&reader, "SELECT a FROM t").await, written + 1000);
        assert!(size() <= MOST);
        let check = value(&reader, "PRAGMA integrity_check").await;
        assert_eq!(check, Value::Text("ok".to_owned()));
    });
}

#[test]
fn a_transaction_that_is_larger_than_the_log_is_rolled_back() {
    let folder = tempfile::tempdir().unwrap();
    run(async {
        let connection = open(folder.path()).await;
        let sql = "PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (a);
            INSERT INTO t VALUES (zeroblob(300000))";
        connection.execute(sql).await.unwrap();
        connection.execute("BEGIN").await.unwrap();
        // The cache is smaller, so that pages are written again and again.
        let update = "UPDATE t SET a = randomblob(600000)";
        let mut failed = 0;
        for _ in 0..10 {
            failed = code(&connection, update).await;
            if failed != 0 {
                break;
            }
        }
        assert_eq!(failed, SqliteError::FULL);
        code(&connection, "ROLLBACK").await;
        let length = integer(&connection, "SELECT length(a) FROM t").await;
        assert_eq!(length, 300_000);
        // It can be written, as without a limit.
        code(&connection, "INSERT INTO t VALUES (1)").await;
        connection
            .execute("INSERT INTO t VALUES (1)")
            .await
            .unwrap();
        let log = folder.path().join("a.db-wal");
        assert!(log.metadata().unwrap().len() <= MOST);
    });
}
