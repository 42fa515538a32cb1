//! Statements, values, transactions and changes.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{code, memory, open, rows, run, try_rows, value};
use lunatic_sqlite::{BlobPlace, Change, Key, SqliteError, Value};
use parking_lot::Mutex;

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

#[test]
fn values_of_all_types_come_back_as_they_were_bound() {
    run(async {
        let connection = memory().await;
        let mut statement = connection.statement("SELECT ?1, ?2, :name, $other, @last, ?");
        let values = [
            (Key::Number(1), Value::Null),
            (Key::Number(2), Value::Blob(vec![0, 255, 7])),
            (Key::Name(":name".into()), text("naïve\0")),
            (Key::Name("$other".into()), Value::Double(-0.5)),
            (Key::Name("@last".into()), Value::Integer(i64::MIN)),
            (Key::Number(6), text("")),
        ];
        for (key, value) in values.clone() {
            statement.bind(key, value).unwrap();
        }
        assert!(statement.step().await.unwrap());
        let expected: Vec<Value> = values.into_iter().map(|(_, value)| value).collect();
        assert_eq!(statement.row().unwrap(), expected);
        assert!(!statement.step().await.unwrap());
        // It begins again, and what is bound stays.
        assert!(statement.step().await.unwrap());
        assert_eq!(statement.row().unwrap(), expected);
        statement.reset();
        statement.bind(Key::Number(6), Value::Integer(1)).unwrap();
        assert!(statement.step().await.unwrap());
        assert_eq!(statement.row().unwrap()[5], Value::Integer(1));
    });
}

#[test]
fn a_parameter_that_is_not_there_is_an_error_of_the_step() {
    run(async {
        let connection = memory().await;
        for key in [
            Key::Number(0),
            Key::Number(2),
            Key::Number(u64::MAX),
            Key::Name(":b".into()),
        ] {
            let mut statement = connection.statement("SELECT :a");
            statement.bind(key.clone(), Value::Null).unwrap();
            let error = statement.step().await.unwrap_err();
            assert_eq!(error.result_code(), SqliteError::RANGE, "{key:?}");
        }
    });
}

#[test]
fn mistakes_have_the_code_and_the_message_of_sqlite() {
    run(async {
        let connection = memory().await;
        let error = connection.execute("SELEC 1").await.unwrap_err();
        assert_eq!(
            (error.result_code(), error.message.as_str()),
            (1, "near \"SELEC\": syntax error")
        );
        let error = try_rows(&connection, "SELECT * FROM missing")
            .await
            .unwrap_err();
        assert_eq!(
            (error.result_code(), error.message.as_str()),
            (1, "no such table: missing")
        );
        connection
            .execute("CREATE TABLE t (a UNIQUE NOT NULL)")
            .await
            .unwrap();
        connection
            .execute("INSERT INTO t VALUES (1)")
            .await
            .unwrap();
        let error = connection
            .execute("INSERT INTO t VALUES (1)")
            .await
            .unwrap_err();
        // `SQLITE_CONSTRAINT_UNIQUE`
        assert_eq!((error.code, error.result_code()), (2067, 19));
        assert_eq!(error.message, "UNIQUE constraint failed: t.a");
    });
}

#[test]
fn statements_that_are_empty_or_several_are_told_apart() {
    run(async {
        let connection = memory().await;
        for sql in ["", "  ", "-- nothing", "/* nothing */;"] {
            assert_eq!(
                rows(&connection, sql).await,
                Vec::<Vec<Value>>::new(),
                "{sql:?}"
            );
            connection.execute(sql).await.unwrap();
        }
        assert_eq!(
            value(&connection, "SELECT 1; -- one").await,
            Value::Integer(1)
        );
        assert!(try_rows(&connection, "SELECT 1; SELECT 2").await.is_err());
        connection
            .execute("CREATE TABLE t (a); INSERT INTO t VALUES (1); SELECT * FROM t")
            .await
            .unwrap();
        // Those before a mistake were run.
        assert_eq!(
            code(
                &connection,
                "INSERT INTO t VALUES (2); x; INSERT INTO t VALUES (3)"
            )
            .await,
            1
        );
        assert_eq!(
            value(&connection, "SELECT count(*) FROM t").await,
            Value::Integer(2)
        );
    });
}

