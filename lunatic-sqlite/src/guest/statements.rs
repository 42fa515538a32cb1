//! Making, binding and running statements.

use lunatic_abi::{Guest, Misuse, host_functions};
use wasmtime::{Caller, Result};

use crate::bindings::{Bindings, MAX_PARAMETERS};
use crate::error::SqliteError;
use crate::guest::SqliteHost;
use crate::guest::connections::{charged, sql};
use crate::guest::state::{DONE, Last, ROW};
use crate::statement::Step;
use crate::value::{Malformed, count_of_bindings, read_bindings};

host_functions! {
    pub(super) fn add_to_linker<T: SqliteHost>(Linker<T>);
    pub(super) const HOST_FUNCTIONS;

    in "lunatic::sqlite" {
        fn query_prepare(conn_id: u64, query_str_ptr: u32, query_str_len: u32) -> u64;
        fn bind_value(statement_id: u64, bind_data_ptr: u32, bind_data_len: u32);
        async fn sqlite3_step(statement_id: u64) -> u32;
        fn statement_reset(statement_id: u64);
        fn sqlite3_finalize(statement_id: u64);
        async fn prepare(conn_id: u64, sql_ptr: u32, sql_len: u32, id_ptr: u32) -> u32;
        fn bind(statement_id: u64, values_ptr: u32, values_len: u32) -> u32;
        async fn fetch(statement_id: u64, ptr: u32, len: u32, used_ptr: u32) -> u32;
    }
}

/// `lunatic::sqlite::query_prepare` (ABI §10.1): returns the id of a statement. A mistake in it
/// is the result of its first step.
///
/// Traps on an unknown id, a bad address, text that is not UTF-8, and if there are too many
/// statements.
fn query_prepare<T: SqliteHost>(
    mut caller: Caller<'_, T>,
    conn_id: u64,
    query_str_ptr: u32,
    query_str_len: u32,
) -> Result<u64> {
    let connection = caller.data_mut().sqlite().connection(conn_id)?;
    let connection = connection.connection.clone();
    let (sql, refused) = match sql(&mut caller, query_str_ptr, query_str_len)? {
        Ok(sql) => (sql, None),
        Err(error) => (String::new(), Some(error)),
    };
    let mut statement = connection.statement(sql);
    if let Some(error) = refused {
        statement.refuse(error);
    }
    let account = caller.data().account().clone();
    let sqlite = caller.data_mut().sqlite();
    let id = sqlite.keep_statement(conn_id, statement, &account)?;
    sqlite.connection(conn_id)?.last = Last::Unknown(id);
    Ok(id)
}

/// `lunatic::sqlite::bind_value` (ABI §10.1): binds a list of values. What is refused is the
/// result of the next step.
///
/// Traps on an unknown id, a bad address, and data that cannot be read.
fn bind_value<T: SqliteHost>(
    mut caller: Caller<'_, T>,
    statement_id: u64,
    bind_data_ptr: u32,
    bind_data_len: u32,
) -> Result<()> {
    let bound = bind_all(&mut caller, statement_id, bind_data_ptr, bind_data_len)?;
    if let Err(error) = bound {
        let sqlite = caller.data_mut().sqlite();
        let connection = sqlite.statement(statement_id)?.connection;
        let refused = error.clone();
        sqlite.change(statement_id, |statement| statement.refuse(refused))?;
        sqlite.note(connection, Err(error));
    }
    Ok(())
}

/// `lunatic::sqlite::bind` (ABI §28.2): binds a list of values. Returns 0 or SQLite's result
/// code.
///
/// Traps on an unknown id, a bad address, and data that cannot be read.
fn bind<T: SqliteHost>(
    mut caller: Caller<'_, T>,
    statement_id: u64,
    values_ptr: u32,
    values_len: u32,
) -> Result<u32> {
    let bound = bind_all(&mut caller, statement_id, values_ptr, values_len)?;
    let sqlite = caller.data_mut().sqlite();
    let connection = sqlite.statement(statement_id)?.connection;
    Ok(sqlite.note(connection, bound))
}

