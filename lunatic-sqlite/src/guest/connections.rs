//! Opening and closing databases, and running statements without rows.

use std::time::Duration;

use lunatic_abi::{Guest, host_functions};
use lunatic_account::{Charge, Kind};
use wasmtime::{Caller, Result};

use crate::connection::{Connection, Place, no_memory};
use crate::error::SqliteError;
use crate::guest::SqliteHost;
use crate::guest::state::GuestConnection;
use crate::job::Job;
use crate::opening::MAX_SQL_BYTES;

host_functions! {
    pub(super) fn add_to_linker<T: SqliteHost>(Linker<T>);
    pub(super) const HOST_FUNCTIONS;

    in "lunatic::sqlite" {
        async fn open(path_str_ptr: u32, path_str_len: u32, connection_id_ptr: u32) -> u64;
        async fn execute(conn_id: u64, exec_str_ptr: u32, exec_str_len: u32) -> u32;
        fn sqlite3_changes(conn_id: u64) -> u32;
        async fn close(conn_id: u64);
        fn changes(conn_id: u64) -> u64;
        fn last_insert_rowid(conn_id: u64) -> i64;
        fn in_transaction(conn_id: u64) -> u32;
        fn set_busy_timeout(conn_id: u64, timeout: u64);
        fn set_query_time(conn_id: u64, time: u64);
    }
}

/// The longest path that a guest may give, in bytes.
const MAX_PATH_BYTES: usize = 4095;

/// `lunatic::sqlite::open` (ABI §10.1): opens a database, which is made if there is none.
/// Returns 0 with a connection id, or 1 with an error id, at `connection_id_ptr`.
///
/// Traps on a bad address, or text that is not UTF-8.
async fn open<T: SqliteHost>(
    mut caller: Caller<'_, T>,
    path_str_ptr: u32,
    path_str_len: u32,
    connection_id_ptr: u32,
) -> Result<u64> {
    caller.check_id_ptr(connection_id_ptr)?;
    caller.bytes(path_str_ptr, path_str_len)?;
    let place = match path_str_len as usize > MAX_PATH_BYTES {
        true => Err(cannot_open("the path is too long")),
        false => {
            let path = caller.text(path_str_ptr, path_str_len)?.to_owned();
            place(caller.data(), &path)
        }
    };
    let opened = match place {
        Ok(place) => connect(&mut caller, place).await?,
        Err(error) => Err(error),
    };
    let outcome = match opened {
        Ok(connection) => {
            let account = caller.data().account().clone();
            let connections = &mut caller.data_mut().sqlite().tables().connections;
            connections
                .insert(connection, &account)
                .map_err(|refused| cannot_open(&refused.reason.to_string()))
        }
        Err(error) => Err(error),
    };
    Ok(u64::from(caller.answer_id(connection_id_ptr, outcome)?))
}

/// Where a path leads to.
fn place<T: SqliteHost>(state: &T, path: &str) -> Result<Place, SqliteError> {
    if path.is_empty() || path == ":memory:" {
        return Ok(Place::Memory);
    }
    let found = state.find_file(path);
    let (dir, path) = found
        .ok_or_else(|| cannot_open("the path lies in none of the directories of the process"))?;
    Ok(Place::File { dir, path })
}

async fn connect<T: SqliteHost>(
    caller: &mut Caller<'_, T>,
    place: Place,
) -> Result<Result<GuestConnection, SqliteError>> {
    let account = caller.data().account().clone();
    let sqlite = caller.data_mut().sqlite();
    let limits = **sqlite.limits();
    if let Err(error) = sqlite.check_connections() {
        return Ok(Err(error));
    }
    let opening = Connection::open_charged(place, limits, Some(&account));
    let opened = caller.wait(opening).await;
    Ok(opened.map(GuestConnection::new))
}

fn cannot_open(reason: &str) -> SqliteError {
    let message = format!("unable to open database file: {reason}");
    SqliteError::new(SqliteError::CANNOT_OPEN, message)
}

/// `lunatic::sqlite::execute` (ABI §10.1): runs statements and drops their rows. Returns 0 or
/// SQLite's result code.
///
/// Traps on an unknown id, a bad address, or text that is not UTF-8.
async fn execute<T: SqliteHost>(
    mut caller: Caller<'_, T>,
    conn_id: u64,
    exec_str_ptr: u32,
    exec_str_len: u32,
) -> Result<u32> {
    let connection = caller.data_mut().sqlite().connection(conn_id)?;
    let connection = connection.connection.clone();
    let sql = sql(&mut caller, exec_str_ptr, exec_str_len)?;
    let outcome = match sql.and_then(|sql| Ok((charged(&caller, sql.len())?, sql))) {
        Ok((_charge, sql)) => {
            let executing = connection.ask(|answer| Job::Execute { sql, answer });
            let (outcome, status) = caller.wait(executing).await;
            caller.data_mut().sqlite().set_status(conn_id, status);
            outcome
        }
        Err(error) => Err(error),
    };
    Ok(caller.data_mut().sqlite().note(conn_id, outcome))
}