#[test]
fn many_rows_arrive_one_by_one_and_without_end() {
    run(async {
        let connection = memory().await;
        let all =
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";
        let mut statement = connection.statement(all);
        for number in 1..5000 {
            assert!(statement.step().await.unwrap());
            assert_eq!(statement.row().unwrap(), [Value::Integer(number)]);
        }
        // Others run meanwhile.
        let mut other = connection.statement(all);
        assert!(other.step().await.unwrap());
        assert_eq!(other.row().unwrap(), [Value::Integer(1)]);
        statement.reset();
        assert!(statement.step().await.unwrap());
        assert_eq!(statement.row().unwrap(), [Value::Integer(1)]);
    });
}

#[test]
fn an_error_comes_behind_the_rows_before_it() {
    run(async {
        let connection = memory().await;
        connection
            .execute("CREATE TABLE t (a); INSERT INTO t VALUES ('{}'), ('[]'), ('{')")
            .await
            .unwrap();
        let mut statement = connection.statement("SELECT json(a) FROM t");
        assert!(statement.step().await.unwrap());
        assert!(statement.step().await.unwrap());
        assert_eq!(
            statement.step().await.unwrap_err().message,
            "malformed JSON"
        );
        assert!(statement.step().await.unwrap());
        assert_eq!(statement.row().unwrap(), [text("{}")]);
    });
}

#[test]
fn changes_and_row_ids_are_known_after_each_statement() {
    run(async {
        let connection = memory().await;
        connection.execute("CREATE TABLE t (a)").await.unwrap();
        let status = connection
            .execute("INSERT INTO t VALUES (1), (2), (3)")
            .await
            .unwrap();
        assert_eq!((status.changes, status.last_insert_rowid), (3, 3));
        let status = connection
            .execute("BEGIN; DELETE FROM t WHERE a > 1")
            .await
            .unwrap();
        assert_eq!((status.changes, status.in_transaction), (2, true));
        let status = connection.execute("ROLLBACK").await.unwrap();
        assert!(!status.in_transaction);
    });
}

#[test]
fn what_is_not_committed_is_rolled_back_when_the_connection_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    run(async {
        let connection = open(folder.path(), "a.db").await;
        connection.execute("CREATE TABLE t (a)").await.unwrap();
        connection
            .execute("BEGIN; INSERT INTO t VALUES (1)")
            .await
            .unwrap();
        drop(connection);
        let other = open(folder.path(), "a.db").await;
        // Until the other is closed, its lock is waited for.
        other.execute("INSERT INTO t VALUES (2)").await.unwrap();
        assert_eq!(rows(&other, "SELECT a FROM t").await, [[Value::Integer(2)]]);
    });
}

#[test]
fn a_lock_is_waited_for_and_others_work_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    run(async {
        // More than there are threads, so that some share one.
        let mut connections = Vec::new();
        for _ in 0..40 {
            connections.push(open(folder.path(), "a.db").await);
        }
        let holder = &connections[0];
        holder
            .execute("CREATE TABLE t (a); BEGIN IMMEDIATE")
            .await
            .unwrap();
        let waiting = connections[1..].iter().map(|connection| {
            let connection = connection.clone();
            std::thread::spawn(move || {
                run(async move {
                    connection.set_busy_timeout(Duration::from_secs(50));
                    connection.execute("INSERT INTO t VALUES (1)").await
                })
            })
        });
        let waiting: Vec<_> = waiting.collect();
        async_io::Timer::after(Duration::from_millis(100)).await;
        holder
            .execute("INSERT INTO t VALUES (0); COMMIT")
            .await
            .unwrap();
        for waiting in waiting {
            waiting.join().unwrap().unwrap();
        }
        let count = value(holder, "SELECT count(*) FROM t").await;
        assert_eq!(count, Value::Integer(40));
    });
}

#[test]
fn who_reads_a_schema_waits_for_a_lock_too() {
    let folder = tempfile::tempdir().unwrap();
    run(async {
        let a = open(folder.path(), "a.db").await;
        a.execute("CREATE TABLE t (a); BEGIN EXCLUSIVE; INSERT INTO t VALUES (1)")
            .await
            .unwrap();
        let waiting = ["execute", "step"].map(|how| {
            let path = folder.path().to_owned();
            std::thread::spawn(move || {
                run(async move {
                    let b = open(&path, "a.db").await;
                    match how {
                        "execute" => b.execute("SELECT * FROM t").await.map(drop),
                        _ => try_rows(&b, "SELECT * FROM t").await.map(drop),
                    }
                })
            })
        });
        async_io::Timer::after(Duration::from_millis(100)).await;
        a.execute("COMMIT").await.unwrap();
        for waiting in waiting {
            waiting.join().unwrap().unwrap();
        }
    });
}

