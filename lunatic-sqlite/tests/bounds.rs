//! Nothing takes longer or more than it may.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod common;

use std::fs;
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::time::{Duration, Instant};

use common::{code, dir, memory, open, run, try_open, try_rows, value};
use futures_lite::future::poll_once;
use lunatic_account::{Account, AccountLimits, Share};
use lunatic_sqlite::{Connection, Key, Place, SqliteError, SqliteLimits, Value};

const ENDLESS: &str =
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

#[test]
fn a_query_that_takes_too_long_ends() {
    run(async {
        let connection = memory().await;
        connection.set_query_time(Duration::from_millis(50));
        for sql in [
            ENDLESS,
            "WITH t (a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM t LIMIT 2000)
                SELECT count(*) FROM t a, t b, t c, t d",
        ] {
            let error = try_rows(&connection, sql).await.unwrap_err();
            assert_eq!(error.result_code(), SqliteError::INTERRUPTED);
            assert_eq!(error.message, "the time limit of a query is over");
            assert_eq!(code(&connection, sql).await, SqliteError::INTERRUPTED);
        }
        // It can be used again.
        assert_eq!(value(&connection, "SELECT 1").await, Value::Integer(1));
    });
}

#[test]
fn statements_that_are_run_by_one_call_have_their_time_together() {
    run(async {
        let connection = memory().await;
        connection.set_query_time(Duration::from_millis(300));
        let short = ENDLESS.replace("FROM n)", "FROM n LIMIT 20000)");
        connection.execute(&*short).await.unwrap();
        let sql = format!("{short};").repeat(7000);
        let begin = Instant::now();
        let error = connection.execute(&*sql).await.unwrap_err();
        assert_eq!(error.result_code(), SqliteError::INTERRUPTED);
        assert_eq!(error.message, "the time limit of a query is over");
        {
            let mut waiting = std::pin::pin!(connection.execute(&*sql));
            assert!(poll_once(&mut waiting).await.is_none());
        }
        assert_eq!(value(&connection, "SELECT 1").await, Value::Integer(1));
        // All of them take half a minute.
        assert!(begin.elapsed() < Duration::from_secs(10));
    });
}

/// Opens databases in memory as processes of this account do.
async fn open_in_branch(account: &Account, number: usize) -> Vec<Connection> {
    let limits = SqliteLimits {
        max_query_time: Duration::from_secs(50),
        ..SqliteLimits::default()
    };
    account.share().unwrap().clone().enter();
    let mut connections = Vec::new();
    for _ in 0..number {
        connections.push(Connection::open(Place::Memory, limits).await.unwrap());
    }
    Share::leave();
    connections
}

#[test]
fn a_branch_that_computes_does_not_hold_up_statements_of_others() {
    run(async {
        let root = Account::root(AccountLimits::UNLIMITED);
        let branch = || root.branch(AccountLimits::UNLIMITED).unwrap();
        let (hostile, other) = (branch(), branch());
        let computing = open_in_branch(&hostile, 40).await;
        let mut endless: Vec<_> = computing
            .iter()
            .map(|connection| Box::pin(connection.execute(ENDLESS)))
            .collect();
        for statement in &mut endless {
            assert!(poll_once(statement).await.is_none());
        }
        let mut others = open_in_branch(&other, 20).await;
        // The program itself.
        others.push(memory().await);
        for connection in &others {
            assert_eq!(value(connection, "SELECT 1").await, Value::Integer(1));
        }
        // One that had waited for them would have seen some of them end.
        for statement in &mut endless {
            assert!(poll_once(statement).await.is_none());
        }
    });
}