fn bind_all<T: SqliteHost>(
    caller: &mut Caller<'_, T>,
    id: u64,
    ptr: u32,
    len: u32,
) -> Result<Result<(), SqliteError>> {
    /// What keys and lengths may take beside the values, in bytes.
    const ROOM: usize = 64 << 10;
    let sqlite = caller.data_mut().sqlite();
    sqlite.statement(id)?;
    let max = sqlite.limits().max_row_bytes.saturating_add(ROOM);
    let bytes = caller.bytes(ptr, len)?;
    if bytes.len() > max {
        let message = "the values to bind are too large";
        return Ok(Err(SqliteError::new(SqliteError::TOO_BIG, message)));
    }
    let count = count_of_bindings(bytes).map_err(unreadable)?;
    if count > MAX_PARAMETERS {
        let message = format!("a statement has at most {MAX_PARAMETERS} parameters");
        return Ok(Err(SqliteError::new(SqliteError::RANGE, message)));
    }
    let more = Bindings::growth(count, bytes.len());
    let bindings = read_bindings(bytes).map_err(unreadable)?;
    let bound = caller.data_mut().sqlite().enlarge(id, more, |statement| {
        let mut bindings = bindings.into_iter();
        bindings.try_for_each(|(key, value)| statement.bind(key, value))
    })?;
    Ok(bound.and_then(|bound| bound))
}

fn unreadable(Malformed: Malformed) -> Misuse {
    Misuse::refused("the list of values to bind cannot be read")
}

/// `lunatic::sqlite::sqlite3_step` (ABI §10.1): returns 100 if there is a row, 101 at the end,
/// or SQLite's result code of a mistake.
///
/// Traps on an unknown id.
async fn sqlite3_step<T: SqliteHost>(mut caller: Caller<'_, T>, statement_id: u64) -> Result<u32> {
    let outcome = step(&mut caller, statement_id).await?;
    note_step(&mut caller, statement_id, outcome)
}

/// Steps to the next row.
async fn step<T: SqliteHost>(
    caller: &mut Caller<'_, T>,
    id: u64,
) -> Result<Result<bool, SqliteError>> {
    loop {
        let sqlite = caller.data_mut().sqlite();
        let begun = sqlite.change(id, |statement| statement.begin_step())?;
        let rows = match begun {
            Step::Done(outcome) => return Ok(outcome),
            Step::Wait(rows) => rows,
        };
        if let Err(error) = arrive(caller, id, rows).await? {
            return Ok(Err(error));
        }
    }
}

/// Waits for rows.
async fn arrive<T: SqliteHost>(
    caller: &mut Caller<'_, T>,
    id: u64,
    rows: crate::statement::Rows,
) -> Result<Result<(), SqliteError>> {
    let answer = caller.wait(rows.arrive()).await;
    let status = answer.1;
    let sqlite = caller.data_mut().sqlite();
    let connection = sqlite.statement(id)?.connection;
    sqlite.set_status(connection, status);
    let more = match &answer.0 {
        Ok(batch) => batch.size() + batch.description.as_ref().map_or(0, |known| known.size()),
        Err(_) => 0,
    };
    let accepted = sqlite.enlarge(id, more, |statement| statement.accept(answer))?;
    if accepted.is_err() {
        // There is no memory for the rows.
        sqlite.change(id, |statement| statement.reset())?;
    }
    Ok(accepted.and_then(|accepted| accepted))
}

fn note_step<T: SqliteHost>(
    caller: &mut Caller<'_, T>,
    id: u64,
    outcome: Result<bool, SqliteError>,
) -> Result<u32> {
    let sqlite = caller.data_mut().sqlite();
    let connection = sqlite.statement(id)?.connection;
    let connection = sqlite.connection(connection)?;
    Ok(match outcome {
        Ok(true) => {
            connection.last = Last::Row;
            ROW
        }
        Ok(false) => {
            connection.last = Last::Done;
            DONE
        }
        Err(error) => connection.note(Err(error)),
    })
}

/// `lunatic::sqlite::statement_reset` (ABI §10.1): makes a statement ready to be run again.
///
/// Traps on an unknown id.
fn statement_reset<T: SqliteHost>(mut caller: Caller<'_, T>, statement_id: u64) -> Result<()> {
    let sqlite = caller.data_mut().sqlite();
    sqlite.change(statement_id, |statement| statement.reset())?;
    Ok(())
}

/// `lunatic::sqlite::sqlite3_finalize` (ABI §10.1): removes a statement.
///
/// Traps on an unknown id.
fn sqlite3_finalize<T: SqliteHost>(mut caller: Caller<'_, T>, statement_id: u64) -> Result<()> {
    let tables = caller.data_mut().sqlite().tables();
    tables.statements.remove(statement_id)?;
    Ok(())
}

