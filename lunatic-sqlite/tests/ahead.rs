//! Rows that are read ahead of who steps, and how often the thread of a connection is asked.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod common;

use std::time::Duration;

use common::{code, memory, open, rows, run, value};
use futures_lite::future::poll_once;
use lunatic_sqlite::{Connection, Key, SqliteError, Value};

/// Numbers from 1 up to this, or without end.
fn numbers(last: Option<u32>) -> String {
    let limit = last.map_or(String::new(), |last| format!("LIMIT {last}"));
    format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n {limit}) SELECT i FROM n"
    )
}

/// A connection with a table of so many rows.
async fn with_rows(path: &std::path::Path, count: u32) -> Connection {
    let connection = open(path, "a.db").await;
    let sql = format!("CREATE TABLE t (a); INSERT INTO t {}", numbers(Some(count)));
    connection.execute(sql).await.unwrap();
    connection
}

async fn try_step(connection: &Connection, sql: &str) -> Result<bool, SqliteError> {
    connection.statement(sql).step().await
}

#[test]
fn a_statement_asks_the_thread_once() {
    let folder = tempfile::tempdir().unwrap();
    run(async {
        let connection = with_rows(folder.path(), 10).await;
        let mut insert = connection.statement("INSERT INTO t VALUES (?)");
        let mut select = connection.statement("SELECT a FROM t ORDER BY a LIMIT 10");
        let mut fewest = u64::MAX;
        for _ in 0..200 {
            let before = connection.asked();
            connection.execute("BEGIN").await.unwrap();
            assert_eq!(connection.asked() - before, 1);
            insert.bind(Key::Number(1), Value::Integer(11)).unwrap();
            insert.reset();
            assert!(!insert.step().await.unwrap());
            assert_eq!(connection.asked() - before, 2);
            connection.execute("COMMIT").await.unwrap();
            assert_eq!(connection.asked() - before, 3);
            let before = connection.asked();
            for number in 1..=10 {
                assert!(select.step().await.unwrap());
                assert_eq!(select.row().unwrap(), [Value::Integer(number)]);
            }
            assert!(!select.step().await.unwrap());
            select.reset();
            fewest = fewest.min(connection.asked() - before);
        }
        // It is more if the thread is kept from running for a millisecond.
        assert_eq!(fewest, 1);
    });
}

#[test]
fn many_rows_ask_the_thread_for_hundreds_at_once() {
    run(async {
        let connection = memory().await;
        let before = connection.asked();
        let read = rows(&connection, &numbers(Some(20_000))).await;
        assert_eq!(read.len(), 20_000);
        // 79, or some more if the thread was kept from running.
        let asked = connection.asked() - before;
        assert!((79..2000).contains(&asked), "{asked}");
    });
}

#[test]
fn a_select_that_was_read_to_its_end_holds_no_lock_and_another_one_does() {
    let folder = tempfile::tempdir().unwrap();
    run(async {
        let reader = with_rows(folder.path(), 5000).await;
        let writer = open(folder.path(), "a.db").await;
        writer.set_busy_timeout(Duration::ZERO);
        let mut few = reader.statement("SELECT a FROM t LIMIT 1");
        assert!(few.step().await.unwrap());
        assert_eq!(code(&writer, "INSERT INTO t VALUES (0)").await, 0);
        assert_eq!(few.row().unwrap(), [Value::Integer(1)]);
        assert!(!few.step().await.unwrap());

        let mut many = reader.statement("SELECT a FROM t");
        for end in ["reset", "drop", "end"] {
            assert!(many.step().await.unwrap());
            let busy = SqliteError::BUSY;
            assert_eq!(
                code(&writer, "INSERT INTO t VALUES (0)").await,
                busy,
                "{end}"
            );
            match end {
                "reset" => many.reset(),
                "drop" => many = reader.statement("SELECT a FROM t"),
                _ => while many.step().await.unwrap() {},
            }
            writer.set_busy_timeout(Duration::from_secs(30));
            assert_eq!(code(&writer, "INSERT INTO t VALUES (0)").await, 0, "{end}");
            writer.set_busy_timeout(Duration::ZERO);
        }
    });
}

#[test]
fn rows_that_were_read_ahead_are_as_they_were_whatever_is_written_then() {
    let folder = tempfile::tempdir().unwrap();
    run(async {
        let connection = with_rows(folder.path(), 10).await;
        let mut select = connection.statement("SELECT a FROM t ORDER BY a DESC");
        for write in [
            "DELETE FROM t WHERE a > 5",
            "UPDATE t SET a = 7",
            "DROP TABLE t",
        ] {
            let count = rows(&connection, "SELECT a FROM t").await.len();
            let mut read = Vec::new();
            while select.step().await.unwrap() {
                if read.is_empty() && write != "DROP TABLE t" {
                    assert_eq!(code(&connection, write).await, 0);
                }
                read.push(select.row().unwrap());
            }
            assert_eq!(read.len(), count, "{write}");
            connection.execute(write).await.unwrap();
        }
        assert_eq!(
            try_step(&connection, "SELECT a FROM t")
                .await
                .unwrap_err()
                .code,
            1
        );
    });
}