#[test]
fn a_query_that_nobody_waits_for_any_more_is_interrupted() {
    run(async {
        let connection = memory().await;
        let begin = Instant::now();
        {
            let mut statement = connection.statement(ENDLESS);
            let mut waiting = std::pin::pin!(statement.step());
            assert!(poll_once(&mut waiting).await.is_none());
            async_io::Timer::after(Duration::from_millis(20)).await;
            assert!(poll_once(&mut waiting).await.is_none());
        }
        {
            let mut waiting = std::pin::pin!(connection.execute(ENDLESS));
            assert!(poll_once(&mut waiting).await.is_none());
        }
        assert_eq!(value(&connection, "SELECT 1").await, Value::Integer(1));
        // The time limit alone would end them after ten seconds each.
        assert!(begin.elapsed() < Duration::from_secs(9));
    });
}

#[test]
fn a_database_in_a_file_has_a_limit_and_the_transaction_can_be_rolled_back() {
    let folder = tempfile::tempdir().unwrap();
    run(async {
        let place = Place::File {
            dir: dir(folder.path()).await,
            path: "a.db".into(),
        };
        let limits = SqliteLimits {
            max_file_bytes: 1 << 20,
            ..SqliteLimits::default()
        };
        let connection = Connection::open(place, limits).await.unwrap();
        connection.execute("CREATE TABLE t (a)").await.unwrap();
        // `SQLITE_FULL`
        let fill = "INSERT INTO t VALUES (zeroblob(600000))";
        assert_eq!(code(&connection, fill).await, 0);
        assert_eq!(code(&connection, fill).await, 13);
        let count = value(&connection, "SELECT count(*) FROM t").await;
        assert_eq!(count, Value::Integer(1));
        assert!(folder.path().join("a.db").metadata().unwrap().len() <= 1 << 20);
    });
}

#[test]
fn a_disk_that_is_full_is_an_error_and_the_database_stays_whole() {
    let folder = tempfile::tempdir().unwrap();
    let Some(_mounted) = Mounted::small(folder.path()) else {
        lunatic_testkit::skipped("only root can mount a small disk");
        return;
    };
    run(async {
        for mode in ["delete", "wal"] {
            let connection = open(folder.path(), &format!("{mode}.db")).await;
            let sql = format!("PRAGMA journal_mode = {mode}; CREATE TABLE t (a)");
            connection.execute(sql).await.unwrap();
            let mut written = 0;
            let failed = loop {
                match code(&connection, "INSERT INTO t VALUES (zeroblob(20000))").await {
                    0 => written += 1,
                    code => break code,
                }
            };
            // Or `SQLITE_IOERR`, where what is shared in WAL mode cannot grow.
            assert!([10, SqliteError::FULL].contains(&failed), "{failed}");
            let count = value(&connection, "SELECT count(*) FROM t").await;
            assert_eq!(count, Value::Integer(written));
            let check = value(&connection, "PRAGMA integrity_check").await;
            assert_eq!(check, Value::Text("ok".into()));
            connection.close().await;
            for file in fs::read_dir(folder.path()).unwrap() {
                fs::remove_file(file.unwrap().path()).unwrap();
            }
        }
    });
}

/// A file system of a mebibyte, until this is dropped.
struct Mounted(std::path::PathBuf);

impl Mounted {
    fn small(at: &std::path::Path) -> Option<Mounted> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "lunatic-test"])
            .arg(at)
            .status();
        mounted
            .is_ok_and(|status| status.success())
            .then(|| Mounted(at.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        Command::new("umount").arg(&self.0).status().ok();
    }
}