/// `lunatic::sqlite::prepare` (ABI §28.2): compiles a statement. Returns 0 with its id at
/// `id_ptr`, or SQLite's result code.
///
/// Traps on an unknown id, a bad address, text that is not UTF-8, and if there are too many
/// statements.
async fn prepare<T: SqliteHost>(
    mut caller: Caller<'_, T>,
    conn_id: u64,
    sql_ptr: u32,
    sql_len: u32,
    id_ptr: u32,
) -> Result<u32> {
    caller.check_id_ptr(id_ptr)?;
    let connection = caller.data_mut().sqlite().connection(conn_id)?;
    let connection = connection.connection.clone();
    let sql = sql(&mut caller, sql_ptr, sql_len)?;
    let described = match sql.and_then(|sql| Ok((charged(&caller, sql.len())?, sql))) {
        Ok((_charge, sql)) => {
            let mut statement = connection.statement(sql);
            let describing = connection.describe(statement.sql().clone());
            caller.wait(describing).await.map(|description| {
                statement.set_description(description);
                statement
            })
        }
        Err(error) => Err(error),
    };
    let account = caller.data().account().clone();
    let sqlite = caller.data_mut().sqlite();
    let outcome = match described {
        Ok(statement) => {
            let id = sqlite.keep_statement(conn_id, statement, &account)?;
            caller.write_u64(id_ptr, id)?;
            Ok(())
        }
        Err(error) => Err(error),
    };
    Ok(caller.data_mut().sqlite().note(conn_id, outcome))
}

/// `lunatic::sqlite::fetch` (ABI §28.2): writes as many of the next rows as are there and fit
/// to `ptr`, one behind the other, and how many bytes that is to `used_ptr`. Returns 100 if
/// there may be others, 101 at the end, 9028 if the next row does not fit, with its size at
/// `used_ptr`, or SQLite's result code.
///
/// Traps on an unknown id or a bad address.
async fn fetch<T: SqliteHost>(
    mut caller: Caller<'_, T>,
    statement_id: u64,
    ptr: u32,
    len: u32,
    used_ptr: u32,
) -> Result<u32> {
    const NO_ROOM: u32 = 9028;
    caller.bytes(ptr, len)?;
    caller.write_u32(used_ptr, 0)?;
    // What is there does not fit: it is not stepped to.
    let waiting = caller.data_mut().sqlite().statement(statement_id)?;
    let first = waiting.statement.peek().map(<[u8]>::len);
    if let Some(size) = first.filter(|size| *size > len as usize) {
        caller.write_u32(used_ptr, size as u32)?;
        return Ok(NO_ROOM);
    }
    if first.is_none() {
        let sqlite = caller.data_mut().sqlite();
        let begun = sqlite.change(statement_id, |statement| statement.begin_step())?;
        let arrived = match begun {
            Step::Wait(rows) => arrive(&mut caller, statement_id, rows).await?,
            Step::Done(outcome) => {
                // At the end, or at an error: a row would have been seen.
                return note_step(&mut caller, statement_id, outcome);
            }
        };
        if let Err(error) = arrived {
            return note_step(&mut caller, statement_id, Err(error));
        }
    }
    let mut rows = Vec::new();
    let sqlite = caller.data_mut().sqlite();
    let next = sqlite.change(statement_id, |statement| {
        loop {
            match statement.peek() {
                Some(row) if rows.len() + row.len() > len as usize => break Err(row.len()),
                Some(row) => rows.extend_from_slice(row),
                None => break Ok(()),
            }
            // It is there, so this does not wait.
            statement.begin_step();
        }
    })?;
    match next {
        Err(size) if rows.is_empty() => {
            caller.write_u32(used_ptr, size as u32)?;
            return Ok(NO_ROOM);
        }
        Ok(()) if rows.is_empty() => {
            let sqlite = caller.data_mut().sqlite();
            let begun = sqlite.change(statement_id, |statement| statement.begin_step())?;
            let outcome = match begun {
                Step::Done(outcome) => outcome,
                // Nothing came, though others may come.
                Step::Wait(_) => return Ok(ROW),
            };
            return note_step(&mut caller, statement_id, outcome);
        }
        Ok(()) | Err(_) => {}
    }
    caller.write(ptr, &rows)?;
    caller.write_u32(used_ptr, rows.len() as u32)?;
    note_step(&mut caller, statement_id, Ok(true))
}
