//! What statements sort and collect ends in time, and belongs to who asked for it.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod common;

use std::time::{Duration, Instant};

use common::{code, memory, run, try_rows, value};
use futures_lite::future::poll_once;
use lunatic_account::{Account, AccountLimits, Kind};
use lunatic_sqlite::{Connection, Place, SqliteError, SqliteLimits, Value};

/// Numbers from 1 on, without an end.
const NUMBERS: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)";

/// Statements that sort or collect what has no end.
fn without_end() -> Vec<String> {
    let columns = "i IS NULL, ".repeat(100);
    [
        "SELECT i FROM n ORDER BY -i",
        "SELECT i FROM n ORDER BY hex(zeroblob(500)) || i COLLATE NOCASE",
        "SELECT i FROM n ORDER BY randomblob(1000000)",
        "SELECT count(*) FROM n GROUP BY -i",
        "SELECT count(*) FROM n GROUP BY hex(zeroblob(500)) || i COLLATE NOCASE",
        "SELECT DISTINCT -i FROM n WHERE i < 0 OR random() IS NULL OR -i IN (SELECT -i FROM n)",
        "SELECT count(DISTINCT -i) FROM n",
        "SELECT group_concat(i, '' ORDER BY -i) FROM n",
        "SELECT sum(i) OVER (ORDER BY -i ROWS UNBOUNDED PRECEDING) FROM n",
        "SELECT row_number() OVER (PARTITION BY i % 7 ORDER BY -i) FROM n",
        "SELECT -i FROM n UNION SELECT i FROM n",
        "SELECT -i FROM n EXCEPT SELECT i FROM n",
        "SELECT 1 WHERE 0 IN (SELECT -i FROM n)",
        "SELECT count(*) FROM (SELECT DISTINCT -i FROM n)",
    ]
    .iter()
    .map(|select| format!("{NUMBERS} {select}"))
    .chain([
        format!("{NUMBERS} SELECT i FROM n ORDER BY {columns} -i"),
        format!("{NUMBERS}, m AS MATERIALIZED (SELECT -i FROM n) SELECT count(*) FROM m, m AS o"),
        format!("INSERT INTO t {NUMBERS} SELECT -i FROM n ORDER BY -i"),
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION SELECT i + 1 FROM n) SELECT count(*) FROM n"
            .to_owned(),
        format!("CREATE TEMP TABLE collected AS {NUMBERS} SELECT -i FROM n"),
    ])
    .collect()
}

async fn open(limits: SqliteLimits) -> Connection {
    let connection = Connection::open(Place::Memory, limits).await.unwrap();
    connection
        .execute("CREATE TABLE t (a UNIQUE)")
        .await
        .unwrap();
    connection
}

#[test]
fn what_is_sorted_or_collected_ends_when_its_time_is_over() {
    run(async {
        let connection = open(SqliteLimits {
            max_heap_bytes: 4 << 30,
            max_memory_bytes: 1 << 30,
            ..SqliteLimits::default()
        })
        .await;
        connection.set_query_time(Duration::from_millis(200));
        for sql in without_end() {
            let begin = Instant::now();
            let error = connection.execute(&*sql).await.unwrap_err();
            assert_eq!(error.result_code(), SqliteError::INTERRUPTED, "{sql}");
            // To sort what is collected by then in one step takes longer.
            assert!(begin.elapsed() < Duration::from_secs(8), "{sql}");
        }
        assert_eq!(value(&connection, "SELECT 1").await, Value::Integer(1));
    });
}

#[test]
fn what_is_sorted_or_collected_has_a_limit() {
    run(async {
        let connection = open(SqliteLimits {
            max_heap_bytes: 4 << 20,
            max_query_time: Duration::from_secs(50),
            ..SqliteLimits::default()
        })
        .await;
        for sql in without_end() {
            let error = connection.execute(&*sql).await.unwrap_err();
            // Or `group_concat` has too much.
            let expected = [
                SqliteError::NO_MEMORY,
                SqliteError::FULL,
                SqliteError::TOO_BIG,
            ];
            assert!(expected.contains(&error.result_code()), "{sql}: {error}");
            // What it took is there again.
            let status = connection.execute("SELECT 1").await.unwrap();
            assert!(status.memory_bytes < 3 << 20, "{sql}: {status:?}");
        }
        let error = try_rows(&connection, &without_end()[0]).await.unwrap_err();
        let message = format!(
            "the limit of {} bytes for a connection is reached",
            (4 << 20) + (16 << 20)
        );
        assert_eq!(error.message, message);
    });
}

#[test]
fn much_is_sorted_in_its_order_and_indexed() {
    run(async {
        let connection = memory().await;
        // Some runs of what is sorted, and a tree of them.
        let sql = "CREATE TEMP TABLE t AS WITH RECURSIVE n (i) AS
                (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 300000)
                SELECT i * 7919 % 300007 AS a, hex(i) AS b FROM n;
            CREATE INDEX temp.by_a ON t (a); CREATE UNIQUE INDEX temp.by_b ON t (b, a)";
        connection.execute(sql).await.unwrap();
        let sorted =
            "SELECT count(*) FROM (SELECT a, lag(a) OVER (ORDER BY a) AS before FROM t NOT INDEXED)
            WHERE before >= a";
        assert_eq!(value(&connection, sorted).await, Value::Integer(0));
        let distinct = "SELECT count(*) FROM (SELECT DISTINCT a FROM t NOT INDEXED ORDER BY b)";
        assert_eq!(value(&connection, distinct).await, Value::Integer(300_000));
        let check = value(&connection, "PRAGMA integrity_check").await;
        assert_eq!(check, Value::Text("ok".to_owned()));
    });
}

