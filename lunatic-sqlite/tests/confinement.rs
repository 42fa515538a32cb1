//! Nothing leads out of the directories of a process.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use common::{code, dir, open, rows, run, try_open, value};
use lunatic_account::{Account, Charge, Kind};
use lunatic_fs::{Access, Dir, Node, OpenOptions};
use lunatic_sqlite::{Connection, Place, SqliteLimits, Value};

/// `SQLITE_AUTH`.
const NOT_AUTHORIZED: i32 = 23;

#[test]
fn nothing_is_attached_or_copied_to_another_file() {
    let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let other = outside.path().join("other.db");
    let other = other.to_str().unwrap();
    run(async {
        let connection = open(inside.path(), "a.db").await;
        connection.execute("CREATE TABLE t (a)").await.unwrap();
        for sql in [
            format!("ATTACH '{other}' AS other"),
            format!("ATTACH 'file:{other}?mode=rwc' AS other"),
            format!("attach database ('{other}' || '') as other"),
            format!("ATTACH printf('%s', '{other}') AS other"),
            "ATTACH 'b.db' AS other".into(),
            "ATTACH '' AS other".into(),
            "ATTACH ':memory:' AS other".into(),
            format!("VACUUM INTO '{other}'"),
            "VACUUM INTO 'b.db'".into(),
            "VACUUM INTO ':memory:'".into(),
            "VACUUM INTO 'file::memory:?cache=shared'".into(),
            "/**/attach/**/'b.db'as/**/x".into(),
            "ATTACH \"b.db\" AS x".into(),
            "ATTACH [b.db] AS x".into(),
            "ATTACH x'622e6462' AS x".into(),
            "ATTACH NULL AS x".into(),
            "ATTACH DATABASE 'b.db' AS x KEY 'y'".into(),
            "EXPLAIN ATTACH 'b.db' AS x".into(),
            "SELECT sqlite_attach('b.db', 'x', NULL)".into(),
            "CREATE TRIGGER x AFTER INSERT ON t BEGIN ATTACH 'b.db' AS x; END".into(),
            format!("VACUUM main INTO 'file:{other}'"),
            format!("VACUUM INTO (SELECT '{other}')"),
            "DETACH main".into(),
        ] {
            assert_ne!(code(&connection, &sql).await, 0, "{sql}");
        }
        // In a prepared statement with the name bound.
        for sql in ["ATTACH ?1 AS other", "VACUUM INTO ?1"] {
            let mut statement = connection.statement(sql);
            let name = Value::Text(other.into());
            statement
                .bind(lunatic_sqlite::Key::Number(1), name)
                .unwrap();
            assert!(statement.step().await.is_err(), "{sql}");
        }
        assert!(fs::read_dir(outside.path()).unwrap().next().is_none());
        // These go nowhere: to a database without a file, and nothing is done with temporary ones.
        connection.execute("VACUUM INTO ''").await.unwrap();
        connection.execute("VACUUM temp INTO 'b.db'").await.unwrap();
        assert_eq!(fs::read_dir(inside.path()).unwrap().count(), 1);
        // What needs no file works.
        connection
            .execute("INSERT INTO t VALUES (1)")
            .await
            .unwrap();
        connection.execute("VACUUM").await.unwrap();
        assert_eq!(
            value(&connection, "SELECT a FROM t").await,
            Value::Integer(1)
        );
    });
}

#[test]
fn pragmas_that_name_files_or_break_databases_are_refused() {
    let inside = tempfile::tempdir().unwrap();
    run(async {
        let connection = open(inside.path(), "a.db").await;
        for pragma in [
            "temp_store_directory = '/tmp'",
            "data_store_directory = '/tmp'",
            "database_list",
            "writable_schema = 1",
            "journal_mode = off",
            "locking_mode = exclusive",
            "mmap_size = 1000000",
            "temp_store = 1",
            "cache_size = 1000000",
            "max_page_count = 1000000000",
            "hard_heap_limit",
            "hard_heap_limit = 1",
            "soft_heap_limit = 1",
            "page_size = 65536",
            "schema_version = 7",
            "trusted_schema = 1",
            "no_such_pragma",
            "MAIN.Writable_Schema(on)",
            "default_cache_size = 1000000",
            "cache_spill = 0",
            "threads = 8",
            "vdbe_trace = 1",
            "case_sensitive_like = 1",
            "journal_size_limit = -1",
        ] {
            let sql = format!("PRAGMA {pragma}");
            assert_eq!(code(&connection, &sql).await, NOT_AUTHORIZED, "{sql}");
        }
        for table in [
            "database_list",
            "journal_mode('off')",
            "temp_store_directory",
        ] {
            let sql = format!("SELECT * FROM pragma_{table}");
            assert_ne!(code(&connection, &sql).await, 0, "{sql}");
        }
        assert_eq!(
            value(&connection, "PRAGMA journal_mode = wal").await,
            Value::Text("wal".into())
        );
        connection.execute("PRAGMA user_version = 7").await.unwrap();
        assert_eq!(
            value(&connection, "PRAGMA user_version").await,
            Value::Integer(7)
        );
    });
}

