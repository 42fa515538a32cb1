//! Files that somebody made to do harm, and what grows without limit elsewhere.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use common::{code, dir, native, open, rows, run, try_open, try_rows, value};
use lunatic_fs::{Access, Dir};
use lunatic_sqlite::{Connection, Place, SqliteError, SqliteLimits, Value};

/// Makes a database by SQLite itself, without any limits.
fn natively(path: &Path, sql: &str) {
    let connection = native(path);
    connection.execute_batch(sql).unwrap();
}

#[test]
fn what_lies_beside_a_database_is_a_file_of_its_own_or_it_is_not_opened() {
    let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let victim = outside.path().join("victim");
    let path = |name: &str| inside.path().join(name);
    run(async {
        for suffix in ["-journal", "-wal", "-shm"] {
            let beside = path(&format!("a.db{suffix}"));
            for kind in ["link", "missing", "inner", "hard", "pipe", "dir", "socket"] {
                fs::write(&victim, "precious").unwrap();
                natively(
                    &path("a.db"),
                    "PRAGMA journal_mode = delete; CREATE TABLE t (a)",
                );
                if suffix != "-journal" {
                    natively(&path("a.db"), "PRAGMA journal_mode = wal");
                }
                fs::write(path("inner"), "precious").unwrap();
                let _listener = match kind {
                    "link" => symlink(&victim, &beside).err().map(drop),
                    "missing" => symlink(outside.path().join("new"), &beside).err().map(drop),
                    "inner" => symlink("inner", &beside).err().map(drop),
                    "hard" => fs::hard_link(&victim, &beside).err().map(drop),
                    "dir" => fs::create_dir(&beside).err().map(drop),
                    "socket" => UnixListener::bind(&beside).err().map(drop),
                    _ => {
                        let mode = rustix::fs::Mode::from_raw_mode(0o600);
                        let pipe = rustix::fs::FileType::Fifo;
                        let made = rustix::fs::mknodat(rustix::fs::CWD, &beside, pipe, mode, 0);
                        made.err().map(drop)
                    }
                };
                assert!(beside.symlink_metadata().is_ok(), "{suffix} {kind}");
                let error = try_open(inside.path(), "a.db").await.unwrap_err();
                let cannot = SqliteError::CANNOT_OPEN;
                assert_eq!(error.result_code(), cannot, "{suffix} {kind}");
                assert!(!error.message.contains("/proc/"), "{error}");
                assert_eq!(fs::read(&victim).unwrap(), b"precious");
                assert_eq!(fs::read(path("inner")).unwrap(), b"precious");
                assert!(!outside.path().join("new").exists());
                match kind {
                    "dir" => fs::remove_dir(&beside).unwrap(),
                    _ => fs::remove_file(&beside).unwrap(),
                }
                for file in fs::read_dir(inside.path()).unwrap().flatten() {
                    fs::remove_file(file.path()).unwrap();
                }
            }
        }
    });
}

#[test]
fn a_file_cannot_ask_for_a_larger_cache() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    natively(
        &path,
        "PRAGMA default_cache_size = 1000000; CREATE TABLE t (a)",
    );
    let cache = |connection: &rusqlite::Connection| {
        let cache = connection.query_row("PRAGMA cache_size", [], |row| row.get::<_, i64>(0));
        cache.unwrap()
    };
    assert_eq!(cache(&native(&path)), 1_000_000);
    run(async {
        let connection = open(folder.path(), "a.db").await;
        let kept = value(&connection, "PRAGMA cache_size").await;
        assert_eq!(kept, Value::Integer(-512));
        // Nor after the schema was read again.
        natively(&path, "CREATE TABLE u (a)");
        rows(&connection, "SELECT * FROM u").await;
        let kept = value(&connection, "PRAGMA cache_size").await;
        assert_eq!(kept, Value::Integer(-512));
    });
}