#[test]
fn what_is_in_memory_has_limits() {
    run(async {
        let limits = SqliteLimits {
            max_memory_bytes: 1 << 20,
            ..SqliteLimits::default()
        };
        let connection = Connection::open(Place::Memory, limits).await.unwrap();
        connection.execute("CREATE TABLE t (a)").await.unwrap();
        assert_eq!(
            code(&connection, "INSERT INTO t VALUES (zeroblob(2000000))").await,
            13
        );
        let status = connection
            .execute("INSERT INTO t VALUES (zeroblob(500000))")
            .await
            .unwrap();
        assert!(
            (500_000..=2 << 20).contains(&status.memory_bytes),
            "{status:?}"
        );
        // Tables that live for a statement, or for a connection, end too.
        let recursive = "WITH RECURSIVE n (i) AS
            (SELECT randomblob(100000) UNION SELECT randomblob(100000) FROM n) SELECT count(*) FROM n";
        let failed = code(&connection, recursive).await;
        assert!([7, 9, 13].contains(&failed), "{failed}");
        let temporary = "CREATE TEMP TABLE big AS WITH RECURSIVE n (i) AS
            (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT randomblob(100000) FROM n";
        let failed = code(&connection, temporary).await;
        assert!([7, 9, 13].contains(&failed), "{failed}");
        assert_eq!(value(&connection, "SELECT 1").await, Value::Integer(1));
    });
}

#[test]
fn values_rows_and_statements_have_limits() {
    run(async {
        let connection = memory().await;
        let too_big = SqliteError::TOO_BIG;
        for sql in [
            "SELECT zeroblob(2000000000)",
            "SELECT zeroblob(20000000)",
            "SELECT randomblob(5000000)",
            "SELECT printf('%.*c', 1000000000, 'x')",
            "SELECT replace(hex(zeroblob(8000000)), '0', 'xxxxxxxx')",
            "SELECT group_concat(hex(zeroblob(4000000))) FROM (VALUES (1), (2), (3), (4))",
            "SELECT a, a, a, a, a FROM (SELECT randomblob(1000000) AS a)",
        ] {
            let error = try_rows(&connection, sql).await.unwrap_err();
            assert_eq!(error.result_code(), too_big, "{sql}: {error}");
        }
        let mut statement = connection.statement("SELECT ?1, ?2");
        let error = statement.bind(Key::Number(1), Value::Blob(vec![0; 5_000_000]));
        assert_eq!(error.unwrap_err().result_code(), too_big);
        let half = Value::Blob(vec![0; 3_000_000]);
        statement.bind(Key::Number(1), half.clone()).unwrap();
        statement.bind(Key::Number(1), half.clone()).unwrap();
        assert!(statement.bind(Key::Number(2), half).is_err());
        // Names take something, too.
        let mut statement = connection.statement("SELECT :a");
        let bound = |number: usize| format!(":{number}{}", "x".repeat(100_000));
        let failed = (0..100).find(|number| {
            let key = Key::Name(bound(*number));
            statement.bind(key, Value::Null).is_err()
        });
        assert!(failed.is_some_and(|failed| failed > 10), "{failed:?}");
        let long = format!("SELECT '{}'", "x".repeat(2 << 20));
        assert_eq!(code(&connection, &long).await, too_big);
    });
}

#[test]
fn bombs_in_schemas_and_expressions_are_refused_or_end() {
    run(async {
        let connection = memory().await;
        connection.set_query_time(Duration::from_millis(500));
        let deep = format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000));
        let sum = format!("SELECT {}1", "1 + ".repeat(100_000));
        let nots = format!("SELECT {} 1", "NOT ".repeat(100_000));
        let selects = vec!["SELECT 1"; 5000].join(" UNION ALL ");
        let nested = format!(
            "{}SELECT 1{}",
            "SELECT * FROM (".repeat(3000),
            ")".repeat(3000)
        );
        let columns: Vec<String> = (0..5000).map(|column| format!("c{column}")).collect();
        let columns = format!("CREATE TABLE t ({})", columns.join(", "));
        let tables = vec!["sqlite_schema"; 100].join(", ");
        let joined = format!("SELECT count(*) FROM {tables}");
        for sql in [deep, sum, nots, selects, nested, columns, joined] {
            assert_ne!(code(&connection, &sql).await, 0, "{}", &sql[..60]);
        }
        // Each view has twice the rows of the one before, and twice the text when it is expanded.
        connection
            .execute("CREATE VIEW v0 AS SELECT 1 AS a")
            .await
            .unwrap();
        for level in 1..40 {
            let below = level - 1;
            let view = format!(
                "CREATE VIEW v{level} AS SELECT * FROM v{below} UNION ALL SELECT * FROM v{below}"
            );
            connection.execute(view).await.unwrap();
        }
        let begin = Instant::now();
        assert_ne!(code(&connection, "SELECT count(*) FROM v39").await, 0);
        assert!(begin.elapsed() < Duration::from_secs(30));
        // Triggers that fire themselves.
        let sql = "CREATE TABLE r (a); PRAGMA recursive_triggers = 1;
            CREATE TRIGGER again AFTER INSERT ON r BEGIN INSERT INTO r VALUES (new.a + 1); END;
            INSERT INTO r VALUES (1)";
        assert_ne!(code(&connection, sql).await, 0);
        assert_eq!(value(&connection, "SELECT 1").await, Value::Integer(1));
    });
}