#[test]
fn a_lock_that_is_not_released_is_an_error_after_the_timeout() {
    let folder = tempfile::tempdir().unwrap();
    run(async {
        let (a, b) = (
            open(folder.path(), "a.db").await,
            open(folder.path(), "a.db").await,
        );
        a.execute("CREATE TABLE t (a); BEGIN IMMEDIATE")
            .await
            .unwrap();
        b.set_busy_timeout(Duration::from_millis(20));
        let error = b.execute("INSERT INTO t VALUES (1)").await.unwrap_err();
        assert_eq!(
            (error.result_code(), error.message.as_str()),
            (5, "database is locked")
        );
        b.execute("PRAGMA busy_timeout = 10").await.unwrap();
        assert_eq!(code(&b, "INSERT INTO t VALUES (1)").await, 5);
        a.execute("COMMIT").await.unwrap();
        assert_eq!(code(&b, "INSERT INTO t VALUES (1)").await, 0);
    });
}

#[test]
fn wal_lets_connections_read_while_one_writes() {
    let folder = tempfile::tempdir().unwrap();
    run(async {
        let (a, b) = (
            open(folder.path(), "a.db").await,
            open(folder.path(), "a.db").await,
        );
        a.execute("PRAGMA journal_mode = wal; CREATE TABLE t (a)")
            .await
            .unwrap();
        a.execute("BEGIN; INSERT INTO t VALUES (1)").await.unwrap();
        assert_eq!(value(&b, "SELECT count(*) FROM t").await, Value::Integer(0));
        a.execute("COMMIT").await.unwrap();
        assert_eq!(value(&b, "SELECT count(*) FROM t").await, Value::Integer(1));
        // Of two that read before they write, the second has an old state: to wait is in vain.
        a.execute("BEGIN; SELECT * FROM t").await.unwrap();
        assert_eq!(value(&a, "SELECT count(*) FROM t").await, Value::Integer(1));
        b.execute("INSERT INTO t VALUES (2)").await.unwrap();
        let error = a.execute("INSERT INTO t VALUES (3)").await.unwrap_err();
        assert_eq!(error.code, 517);
    });
}

#[test]
fn another_program_uses_the_database_too() {
    let folder = tempfile::tempdir().unwrap();
    let Some(other) = OtherProgram::find() else {
        eprintln!("SKIPPED: there is neither sqlite3 nor python3 with sqlite3");
        return;
    };
    let path = folder.path().join("a.db");
    for mode in ["wal", "delete"] {
        run(async {
            let connection = open(folder.path(), "a.db").await;
            let sql = format!(
                "PRAGMA journal_mode = {mode}; CREATE TABLE IF NOT EXISTS t (a); DELETE FROM t"
            );
            connection.execute(sql).await.unwrap();
            connection
                .execute("INSERT INTO t VALUES (1)")
                .await
                .unwrap();
            assert_eq!(other.run(&path, "SELECT count(*) FROM t"), "1", "{mode}");
            other.run(&path, "INSERT INTO t VALUES (2)");
            assert_eq!(
                value(&connection, "SELECT sum(a) FROM t").await,
                Value::Integer(3)
            );
            // Each sees the locks of the other.
            connection.execute("BEGIN IMMEDIATE").await.unwrap();
            let refused = other.run(&path, "INSERT INTO t VALUES (3)");
            assert!(refused.contains("locked"), "{mode}: {refused}");
            connection.execute("COMMIT").await.unwrap();
            connection.close().await;
            assert_eq!(other.run(&path, "PRAGMA integrity_check"), "ok");
        });
    }
}

/// A program that has SQLite of its own.
struct OtherProgram {
    name: &'static str,
    arguments: &'static [&'static str],
}