#[test]
fn rows_of_a_statement_that_writes_come_once_when_it_has_waited_for_a_lock() {
    let folder = tempfile::tempdir().unwrap();
    run(async {
        let writer = with_rows(folder.path(), 5).await;
        let reader = open(folder.path(), "a.db").await;
        let insert = format!("INSERT INTO t {} RETURNING a", numbers(Some(1000)));
        // To commit is to wait until nobody reads.
        reader.execute("BEGIN; SELECT * FROM t").await.unwrap();
        assert!(try_step(&reader, "SELECT count(*) FROM t").await.unwrap());
        writer.set_busy_timeout(Duration::from_millis(30));
        let error = try_step(&writer, &insert).await.unwrap_err();
        assert_eq!(error.result_code(), SqliteError::BUSY);
        writer.set_busy_timeout(Duration::from_secs(50));
        let waiting = std::thread::spawn(move || {
            run(async move {
                let read = rows(&writer, &insert).await;
                (read.len(), value(&writer, "SELECT count(*) FROM t").await)
            })
        });
        async_io::Timer::after(Duration::from_millis(100)).await;
        reader.execute("COMMIT").await.unwrap();
        assert_eq!(waiting.join().unwrap(), (1000, Value::Integer(1005)));
    });
}

#[test]
fn a_statement_that_writes_is_committed_by_its_first_step() {
    let folder = tempfile::tempdir().unwrap();
    run(async {
        let writer = with_rows(folder.path(), 5).await;
        let other = open(folder.path(), "a.db").await;
        other.set_busy_timeout(Duration::ZERO);
        let sql = format!("INSERT INTO t {} RETURNING a", numbers(Some(3000)));
        let mut insert = writer.statement(sql.as_str());
        assert!(insert.step().await.unwrap());
        let count = value(&other, "SELECT count(*) FROM t").await;
        assert_eq!(count, Value::Integer(3005));
        assert_eq!(code(&other, "DELETE FROM t").await, 0);
        // Reset, it has no more rows and is not undone; run again, it inserts again.
        insert.reset();
        assert!(insert.step().await.unwrap());
        assert_eq!(insert.row().unwrap(), [Value::Integer(1)]);
        let count = value(&other, "SELECT count(*) FROM t").await;
        assert_eq!(count, Value::Integer(3000));
        // One that fails writes nothing and returns no row.
        writer
            .execute("CREATE UNIQUE INDEX i ON t (a)")
            .await
            .unwrap();
        let before = value(&other, "SELECT count(*) FROM t").await;
        let twice = "INSERT INTO t VALUES (5001), (5002), (1) RETURNING a";
        assert_eq!(
            try_step(&writer, twice).await.unwrap_err().result_code(),
            19
        );
        assert_eq!(value(&other, "SELECT count(*) FROM t").await, before);
    });
}

#[test]
fn rows_before_the_end_of_the_time_are_delivered_first() {
    run(async {
        let connection = memory().await;
        connection.set_query_time(Duration::from_millis(100));
        let sql = format!("SELECT i FROM ({}) WHERE i < 4", numbers(None));
        let mut select = connection.statement(sql.as_str());
        for number in 1..4 {
            assert!(select.step().await.unwrap());
            assert_eq!(select.row().unwrap(), [Value::Integer(number)]);
        }
        let error = select.step().await.unwrap_err();
        assert_eq!(error.result_code(), SqliteError::INTERRUPTED);
        assert_eq!(error.message, "the time limit of a query is over");
        assert!(select.step().await.unwrap());
    });
}

#[test]
fn a_row_that_takes_long_is_not_kept_back_by_the_next_one() {
    run(async {
        let connection = memory().await;
        connection.set_query_time(Duration::from_secs(2));
        // The first row is found after some work, and the second one never.
        let sql = format!("SELECT i FROM ({}) WHERE i = 300000", numbers(None));
        let mut select = connection.statement(sql.as_str());
        assert!(select.step().await.unwrap());
        // The second one was not looked for: somebody has to ask.
        let before = connection.asked();
        poll_once(select.step()).await;
        assert_eq!(connection.asked() - before, 1);
        drop(select);
        assert_eq!(value(&connection, "SELECT 1").await, Value::Integer(1));
    });
}

#[test]
fn a_step_that_is_given_up_ends_the_statement_and_the_next_one_begins_again() {
    let folder = tempfile::tempdir().unwrap();
    run(async {
        let reader = with_rows(folder.path(), 5000).await;
        let writer = open(folder.path(), "a.db").await;
        // The last row takes long.
        let sql = format!(
            "SELECT i FROM ({}), (SELECT count(*) FROM t) WHERE i < 1000 OR i = 3000000",
            numbers(None)
        );
        let mut select = reader.statement(sql.as_str());
        for _ in 0..3 {
            assert!(select.step().await.unwrap());
            assert_eq!(select.row().unwrap(), [Value::Integer(1)]);
            // What is behind a step that waits is given up with it.
            while let Some(stepped) = poll_once(select.step()).await {
                assert!(stepped.unwrap());
            }
            assert_eq!(select.row(), None);
        }
        drop(select);
        // No lock is left.
        assert_eq!(code(&writer, "INSERT INTO t VALUES (0)").await, 0);
    });
}

#[test]
fn a_rollback_or_a_closed_connection_ends_what_was_begun() {
    let folder = tempfile::tempdir().unwrap();
    run(async {
        let connection = with_rows(folder.path(), 5000).await;
        connection
            .execute("BEGIN; CREATE TABLE u (a)")
            .await
            .unwrap();
        let mut select = connection.statement("SELECT a FROM t");
        assert!(select.step().await.unwrap());
        connection.execute("ROLLBACK").await.unwrap();
        // What was read ahead is there; then SQLite says that it was rolled back.
        let mut read = 1;
        let end = loop {
            match select.step().await {
                Ok(true) => read += 1,
                end => break end,
            }
        };
        assert!(read < 5000, "{read}");
        // `SQLITE_ABORT`
        assert_eq!(end.unwrap_err().result_code(), 4);
        let mut select = connection.statement("SELECT a FROM t");
        assert!(select.step().await.unwrap());
        connection.close().await;
        while select.step().await == Ok(true) {}
        assert_eq!(
            select.step().await.unwrap_err().result_code(),
            SqliteError::MISUSE
        );
    });
}