/// Charges what an operation is given, until it is done; a little is not charged.
pub(super) fn charged<T: SqliteHost>(
    caller: &Caller<'_, T>,
    bytes: usize,
) -> Result<Option<Charge>, SqliteError> {
    const FREE: usize = 4 << 10;
    if bytes <= FREE {
        return Ok(None);
    }
    let charge = Charge::new(caller.data().account(), Kind::Memory, bytes as u64);
    charge.map(Some).map_err(no_memory)
}

/// Reads the text of statements.
pub(super) fn sql<T: SqliteHost>(
    caller: &mut Caller<'_, T>,
    ptr: u32,
    len: u32,
) -> Result<Result<String, SqliteError>> {
    caller.bytes(ptr, len)?;
    if len as usize > MAX_SQL_BYTES {
        let message = "the statement is too long";
        return Ok(Err(SqliteError::new(SqliteError::TOO_BIG, message)));
    }
    Ok(Ok(caller.text(ptr, len)?.to_owned()))
}

/// `lunatic::sqlite::sqlite3_changes` (ABI §10.1): returns how many rows the last statement
/// has changed, at most 2³¹ − 1.
///
/// Traps on an unknown id.
fn sqlite3_changes<T: SqliteHost>(caller: Caller<'_, T>, conn_id: u64) -> Result<u32> {
    let changes = changes(caller, conn_id)?;
    Ok(u32::try_from(changes).map_or(i32::MAX as u32, |changes| changes.min(i32::MAX as u32)))
}

/// `lunatic::sqlite::close` (ABI §28.1): closes a connection, with its statements and watches,
/// and waits for that. What is not committed is rolled back.
///
/// Traps on an unknown id.
async fn close<T: SqliteHost>(mut caller: Caller<'_, T>, conn_id: u64) -> Result<()> {
    let tables = caller.data_mut().sqlite().tables();
    let closed = tables.connections.remove(conn_id)?;
    tables
        .statements
        .retain(|statement| statement.connection != conn_id);
    tables.watches.retain(|watch| watch.connection != conn_id);
    caller.wait(closed.connection.clone().close()).await;
    Ok(())
}

/// `lunatic::sqlite::changes` (ABI §28.1): returns how many rows the last statement has
/// changed.
///
/// Traps on an unknown id.
fn changes<T: SqliteHost>(mut caller: Caller<'_, T>, conn_id: u64) -> Result<u64> {
    let sqlite = caller.data_mut().sqlite();
    Ok(sqlite.connection(conn_id)?.status.changes)
}

/// `lunatic::sqlite::last_insert_rowid` (ABI §28.1): returns the number of the row that was
/// inserted last; 0 if there was none.
///
/// Traps on an unknown id.
fn last_insert_rowid<T: SqliteHost>(mut caller: Caller<'_, T>, conn_id: u64) -> Result<i64> {
    let sqlite = caller.data_mut().sqlite();
    Ok(sqlite.connection(conn_id)?.status.last_insert_rowid)
}

/// `lunatic::sqlite::in_transaction` (ABI §28.1): returns 1 if a transaction is open, else 0.
///
/// Traps on an unknown id.
fn in_transaction<T: SqliteHost>(mut caller: Caller<'_, T>, conn_id: u64) -> Result<u32> {
    let sqlite = caller.data_mut().sqlite();
    Ok(sqlite.connection(conn_id)?.status.in_transaction.into())
}

/// `lunatic::sqlite::set_busy_timeout` (ABI §28.1): waits for locks for at most so many
/// milliseconds.
///
/// Traps on an unknown id.
fn set_busy_timeout<T: SqliteHost>(
    mut caller: Caller<'_, T>,
    conn_id: u64,
    timeout: u64,
) -> Result<()> {
    let connection = &caller.data_mut().sqlite().connection(conn_id)?.connection;
    connection.set_busy_timeout(Duration::from_millis(timeout));
    Ok(())
}

/// `lunatic::sqlite::set_query_time` (ABI §28.1): lets SQLite work for at most so many
/// milliseconds at once.
///
/// Traps on an unknown id.
fn set_query_time<T: SqliteHost>(mut caller: Caller<'_, T>, conn_id: u64, time: u64) -> Result<()> {
    let connection = &caller.data_mut().sqlite().connection(conn_id)?.connection;
    connection.set_query_time(Duration::from_millis(time));
    Ok(())
}