#[test]
fn no_function_reads_or_writes_files_or_loads_code() {
    run(async {
        let connection = common::memory().await;
        for sql in [
            "SELECT load_extension('/lib/libc.so')",
            "SELECT readfile('/etc/passwd')",
            "SELECT writefile('/tmp/x', 'x')",
            "SELECT edit('x')",
            "SELECT fts3_tokenizer('simple')",
            "SELECT * FROM fsdir('/')",
            "CREATE VIRTUAL TABLE v USING csv(filename='/etc/passwd')",
            "CREATE VIRTUAL TABLE v USING zipfile('/tmp/x')",
            "CREATE VIRTUAL TABLE v USING dbstat",
            "SELECT * FROM sqlite_dbpage",
            "SELECT * FROM generate_series(1, 10)",
            "SELECT sqlite_rename_table('main', 'table', 't', 'CREATE TABLE t (a)', 't', 'u', 0)",
        ] {
            assert_ne!(code(&connection, sql).await, 0, "{sql}");
        }
    });
}

#[test]
fn names_that_look_like_uris_are_names_of_files() {
    let inside = tempfile::tempdir().unwrap();
    run(async {
        for name in [
            "file:a.db?mode=memory",
            "file:a.db%3fvfs=unix-none",
            "a?b#c%00",
        ] {
            let connection = open(inside.path(), name).await;
            connection.execute("CREATE TABLE t (a)").await.unwrap();
            connection.close().await;
            assert!(
                inside.path().join(name).metadata().unwrap().len() > 0,
                "{name}"
            );
        }
        for name in [
            "file:/etc/passwd",
            "file:///tmp/x",
            "/etc/passwd",
            "../a",
            "a/../../b",
            "a\0b",
        ] {
            assert!(try_open(inside.path(), name).await.is_err(), "{name:?}");
        }
    });
}

#[test]
fn links_lead_nowhere_but_inside() {
    let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let target = outside.path().join("secret.db");
    run(async {
        let secret = open(outside.path(), "secret.db").await;
        secret.execute("CREATE TABLE secret (a)").await.unwrap();
        secret.close().await;
        symlink(&target, inside.path().join("absolute.db")).unwrap();
        let name = outside.path().file_name().unwrap().to_str().unwrap();
        symlink(
            format!("../{name}/secret.db"),
            inside.path().join("relative.db"),
        )
        .unwrap();
        symlink(outside.path(), inside.path().join("dir")).unwrap();
        symlink("loop.db", inside.path().join("loop.db")).unwrap();
        symlink(outside.path().join("new.db"), inside.path().join("new.db")).unwrap();
        for name in [
            "absolute.db",
            "relative.db",
            "dir/secret.db",
            "loop.db",
            "new.db",
        ] {
            assert!(try_open(inside.path(), name).await.is_err(), "{name}");
        }
        assert!(!outside.path().join("new.db").exists());

        fs::create_dir(inside.path().join("sub")).unwrap();
        symlink("sub/real.db", inside.path().join("good.db")).unwrap();
        let connection = open(inside.path(), "good.db").await;
        connection.execute("CREATE TABLE t (a)").await.unwrap();
        connection.close().await;
        assert!(inside.path().join("sub/real.db").exists());

        // A file with a name outside is not opened.
        fs::hard_link(&target, inside.path().join("hard.db")).unwrap();
        assert!(try_open(inside.path(), "hard.db").await.is_err());
        // What lies beside a database is no database.
        fs::write(inside.path().join("x.db-wal"), "").unwrap();
        for name in ["x.db-wal", "x.db-journal", "x.db-shm"] {
            assert!(try_open(inside.path(), name).await.is_err(), "{name}");
        }
    });
}

