//! Connections, statements, transactions and watches.

use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::process::{self, Message};
use crate::sqlite::error::{Error, Result};
use crate::sqlite::row;
use crate::sqlite::value::{self, Value};
use crate::sys::sqlite as sys;

/// A connection to a database. When it is dropped, or its process ends, what is not committed
/// is rolled back.
#[derive(Debug)]
pub struct Connection {
    id: u64,
}

/// A compiled statement.
#[derive(Debug)]
pub struct Statement<'c> {
    connection: &'c Connection,
    id: u64,
}

/// A transaction, which is rolled back when this is dropped.
#[derive(Debug)]
#[must_use = "a transaction that is dropped is rolled back"]
pub struct Transaction<'c> {
    connection: &'c Connection,
    is_open: bool,
}

/// A wish to be told of changes; it ends when this is dropped.
#[derive(Debug)]
pub struct Watch<'c> {
    _connection: &'c Connection,
    id: u64,
    tag: i64,
}

/// What a transaction of some process has changed in a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The table.
    pub table: String,
    /// How many rows were inserted.
    pub inserted: u64,
    /// How many rows were updated.
    pub updated: u64,
    /// How many rows were deleted.
    pub deleted: u64,
    /// The row that was changed last.
    pub last_rowid: i64,
}

impl Connection {
    /// Opens a database, which is made if it is not there; `:memory:` is one in memory.
    ///
    /// # Errors
    ///
    /// If it cannot be opened: the path lies in none of the directories of this process, for
    /// example.
    pub fn open(path: &str) -> Result<Connection> {
        /// `SQLITE_CANTOPEN`.
        const CANNOT_OPEN: i32 = 14;
        match crate::error::check(sys::open(path)) {
            Ok(id) => Ok(Connection { id }),
            Err(error) => Err(Error {
                code: CANNOT_OPEN,
                message: error.to_string(),
            }),
        }
    }

    /// Runs statements without parameters, and drops their rows.
    ///
    /// # Errors
    ///
    /// Of the first that fails; the others are not run.
    pub fn execute(&self, sql: &str) -> Result<()> {
        self.check(sys::execute(self.id, sql))
    }

    /// Runs a statement, drops its rows, and returns how many it has changed.
    ///
    /// # Errors
    ///
    /// If it fails.
    pub fn run(&self, sql: &str, params: &[Value]) -> Result<u64> {
        self.prepare(sql)?.run(params)
    }

    /// Runs a statement, and returns its rows.
    ///
    /// A row is read as a struct by the names of its columns, as a tuple by their order, or, if
    /// there is one column, as its value.
    ///
    /// # Errors
    ///
    /// If it fails, or a row cannot be read as `T`.
    pub fn query<T: DeserializeOwned>(&self, sql: &str, params: &[Value]) -> Result<Vec<T>> {
        self.prepare(sql)?.query(params)
    }