impl OtherProgram {
    fn find() -> Option<OtherProgram> {
        const SCRIPT: &str = "
import sqlite3, sys
try:
    connection = sqlite3.connect(sys.argv[1], timeout=0)
    for row in connection.execute(sys.argv[2]):
        print(row[0])
    connection.commit()
except sqlite3.Error as error:
    print(error)";
        let programs = [
            OtherProgram {
                name: "sqlite3",
                arguments: &[],
            },
            OtherProgram {
                name: "python3",
                arguments: &["-c", SCRIPT],
            },
        ];
        let path = std::env::temp_dir().join(format!("probe-{}.db", std::process::id()));
        let found = programs
            .into_iter()
            .find(|program| program.run(&path, "SELECT 42") == "42");
        std::fs::remove_file(path).ok();
        found
    }

    fn run(&self, path: &std::path::Path, sql: &str) -> String {
        let mut command = std::process::Command::new(self.name);
        let output = command.args(self.arguments).arg(path).arg(sql).output();
        output.map_or_else(
            |error| error.to_string(),
            |output| {
                let text = [output.stdout, output.stderr].concat();
                String::from_utf8_lossy(&text).trim().to_owned()
            },
        )
    }
}

#[test]
fn blobs_are_read_and_written_in_pieces() {
    run(async {
        let connection = memory().await;
        connection
            .execute("CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(3000000))")
            .await
            .unwrap();
        let place = BlobPlace {
            table: "t".into(),
            column: "a".into(),
            rowid: 1,
        };
        assert_eq!(connection.blob_size(place.clone()).await, Ok(3_000_000));
        connection
            .blob_write(place.clone(), 2_999_990, b"0123456789".to_vec())
            .await
            .unwrap();
        let read = connection
            .blob_read(place.clone(), 2_999_995, 100)
            .await
            .unwrap();
        assert_eq!(read, b"56789");
        assert_eq!(
            connection.blob_read(place.clone(), u64::MAX, 100).await,
            Ok(vec![])
        );
        let behind = connection
            .blob_write(place.clone(), 2_999_995, vec![0; 6])
            .await;
        assert!(behind.is_err());
        assert!(
            connection
                .blob_write(place.clone(), u64::MAX, vec![0; 6])
                .await
                .is_err()
        );
        for wrong in [
            BlobPlace {
                rowid: 2,
                ..place.clone()
            },
            BlobPlace {
                table: "u".into(),
                ..place.clone()
            },
            BlobPlace {
                column: "b\0".into(),
                ..place.clone()
            },
        ] {
            assert!(
                connection.blob_size(wrong.clone()).await.is_err(),
                "{wrong:?}"
            );
        }
    });
}

#[test]
fn who_watches_is_told_of_what_is_committed_and_of_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    run(async {
        let (a, b) = (
            open(folder.path(), "a.db").await,
            open(folder.path(), "a.db").await,
        );
        a.execute("CREATE TABLE t (x); CREATE TABLE u (x)")
            .await
            .unwrap();
        let told: Arc<Mutex<Vec<Change>>> = Arc::default();
        let tell = told.clone();
        let watch = a
            .watch(
                Some("T".into()),
                Arc::new(move |change: &Change| tell.lock().push(change.clone())),
            )
            .await
            .unwrap();
        // It tells before it does anything else.
        let tell_now = async || a.execute("SELECT 1").await.unwrap();
        b.execute("INSERT INTO u VALUES (1)").await.unwrap();
        b.execute("BEGIN; INSERT INTO t VALUES (1)").await.unwrap();
        tell_now().await;
        assert_eq!(*told.lock(), []);
        b.execute("ROLLBACK").await.unwrap();
        b.execute("BEGIN; INSERT INTO t VALUES (1), (2); UPDATE t SET x = 3 WHERE x = 1")
            .await
            .unwrap();
        b.execute("DELETE FROM t WHERE x = 2; COMMIT")
            .await
            .unwrap();
        tell_now().await;
        assert_eq!(told.lock().len(), 1);
        let change = told.lock().remove(0);
        assert_eq!(
            (
                change.table.as_str(),
                change.inserted,
                change.updated,
                change.deleted
            ),
            ("t", 2, 1, 1)
        );
        drop(watch);
        b.execute("INSERT INTO t VALUES (1)").await.unwrap();
        tell_now().await;
        assert_eq!(*told.lock(), []);
    });
}