#[test]
fn links_that_are_swapped_while_a_database_is_opened_lead_nowhere_else() {
    let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir(inside.path().join("real")).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let swapping = {
        let (stop, inside) = (stop.clone(), inside.path().to_owned());
        let outside = outside.path().to_owned();
        thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                // The directory becomes a link that leads outside, and again itself.
                thread::yield_now();
                fs::rename(inside.join("real"), inside.join("moved")).unwrap();
                symlink(&outside, inside.join("real")).unwrap();
                fs::remove_file(inside.join("real")).unwrap();
                fs::rename(inside.join("moved"), inside.join("real")).unwrap();
                thread::sleep(Duration::from_micros(100));
            }
        })
    };
    let mut opened = 0;
    run(async {
        let mut refused = 0;
        while opened < 30 || refused < 30 {
            refused += 1;
            if let Ok(connection) = try_open(inside.path(), "real/a.db").await {
                let sql = "CREATE TABLE IF NOT EXISTS t (a); INSERT INTO t VALUES (1)";
                connection.execute(sql).await.unwrap();
                connection.close().await;
                opened += 1;
                refused -= 1;
            }
        }
    });
    stop.store(true, Ordering::Relaxed);
    swapping.join().unwrap();
    assert!(fs::read_dir(outside.path()).unwrap().next().is_none());
    run(async {
        let connection = open(&inside.path().join("real"), "a.db").await;
        let count = value(&connection, "SELECT count(*) FROM t").await;
        assert_eq!(count, Value::Integer(opened));
    });
}

#[test]
fn a_journal_that_names_another_file_is_refused() {
    let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let victim = outside.path().join("victim-mj0123456789");
    fs::write(&victim, "precious").unwrap();
    run(async {
        let connection = open(inside.path(), "a.db").await;
        connection.execute("CREATE TABLE t (a)").await.unwrap();
        connection.close().await;
        let magic = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
        let name = victim.to_str().unwrap().as_bytes();
        let mut journal = magic.to_vec();
        journal.extend([0; 504]);
        journal.extend(name);
        journal.extend((name.len() as u32).to_be_bytes());
        let sum = name.iter().map(|byte| u32::from(*byte)).sum::<u32>();
        journal.extend(sum.to_be_bytes());
        journal.extend(magic);
        fs::write(inside.path().join("a.db-journal"), journal).unwrap();
        let error = try_open(inside.path(), "a.db").await.unwrap_err();
        assert!(error.message.contains("several databases"), "{error}");
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
    });
}

#[test]
fn a_read_only_directory_gives_a_read_only_database() {
    let inside = tempfile::tempdir().unwrap();
    run(async {
        let connection = open(inside.path(), "a?b.db").await;
        connection
            .execute("CREATE TABLE t (a); INSERT INTO t VALUES (1)")
            .await
            .unwrap();
        connection.close().await;
        let read_only = Dir::open_host(inside.path(), Access::ReadOnly)
            .await
            .unwrap();
        let place = |path: &str| Place::File {
            dir: read_only.clone(),
            path: path.into(),
        };
        let limits = SqliteLimits::default();
        let reader = Connection::open(place("a?b.db"), limits).await.unwrap();
        assert_eq!(value(&reader, "SELECT a FROM t").await, Value::Integer(1));
        // `SQLITE_READONLY`
        for sql in [
            "INSERT INTO t VALUES (2)",
            "CREATE TABLE u (a)",
            "PRAGMA user_version = 1",
        ] {
            assert_eq!(code(&reader, sql).await, 8, "{sql}");
        }
        assert_eq!(rows(&reader, "SELECT * FROM t").await.len(), 1);
        reader.close().await;
        assert!(Connection::open(place("new.db"), limits).await.is_err());
        let files = fs::read_dir(inside.path()).unwrap().count();
        assert_eq!(files, 1, "nothing is made beside it");
    });
}

#[test]
fn what_is_temporary_makes_no_files() {
    let inside = tempfile::tempdir().unwrap();
    run(async {
        let connection = open(inside.path(), "a.db").await;
        let sql = "
            CREATE TEMP TABLE t (a);
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 20000)
                INSERT INTO t SELECT hex(randomblob(50)) FROM n;
            CREATE TABLE sorted AS SELECT a FROM t ORDER BY a;
            UPDATE sorted SET a = a || 'x' WHERE rowid > 0";
        connection.execute(sql).await.unwrap();
        // Files without a name would still be open.
        let open_files = fs::read_dir("/proc/self/fd").unwrap().flatten();
        let open_files = open_files.filter_map(|file| fs::read_link(file.path()).ok());
        for file in open_files {
            let file = file.display().to_string();
            assert!(
                !file.contains("etilqs") && !file.contains("(deleted)"),
                "{file}"
            );
        }
    });
}