#[test]
fn functions_take_a_time_in_proportion_to_their_arguments() {
    run(async {
        let connection = memory().await;
        let long = "hex(zeroblob(4000000))";
        let begin = Instant::now();
        for sql in [
            format!("SELECT instr({long}, hex(zeroblob(2000000)) || '1')"),
            format!("SELECT length(replace({long}, hex(zeroblob(2000000)) || '1', ''))"),
            format!("SELECT length(trim({long}, '123456789'))"),
        ] {
            try_rows(&connection, &sql).await.unwrap();
        }
        let not_digits = format!("replace({long}, '0', 'x')");
        let object = |key: &str| {
            format!(
                "(SELECT json_group_object('{key}' || i, 1) FROM (WITH RECURSIVE n (i) AS
                    (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 200000) SELECT i FROM n))"
            )
        };
        let (target, patch) = (object("a"), object("b"));
        for sql in [
            format!("SELECT trim({long}, {long})"),
            format!("SELECT unhex({not_digits}, {long} || 'x')"),
            format!("SELECT json_patch({target}, {patch}) IS NULL"),
            format!("SELECT jsonb_patch({target}, {patch}) IS NULL"),
        ] {
            assert!(try_rows(&connection, &sql).await.is_err(), "{sql}");
        }
        // Those that SQLite itself bounds, as long as patterns are short.
        for sql in [
            format!("SELECT {long} LIKE '{}1'", "%0_".repeat(66)),
            format!("SELECT {long} GLOB '{}1'", "*?[0-9]".repeat(27)),
        ] {
            assert_eq!(value(&connection, &sql).await, Value::Integer(0));
        }
        let pattern = format!("SELECT 'a' LIKE '{}'", "%".repeat(201));
        assert!(try_rows(&connection, &pattern).await.is_err());
        // As SQLite has them, some take minutes.
        assert!(begin.elapsed() < Duration::from_secs(30));
    });
}

#[test]
fn what_is_no_database_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("dir.db")).unwrap();
    rustix_mkfifo(&path("pipe.db"));
    let _listener = UnixListener::bind(path("socket.db")).unwrap();
    fs::write(path("text.db"), "this is no database at all".repeat(100)).unwrap();
    run(async {
        for name in [
            "dir.db",
            "pipe.db",
            "socket.db",
            ".",
            "",
            "..",
            "missing/a.db",
            "dir.db/",
        ] {
            let error = try_open(folder.path(), name).await.unwrap_err();
            assert_eq!(error.result_code(), SqliteError::CANNOT_OPEN, "{name}");
        }
        let connection = open(folder.path(), "text.db").await;
        // `SQLITE_NOTADB`
        assert_eq!(code(&connection, "SELECT * FROM sqlite_schema").await, 26);
        connection.close().await;

        let connection = open(folder.path(), "a.db").await;
        let sql = "CREATE TABLE t (a); WITH RECURSIVE n (i) AS
            (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2000)
            INSERT INTO t SELECT hex(randomblob(50)) FROM n";
        connection.execute(sql).await.unwrap();
        connection.close().await;
        // Each page is damaged in turn, and each beginning cut off.
        let whole = fs::read(path("a.db")).unwrap();
        let mut corrupt = 0;
        for page in 0..whole.len() / 4096 {
            let mut damaged = whole.clone();
            damaged[page * 4096..][..200].fill(0xff);
            fs::write(path("a.db"), &damaged).unwrap();
            let connection = open(folder.path(), "a.db").await;
            let sql =
                "SELECT sum(length(a)) FROM t; PRAGMA integrity_check; INSERT INTO t VALUES (1)";
            let failed = code(&connection, sql).await;
            corrupt += usize::from([11, 26].contains(&failed));
            connection.close().await;
            fs::write(path("a.db"), &whole[..page * 4096 + 100]).unwrap();
            let connection = open(folder.path(), "a.db").await;
            code(&connection, sql).await;
            connection.close().await;
            fs::remove_file(path("a.db-journal")).ok();
        }
        assert!(corrupt > 10, "{corrupt}");
    });
}