#[test]
fn a_schema_is_charged_and_ends_somewhere() {
    let folder = tempfile::tempdir().unwrap();
    run(async {
        let connection = open(folder.path(), "a.db").await;
        let small = connection.execute("CREATE TABLE t (a)").await.unwrap();
        assert!(small.memory_bytes < 640 << 10, "{small:?}");
        let other = open(folder.path(), "a.db").await;
        rows(&other, "SELECT * FROM t").await;
        let mut create = String::from("BEGIN;");
        for number in 0..2000 {
            create.push_str(&format!(
                "CREATE TABLE \"a table of number {number}\" (a, b, c);"
            ));
        }
        create.push_str("COMMIT");
        let large = connection.execute(create).await.unwrap();
        let schema = large.memory_bytes - small.memory_bytes;
        assert!(schema > 512 << 10, "{large:?}");
        // Who reads it too has it in memory, too.
        let read = other.execute("SELECT * FROM t").await.unwrap();
        assert!(
            read.memory_bytes - small.memory_bytes > 512 << 10,
            "{read:?}"
        );
        let text = "x".repeat(900_000);
        let long = format!("CREATE TABLE u (a /* {text} */)");
        connection.execute(long).await.unwrap();
        // `SQLITE_AUTH`
        for sql in [
            "CREATE TABLE w (a)",
            "CREATE INDEX w ON t (a)",
            "CREATE VIEW w AS SELECT 1",
            "CREATE TEMP TABLE w (a)",
            "CREATE TRIGGER w AFTER INSERT ON t BEGIN SELECT 1; END",
            "CREATE VIRTUAL TABLE w USING fts5 (a)",
            "ALTER TABLE t ADD COLUMN b",
        ] {
            assert_eq!(code(&connection, sql).await, 23, "{sql}");
        }
        // What makes it shorter helps.
        connection
            .execute("INSERT INTO t VALUES (1)")
            .await
            .unwrap();
        connection.execute("DROP TABLE u").await.unwrap();
        connection.execute("CREATE TABLE w (a)").await.unwrap();
    });
}

#[test]
fn temporary_tables_are_part_of_a_schema() {
    run(async {
        let connection = common::memory().await;
        let text = "x".repeat(900_000);
        let table = |name: &str| format!("CREATE TEMP TABLE {name} (a /* {text} */)");
        connection.execute(table("t")).await.unwrap();
        connection.execute(table("u")).await.unwrap();
        // `SQLITE_AUTH`
        assert_eq!(code(&connection, "CREATE TABLE w (a)").await, 23);
        connection
            .execute("DROP TABLE t; DROP TABLE u")
            .await
            .unwrap();
        connection.execute("CREATE TABLE w (a)").await.unwrap();
    });
}

#[test]
fn a_file_with_an_enormous_schema_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let text = "x".repeat(900_000);
    for table in 0..6 {
        let sql = format!("CREATE TABLE t{table} (a /* {text} */)");
        natively(&folder.path().join("a.db"), &sql);
    }
    run(async {
        let connection = open(folder.path(), "a.db").await;
        let error = connection.execute("SELECT 1").await.unwrap_err();
        assert_eq!(error.result_code(), SqliteError::TOO_BIG);
        assert!(try_rows(&connection, "SELECT * FROM t0").await.is_err());
        connection.close().await;
    });
}

#[test]
fn schemas_that_were_damaged_on_purpose_are_errors_or_harmless() {
    let damages = [
        "UPDATE sqlite_schema SET rootpage = 1",
        "UPDATE sqlite_schema SET rootpage = 4000000000",
        "UPDATE sqlite_schema SET rootpage = -1",
        "UPDATE sqlite_schema SET rootpage = (SELECT min(rootpage) FROM sqlite_schema)",
        "UPDATE sqlite_schema SET sql = 'ATTACH ''b.db'' AS x'",
        "UPDATE sqlite_schema SET sql = 'CREATE TABLE t (a, a)' WHERE name = 't'",
        "UPDATE sqlite_schema SET sql = 'CREATE TABLE t AS SELECT writefile(''b.db'', 1)' WHERE name = 't'",
        "UPDATE sqlite_schema SET sql = 'CREATE VIRTUAL TABLE t USING csv(filename=''/etc/passwd'')', rootpage = 0 WHERE name = 't'",
        "UPDATE sqlite_schema SET sql = 'CREATE VIRTUAL TABLE t USING fts5(a, content=t)', rootpage = 0 WHERE name = 't'",
        "UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON t (load_extension(''x''))' WHERE name = 'i'",
        "UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON t (b)' WHERE name = 'i'",
        "UPDATE sqlite_schema SET sql = zeroblob(100000)",
        "UPDATE sqlite_schema SET sql = 'CREATE VIEW v AS SELECT * FROM v' WHERE name = 'v'",
        "UPDATE sqlite_schema SET type = 'table', name = 'sqlite_sequence'",
        "DELETE FROM sqlite_schema WHERE name = 't'",
        "INSERT INTO sqlite_schema SELECT * FROM sqlite_schema",
    ];
    for damage in damages {
        let folder = tempfile::tempdir().unwrap();
        natively(
            &folder.path().join("a.db"),
            "CREATE TABLE t (a DEFAULT 7, b); CREATE INDEX i ON t (a); INSERT INTO t VALUES (1, 2);
                CREATE VIEW v AS SELECT * FROM t;
                CREATE TRIGGER r AFTER INSERT ON t BEGIN UPDATE t SET b = 3; END;
                PRAGMA writable_schema = on",
        );
        let damaging = native(&folder.path().join("a.db"));
        damaging
            .execute_batch("PRAGMA writable_schema = on")
            .unwrap();
        damaging.execute_batch(damage).unwrap();
        drop(damaging);
        run(async {
            let connection = open(folder.path(), "a.db").await;
            connection.set_query_time(Duration::from_secs(2));
            for sql in [
                "SELECT * FROM t",
                "SELECT * FROM v",
                "INSERT INTO t VALUES (5, 6)",
                "DELETE FROM t WHERE a = 1",
                "ALTER TABLE t RENAME COLUMN a TO c",
                "REINDEX",
                "ANALYZE",
                "VACUUM",
                "DROP TABLE t",
                "PRAGMA integrity_check",
            ] {
                code(&connection, sql).await;
            }
            connection.close().await;
            assert!(!folder.path().join("b.db").exists(), "{damage}");
            // The thread is whole.
            let memory = common::memory().await;
            assert_eq!(value(&memory, "SELECT 1").await, Value::Integer(1));
        });
    }
}

