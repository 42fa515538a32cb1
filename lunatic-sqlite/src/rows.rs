//! How a compiled statement is run.

use std::mem;
use std::time::{Duration, Instant};

use rusqlite::{Error, Statement};

use crate::error::SqliteError;
use crate::job::{Batch, Description, Next};
use crate::quota;
use crate::value::{Key, Value, write_value};

/// A batch of a statement that only reads ends with the row with which it has so many rows…
const BATCH_ROWS: usize = 256;
/// …or so many bytes…
const BATCH_BYTES: usize = 64 << 10;
/// …or so long after it was asked for: a row that takes long is not kept back by the next.
const BATCH_TIME: Duration = Duration::from_millis(1);

/// Runs a statement, and drops its rows.
pub(crate) fn exhaust(statement: &mut Statement<'_>) -> Result<(), Error> {
    let mut rows = statement.raw_query();
    while rows.next()?.is_some() {}
    Ok(())
}

/// Runs a statement from its beginning, and returns its first rows.
///
/// One that writes is run to its end, as far as its rows fit into what a row may have: it
/// writes before it returns the first, and what it has written is committed at its end. SQLite
/// undoes it if that fails, for a lock for example, so no row may have been told by then.
///
/// - `max_row`: bytes of a row.
///
/// # Errors
///
/// [`SqliteError`] if there is not a single row before it, or the statement writes. It can be
/// run again.
pub(crate) fn first(statement: &mut Statement<'_>, max_row: usize) -> Result<Batch, SqliteError> {
    let reads = statement.readonly();
    let batch = next(statement, max_row);
    match batch.next {
        Next::Error(error) if !reads || batch.ends.is_empty() => Err(error),
        next => Ok(Batch { next, ..batch }),
    }
}

/// Returns the next rows of a statement, and what comes behind them.
pub(crate) fn next(statement: &mut Statement<'_>, max_row: usize) -> Batch {
    let reads = statement.readonly();
    let columns = statement.column_count();
    let mut batch = Batch::default();
    let began = Instant::now();
    let mut rows = statement.raw_query();
    loop {
        match rows.next() {
            Ok(Some(row)) => {
                let start = batch.bytes.len();
                batch.bytes.extend((columns as u64).to_le_bytes());
                let mut size = 0;
                for column in 0..columns {
                    let value = match quota::leniently(|| row.get_ref(column)) {
                        Ok(value) => value,
                        Err(error) => return cut(batch, start, error.into()),
                    };
                    size += value
                        .as_bytes_or_null()
                        .map_or(0, |bytes| bytes.map_or(0, <[u8]>::len));
                    if size > max_row {
                        let error = SqliteError::new(SqliteError::TOO_BIG, "a row is too big");
                        return cut(batch, start, error);
                    }
                    write_value(&mut batch.bytes, value);
                }
                batch.ends.push(batch.bytes.len());
            }
            Ok(None) => return batch,
            Err(error) => {
                batch.next = Next::Error(error.into());
                return batch;
            }
        }
        let is_full = match reads {
            true => {
                began.elapsed() > BATCH_TIME
                    || batch.ends.len() >= BATCH_ROWS
                    || batch.bytes.len() >= BATCH_BYTES
            }
            false => batch.bytes.len() >= max_row,
        };
        if is_full {
            // To drop it would be to reset the statement. It has nothing of its own.
            mem::forget(rows);
            batch.next = Next::More;
            return batch;
        }
    }
}

fn cut(mut batch: Batch, end: usize, error: SqliteError) -> Batch {
    batch.bytes.truncate(end);
    batch.next = Next::Error(error);
    batch
}

/// Binds values to the parameters of a statement, and nothing to the others.
///
/// # Errors
///
/// [`SqliteError`] if there is no such parameter, or a value is too large.
pub(crate) fn bind(
    statement: &mut Statement<'_>,
    bindings: &[(Key, Value)],
) -> Result<(), SqliteError> {
    statement.clear_bindings();
    let mut last = 0;
    for (key, value) in bindings {
        let index = match key {
            Key::Next => last + 1,
            Key::Number(number) => usize::try_from(*number).unwrap_or(usize::MAX),
            Key::Name(name) => {
                let index = statement.parameter_index(name)?;
                index.ok_or_else(|| {
                    let message = format!("there is no parameter {name:?}");
                    SqliteError::new(SqliteError::RANGE, message)
                })?
            }
        };
        if index == 0 || index > statement.parameter_count() {
            let message = format!("there is no parameter {index}");
            return Err(SqliteError::new(SqliteError::RANGE, message));
        }
        statement.raw_bind_parameter(index, value)?;
        last = index;
    }
    Ok(())
}

/// Tells of a statement.
pub(crate) fn description(statement: &Statement<'_>) -> Description {
    let names = statement.column_names();
    Description {
        columns: names.into_iter().map(str::to_owned).collect(),
        parameters: statement.parameter_count(),
        is_read_only: statement.readonly(),
    }
}