#[test]
fn who_commits_waits_for_nobody_who_watches() {
    let folder = tempfile::tempdir().unwrap();
    run(async {
        let (a, b) = (
            open(folder.path(), "a.db").await,
            open(folder.path(), "a.db").await,
        );
        a.execute("CREATE TABLE t (x)").await.unwrap();
        let (committed, is_committed) = async_channel::bounded(1);
        let (told, is_told) = async_channel::bounded(1);
        let tell = move |_: &Change| {
            // Were it the thread of `b`, it would wait for itself.
            told.try_send(is_committed.recv_blocking().is_ok()).ok();
        };
        let _watch = a.watch(None, Arc::new(tell)).await.unwrap();
        b.execute("INSERT INTO t VALUES (1)").await.unwrap();
        committed.send(()).await.unwrap();
        assert_eq!(is_told.recv().await, Ok(true));
    });
}

#[test]
fn what_is_too_much_to_wait_for_a_connection_is_not_told_of() {
    const COMMITS: usize = 5000;
    let folder = tempfile::tempdir().unwrap();
    run(async {
        let (a, b) = (
            open(folder.path(), "a.db").await,
            open(folder.path(), "a.db").await,
        );
        b.execute("PRAGMA synchronous = OFF; CREATE TABLE t (x)")
            .await
            .unwrap();
        let (go_on, goes_on) = async_channel::bounded::<()>(1);
        let told: Arc<Mutex<Vec<Change>>> = Arc::default();
        let tell = told.clone();
        let tell = move |change: &Change| {
            goes_on.recv_blocking().ok();
            tell.lock().push(change.clone());
        };
        let _watch = a.watch(None, Arc::new(tell)).await.unwrap();
        for _ in 0..COMMITS {
            b.execute("INSERT INTO t VALUES (1)").await.unwrap();
        }
        drop(go_on);
        a.execute("SELECT 1").await.unwrap();
        let first = told.lock().len();
        assert!((2..COMMITS).contains(&first), "{first}");
        assert_eq!(told.lock()[1].last_rowid, 2);
        b.execute("INSERT INTO t VALUES (1)").await.unwrap();
        a.execute("SELECT 1").await.unwrap();
        assert_eq!(told.lock().len(), first + 1);
    });
}