fn rustix_mkfifo(path: &std::path::Path) {
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
}

#[test]
fn a_thousand_connections_work_and_are_closed() {
    let folder = tempfile::tempdir().unwrap();
    run(async {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        let room = limit.current.unwrap_or(1024).saturating_sub(64) / 4;
        let mut connections = Vec::new();
        for number in 0..1000.min(room.max(100)) {
            let connection = open(folder.path(), &format!("{number}.db")).await;
            connection.execute("CREATE TABLE t (a)").await.unwrap();
            connections.push(connection);
        }
        for connection in &connections {
            connection
                .execute("INSERT INTO t VALUES (1)")
                .await
                .unwrap();
        }
        for connection in connections {
            connection.close().await;
        }
        let open_files = fs::read_dir("/proc/self/fd").unwrap().flatten();
        let open_files = open_files.filter_map(|file| fs::read_link(file.path()).ok());
        let left = open_files
            .filter(|file| file.starts_with(folder.path()))
            .count();
        assert_eq!(left, 0);
    });
}

#[test]
fn a_full_disk_is_an_error_and_leaves_the_database_whole() {
    const NAME: &str = "a_full_disk_is_an_error_and_leaves_the_database_whole";
    if std::env::var_os("LUNATIC_SQLITE_CHILD").is_none() {
        // Again in a program that ignores the signal that a limit of the size of files sends.
        let this = std::env::current_exe().unwrap();
        let child = std::process::Command::new("sh")
            .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
            .arg(this)
            .args(["--exact", NAME])
            .env("LUNATIC_SQLITE_CHILD", "1")
            .output()
            .unwrap();
        let output = String::from_utf8_lossy(&child.stdout);
        assert!(
            child.status.success() && output.contains("1 passed"),
            "{output}"
        );
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    run(async {
        let connection = open(folder.path(), "a.db").await;
        connection
            .execute("CREATE TABLE t (a); INSERT INTO t VALUES (1)")
            .await
            .unwrap();
        // No file of this program can become larger than that: to write more fails as it
        // does on a full disk.
        let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize);
        let small = rustix::process::Rlimit {
            current: Some(64 << 10),
            ..limit
        };
        rustix::process::setrlimit(rustix::process::Resource::Fsize, small).unwrap();
        let failed = code(&connection, "INSERT INTO t VALUES (zeroblob(1000000))").await;
        rustix::process::setrlimit(rustix::process::Resource::Fsize, limit).unwrap();
        // `SQLITE_FULL` or `SQLITE_IOERR`
        assert!([10, 13].contains(&failed), "{failed}");
        let count = value(&connection, "SELECT count(*) FROM t").await;
        assert_eq!(count, Value::Integer(1));
        let check = value(&connection, "PRAGMA integrity_check").await;
        assert_eq!(check, Value::Text("ok".into()));
    });
}