#[test]
fn bits_that_flip_anywhere_are_errors_or_go_unnoticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    natively(
        &path,
        "PRAGMA page_size = 512; CREATE TABLE t (a, b); CREATE INDEX i ON t (b);
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 300)
                INSERT INTO t SELECT i, randomblob(20) FROM n;
            CREATE VIRTUAL TABLE f USING fts5 (a); INSERT INTO f SELECT hex(b) FROM t;
            CREATE VIRTUAL TABLE r USING rtree (id, x, y); INSERT INTO r SELECT a, a, a + 1 FROM t",
    );
    let whole = fs::read(&path).unwrap();
    // A generator of Knuth's, so that a failure can be repeated.
    let mut random = 42_u64;
    let mut next = |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005);
        random = random.wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % below
    };
    run(async {
        for _ in 0..150 {
            let mut damaged = whole.clone();
            for _ in 0..8 {
                damaged[next(whole.len())] ^= 1 << next(8);
            }
            fs::write(&path, &damaged).unwrap();
            let connection = open(folder.path(), "a.db").await;
            connection.set_query_time(Duration::from_millis(200));
            for sql in [
                "SELECT sum(length(b)) FROM t WHERE b > x'40'",
                "SELECT count(*) FROM f WHERE f MATCH 'A*'",
                "SELECT count(*) FROM r WHERE x > 10 AND y < 100",
                "DELETE FROM t WHERE a < 50; INSERT INTO t VALUES (1, zeroblob(5000))",
                "DELETE FROM f WHERE rowid < 20; INSERT INTO r VALUES (1000, 1, 2)",
                "PRAGMA integrity_check",
            ] {
                code(&connection, sql).await;
            }
            connection.close().await;
            fs::remove_file(folder.path().join("a.db-journal")).ok();
        }
    });
}

#[test]
fn a_read_only_directory_stays_as_it_is_in_every_journal_mode() {
    let folder = tempfile::tempdir().unwrap();
    natively(
        &folder.path().join("a.db"),
        "CREATE TABLE t (a); INSERT INTO t VALUES (1)",
    );
    natively(
        &folder.path().join("wal.db"),
        "PRAGMA journal_mode = wal; CREATE TABLE t (a); INSERT INTO t VALUES (1)",
    );
    run(async {
        let read_only = Dir::open_host(folder.path(), Access::ReadOnly)
            .await
            .unwrap();
        let names = || {
            let mut names: Vec<_> = fs::read_dir(folder.path())
                .unwrap()
                .map(|file| file.unwrap().file_name())
                .collect();
            names.sort();
            names
        };
        let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
        let before = (read("a.db"), read("wal.db"), names());
        for name in ["a.db", "wal.db"] {
            let place = Place::File {
                dir: read_only.clone(),
                path: name.into(),
            };
            let limits = SqliteLimits::default();
            let reader = Connection::open(place, limits).await.unwrap();
            for mode in ["wal", "truncate", "persist", "memory", "delete"] {
                code(&reader, &format!("PRAGMA journal_mode = {mode}")).await;
                let written = code(&reader, "INSERT INTO t VALUES (2)").await;
                assert!([8, 14].contains(&written), "{name} {mode}: {written}");
            }
            // One in WAL mode cannot be read where nothing can be made beside it.
            let read = try_rows(&reader, "SELECT a FROM t").await;
            match name {
                "a.db" => assert_eq!(read.unwrap(), [[Value::Integer(1)]]),
                _ => assert_eq!(read.unwrap_err().result_code(), SqliteError::CANNOT_OPEN),
            }
            reader.close().await;
        }
        assert_eq!(names(), before.2);
        assert!((read("a.db"), read("wal.db")) == (before.0, before.1));

        // It can while somebody who may write has it open.
        let writable = Connection::open(
            Place::File {
                dir: dir(folder.path()).await,
                path: "wal.db".into(),
            },
            SqliteLimits::default(),
        );
        let writer = writable.await.unwrap();
        writer.execute("INSERT INTO t VALUES (2)").await.unwrap();
        let place = Place::File {
            dir: read_only,
            path: "wal.db".into(),
        };
        let reader = Connection::open(place, SqliteLimits::default())
            .await
            .unwrap();
        let count = value(&reader, "SELECT count(*) FROM t").await;
        assert_eq!(count, Value::Integer(2));
        assert_eq!(code(&reader, "INSERT INTO t VALUES (3)").await, 8);
    });
}

