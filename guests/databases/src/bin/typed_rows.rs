//! Reads rows as types that `serde` can read, runs through transactions and pieces of blobs, and
//! ends in order if all of it is as it should be.

use lunatic::Mailbox;
use lunatic_guest::params;
use lunatic_guest::sqlite::{Connection, Error, Value};
use serde::Deserialize;

#[derive(Debug, PartialEq, Deserialize)]
struct Entry {
    author: String,
    words: u32,
    mood: Option<Mood>,
    is_public: bool,
    picture: Vec<u8>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mood {
    Glad,
    Sad,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Words(f64);

#[lunatic::main]
fn main(_: Mailbox<()>) {
    let connection = Connection::open("typed.db").expect("it is opened");
    connection
        .execute("CREATE TABLE entries (author, words, mood, is_public, picture)")
        .expect("a table is made");
    let mut insert = connection
        .prepare("INSERT INTO entries VALUES (?, ?, ?, ?, ?)")
        .expect("it is compiled");
    let picture = Value::Blob(vec![0, 1, 255]);
    let ada = params!["Ada", 42, "glad", true, picture.clone()];
    assert_eq!(insert.run(ada), Ok(1));
    let bob = params!["Bob", 7, None::<&str>, false, Value::Blob(Vec::new())];
    assert_eq!(insert.run(bob), Ok(1));
    assert_eq!(connection.last_insert_rowid(), 2);

    // Columns are found by their names, whatever their order.
    let sql = "SELECT picture, is_public, mood, words, author FROM entries ORDER BY author";
    let entries: Vec<Entry> = connection.query(sql, params![]).expect("rows are read");
    let expected = [
        Entry {
            author: "Ada".into(),
            words: 42,
            mood: Some(Mood::Glad),
            is_public: true,
            picture: vec![0, 1, 255],
        },
        Entry {
            author: "Bob".into(),
            words: 7,
            mood: None,
            is_public: false,
            picture: Vec::new(),
        },
    ];
    assert_eq!(entries, expected);
    let tuples: Vec<(String, i64)> = connection
        .query(
            "SELECT author, words FROM entries WHERE words > ?",
            params![10],
        )
        .expect("tuples are read");
    assert_eq!(tuples, [("Ada".to_owned(), 42)]);
    let words: Vec<Words> = connection
        .query("SELECT words FROM entries ORDER BY words", params![])
        .expect("single values are read");
    assert_eq!(words, [Words(7.0), Words(42.0)]);
    let moods: Vec<Option<Mood>> = connection
        .query("SELECT mood FROM entries ORDER BY author", params![])
        .expect("options are read");
    assert_eq!(moods, [Some(Mood::Glad), None]);

    // What does not fit is an error, and the connection can be used again.
    mismatch(connection.query::<Entry>("SELECT author FROM entries", params![]));
    mismatch(connection.query::<i64>("SELECT author FROM entries", params![]));
    mismatch(connection.query::<u8>("SELECT 256", params![]));
    mismatch(connection.query::<u32>("SELECT -1", params![]));
    mismatch(connection.query::<(i64, i64)>("SELECT 1, 2, 3", params![]));
    mismatch(connection.query::<i64>("SELECT 1, 2", params![]));
    mismatch(connection.query::<Mood>("SELECT 'angry'", params![]));
    mismatch(connection.query::<String>("SELECT NULL", params![]));

    // More than fit into one piece, and rows that are larger than the room for them.
    let numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 10000)
        SELECT i, hex(zeroblob(i % 7 * 1000)) FROM n";
    let numbers: Vec<(usize, String)> =
        connection.query(numbers, params![]).expect("many are read");
    assert_eq!(numbers.len(), 10_000);
    for (index, (number, text)) in numbers.iter().enumerate() {
        assert_eq!((*number, text.len()), (index + 1, number % 7 * 2000));
    }
    let returned: Vec<i64> = connection
        .query("DELETE FROM entries RETURNING words", params![])
        .expect("rows of a statement that writes are read");
    assert_eq!(returned, [42, 7]);

    // A transaction that is dropped is rolled back, and its rows never were.
    let transaction = connection.transaction().expect("it begins");
    connection
        .run(
            "INSERT INTO entries VALUES ('Eve', 1, 'sad', 1, NULL)",
            params![],
        )
        .expect("it is inserted");
    assert!(connection.in_transaction());
    drop(transaction);
    assert!(!connection.in_transaction());
    let count: Vec<u32> = connection
        .query("SELECT count(*) FROM entries", params![])
        .expect("they are counted");
    assert_eq!(count, [0]);
    let wrong = connection.query::<u32>("SELECT nothing", params![]);
    assert_eq!(wrong.map_err(|error| error.code), Err(1));
}

fn mismatch<T: std::fmt::Debug>(rows: Result<Vec<T>, Error>) {
    /// `SQLITE_MISMATCH`.
    const MISMATCH: i32 = 20;
    match rows {
        Err(error) => assert_eq!(error.code, MISMATCH, "{error}"),
        Ok(rows) => panic!("{rows:?} were read"),
    }
}
