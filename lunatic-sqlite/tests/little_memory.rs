//! Wherever SQLite has no memory left, a statement fails, and the database stays whole.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod common;

use std::path::Path;

use common::{dir, open, run, value};
use lunatic_sqlite::{BlobPlace, Connection, Key, Place, SqliteError, SqliteLimits, Value};

/// Statements that need memory in many ways.
const STATEMENTS: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS t (a, b UNIQUE, c)",
    "CREATE TABLE IF NOT EXISTS log (a)",
    "CREATE TRIGGER IF NOT EXISTS r AFTER INSERT ON t BEGIN INSERT INTO log VALUES (new.a); END",
    "CREATE VIRTUAL TABLE IF NOT EXISTS f USING fts5 (a)",
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 300)
        INSERT OR IGNORE INTO t SELECT i, random(), hex(randomblob(300)) FROM n",
    "INSERT INTO f SELECT c FROM t LIMIT 50",
    "INSERT INTO t VALUES (hex(zeroblob(60000)), random(), substr(hex(zeroblob(90000)), 7))",
    "SELECT a, substr(c, 2), upper(c), c || a FROM t ORDER BY c DESC",
    "SELECT substr(hex(zeroblob(150000)), 3), trim(hex(zeroblob(100000)), '0')",
    "SELECT sum(a) OVER (ORDER BY b), lag(c, 3) OVER (ORDER BY b) FROM t",
    "SELECT group_concat(c, ' ') FROM t",
    "SELECT json_group_array(c) FROM t",
    "SELECT json_patch(json_object('a', c), json_object('b', a)) FROM t",
    "SELECT count(*) FROM f WHERE f MATCH '0* OR 1*'",
    "SELECT DISTINCT x.a FROM t AS x JOIN t AS y ON x.c = y.c WHERE x.a IN (SELECT a FROM log)",
    "UPDATE t SET c = c || 'x'",
    "CREATE INDEX IF NOT EXISTS i ON t (c, a)",
    "ALTER TABLE log RENAME COLUMN a TO d",
    "ALTER TABLE log RENAME COLUMN d TO a",
    "CREATE TEMP TABLE IF NOT EXISTS u AS SELECT * FROM t",
    "DELETE FROM t WHERE a % 3 = 0",
    "SAVEPOINT s",
    "INSERT INTO log SELECT c FROM t",
    "ROLLBACK TO s",
    "RELEASE s",
    "ANALYZE",
    "VACUUM",
    "PRAGMA integrity_check",
    "PRAGMA journal_mode = wal",
];

async fn with_memory(path: &Path, bytes: u64) -> Result<Connection, SqliteError> {
    let place = Place::File {
        dir: dir(path).await,
        path: "a.db".into(),
    };
    let limits = SqliteLimits {
        max_heap_bytes: bytes,
        ..SqliteLimits::default()
    };
    Connection::open(place, limits).await
}

/// Notes how an operation failed; only what has met a limit, or follows from that, may.
fn note(what: &str, error: &SqliteError, failed: &mut usize) {
    // `SQLITE_ERROR`: what should be there could not be made.
    let expected = [1, SqliteError::NO_MEMORY, SqliteError::TOO_BIG];
    assert!(expected.contains(&error.result_code()), "{what}: {error}");
    *failed += 1;
}

#[test]
fn statements_fail_without_memory_and_nothing_else_does() {
    for encoding in ["UTF-8", "UTF-16le"] {
        let folder = tempfile::tempdir().unwrap();
        let (mut opened, mut failed, mut done) = (0, 0, 0);
        run(async {
            let first = open(folder.path(), "a.db").await;
            let sql = format!(
                "PRAGMA encoding = '{encoding}'; CREATE TABLE blobs (a);
                INSERT INTO blobs VALUES (zeroblob(100000))"
            );
            first.execute(sql).await.unwrap();
            first.close().await;
            for kib in (20..1500).step_by(37) {
                let connection = match with_memory(folder.path(), kib << 10).await {
                    Ok(connection) => connection,
                    Err(error) => {
                        note("open", &error, &mut failed);
                        continue;
                    }
                };
                opened += 1;
                for sql in STATEMENTS {
                    let mut statement = connection.statement(*sql);
                    loop {
                        match statement.step().await {
                            Ok(true) => {}
                            Ok(false) => break done += 1,
                            Err(error) => break note(sql, &error, &mut failed),
                        }
                    }
                }
                let mut insert = connection.statement("INSERT INTO log VALUES (?)");
                insert
                    .bind(Key::Number(1), Value::Text("x".repeat(200_000)))
                    .unwrap();
                if let Err(error) = insert.step().await {
                    note("insert", &error, &mut failed);
                }
                let place = BlobPlace {
                    table: "blobs".into(),
                    column: "a".into(),
                    rowid: 1,
                };
                if let Err(error) = connection.blob_write(place, 50_000, vec![1; 50_000]).await {
                    note("blob", &error, &mut failed);
                }
                connection.close().await;
            }
            let last = open(folder.path(), "a.db").await;
            let check = value(&last, "PRAGMA integrity_check").await;
            assert_eq!(check, Value::Text("ok".to_owned()));
        });
        assert!(
            opened > 20 && failed > 20 && done > 200,
            "{opened} {failed} {done}"
        );
    }
}
