//! What the tests share.
#![allow(dead_code, reason = "each test uses a part")]
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use async_io::Timer;
use futures_lite::FutureExt;
use lunatic_fs::{Access, Dir};
use lunatic_sqlite::{Connection, Place, SqliteError, SqliteLimits, Value};

/// Runs a test, for a minute at most.
pub(crate) fn run<R>(test: impl Future<Output = R>) -> R {
    let late = async {
        Timer::after(Duration::from_secs(60)).await;
        panic!("the test takes longer than a minute");
    };
    futures_lite::future::block_on(test.or(late))
}

pub(crate) async fn dir(path: &Path) -> Dir {
    Dir::open_host(path, Access::ReadWrite).await.unwrap()
}

pub(crate) async fn open(path: &Path, name: &str) -> Connection {
    try_open(path, name).await.unwrap()
}

pub(crate) async fn try_open(path: &Path, name: &str) -> Result<Connection, SqliteError> {
    let place = Place::File {
        dir: dir(path).await,
        path: name.into(),
    };
    Connection::open(place, SqliteLimits::default()).await
}

pub(crate) async fn memory() -> Connection {
    Connection::open(Place::Memory, SqliteLimits::default())
        .await
        .unwrap()
}

/// All rows of a statement.
pub(crate) async fn rows(connection: &Connection, sql: &str) -> Vec<Vec<Value>> {
    try_rows(connection, sql).await.unwrap()
}

pub(crate) async fn try_rows(
    connection: &Connection,
    sql: &str,
) -> Result<Vec<Vec<Value>>, SqliteError> {
    let mut statement = connection.statement(sql);
    let mut rows = Vec::new();
    while statement.step().await? {
        rows.push(statement.row().unwrap());
    }
    Ok(rows)
}

/// The only value of the only row.
pub(crate) async fn value(connection: &Connection, sql: &str) -> Value {
    let mut rows = rows(connection, sql).await;
    assert_eq!(rows.len(), 1, "{sql}");
    rows.remove(0).remove(0)
}

pub(crate) async fn code(connection: &Connection, sql: &str) -> i32 {
    match connection.execute(sql).await {
        Ok(_) => 0,
        Err(error) => error.result_code(),
    }
}

/// Opens a database with SQLite alone.
pub(crate) fn native(path: &Path) -> rusqlite::Connection {
    lunatic_sqlite::initialize().unwrap();
    rusqlite::Connection::open(path).unwrap()
}