    /// Compiles a statement.
    ///
    /// # Errors
    ///
    /// If there is a mistake in it.
    pub fn prepare(&self, sql: &str) -> Result<Statement<'_>> {
        let (code, id) = sys::prepare(self.id, sql);
        self.check(code)?;
        Ok(Statement {
            connection: self,
            id,
        })
    }

    /// Begins a transaction that may write: it waits until no other one does.
    ///
    /// # Errors
    ///
    /// If another one takes too long, or one is open already.
    pub fn transaction(&self) -> Result<Transaction<'_>> {
        self.execute("BEGIN IMMEDIATE")?;
        Ok(Transaction {
            connection: self,
            is_open: true,
        })
    }

    /// Wants to be told of what is changed in a table, by any process of this runtime.
    ///
    /// - `table`: an empty one for all tables.
    /// - `tag`: of the messages that tell of it; no others should have it.
    ///
    /// # Errors
    ///
    /// If the database is gone.
    pub fn watch(&self, table: &str, tag: i64) -> Result<Watch<'_>> {
        let (code, id) = sys::watch(self.id, table, tag);
        self.check(code)?;
        Ok(Watch {
            _connection: self,
            id,
            tag,
        })
    }

    /// Returns how many rows the last statement has changed.
    pub fn changes(&self) -> u64 {
        sys::changes(self.id)
    }

    /// Returns the number of the row that was inserted last.
    pub fn last_insert_rowid(&self) -> i64 {
        sys::last_insert_rowid(self.id)
    }

    /// Returns whether a transaction is open.
    pub fn in_transaction(&self) -> bool {
        sys::in_transaction(self.id)
    }

    /// Waits for locks of others for at most so long; five seconds at first.
    pub fn set_busy_timeout(&self, timeout: Duration) {
        sys::set_busy_timeout(self.id, milliseconds(timeout));
    }

    /// Lets a statement take at most so long.
    pub fn set_query_time(&self, time: Duration) {
        sys::set_query_time(self.id, milliseconds(time));
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn check(&self, code: u32) -> Result<()> {
        match code {
            0 => Ok(()),
            code => Err(self.error(code)),
        }
    }

    fn error(&self, code: u32) -> Error {
        let (extended, message) = sys::error(self.id);
        let code = if extended == 0 { code } else { extended };
        Error {
            code: code as i32,
            message,
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        sys::close(self.id);
    }
}

impl Statement<'_> {
    /// Runs it, drops its rows, and returns how many it has changed.
    ///
    /// # Errors
    ///
    /// If it fails.
    pub fn run(&mut self, params: &[Value]) -> Result<u64> {
        self.each(params, |_| Ok(()))?;
        Ok(self.connection.changes())
    }

    /// Runs it, and returns its rows; see [`Connection::query`].
    ///
    /// # Errors
    ///
    /// If it fails, or a row cannot be read as `T`.
    pub fn query<T: DeserializeOwned>(&mut self, params: &[Value]) -> Result<Vec<T>> {
        let names = value::read_names(&sys::names(self.id));
        let mut rows = Vec::new();
        self.each(params, |values| {
            rows.push(row::read(&names, values)?);
            Ok(())
        })?;
        Ok(rows)
    }

    /// Runs it, and calls `read` with the values of each row.
    ///
    /// # Errors
    ///
    /// If it fails, or the first of `read`.
    pub fn each(
        &mut self,
        params: &[Value],
        mut read: impl FnMut(Vec<Value>) -> Result<()>,
    ) -> Result<()> {
        const ROW: u32 = 100;
        const DONE: u32 = 101;
        const NO_ROOM: u32 = 9028;
        sys::reset(self.id);
        if !params.is_empty() {
            let code = sys::bind(self.id, &value::write_params(params));
            self.connection.check(code)?;
        }
        let mut bytes = vec![0; 4096];
        loop {
            let (code, used) = sys::fetch(self.id, &mut bytes);
            match code {
                ROW => {
                    let mut rows = &bytes[..used];
                    while let Some(values) = value::read_row(&mut rows) {
                        read(values)?;
                    }
                }
                DONE => return Ok(()),
                NO_ROOM => bytes.resize(used, 0),
                code => return Err(self.connection.error(code)),
            }
        }
    }
}

impl Drop for Statement<'_> {
    fn drop(&mut self) {
        sys::finalize(self.id);
    }
}

impl Transaction<'_> {
    /// Commits it.
    ///
    /// # Errors
    ///
    /// If that fails; then it is rolled back.
    pub fn commit(mut self) -> Result<()> {
        self.connection.execute("COMMIT")?;
        self.is_open = false;
        Ok(())
    }

    /// Rolls it back.
    pub fn rollback(self) {}
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.is_open && self.connection.in_transaction() {
            self.connection.execute("ROLLBACK").ok();
        }
    }
}

impl Watch<'_> {
    /// Waits for the next change.
    pub fn next(&self) -> Change {
        loop {
            // Others may tell of an earlier watch with the same tag.
            if let Message::Data { bytes, .. } = process::receive(&[self.tag]) {
                if let Some(change) = self.read(&bytes) {
                    return change;
                }
            }
        }
    }

    fn read(&self, message: &[u8]) -> Option<Change> {
        let (numbers, table) = message.split_at_checked(40)?;
        let mut numbers = numbers.chunks_exact(8).map(|number| {
            let number = number.try_into().unwrap_or_default();
            u64::from_le_bytes(number)
        });
        if numbers.next() != Some(self.id) {
            return None;
        }
        Some(Change {
            inserted: numbers.next()?,
            updated: numbers.next()?,
            deleted: numbers.next()?,
            last_rowid: numbers.next()? as i64,
            table: String::from_utf8_lossy(table).into_owned(),
        })
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        sys::unwatch(self.id);
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