#[test]
fn a_sort_that_nobody_waits_for_any_more_is_interrupted() {
    run(async {
        let connection = open(SqliteLimits {
            max_heap_bytes: 4 << 30,
            max_query_time: Duration::from_secs(50),
            ..SqliteLimits::default()
        })
        .await;
        let sort = format!(
            "{NUMBERS} SELECT i FROM n ORDER BY hex(zeroblob(500)) || i COLLATE NOCASE LIMIT 1"
        );
        let begin = Instant::now();
        for _ in 0..3 {
            let mut waiting = std::pin::pin!(connection.execute(&*sort));
            assert!(poll_once(&mut waiting).await.is_none());
            async_io::Timer::after(Duration::from_millis(200)).await;
            assert!(poll_once(&mut waiting).await.is_none());
        }
        assert_eq!(value(&connection, "SELECT 1").await, Value::Integer(1));
        // The limit of time would end them after fifty seconds each.
        assert!(begin.elapsed() < Duration::from_secs(40));
    });
}

#[test]
fn what_a_statement_collects_is_charged_to_who_asked_and_does_not_fail_its_neighbour() {
    const MOST: u64 = 32 << 20;
    run(async {
        let root = Account::root(AccountLimits::UNLIMITED);
        let limits = AccountLimits {
            memory: MOST,
            ..AccountLimits::UNLIMITED
        };
        let (hostile, neighbour) = (root.branch(limits).unwrap(), root.branch(limits).unwrap());
        let mut connections = Vec::new();
        for _ in 0..8 {
            let limits = SqliteLimits::default();
            let opened = Connection::open_charged(Place::Memory, limits, Some(&hostile));
            connections.push(opened.await.unwrap());
        }
        let other =
            Connection::open_charged(Place::Memory, SqliteLimits::default(), Some(&neighbour));
        let other = other.await.unwrap();
        // What it sorts stays as long as it has begun.
        let sort = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 150)
            SELECT i, randomblob(50000) FROM n ORDER BY -i";
        let mut begun = Vec::new();
        let mut failed = 0;
        for connection in &connections {
            let mut statement = connection.statement(sort);
            match statement.step().await {
                Ok(is_row) => {
                    assert!(is_row);
                    begun.push(statement);
                }
                Err(error) => {
                    assert_eq!(error.result_code(), SqliteError::NO_MEMORY, "{error}");
                    assert!(
                        error.message.contains("33554432 bytes of memory"),
                        "{error}"
                    );
                    failed += 1;
                }
            }
            assert!(hostile.used(Kind::Memory) <= MOST);
            let sorted =
                "SELECT sum(a) FROM (SELECT 3 AS a UNION SELECT 1 UNION SELECT 2 ORDER BY 1)";
            assert_eq!(value(&other, sorted).await, Value::Integer(6));
        }
        assert!(!begun.is_empty() && failed > 0, "{failed}");
        assert!(hostile.used(Kind::Memory) > 7 << 20);
        // When they have ended, it is theirs again.
        drop(begun);
        for connection in &connections {
            connection.execute("SELECT 1").await.unwrap();
        }
        let mut again = connections[7].statement(sort);
        assert!(again.step().await.unwrap());
        drop(again);
        for connection in connections {
            connection.close().await;
        }
        assert_eq!(hostile.used(Kind::Memory), 0);
    });
}

#[test]
fn a_statement_without_loops_ends_when_its_time_is_over() {
    run(async {
        let connection = open(SqliteLimits {
            max_heap_bytes: 1 << 30,
            ..SqliteLimits::default()
        })
        .await;
        connection.set_query_time(Duration::from_millis(50));
        let sum = vec!["length(a || 'x')"; 150].join(" + ");
        let sql = format!("SELECT {sum} FROM (SELECT hex(zeroblob(3000000)) AS a LIMIT 1)");
        // Each of the copies takes some milliseconds, and is refused when there is no time for it.
        assert_eq!(code(&connection, &sql).await, SqliteError::INTERRUPTED);
        let error = try_rows(&connection, &sql).await.unwrap_err();
        assert_eq!(error.message, "the time limit of a query is over");
        assert_eq!(value(&connection, "SELECT 1").await, Value::Integer(1));
    });
}

#[test]
fn many_operations_about_a_long_value_in_a_table_end() {
    run(async {
        let connection = memory().await;
        let sql = "CREATE TABLE long (a); INSERT INTO long SELECT hex(zeroblob(3000000))";
        connection.execute(sql).await.unwrap();
        // They take no memory, and none goes back. A few are all right…
        let few = ["(a + 1)"; 10].join(" + ");
        let sum = value(&connection, &format!("SELECT {few} FROM long")).await;
        assert_eq!(sum, Value::Integer(10));
        // …and these would take minutes.
        let many = vec![vec!["(a + 1)"; 400].join(" + "); 100].join(", ");
        let sql = format!("SELECT {many} FROM long");
        assert_eq!(code(&connection, &sql).await, SqliteError::TOO_BIG);
        assert_eq!(
            try_rows(&connection, &sql).await.unwrap_err().result_code(),
            SqliteError::TOO_BIG
        );
        let sum = value(&connection, &format!("SELECT {few} FROM long")).await;
        assert_eq!(sum, Value::Integer(10));
    });
}