#[test]
fn files_of_an_open_database_are_not_touched_by_others() {
    let inside = tempfile::tempdir().unwrap();
    run(async {
        let through = dir(inside.path()).await;
        let write = OpenOptions {
            read: true,
            write: true,
            ..OpenOptions::default()
        };
        // One that has it open before it is a database.
        let create = OpenOptions {
            create: true,
            ..write
        };
        let Node::File(before) = through.open("a.db-shm", create).await.unwrap() else {
            panic!("it is a file");
        };
        let connection = open(inside.path(), "a.db").await;
        connection
            .execute("PRAGMA journal_mode = wal; CREATE TABLE t (a)")
            .await
            .unwrap();
        assert!(inside.path().join("a.db-shm").exists());
        // What is mapped would end the program if it was cut off.
        assert!(before.set_len(0).await.is_err());
        for name in ["a.db", "a.db-wal", "a.db-shm", "a.db-journal"] {
            assert!(through.open(name, write).await.is_err(), "{name}");
            let truncate = OpenOptions {
                truncate: true,
                ..create
            };
            assert!(through.open(name, truncate).await.is_err(), "{name}");
            assert!(through.remove_file(name).await.is_err(), "{name}");
            assert!(through.rename(name, &through, "b").await.is_err(), "{name}");
            assert!(
                through.hard_link(name, &through, "b").await.is_err(),
                "{name}"
            );
            assert!(through.symlink("b", name).await.is_err(), "{name}");
        }
        // Under another name neither.
        for name in ["a.db-shm", "a.db-wal", "a.db"] {
            symlink(name, inside.path().join("alias")).unwrap();
            assert!(through.open("alias", write).await.is_err(), "{name}");
            fs::remove_file(inside.path().join("alias")).unwrap();
        }
        symlink("a.db-journal", inside.path().join("alias")).unwrap();
        assert!(through.open("alias", create).await.is_err());
        assert!(!inside.path().join("a.db-journal").exists());
        fs::write(inside.path().join("c"), "").unwrap();
        assert!(through.rename("c", &through, "a.db-journal").await.is_err());
        // Others are as they were.
        assert!(through.open("c", write).await.is_ok());
        assert!(through.open("new", create).await.is_ok());
        connection.close().await;
        before.set_len(0).await.unwrap();
        assert!(through.open("a.db", write).await.is_ok());
        through.remove_file("a.db").await.unwrap();
    });
}

#[test]
fn to_close_a_file_does_not_release_the_locks_of_a_database() {
    let inside = tempfile::tempdir().unwrap();
    run(async {
        let through = dir(inside.path()).await;
        let create = OpenOptions {
            read: true,
            write: true,
            create: true,
            ..OpenOptions::default()
        };
        let Node::File(before) = through.open("a.db", create).await.unwrap() else {
            panic!("it is a file");
        };
        let connection = open(inside.path(), "a.db").await;
        let sql = "CREATE TABLE t (a); BEGIN IMMEDIATE; INSERT INTO t VALUES (1)";
        connection.execute(sql).await.unwrap();
        before.close().await;
        assert!(own_locks() > 0);
        // Nor does a connection that looks at the file before it reads.
        let read_only = Dir::open_host(inside.path(), Access::ReadOnly);
        let place = Place::File {
            dir: read_only.await.unwrap(),
            path: "a.db".into(),
        };
        let limits = SqliteLimits::default();
        let reader = Connection::open(place, limits).await.unwrap();
        assert!(rows(&reader, "SELECT * FROM t").await.is_empty());
        reader.close().await;
        assert!(own_locks() > 0);
        connection.execute("COMMIT").await.unwrap();
    });
}

#[test]
fn descriptors_that_cannot_be_closed_stay_charged_and_others_are_closed() {
    let inside = tempfile::tempdir().unwrap();
    run(async {
        let through = dir(inside.path()).await;
        let account = Account::default();
        let read = OpenOptions {
            read: true,
            ..OpenOptions::default()
        };
        let open_charged = async |name: &'static str| {
            let charge = Charge::new(&account, Kind::Descriptors, 1).unwrap();
            through.open_charged(name, read, Some(charge)).await
        };
        let close = async |node| match node {
            Node::File(file) => file.close().await,
            Node::Dir(_) => panic!("it is a file"),
        };
        fs::write(inside.path().join("a.db"), "").unwrap();
        let before = open_charged("a.db").await.unwrap();
        let connection = open(inside.path(), "a.db").await;
        let sql = "PRAGMA journal_mode = wal; CREATE TABLE t (a)";
        connection.execute(sql).await.unwrap();
        for _ in 0..100 {
            close(open_charged("a.db-wal").await.unwrap()).await;
        }
        assert_eq!(account.used(Kind::Descriptors), 1);
        // What is locked is not opened, although it was made after the database was opened.
        for name in ["a.db", "a.db-shm"] {
            let opened = open_charged(name).await;
            assert!(opened.is_err(), "{name}");
        }
        assert_eq!(account.used(Kind::Descriptors), 1);
        close(before).await;
        assert_eq!(account.used(Kind::Descriptors), 1);
        connection.close().await;
        assert_eq!(account.used(Kind::Descriptors), 0);
    });
}

/// How many locks this program has. They are seen by others only.
fn own_locks() -> usize {
    let locks = fs::read_to_string("/proc/locks").unwrap();
    let pid = format!(" {} ", std::process::id());
    locks.lines().filter(|lock| lock.contains(&pid)).count()
}