#[test]
fn functions_that_were_replaced_answer_as_before() {
    run(async {
        let connection = memory().await;
        for (sql, expected) in [
            ("instr('naïve text', 'text')", Value::Integer(7)),
            ("instr('abc', '')", Value::Integer(1)),
            ("instr('abc', 'x')", Value::Integer(0)),
            ("instr(x'616263', x'63')", Value::Integer(3)),
            ("instr(NULL, 'x')", Value::Null),
            ("instr(12345, 34)", Value::Integer(3)),
            ("replace('aXbXc', 'X', '--')", text("a--b--c")),
            ("replace('abc', '', 'x')", text("abc")),
            ("replace('abc', NULL, 'x')", Value::Null),
            ("replace(1213, 1, 5)", text("5253")),
            ("trim('xxabcxy', 'xy')", text("abc")),
            ("ltrim('xxabcx', 'x')", text("abcx")),
            ("rtrim('xxabcx', 'x')", text("xxabc")),
            ("trim('  abc ')", text("abc")),
            ("trim('abc', '')", text("abc")),
            ("trim(NULL, 'x')", Value::Null),
            ("replace(2.5e-7, '.', ',')", text("2,5e-07")),
            ("instr(1e20, 'e')", Value::Integer(4)),
            ("trim(-1e300 * 1e10, '-')", text("Inf")),
            ("unhex('61 62-6g', ' -')", Value::Null),
            ("unhex('61 62-63', ' -')", Value::Blob(b"abc".to_vec())),
            ("unhex('6 1', ' ')", Value::Null),
            ("unhex('ü61', 'ü')", Value::Blob(b"a".to_vec())),
            ("unhex(6162, '')", Value::Blob(b"ab".to_vec())),
            ("unhex('61', NULL)", Value::Null),
            ("unhex('6161')", Value::Blob(b"aa".to_vec())),
            (
                r#"json_patch('{"a":1,"b":[1,2]}', '{"b":null,"c":{"d":"x"}}')"#,
                text(r#"{"a":1,"c":{"d":"x"}}"#),
            ),
            // It is a value of JSON, and no text.
            (
                r#"json_array(json_patch('{"a":1}', '{"a":2}'))"#,
                text(r#"[{"a":2}]"#),
            ),
            (
                r#"json(jsonb_patch('{"a":1}', jsonb('{"a":2}')))"#,
                text(r#"{"a":2}"#),
            ),
            ("json_patch(NULL, '{}')", Value::Null),
        ] {
            assert_eq!(
                value(&connection, &format!("SELECT {sql}")).await,
                expected,
                "{sql}"
            );
        }
    });
}

#[test]
fn as_many_values_as_sqlite_has_parameters_are_bound() {
    run(async {
        const MOST: u64 = 32766;
        let connection = memory().await;
        let mut statement = connection.statement(format!("SELECT ?1, ?{}, ?{MOST}", MOST - 1));
        for number in 1..=MOST {
            let value = Value::Integer(number as i64);
            statement.bind(Key::Next, value).unwrap();
        }
        statement.bind(Key::Number(1), Value::Integer(-1)).unwrap();
        assert!(statement.step().await.unwrap());
        let row = [-1, MOST as i64 - 1, MOST as i64].map(Value::Integer);
        assert_eq!(statement.row().unwrap(), row);
    });
}

#[test]
fn there_is_no_parameter_behind_the_last_number() {
    run(async {
        let connection = memory().await;
        let mut statement = connection.statement("SELECT ?1");
        for key in [Key::Number(u64::MAX), Key::Next, Key::Number(0), Key::Next] {
            statement.bind(key, Value::Null).unwrap();
        }
        let error = statement.step().await.unwrap_err();
        assert_eq!(error.result_code(), SqliteError::RANGE);
    });
}

#[test]
fn a_storm_of_changes_is_one_message_for_each_table_and_transaction() {
    let folder = tempfile::tempdir().unwrap();
    run(async {
        let connection = open(folder.path(), "a.db").await;
        let told: Arc<Mutex<Vec<Change>>> = Arc::default();
        let mut watches = Vec::new();
        for _ in 0..100 {
            let tell = told.clone();
            let tell = move |change: &Change| tell.lock().push(change.clone());
            watches.push(connection.watch(None, Arc::new(tell)).await.unwrap());
        }
        let mut sql = String::from("BEGIN;");
        for table in 0..300 {
            sql.push_str(&format!("CREATE TABLE t{table} (a);"));
        }
        for table in 0..300 {
            sql.push_str(&format!(
                "INSERT INTO t{table} WITH RECURSIVE n (i) AS
                    (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100) SELECT i FROM n;"
            ));
        }
        sql.push_str("COMMIT");
        connection.execute(sql).await.unwrap();
        let mut told = std::mem::take(&mut *told.lock());
        // Tables beyond 256 are not told of.
        assert_eq!(told.len(), 256 * 100);
        told.retain(|change| change.table == "t255");
        assert_eq!(told.len(), 100);
        assert!(told.iter().all(|change| change.inserted == 100));
    });
}

#[test]
fn a_blob_of_a_row_that_was_rolled_back_is_gone() {
    run(async {
        let connection = memory().await;
        let sql = "CREATE TABLE t (a); BEGIN; INSERT INTO t VALUES (zeroblob(100000))";
        connection.execute(sql).await.unwrap();
        let place = BlobPlace {
            table: "t".into(),
            column: "a".into(),
            rowid: 1,
        };
        let written = connection.blob_write(place.clone(), 5, vec![1; 10]).await;
        assert!(written.unwrap().in_transaction);
        connection.execute("ROLLBACK").await.unwrap();
        for gone in [
            connection.blob_size(place.clone()).await.map(|_| ()),
            connection.blob_read(place.clone(), 0, 1).await.map(|_| ()),
            connection.blob_write(place, 0, vec![1]).await.map(|_| ()),
        ] {
            assert_eq!(gone.unwrap_err().result_code(), SqliteError::ERROR);
        }
    });
}

#[test]
fn names_of_parameters_that_cannot_be_are_errors() {
    run(async {
        let connection = memory().await;
        let long = format!(":{}", "x".repeat(100_000));
        for name in [
            ":a\0b",
            "",
            ":",
            "@",
            "$a::b(c)",
            ":\u{e9}",
            "?1",
            "?99999999999",
            ":a b",
            "a",
            &*long,
        ] {
            let mut statement = connection.statement("SELECT :a, @b, $c, ?7");
            let key = Key::Name(name.to_owned());
            statement.bind(key, Value::Integer(1)).unwrap();
            let error = statement.step().await.unwrap_err();
            assert_eq!(error.result_code(), SqliteError::RANGE, "{name:?}");
        }
    });
}