#[test]
fn a_statement_that_is_compiled_to_much_is_not_kept() {
    run(async {
        let connection = common::memory().await;
        // Each is some hundred KiB; together, they would be more than SQLite may have.
        let begun: Vec<String> = (0..200)
            .map(|number| format!("SELECT {number}{}", " + random()".repeat(400)))
            .collect();
        for round in 0..2 {
            for sql in &begun {
                assert_eq!(rows(&connection, sql).await.len(), 1, "{round}");
            }
        }
        assert_eq!(value(&connection, "SELECT 1").await, Value::Integer(1));
    });
}

#[test]
fn a_link_that_somebody_puts_beside_an_open_database_is_not_followed() {
    let outside = tempfile::tempdir().unwrap();
    let victim = outside.path().join("victim");
    for (suffix, sql) in [
        ("-journal", "INSERT INTO t VALUES (1)"),
        (
            "-wal",
            "PRAGMA journal_mode = wal; INSERT INTO t VALUES (1)",
        ),
        (
            "-shm",
            "PRAGMA journal_mode = wal; INSERT INTO t VALUES (1)",
        ),
    ] {
        for target in [victim.clone(), outside.path().join("new")] {
            let inside = tempfile::tempdir().unwrap();
            fs::write(&victim, "precious").unwrap();
            run(async {
                let connection = open(inside.path(), "a.db").await;
                connection.execute("CREATE TABLE t (a)").await.unwrap();
                let beside = inside.path().join(format!("a.db{suffix}"));
                // As another program could, which is quicker than what looks at it.
                symlink(&target, &beside).unwrap();
                let failed = code(&connection, sql).await;
                assert!([8, 10, 14].contains(&failed), "{suffix}: {failed}");
                connection.close().await;
            });
            assert_eq!(fs::read(&victim).unwrap(), b"precious", "{suffix}");
            assert!(!outside.path().join("new").exists(), "{suffix}");
        }
    }
}

#[test]
fn functions_of_full_text_search_that_take_hours_are_refused_however_they_are_called() {
    run(async {
        let connection = common::memory().await;
        connection
            .execute(
                "CREATE VIRTUAL TABLE f USING fts5(a); CREATE VIRTUAL TABLE g USING fts4(a);
                INSERT INTO f VALUES (replace(hex(zeroblob(500000)), '00', 'a '));
                INSERT INTO g VALUES ('a b')",
            )
            .await
            .unwrap();
        for sql in [
            "SELECT snippet(f, 0, '', '', '', 64) FROM f WHERE f MATCH 'a'",
            "SELECT snippet(g) FROM g WHERE g MATCH 'a'",
            "SELECT matchinfo(g, 'ssss') FROM g WHERE g MATCH 'a'",
            "SELECT offsets(g) FROM g WHERE g MATCH 'a'",
        ] {
            let error = connection.execute(sql).await.unwrap_err();
            let refused = "not authorized to use function";
            assert!(error.message.contains(refused), "{sql}: {error}");
        }
        // No statement names it here.
        for sql in [
            "SELECT rank FROM f WHERE f MATCH 'a' AND rank MATCH 'snippet(0, '''', '''', '''', 64)'",
            "SELECT rank FROM f('a', 'snippet(0, '''', '''', '''', 64)')",
            "INSERT INTO f (f, rank) VALUES ('rank', 'snippet(0, '''', '''', '''', 64)');
                SELECT rank FROM f WHERE f MATCH 'a'",
        ] {
            let error = connection.execute(sql).await.unwrap_err();
            let refused = "snippet() is refused";
            assert!(error.message.contains(refused), "{sql}: {error}");
        }
        // Others are not concerned.
        connection
            .execute(
                "INSERT INTO f (f, rank) VALUES ('rank', 'bm25()'); INSERT INTO f VALUES ('b c')",
            )
            .await
            .unwrap();
        let mark = "SELECT highlight(f, 0, '<', '>') FROM f('c') ORDER BY rank";
        let marked = value(&connection, mark).await;
        assert_eq!(marked, Value::Text("b <c>".into()));
    });
}
